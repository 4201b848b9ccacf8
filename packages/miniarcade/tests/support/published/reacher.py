from miniarcade.games.reacher import Reacher, ReacherState


def state(game: Reacher, published: dict) -> ReacherState:
    return ReacherState(
        t=published["steps"],
        decor_seed=0,
        q1=published["q1"],
        q2=published["q2"],
        w1=published["w1"],
        w2=published["w2"],
        target_x=published["tx_m"],
        target_y=published["ty_m"],
    )
