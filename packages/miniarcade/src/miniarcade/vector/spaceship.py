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

# The coins of the row and, last, the asteroid are treated alike: as MAX_COINS + 1 things.
_ASTEROID = MAX_COINS
_RADIUS = np.array([COIN_RADIUS] * MAX_COINS + [ASTEROID_RADIUS], float)  # px
_REWARD = np.array([1.0] * MAX_COINS + [-2.0])  # for touching each
_REACH = SHIP_WIDTH / 2 + _RADIUS[:, None] + 1  # px along x, beyond which nothing is touched
_EDGE = -_RADIUS[:, None]  # px, where things have left the picture
_COIN_X = COIN_SPACING * np.arange(MAX_COINS)[:, None]  # px, of the coins from the first one
_NO_COINS = [0] * MAX_COINS
_FRESH = np.tri(MAX_COINS + 1, MAX_COINS, -1, dtype=bool)  # coins there are, by their number


class VectorSpaceship(VectorGame):
    """See `Spaceship`."""

    game: Spaceship

    def __init__(self, game: Game, num_envs: int) -> None:
        """See `VectorGame`."""
        super().__init__(game, num_envs)
        shape = (MAX_COINS + 1, num_envs)
        self._there = np.zeros(shape, bool)  # things that are neither taken nor gone
        self._x, self._y = np.zeros(shape), np.zeros(shape)  # px, their centres
        self._taken_at = np.zeros(shape, np.int64)  # step at which a coin was taken
        self._born = np.zeros(num_envs, np.int64)  # step at which the asteroid appeared
        self._count = np.zeros(num_envs, np.int64)  # coins of the row
        self._some_asteroid = Asteroid(0.0, 0, 0)

    def step(self, actions: np.ndarray) -> np.ndarray:
        """See `VectorGame`."""
        s = self.state
        s.t += 1
        self._fly(actions)
        s.row_x -= SCROLL
        x, there = self._x, self._there
        x -= SCROLL
        inside = there & (x >= _EDGE)
        there[_ASTEROID] = inside[_ASTEROID]

        near = np.abs(x - s.x) <= _REACH
        k, i = (inside & near).nonzero()
        touched = self._touches(k, i)
        k, i = k[touched], i[touched]
        rewards = np.bincount(i, _REWARD[k], self.num_envs).astype(np.float64)
        hit = i[k == _ASTEROID]
        s.hit_at[hit] = s.t[hit]
        k, i = k[: len(k) - len(hit)], i[: len(i) - len(hit)]  # asteroids come last
        inside[k, i] = there[k, i] = False
        self._taken_at[k, i] = s.sparkle_at[i] = s.t[i]
        # Where a ship takes two coins at once, the one that comes last counts, as in the game.
        s.sparkle_x[i], s.sparkle_y[i] = x[k, i], self._y[k, i]
        self._place_rows(np.flatnonzero(~inside[:_ASTEROID].any(axis=0)))
        return rewards

    def observe(self) -> np.ndarray:
        """See `VectorGame`."""
        s = self.state
        rows = np.empty((self.game.observation_size, self.num_envs))
        np.divide(s.x, SIZE, out=rows[0])
        np.divide(s.y, SIZE, out=rows[1])
        np.divide(s.vx, 10, out=rows[2])
        np.divide(s.vy, 10, out=rows[3])
        np.divide(self._x, SIZE, out=rows[4::2])
        np.divide(self._y, SIZE, out=rows[5::2])
        missing = ~self._there
        np.copyto(rows[4::2], -1.0, where=missing)
        np.copyto(rows[5::2], -1.0, where=missing)
        return rows_to_observations(rows)

    def write(self, i: int, state: Any) -> None:
        """See `VectorGame`."""
        super().write(i, state)
        self._count[i] = count = len(state.coin_y)
        self._there[:_ASTEROID, i] = _FRESH[count]
        self._x[:_ASTEROID, i] = state.row_x + _COIN_X[:, 0]
        self._y[:count, i] = state.coin_y
        self._there[_ASTEROID, i] = state.asteroid is not None
        if state.asteroid is not None:
            asteroid = state.asteroid
            self._write_asteroid(i, asteroid.x, asteroid.y, asteroid.born)

    def read_rest(self, i: int) -> dict[str, Any]:
        """See `VectorGame`."""
        count = self._count[i]
        taken_at = np.where(self._there[:count, i], -1, self._taken_at[:count, i])
        asteroid = None
        if self._there[_ASTEROID, i]:
            x, y = self._x.item(_ASTEROID, i), self._y.item(_ASTEROID, i)
            asteroid = Asteroid(x, int(y), self._born.item(i))
        return {
            "coin_y": self._y[:count, i].astype(np.int64).tolist(),
            "taken_at": taken_at.tolist(),
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

    def _touches(self, k: np.ndarray, i: np.ndarray) -> np.ndarray:
        """Whether the ships of environments `i` touch the boxes around their things `k`."""
        s, radius = self.state, _RADIUS[k]
        side = 2 * radius
        return boxes_overlap(
            np.trunc(s.x[i] - LEFT),
            np.trunc(s.y[i] - TOP),
            SHIP_WIDTH,
            SHIP_HEIGHT,
            np.trunc(self._x[k, i] - radius),
            self._y[k, i] - radius,
            side,
            side,
        )

    def _place_rows(self, i: np.ndarray) -> None:
        """Puts new rows of coins, and perhaps asteroids, into environments `i`."""
        game, s = self.game, self.state
        has_asteroid = self._there[_ASTEROID, i].tolist()
        counts, row_x, coin_y = [], [], []
        for env, occupied in zip(i.tolist(), has_asteroid, strict=True):
            scratch = game.state
            scratch.asteroid = self._some_asteroid if occupied else None
            game.rng = self.rngs[env]
            game._place_row()
            counts.append(len(scratch.coin_y))
            row_x.append(scratch.row_x)
            coin_y.append(scratch.coin_y + _NO_COINS[len(scratch.coin_y) :])
            if scratch.asteroid is not None and not occupied:
                self._write_asteroid(env, scratch.asteroid.x, scratch.asteroid.y, s.t[env])
        self._count[i] = counts
        s.row_x[i] = row_x
        self._x[:_ASTEROID, i] = s.row_x[i] + _COIN_X
        self._y[:_ASTEROID, i] = np.array(coin_y, np.float64).reshape(-1, MAX_COINS).T
        self._there[:_ASTEROID, i] = _FRESH[counts].T

    def _write_asteroid(self, i: int, x: float, y: int, born: int) -> None:
        self._there[_ASTEROID, i] = True
        self._x[_ASTEROID, i] = x
        self._y[_ASTEROID, i] = y
        self._born[i] = born
