from miniarcade.games.chase_evade import ORBIT_SPEED, ChaseEvade, ChaseEvadeState, Gnome


def state(game: ChaseEvade, published: dict) -> ChaseEvadeState:
    agent, opponent = (
        Gnome(*(published[f"{who}_{name}"] for name in ("x", "y", "vx", "vy")))
        for who in ("agent", "opp")
    )
    return ChaseEvadeState(
        t=published["steps"],
        decor_seed=0,
        agent=agent,
        opponent=opponent,
        evading=published["is_agent_evader"],
        phase=published["base_angles"][0],
        spin=published["direction"] * ORBIT_SPEED,
        swapping=1 + published["role_change_counter"] if published["role_change_active"] else 0,
    )
