from miniarcade.games.coconut_dodge import (
    HIT_STEPS,
    OFFSET,
    Coconut,
    CoconutDodge,
    CoconutDodgeState,
)


def state(game: CoconutDodge, published: dict) -> CoconutDodgeState:
    t, flash = published["steps"], published["collision_timer"]
    return CoconutDodgeState(
        t=t,
        decor_seed=0,
        coconuts=[
            Coconut(
                x=ball["x"] - OFFSET,
                y=ball["y"] - OFFSET,
                vx=ball["vx"],
                vy=ball["vy"],
                radius=ball["r"],
                number=0,
                cracked=ball["crack_t"],
            )
            for ball in published["balls"]
        ],
        x=published["agent_x"] - OFFSET,
        v=published["agent_vx"],
        hit_at=t - (HIT_STEPS - flash) if flash else -100,
    )
