from miniarcade.games.rocket_collect import (
    FLASH_STEPS,
    Asteroid,
    RocketCollect,
    RocketCollectState,
)


def state(game: RocketCollect, published: dict) -> RocketCollectState:
    t, flash = published["steps"], published["collision_timer"]
    return RocketCollectState(
        t=t,
        decor_seed=0,
        coin_x=published["coin_x"],
        coin_y=published["coin_y"],
        asteroids=[
            Asteroid(rock["x"], rock["y"], rock["vx"], rock["vy"], rock["entered"])
            for rock in published["obstacles"]
        ],
        x=published["agent_x"],
        y=published["agent_y"],
        vx=published["agent_vx"],
        vy=published["agent_vy"],
        crash_at=t - (FLASH_STEPS - flash) if flash else -100,
    )
