from miniarcade.games.cartpole import CartPole, CartPoleState


def state(game: CartPole, published: dict) -> CartPoleState:
    x, x_dot, theta, theta_dot = published["state"]
    state = CartPoleState(
        t=published["steps"], decor_seed=0, x=x, x_dot=x_dot, theta=theta, theta_dot=theta_dot
    )
    if game.tremor:
        state.shake_in = published["next_shake"]
        state.shake_left = published["shake_timer"]
        state.shake = published["shake_force"] if state.shake_left else 0.0
    return state
