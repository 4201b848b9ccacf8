"""`miniarcade.games.cartpole` for many environments."""

from typing import Any

import numpy as np

from miniarcade.game import Game, State
from miniarcade.games.cartpole import (
    DT,
    FORCE,
    GRAVITY,
    HALF_LENGTH,
    LEVEL,
    POLE_MASS,
    POLE_MOMENT,
    RAIL,
    SPARSE_ANGLE,
    TOTAL_MASS,
    CartPole,
    sample_tremor,
)
from miniarcade.vector.game import STEP, VectorGame, rows_to_observations

# As arrays: NumPy would convert Python numbers in every operation, which costs as much again.
_ZERO, _ONE, _FOUR_THIRDS = map(np.array, (0.0, 1.0, 4.0 / 3.0))
_NOW = np.array(0)
_DT, _RAIL, _LEVEL, _SPARSE_ANGLE = map(np.array, (DT, RAIL, LEVEL, SPARSE_ANGLE))
_FORCE, _GRAVITY, _HALF_LENGTH = map(np.array, (FORCE, GRAVITY, HALF_LENGTH))
_POLE_MASS, _POLE_MOMENT, _TOTAL_MASS = map(np.array, (POLE_MASS, POLE_MOMENT, TOTAL_MASS))


class VectorCartPole(VectorGame):
    game: CartPole

    def __init__(self, game: Game, num_envs: int) -> None:
        super().__init__(game, num_envs)
        self._rows = self.pack("x", "x_dot", "theta", "theta_dot")  # as observed
        # Steps until a tremor begins or ends: `shake_in` or `shake_left`, which `read` sets.
        self._change_in = np.zeros(num_envs, np.int64)

    def step(self, actions: np.ndarray) -> np.ndarray:
        s = self.state
        s.t += STEP
        x_acc, theta_acc = self._accelerations(actions[:, 0])
        self._rows[0::2] += _DT * self._rows[1::2]
        s.x_dot += _DT * x_acc
        s.theta_dot += _DT * theta_acc

        angle = np.abs(s.theta)
        on_rail = np.abs(s.x) <= _RAIL
        if self.game.sparse:
            return (on_rail & (angle < _SPARSE_ANGLE)).astype(np.float64)
        return np.maximum(_ONE - angle / _LEVEL, _ZERO) * on_rail

    def observe(self) -> np.ndarray:
        return rows_to_observations(self._rows)

    def write(self, i: int, state: Any) -> None:
        super().write(i, state)
        self._change_in[i] = state.shake_left or state.shake_in

    def read(self, i: int) -> State:
        s, change_in = self.state, self._change_in[i]
        if s.shake[i]:
            s.shake_left[i] = change_in
        else:
            s.shake_in[i], s.shake_left[i] = change_in, 0
        return super().read(i)

    def _accelerations(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`miniarcade.games.cartpole.accelerations` for arrays."""
        s = self.state
        sin, cos = np.sin(s.theta), np.cos(s.theta)
        push = (_FORCE * action + _POLE_MOMENT * s.theta_dot * s.theta_dot * sin) / _TOTAL_MASS
        theta_acc = (_GRAVITY * sin - cos * push) / (
            _HALF_LENGTH * (_FOUR_THIRDS - _POLE_MASS * cos * cos / _TOTAL_MASS)
        )
        if self.game.tremor:
            theta_acc += self._shake()
        return push - _POLE_MOMENT * theta_acc * cos / _TOTAL_MASS, theta_acc

    def _shake(self) -> np.ndarray:
        """What tremors add to the poles' accelerations at this step."""
        s = self.state
        self._change_in -= STEP
        changes = (self._change_in == _NOW).nonzero()[0]
        if not len(changes):
            return s.shake
        push = s.shake.copy()
        for i in changes.tolist():
            if push[i]:  # it ends with this step
                s.shake[i] = 0.0
                self._change_in[i] = s.shake_in[i]
            else:  # it begins with the next
                self._change_in[i], s.shake[i], s.shake_in[i] = sample_tremor(self.rngs[i])
        return push
