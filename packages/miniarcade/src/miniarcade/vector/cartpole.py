"""`miniarcade.games.cartpole` for many environments."""

import numpy as np

from miniarcade.games.cartpole import DT, LEVEL, RAIL, SPARSE_ANGLE, CartPole, accelerations
from miniarcade.vector.game import VectorGame, columns


class VectorCartPole(VectorGame):
    """See `CartPole`."""

    game: CartPole

    def step(self, actions: np.ndarray) -> np.ndarray:
        """See `VectorGame`."""
        s = self.state
        s.t += 1
        x_acc, theta_acc = accelerations(
            np.sin(s.theta), np.cos(s.theta), s.theta_dot, actions[:, 0]
        )
        if self.game.tremor:
            theta_acc += self._shake()

        s.x += DT * s.x_dot
        s.x_dot += DT * x_acc
        s.theta += DT * s.theta_dot
        s.theta_dot += DT * theta_acc

        angle = np.abs(s.theta)
        on_rail = np.abs(s.x) <= RAIL
        if self.game.sparse:
            return (on_rail & (angle < SPARSE_ANGLE)).astype(np.float64)
        return np.where(on_rail & (angle < LEVEL), 1.0 - angle / LEVEL, 0.0)

    def observe(self) -> np.ndarray:
        """See `VectorGame`."""
        s = self.state
        return columns(s.x, s.x_dot, s.theta, s.theta_dot)

    def _shake(self) -> np.ndarray:
        """What tremors add to the poles' accelerations at this step."""
        s, game = self.state, self.game
        calm = s.shake_left == 0
        changes = (np.where(calm, s.shake_in, s.shake_left) <= 1).nonzero()[0]
        push = s.shake.copy()
        s.shake_in -= calm
        s.shake_left -= ~calm
        scratch = game.state
        for i in changes:
            # A tremor begins or ends: the game draws how strong it is, or how long the pause.
            game.rng = self.rngs[i]
            scratch.shake_in = 1
            scratch.shake_left = 0 if calm[i] else 1
            scratch.shake = push.item(i)
            push[i] = game._shake()
            s.shake_in[i] = scratch.shake_in
            s.shake_left[i] = scratch.shake_left
            s.shake[i] = scratch.shake
        return push
