"""`miniarcade.games.spaceship` for many environments."""

from typing import Any

import numpy as np

from miniarcade.game import SIZE, Game
from miniarcade.games.spaceship import (
    ASTEROID_RADIUS,
    BOTTOM,
    COIN_RADIUS,
    COIN_SPACING,
    DRAG,
    LEFT,
    MAX_COINS,
    RIGHT,
    SCROLL,
    SHIP_HEIGHT,
    SHIP_WIDTH,
    THRUST,
    TOP,
    Asteroid,
    Spaceship,
)
from miniarcade.vector.game import VectorGame, rows_to_observations
from miniarcade.vector.geometry import boxes_overlap

_COIN_X = COIN_SPACING * np.arange(MAX_COINS)[:, None]  # px, of the coins from the first one
_UNTAKEN = np.tri(MAX_COINS + 1, MAX_COINS, -1, dtype=bool)  # a fresh row, by its number of coins


class VectorSpaceship(VectorGame):
    """See `Spaceship`."""

    game: Spaceship

    def __init__(self, game: Game, num_envs: int) -> None:
        """See `VectorGame`."""
        super().__init__(game, num_envs)
        self._count = np.zeros(num_envs, np.int64)  # coins of the row
        self._untaken = np.zeros((MAX_COINS, num_envs), bool)  # the coins that there still are
        self._coin_y = np.zeros((MAX_COINS, num_envs), np.int64)  # px
        self._taken_at = np.zeros((MAX_COINS, num_envs), np.int64)  # step at which each was taken
        self._has_asteroid = np.zeros(num_envs, bool)
        self._asteroid_x = np.zeros(num_envs)  # px
        self._asteroid_y = np.zeros(num_envs, np.int64)  # px
        self._born = np.zeros(num_envs, np.int64)  # step at which the asteroid appeared
        self._some_asteroid = Asteroid(0.0, 0, 0)

    def step(self, actions: np.ndarray) -> np.ndarray:
        """See `VectorGame`."""
        s = self.state
        s.t += 1
        self._fly(actions)
        s.row_x -= SCROLL
        self._asteroid_x -= SCROLL
        self._has_asteroid &= self._asteroid_x >= -ASTEROID_RADIUS

        x = s.row_x + _COIN_X
        waiting = self._untaken & (x >= -COIN_RADIUS)
        near = np.abs(x - s.x) <= _reach(COIN_RADIUS)
        k, i = (waiting & near).nonzero()
        touched = self._touches(i, x[k, i], self._coin_y[k, i], COIN_RADIUS)
        k, i = k[touched], i[touched]
        rewards = np.bincount(i, minlength=self.num_envs).astype(np.float64)
        waiting[k, i] = self._untaken[k, i] = False
        self._taken_at[k, i] = s.sparkle_at[i] = s.t[i]
        # Where a ship takes two coins at once, the one that comes last counts, as in the game.
        s.sparkle_x[i], s.sparkle_y[i] = x[k, i], self._coin_y[k, i]

        near = np.abs(self._asteroid_x - s.x) <= _reach(ASTEROID_RADIUS)
        i = (self._has_asteroid & near).nonzero()[0]
        i = i[self._touches(i, self._asteroid_x[i], self._asteroid_y[i], ASTEROID_RADIUS)]
        s.hit_at[i] = s.t[i]
        rewards[i] -= 2.0
        for i in (~waiting.any(axis=0)).nonzero()[0]:
            self._place_row(i)
        return rewards

    def observe(self) -> np.ndarray:
        """See `VectorGame`."""
        s = self.state
        rows = np.empty((self.game.observation_size, self.num_envs))
        rows[0] = s.x / SIZE
        rows[1] = s.y / SIZE
        rows[2] = s.vx / 10
        rows[3] = s.vy / 10
        np.divide(s.row_x + _COIN_X, SIZE, out=rows[4:-2:2])
        np.divide(self._coin_y, SIZE, out=rows[5:-2:2])
        missing = ~self._untaken
        np.copyto(rows[4:-2:2], -1.0, where=missing)
        np.copyto(rows[5:-2:2], -1.0, where=missing)
        rows[-2] = np.where(self._has_asteroid, self._asteroid_x / SIZE, -1.0)
        rows[-1] = np.where(self._has_asteroid, self._asteroid_y / SIZE, -1.0)
        return rows_to_observations(rows)

    def write(self, i: int, state: Any) -> None:
        """See `VectorGame`."""
        super().write(i, state)
        self._has_asteroid[i] = False
        self._write_row(i, state)

    def read_rest(self, i: int) -> dict[str, Any]:
        """See `VectorGame`."""
        count = self._count[i]
        taken_at = np.where(self._untaken[:, i], -1, self._taken_at[:, i])
        asteroid = None
        if self._has_asteroid[i]:
            asteroid = Asteroid(
                self._asteroid_x.item(i), self._asteroid_y.item(i), self._born.item(i)
            )
        return {
            "coin_y": self._coin_y[:count, i].tolist(),
            "taken_at": taken_at[:count].tolist(),
            "asteroid": asteroid,
        }

    def _fly(self, actions: np.ndarray) -> None:
        s = self.state
        s.vx += THRUST * actions[:, 0]
        s.vy += THRUST * actions[:, 1]
        s.x = np.minimum(np.maximum(s.x + s.vx, LEFT), RIGHT)
        s.y = np.minimum(np.maximum(s.y + s.vy, TOP), BOTTOM)
        s.vx *= DRAG
        s.vy *= DRAG

    def _touches(self, i: np.ndarray, x: np.ndarray, y: np.ndarray, radius: int) -> np.ndarray:
        """Whether the ships of environments `i` touch the boxes around circles."""
        s, side = self.state, 2 * radius
        left, top = np.trunc(s.x[i] - LEFT), np.trunc(s.y[i] - TOP)
        corner_x = np.trunc(x - radius)
        return boxes_overlap(left, top, SHIP_WIDTH, SHIP_HEIGHT, corner_x, y - radius, side, side)

    def _place_row(self, i: int) -> None:
        """Puts a new row of coins, and perhaps an asteroid, into environment `i`."""
        game = self.game
        game.rng = self.rngs[i]
        game.state.t = self.state.t.item(i)
        game.state.asteroid = self._some_asteroid if self._has_asteroid[i] else None
        game._place_row()
        self.state.row_x[i] = game.state.row_x
        self._write_row(i, game.state)

    def _write_row(self, i: int, state: Any) -> None:
        self._count[i] = count = len(state.coin_y)
        self._coin_y[:count, i] = state.coin_y
        self._untaken[:, i] = _UNTAKEN[count]
        asteroid = state.asteroid
        if asteroid is not None and asteroid is not self._some_asteroid:
            self._has_asteroid[i] = True
            self._asteroid_x[i] = asteroid.x
            self._asteroid_y[i] = asteroid.y
            self._born[i] = asteroid.born


def _reach(radius: int) -> float:
    """Distance along x, px, beyond which a ship cannot touch a circle."""
    return SHIP_WIDTH / 2 + radius + 1
