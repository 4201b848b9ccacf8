from miniarcade.games.spaceship import Asteroid, Spaceship, SpaceshipState


def state(game: Spaceship, published: dict) -> SpaceshipState:
    x, y, present = zip(*published["coins"], strict=True)
    asteroid = published["asteroid"]
    return SpaceshipState(
        t=published["steps"],
        decor_seed=0,
        x=published["ship_x"],
        y=published["ship_y"],
        vx=published["vel_x"],
        vy=published["vel_y"],
        row_x=int(x[0]),
        coin_y=list(y),
        taken_at=[-1 if there else 0 for there in present],
        asteroid=Asteroid(asteroid[0], asteroid[1], 0) if asteroid and asteroid[2] else None,
    )
