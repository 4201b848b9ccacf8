from miniarcade.games.pong import Pong, PongState


def state(game: Pong, published: dict) -> PongState:
    return PongState(
        t=published["steps"],
        decor_seed=0,
        x=published["ball_x"],
        y=published["ball_y"],
        vx=published["ball_vx"],
        vy=published["ball_vy"],
        agent_y=published["agent_y"],
        opponent_y=published["opp_y"],
        alert=published["in_reaction_zone"],
        delay=published["reaction_delay"],
        agent_points=published["agent_score"],
        opponent_points=published["opp_score"],
        scored_at=-100,
        agent_scored=False,
    )
