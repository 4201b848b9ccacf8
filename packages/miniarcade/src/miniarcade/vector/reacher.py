"""`miniarcade.games.reacher` for many environments."""

from typing import Any

import numpy as np

from miniarcade.game import Game
from miniarcade.games.reacher import (
    DT,
    ELBOW_DAMPING,
    ELBOW_DRAG,
    ELBOW_GAIN,
    ELBOW_LIMIT,
    LINK,
    SHOULDER_DAMPING,
    SHOULDER_DRAG,
    SHOULDER_GAIN,
    TOP_SPEED,
    Reacher,
)
from miniarcade.vector.game import STEP, VectorGame, columns


class VectorReacher(VectorGame):
    game: Reacher

    def __init__(self, game: Game, num_envs: int) -> None:
        super().__init__(game, num_envs)
        self._dx = np.zeros(num_envs)  # m, from the tips to the targets
        self._dy = np.zeros(num_envs)  # m

    def step(self, actions: np.ndarray) -> np.ndarray:
        s = self.state
        s.t += STEP
        torque1, torque2 = actions[:, 0], actions[:, 1]
        w1, w2 = s.w1, s.w2
        w1 += DT * (SHOULDER_GAIN * torque1 - (SHOULDER_DAMPING + SHOULDER_DRAG * abs(w1)) * w1)
        w2 += DT * (ELBOW_GAIN * torque2 - (ELBOW_DAMPING + ELBOW_DRAG * abs(w2)) * w2)
        _clip(w1, TOP_SPEED)
        _clip(w2, TOP_SPEED)
        s.q1 += DT * w1
        s.q2 += DT * w2
        w2[np.abs(s.q2) > ELBOW_LIMIT] = 0.0
        _clip(s.q2, ELBOW_LIMIT)
        q = s.q1 + s.q2
        self._dx = dx = s.target_x - LINK * (np.cos(s.q1) + np.cos(q))
        self._dy = dy = s.target_y - LINK * (np.sin(s.q1) + np.sin(q))
        return (dx * dx + dy * dy <= self.game.target_radius * self.game.target_radius) * 1.0

    def observe(self) -> np.ndarray:
        s = self.state
        return columns(s.q1, s.q2, self._dx, self._dy, s.w1, s.w2)

    def write(self, i: int, state: Any) -> None:
        super().write(i, state)
        self.game.state = state
        self._dx[i], self._dy[i] = self.game._way()


def _clip(values: np.ndarray, limit: float) -> None:
    """Clips to `limit` either way, in place."""
    np.minimum(values, limit, out=values)
    np.maximum(values, -limit, out=values)
