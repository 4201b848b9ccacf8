"""`miniarcade.games.cowboy` for many environments."""

from typing import Any

import numpy as np

from miniarcade.game import SIZE, Game
from miniarcade.games._runner import (
    GRAVITY,
    GROUND_Y,
    JUMP_SPEED,
    JUMP_Y,
    RUNNER_GROUND_Y,
    RUNNER_HEIGHT,
    RUNNER_WIDTH,
    RUNNER_X,
    SCROLL,
)
from miniarcade.games.cowboy import (
    LANDING_OVERLAP,
    OBSTACLE_HEIGHTS,
    OBSTACLE_WIDTHS,
    OBSTACLE_X,
    sample_kind,
)
from miniarcade.vector.game import STEP, VectorGame, boxes_overlap, columns


class VectorCowboy(VectorGame):
    def __init__(self, game: Game, num_envs: int) -> None:
        super().__init__(game, num_envs)
        self._width = np.zeros(num_envs, np.int64)  # px, of the obstacles
        self._top = np.zeros(num_envs, np.int64)  # px

    def step(self, actions: np.ndarray) -> np.ndarray:
        s = self.state
        s.t += STEP
        self._move(actions[:, 0])
        self._collide()
        scroll = np.multiply(SCROLL, ~s.collided)
        s.scrolled += scroll
        s.obstacle_x -= scroll
        for i in (s.obstacle_x + self._width < 0).nonzero()[0]:
            s.obstacle_x[i] = OBSTACLE_X
            s.kind[i] = kind = sample_kind(self.rngs[i])
            self._measure(i, kind)
        return np.where(s.collided, -1.0, 1.0)

    def observe(self) -> np.ndarray:
        s = self.state
        return columns((s.y - RUNNER_GROUND_Y) / SIZE, s.vy / 10, s.obstacle_x / SIZE)

    def write(self, i: int, state: Any) -> None:
        super().write(i, state)
        self._measure(i, state.kind)

    def _measure(self, i: int, kind: int) -> None:
        self._width[i] = OBSTACLE_WIDTHS[kind]
        self._top[i] = GROUND_Y - OBSTACLE_HEIGHTS[kind]

    def _move(self, jump: np.ndarray) -> None:
        s = self.state
        jumps = (jump > 0.0) & (s.y >= JUMP_Y)
        np.copyto(s.jumped_at, s.t, where=jumps)
        np.copyto(s.vy, -JUMP_SPEED * jump, where=jumps)
        s.vy += GRAVITY
        s.y += s.vy
        landed = s.y > RUNNER_GROUND_Y
        np.copyto(s.y, RUNNER_GROUND_Y, where=landed)
        np.copyto(s.vy, 0.0, where=landed)

    def _collide(self) -> None:
        """Lands falling runners on their obstacles; else notes whether they are stuck in them."""
        s = self.state
        left, right, top = s.obstacle_x, s.obstacle_x + self._width, self._top
        overlap = boxes_overlap(
            RUNNER_X,
            np.trunc(s.y),
            RUNNER_WIDTH,
            RUNNER_HEIGHT,
            left,
            top,
            self._width,
            GROUND_Y - top,
        )
        horizontal = np.minimum(right, RUNNER_X + RUNNER_WIDTH) - np.maximum(left, RUNNER_X)
        lands = overlap & (s.vy > 0.0) & (horizontal > LANDING_OVERLAP)
        np.copyto(s.y, top - RUNNER_HEIGHT, where=lands)
        np.copyto(s.vy, 0.0, where=lands)
        np.not_equal(overlap, lands, out=s.collided)
