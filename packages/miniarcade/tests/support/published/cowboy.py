from miniarcade.games.cowboy import OBSTACLES, Cowboy, CowboyState


def state(game: Cowboy, published: dict) -> CowboyState:
    left, _, _, _ = published["obstacle_hitbox"]["rect"]
    boxes = [cactus["rect"] for cactus in published["obstacle_rects"]]
    return CowboyState(
        t=published["steps"],
        decor_seed=0,
        y=published["agent_y"],
        vy=published["agent_vel_y"],
        kind=OBSTACLES.index(tuple((x - left, width, height) for x, _, width, height in boxes)),
        obstacle_x=left,
    )
