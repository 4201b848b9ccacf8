"""`miniarcade.games.spaceship` for many environments."""

from typing import Any

import numpy as np

from miniarcade.game import SIZE, Game
from miniarcade.games.spaceship import (
    ASTEROID_CHANCE,
    ASTEROID_GAP,
    ASTEROID_RADIUS,
    ASTEROID_Y,
    BOTTOM,
    COIN_RADIUS,
    COIN_SPACING,
    COIN_STEPS,
    DRAG,
    HIGHEST_COIN_Y,
    LEFT,
    LOWEST_COIN_Y,
    MAX_COINS,
    MIN_COINS,
    RIGHT,
    ROW_DRAWS,
    ROW_GAP,
    ROW_Y,
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
_NOWHERE = -float(SIZE)  # px, centre of things that are taken, gone or not in the row: observed -1
_RADIUS = np.array([COIN_RADIUS] * MAX_COINS + [ASTEROID_RADIUS], float)  # px
_REWARD = np.array([1.0] * MAX_COINS + [-2.0])  # for touching each
_REACH = SHIP_WIDTH / 2 + _RADIUS[:, None] + 1  # px along x, beyond which nothing is touched
_COIN_X = COIN_SPACING * np.arange(MAX_COINS)[:, None]  # px, of the coins from the first one
_THERE = np.tri(MAX_COINS + 1, MAX_COINS, -1, dtype=bool).T  # coins of a row, by their number
_SCALE = np.array([[SIZE, SIZE, 10, 10] + [SIZE] * (2 * MAX_COINS + 2)], float).T  # observed

# As arrays: NumPy converts Python numbers again in every operation, at the price of another one.
_THRUST, _DRAG, _SCROLL = map(np.array, (THRUST, DRAG, float(SCROLL)))
_LEAST, _MOST = np.array([[LEFT], [TOP]]), np.array([[RIGHT], [BOTTOM]])  # px, ship's centre
_COIN_EDGE, _ASTEROID_EDGE = np.array(-float(COIN_RADIUS)), np.array(-float(ASTEROID_RADIUS))  # px
_COIN_STEPS = np.array(COIN_STEPS)
# What the first draws for a row stand for: the lowest number, and how many there are.
_RANGES = [(MIN_COINS, MAX_COINS), ROW_GAP, ROW_Y, *[(0, len(COIN_STEPS) - 1)] * 3, ASTEROID_Y]
_LOWEST = np.array([[low] for low, _ in _RANGES])
_NUMBERS = np.array([[high - low + 1.0] for low, high in _RANGES])


class VectorSpaceship(VectorGame):
    """See `Spaceship`."""

    game: Spaceship

    def __init__(self, game: Game, num_envs: int) -> None:
        """See `VectorGame`."""
        super().__init__(game, num_envs)
        ship = self.pack("x", "y", "vx", "vy")
        things = np.full((2 * MAX_COINS + 2, num_envs), _NOWHERE)
        self._rows = np.concatenate((ship, things))  # as observed
        s = self.state
        s.x, s.y, s.vx, s.vy = self._rows[:4]
        self._x, self._y = self._rows[4::2], self._rows[5::2]  # px, centres of the things
        self._scroll = np.full((MAX_COINS + 1, num_envs), float(SCROLL))  # px/step, 0 if nowhere
        self._coin_y = np.zeros((MAX_COINS, num_envs), np.int64)  # px, of taken coins, too
        self._taken_at = np.zeros((MAX_COINS, num_envs), np.int64)  # step of taking each coin
        self._born = np.zeros(num_envs, np.int64)  # step at which the asteroid appeared
        self._count = np.zeros(num_envs, np.int64)  # coins of the row
        self._block = np.empty((num_envs, ROW_DRAWS))

    def step(self, actions: np.ndarray) -> np.ndarray:
        """See `VectorGame`."""
        s, x, y = self.state, self._x, self._y
        s.t += 1
        self._fly(actions)
        s.row_x -= SCROLL
        x -= self._scroll
        gone = x[_ASTEROID] < _ASTEROID_EDGE
        np.copyto(x[_ASTEROID], _NOWHERE, where=gone)
        np.copyto(y[_ASTEROID], _NOWHERE, where=gone)

        # What has left the picture is near, perhaps, but touches no ship.
        k, i = (np.abs(x - s.x) <= _REACH).nonzero()
        touched = self._touches(k, i).nonzero()[0]
        k, i = k[touched], i[touched]
        rewards = np.bincount(i, _REWARD[k], self.num_envs).astype(np.float64)
        coins = k.searchsorted(_ASTEROID)  # their number: asteroids come last
        hit = i[coins:]
        s.hit_at[hit] = s.t[hit]
        if coins:
            k, i = k[:coins], i[:coins]
            self._taken_at[k, i] = s.sparkle_at[i] = s.t[i]
            # Where a ship takes two coins at once, the last one counts, as in the game.
            s.sparkle_x[i], s.sparkle_y[i] = x[k, i], y[k, i]
            x[k, i] = y[k, i] = _NOWHERE
            self._scroll[k, i] = 0.0
        over = (x[:_ASTEROID].max(axis=0) < _COIN_EDGE).nonzero()[0]
        if len(over):
            self._place_rows(over)
        return rewards

    def observe(self) -> np.ndarray:
        """See `VectorGame`."""
        return rows_to_observations(self._rows / _SCALE)

    def write(self, i: int, state: Any) -> None:
        """See `VectorGame`."""
        super().write(i, state)
        self._count[i] = count = len(state.coin_y)
        x, y = self._x[:, i], self._y[:, i]
        x[:count] = range(state.row_x, state.row_x + COIN_SPACING * count, COIN_SPACING)
        self._coin_y[:count, i] = y[:count] = state.coin_y
        x[count:] = y[count:] = _NOWHERE
        self._scroll[:count, i] = SCROLL
        self._scroll[count:_ASTEROID, i] = 0.0
        if state.asteroid is not None:
            asteroid = state.asteroid
            x[_ASTEROID], y[_ASTEROID], self._born[i] = asteroid.x, asteroid.y, asteroid.born

    def read_rest(self, i: int) -> dict[str, Any]:
        """See `VectorGame`."""
        count = self._count[i]
        taken = self._y[:count, i] == _NOWHERE
        asteroid = None
        if self._x[_ASTEROID, i] != _NOWHERE:
            x, y = self._x.item(_ASTEROID, i), self._y.item(_ASTEROID, i)
            asteroid = Asteroid(x, int(y), self._born.item(i))
        return {
            "coin_y": self._coin_y[:count, i].tolist(),
            "taken_at": np.where(taken, self._taken_at[:count, i], -1).tolist(),
            "asteroid": asteroid,
        }

    def _fly(self, actions: np.ndarray) -> None:
        position, velocity = self._rows[0:2], self._rows[2:4]
        velocity += _THRUST * actions.T
        position += velocity
        np.maximum(position, _LEAST, out=position)
        np.minimum(position, _MOST, out=position)
        velocity *= _DRAG

    def _touches(self, k: np.ndarray, i: np.ndarray) -> np.ndarray:
        """Whether the ships of environments `i` touch the boxes around their things `k`."""
        s, radius = self.state, _RADIUS[k]
        side = radius + radius
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
        s, rngs, block = self.state, self.rngs, self._block[: len(i)]
        for env, out in zip(i.tolist(), block, strict=True):
            rngs[env].random(out=out)
        u = block.T
        numbers = _LOWEST + (_NUMBERS * u[:7]).astype(np.int64)
        count, gap, y = numbers[:3]
        self._count[i] = count
        s.row_x[i] = row_x = SIZE + gap
        coin_y = np.empty((MAX_COINS, len(i)), np.int64)
        coin_y[0] = y
        for step, out in zip(_COIN_STEPS[numbers[3:6]], coin_y[1:], strict=True):
            y = np.minimum(np.maximum(y + step, HIGHEST_COIN_Y), LOWEST_COIN_Y)
            out[:] = y
        coin_x = row_x + _COIN_X
        there = _THERE[:, count]
        self._coin_y[:, i] = coin_y
        self._x[:_ASTEROID, i] = np.where(there, coin_x, _NOWHERE)
        self._y[:_ASTEROID, i] = np.where(there, coin_y, _NOWHERE)
        self._scroll[:_ASTEROID, i] = SCROLL * there

        new = ((u[7] < ASTEROID_CHANCE) & (self._x[_ASTEROID, i] == _NOWHERE)).nonzero()[0]
        if len(new):
            low, high = ASTEROID_GAP
            last = row_x[new] + (count[new] - 1) * COIN_SPACING
            i = i[new]
            self._x[_ASTEROID, i] = last + (low + (high - low) * u[8, new])
            self._y[_ASTEROID, i] = numbers[6, new]
            self._born[i] = s.t[i]
