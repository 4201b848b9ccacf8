from miniarcade.games.coinrun import CoinRun, CoinRunState


def state(game: CoinRun, published: dict) -> CoinRunState:
    x, y, present = zip(*published["coins"], strict=True)
    return CoinRunState(
        t=published["steps"],
        decor_seed=0,
        y=published["agent_y"],
        vy=published["agent_vel_y"],
        coin_x=[int(at) for at in x],
        coin_y=list(y),
        taken_at=[-1 if there else 0 for there in present],
    )
