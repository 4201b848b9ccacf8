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
    SPEED,
    TRAIL,
    WINDS,
    PointMaze,
)
from miniarcade.vector.game import VectorGame
from miniarcade.vector.geometry import hypot

# As arrays: NumPy converts Python numbers again in every operation, at the price of another one.
_ARENA, _CELL, _CELLS, _FIRST, _LAST, _LOW, _REACHED, _SIZE, _SPEED, _ZERO, _ONE = (
    np.array(float(value))
    for value in (ARENA, CELL, CELLS, FIRST, LAST, LOW, REACHED, SIZE, SPEED, 0, 1)
)
_GOAL = 2  # where in the observation the goal begins
_GRID = 6  # where the grid does
_WIND = _GRID + CELLS * CELLS  # where the direction of the wind does
_REST = _WIND + len(WINDS)  # and what follows


class VectorPointMaze(VectorGame):
    """See `PointMaze`."""

    game: PointMaze

    def __init__(self, game: Game, num_envs: int) -> None:
        """See `VectorGame`."""
        super().__init__(game, num_envs)
        self._walls = np.array(self.game._walls).T[:, :, None]  # left, top, right, bottom
        # Of the observations, what stays the same for an episode.
        self._fixed = np.zeros((num_envs, game.observation_size), np.float32)
        self._distance = np.zeros(num_envs)  # px, to the goal
        self._row = np.zeros(num_envs)  # of the cell that holds the point
        self._column = np.zeros(num_envs)
        self._in_wind = np.zeros(num_envs, bool)
        self._wind = np.zeros((2, num_envs))  # px/step, in the cell with the wind
        self._clock = 0  # steps that were made
        self._trail = np.zeros((TRAIL, 2, num_envs))  # px, positions before step c in c % TRAIL

    def step(self, actions: np.ndarray) -> np.ndarray:
        """See `VectorGame`."""
        s = self.state
        x, y = s.x, s.y
        self._trail[self._clock % TRAIL] = x, y
        self._clock += 1
        s.t += 1
        velocity = _SPEED * actions.T
        s.vx, s.vy = np.add(velocity, self._wind, out=velocity, where=self._in_wind)
        left, top, right, bottom = self._walls
        new = np.minimum(np.maximum(x + s.vx, _FIRST), _LAST)
        blocked = (left < new) & (new < right) & (top < y) & (y < bottom)
        s.x = x = np.where(blocked.any(axis=0), x, new)
        new = np.minimum(np.maximum(y + s.vy, _FIRST), _LAST)
        blocked = (left < x) & (x < right) & (top < new) & (new < bottom)
        s.y = y = np.where(blocked.any(axis=0), y, new)
        self._row, self._column = np.trunc((y - _LOW) / _CELL), np.trunc((x - _LOW) / _CELL)
        self._in_wind = self._row * _CELLS + self._column == s.wind_cell
        self._distance = distance = hypot(s.goal_x - x, s.goal_y - y)
        return np.maximum(_ONE - distance / _ARENA, _ZERO)

    def observe(self) -> np.ndarray:
        """See `VectorGame`."""
        s = self.state
        out = self._fixed.copy()
        out[:, 0] = s.x / _SIZE
        out[:, 1] = s.y / _SIZE
        out[:, 4] = s.vx / _SPEED
        out[:, 5] = s.vy / _SPEED
        out[:, _REST] = (s.goal_x - s.x) / _ARENA
        out[:, _REST + 1] = (s.goal_y - s.y) / _ARENA
        out[:, _REST + 2] = self._distance / _ARENA
        out[:, _REST + 3] = self._distance <= _REACHED
        out[:, _REST + 4] = self._in_wind
        out[:, _REST + 5 : _REST + 7] = np.where(self._in_wind, self._wind / _SPEED, 0.0).T
        out[:, _REST + 7] = self._row / (CELLS - 1)
        out[:, _REST + 8] = self._column / (CELLS - 1)
        return out

    def success(self) -> np.ndarray:
        """See `VectorGame`."""
        return (self._distance <= _REACHED).astype(np.float64)

    def write(self, i: int, state: Any) -> None:
        """See `VectorGame`."""
        super().write(i, state)
        fixed = self._fixed[i]
        fixed[:] = 0.0
        fixed[_GOAL : _GOAL + 2] = state.goal_x / SIZE, state.goal_y / SIZE
        fixed[_GRID:_WIND] = self.game.grid
        fixed[_GRID + state.wind_cell] = -1.0
        fixed[_WIND + state.wind] = 1.0
        self._distance[i] = math.hypot(state.goal_x - state.x, state.goal_y - state.y)
        self._row[i], self._column[i] = (state.y - LOW) // CELL, (state.x - LOW) // CELL
        self._in_wind[i] = self._row[i] * CELLS + self._column[i] == state.wind_cell
        self._wind[:, i] = WINDS[state.wind]

    def read_rest(self, i: int) -> dict[str, Any]:
        """See `VectorGame`."""
        length = min(self.state.t[i], TRAIL)
        steps = [step % TRAIL for step in range(self._clock - length, self._clock)]
        return {"trail": self._trail[steps, :, i].ravel().tolist()}
