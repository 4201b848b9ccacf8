"""`miniarcade.games.point_maze` for many environments."""

import math
from typing import Any

import numpy as np

from miniarcade.game import SIZE, Game
from miniarcade.games.point_maze import (
    ARENA,
    CELL,
    CELLS,
    FIRST,
    LAST,
    LOW,
    REACHED,
    SIDE,
    SPEED,
    TRAIL,
    WIND_BOXES,
    WINDS,
    PointMaze,
)
from miniarcade.vector.game import STEP, VectorGame, hypot

# As arrays: NumPy would convert Python numbers in every operation, which costs as much again.
_ARENA, _CELL, _FIRST, _LAST, _LOW, _REACHED, _SIDE, _SIZE, _SPEED, _ZERO, _ONE = (
    np.array(float(value))
    for value in (ARENA, CELL, FIRST, LAST, LOW, REACHED, SIDE, SIZE, SPEED, 0, 1)
)
_LAST_CELL = np.array(CELLS - 1.0)
_GOAL = 2  # where in the observation the goal begins
_GRID = 6  # where the grid does
_WIND = _GRID + CELLS * CELLS  # where the direction of the wind does
_REST = _WIND + len(WINDS)  # and what follows


class VectorPointMaze(VectorGame):
    game: PointMaze

    def __init__(self, game: Game, num_envs: int) -> None:
        super().__init__(game, num_envs)
        self._position = self.pack("x", "y")
        self._walls = np.array(self.game._walls).T[:, :, None]  # left, top, right, bottom
        # Of the observations, what stays the same for an episode.
        self._fixed = np.zeros((num_envs, game.observation_size), np.float32)
        self._distance = np.zeros(num_envs)  # px, to the goal
        self._in_wind = np.zeros(num_envs, bool)
        self._wind_corner = np.zeros((2, num_envs))  # px, upper left one of the wind's box
        self._wind = np.zeros((2, num_envs))  # px/step, in there
        self._clock = 0  # steps that were made
        self._trail = np.zeros((TRAIL, 2, num_envs))  # px, positions before step c in c % TRAIL

    def step(self, actions: np.ndarray) -> np.ndarray:
        s = self.state
        x, y = position = self._position
        self._trail[self._clock % TRAIL] = position
        self._clock += 1
        s.t += STEP
        velocity = _SPEED * actions.T
        s.vx, s.vy = np.add(velocity, self._wind, out=velocity, where=self._in_wind)
        left, top, right, bottom = self._walls
        new = np.minimum(np.maximum(x + s.vx, _FIRST), _LAST)
        blocked = (left <= new) & (new < right) & (top <= y) & (y < bottom)
        np.copyto(x, new, where=~blocked.any(axis=0))
        new = np.minimum(np.maximum(y + s.vy, _FIRST), _LAST)
        blocked = (left <= x) & (x < right) & (top <= new) & (new < bottom)
        np.copyto(y, new, where=~blocked.any(axis=0))
        from_corner = position - self._wind_corner
        in_x, in_y = (from_corner >= _ZERO) & (from_corner < _SIDE)
        self._in_wind = in_x & in_y
        self._distance = distance = hypot(s.goal_x - x, s.goal_y - y)
        return np.maximum(_ONE - distance / _ARENA, _ZERO)

    def observe(self) -> np.ndarray:
        s = self.state
        out = self._fixed.copy()
        out[:, :_GOAL] = (self._position / _SIZE).T
        out[:, 4] = s.vx / _SPEED
        out[:, 5] = s.vy / _SPEED
        out[:, _REST] = (s.goal_x - s.x) / _ARENA
        out[:, _REST + 1] = (s.goal_y - s.y) / _ARENA
        out[:, _REST + 2] = self._distance / _ARENA
        out[:, _REST + 3] = self._distance <= _REACHED
        out[:, _REST + 4] = self._in_wind
        out[:, _REST + 5 : _REST + 7] = np.where(self._in_wind, self._wind / _SPEED, _ZERO).T
        column, row = np.trunc((self._position - _LOW) / _CELL) / _LAST_CELL
        out[:, _REST + 7] = row
        out[:, _REST + 8] = column
        return out

    def success(self) -> np.ndarray:
        return (self._distance <= _REACHED).astype(np.float64)

    def write(self, i: int, state: Any) -> None:
        super().write(i, state)
        fixed = self._fixed[i]
        fixed[:] = 0.0
        fixed[_GOAL : _GOAL + 2] = state.goal_x / SIZE, state.goal_y / SIZE
        fixed[_GRID:_WIND] = self.game.grid
        fixed[_GRID + state.wind_cell] = -1.0
        fixed[_WIND + state.wind] = 1.0
        self._distance[i] = math.hypot(state.goal_x - state.x, state.goal_y - state.y)
        left, top, right, bottom = WIND_BOXES[state.wind_cell]
        self._wind_corner[:, i] = left, top
        self._in_wind[i] = left <= state.x < right and top <= state.y < bottom
        self._wind[:, i] = WINDS[state.wind]
        trail = np.reshape(state.trail, (-1, 2))
        steps = np.arange(self._clock - len(trail), self._clock) % TRAIL
        self._trail[steps, :, i] = trail

    def read_rest(self, i: int) -> dict[str, Any]:
        length = min(self.state.t[i], TRAIL)
        steps = [step % TRAIL for step in range(self._clock - length, self._clock)]
        return {"trail": self._trail[steps, :, i].ravel().tolist()}
