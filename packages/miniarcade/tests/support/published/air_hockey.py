from miniarcade.games.air_hockey import AirHockey, AirHockeyState


def state(game: AirHockey, published: dict) -> AirHockeyState:
    return AirHockeyState(
        t=published["steps"],
        decor_seed=0,
        x=published["puck_x"],
        y=published["puck_y"],
        vx=published["puck_vx"],
        vy=published["puck_vy"],
        agent_x=published["agent_x"],
        agent_y=published["agent_y"],
        agent_vx=published["agent_vx"],
        agent_vy=published["agent_vy"],
        opponent_x=published["opp_x"],
        opponent_y=published["opp_y"],
        opponent_vx=published["opp_vx"],
        opponent_vy=published["opp_vy"],
        alert=published["opp_in_zone"],
        delay=published["opp_reaction_delay"],
    )
