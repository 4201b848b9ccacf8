from miniarcade.games.landing import Landing, LandingState


def state(game: Landing, published: dict) -> LandingState:
    return LandingState(
        t=published["steps"],
        decor_seed=0,
        x=published["heli_x"],
        y=published["heli_y"],
        vx=published["vel_x"],
        vy=published["vel_y"],
        ship_x=published["ship_x"],
        ship_v=published["ship_speed"] * published["ship_dir"],
        contact=published["in_contact"],
        locked=published["locked_on_deck"],
    )
