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
    LOWEST_COIN_Y,
    MAX_COINS,
    MIN_COINS,
    RIGHT,
    ROW_GAP,
    ROW_NUMBERS,
    ROW_Y,
    SCROLL,
    SHIP_HEIGHT,
    SHIP_WIDTH,
    THRUST,
    Asteroid,
    Spaceship,
)
from miniarcade.vector.game import STEP, VectorGame, rows_to_observations

# The coins of the row and, last, the asteroid are treated alike: as MAX_COINS + 1 things.
_ASTEROID = MAX_COINS
_NOWHERE = -float(SIZE)  # px, centre of things that are taken, gone or not in the row: observed -1
_RADIUS = np.array([COIN_RADIUS] * MAX_COINS + [ASTEROID_RADIUS], float)  # px
_REWARD = np.array([1.0] * MAX_COINS + [-2.0])  # for touching each
_HALF_WIDTH = np.array(SHIP_WIDTH / 2)  # px
_REACH = _HALF_WIDTH + _RADIUS[:, None] + 1  # px along x, beyond which nothing is touched
_COIN_X = COIN_SPACING * np.arange(MAX_COINS)[:, None]  # px, of the coins from the first one
# By the number of coins in a row: how each scrolls, and which of their coordinates there are not.
_ROW_SCROLL = SCROLL * np.tri(MAX_COINS + 1, MAX_COINS, -1).T
_MISSING = (_ROW_SCROLL == 0).repeat(2, axis=0)
_SCALE = np.array([[SIZE, SIZE, 10, 10] + [SIZE] * (2 * MAX_COINS + 2)], float).T  # observed

# As arrays: NumPy would convert Python numbers in every operation, which costs as much again.
_THRUST, _DRAG = np.array(THRUST), np.array(DRAG)
_LEAST, _MOST = np.array(0.0), np.array([[RIGHT], [BOTTOM]])  # px, ship's corner
_COIN_EDGE, _ASTEROID_EDGE = np.array(-float(COIN_RADIUS)), np.array(-float(ASTEROID_RADIUS))  # px
# px, height of the next coin, by the number of its step and the height of the last one.
_NEXT_Y = np.add.outer(COIN_STEPS, range(LOWEST_COIN_Y + 1)).clip(HIGHEST_COIN_Y, LOWEST_COIN_Y)
_SHIP = np.array([[SHIP_WIDTH], [SHIP_HEIGHT]], float)  # px
# What the first draws for a row stand for: the lowest number, and how many there are.
_RANGES = [(MIN_COINS, MAX_COINS), ROW_GAP, ROW_Y, *[(0, len(COIN_STEPS) - 1)] * 3, ASTEROID_Y]
_LOWEST = np.array([[low] for low, _ in _RANGES])
_NUMBERS = np.array([[high - low + 1.0] for low, high in _RANGES])


class VectorSpaceship(VectorGame):
    game: Spaceship

    def __init__(self, game: Game, num_envs: int) -> None:
        super().__init__(game, num_envs)
        self._rows = np.full((game.observation_size, num_envs), _NOWHERE)  # as observed
        s = self.state
        s.x, s.y, s.vx, s.vy = self._rows[:4]
        self._x, self._y = self._rows[4::2], self._rows[5::2]  # px, centres of the things
        self._scroll = np.full((MAX_COINS + 1, num_envs), float(SCROLL))  # px/step, 0 if nowhere
        self._coin_y = np.zeros((num_envs, MAX_COINS), np.int64)  # px, of taken coins, too
        self._taken_at = np.zeros((MAX_COINS, num_envs), np.int64)  # step of taking each coin
        self._born = np.zeros(num_envs, np.int64)  # step at which the asteroid appeared
        self._count = np.zeros(num_envs, np.int64)  # coins of the row
        # Of thing k of environment i, at k * num_envs + i: the indices of its coordinates, k, i.
        cells = np.arange(self._rows.size).reshape(self._rows.shape)
        self._cells = np.array((cells[4::2].ravel(), cells[5::2].ravel()))
        self._k, self._i = np.divmod(np.arange(self._scroll.size), num_envs)
        self._radius = _RADIUS[self._k]
        self._block = np.empty((num_envs, ROW_NUMBERS))

    def step(self, actions: np.ndarray) -> np.ndarray:
        s, x, y = self.state, self._x, self._y
        s.t += STEP
        self._fly(actions)
        s.row_x -= SCROLL
        x -= self._scroll
        gone = x[_ASTEROID] < _ASTEROID_EDGE
        np.copyto(x[_ASTEROID], _NOWHERE, where=gone)
        np.copyto(y[_ASTEROID], _NOWHERE, where=gone)

        # What has left the picture is near, perhaps, but touches no ship.
        over = (x[:_ASTEROID].max(axis=0) < _COIN_EDGE).nonzero()[0]
        things = (np.abs(x - (s.x + _HALF_WIDTH)) <= _REACH).ravel().nonzero()[0]
        things = things[self._touches(things)]
        k, i = self._k.take(things), self._i.take(things)
        rewards = np.bincount(i, _REWARD.take(k), self.num_envs).astype(np.float64)
        coins = k.searchsorted(_ASTEROID)  # their number: asteroids come last
        hit = i[coins:]
        s.hit_at[hit] = s.t[hit]
        if coins:
            things, i = things[:coins], i[:coins]
            self._taken_at.ravel()[things] = s.sparkle_at[i] = s.t[i]
            # Where a ship takes two coins at once, the last one counts, as in the game.
            cells = self._cells.take(things, axis=1)
            s.sparkle_x[i], s.sparkle_y[i] = self._rows.take(cells)
            self._rows.ravel()[cells] = _NOWHERE
            self._scroll.ravel()[things] = 0.0
        if len(over):
            self._place_rows(over)
        return rewards

    def observe(self) -> np.ndarray:
        return rows_to_observations(self._rows / _SCALE)

    def write(self, i: int, state: Any) -> None:
        super().write(i, state)
        self._count[i] = count = len(state.coin_y)
        x, y = self._x[:, i], self._y[:, i]
        x[:count] = range(state.row_x, state.row_x + COIN_SPACING * count, COIN_SPACING)
        self._coin_y[i, :count] = y[:count] = state.coin_y
        x[count:] = y[count:] = _NOWHERE
        self._taken_at[:count, i] = state.taken_at
        taken = self._taken_at[:count, i] >= 0
        x[:count][taken] = y[:count][taken] = _NOWHERE
        self._scroll[:_ASTEROID, i] = np.where(x[:_ASTEROID] == _NOWHERE, 0.0, SCROLL)
        if state.asteroid is not None:
            asteroid = state.asteroid
            x[_ASTEROID], y[_ASTEROID], self._born[i] = asteroid.x, asteroid.y, asteroid.born

    def read_rest(self, i: int) -> dict[str, Any]:
        count = self._count[i]
        taken = self._y[:count, i] == _NOWHERE
        asteroid = None
        if self._x[_ASTEROID, i] != _NOWHERE:
            x, y = self._x.item(_ASTEROID, i), self._y.item(_ASTEROID, i)
            asteroid = Asteroid(x, int(y), self._born.item(i))
        return {
            "coin_y": self._coin_y[i, :count].tolist(),
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

    def _touches(self, things: np.ndarray) -> np.ndarray:
        """Whether the ships touch the boxes around `things`, numbered k * num_envs + i."""
        # As `boxes_overlap`, along x and y at once.
        radius = self._radius.take(things)
        ships = np.trunc(self._rows[0:2]).take(self._i.take(things), axis=1)
        boxes = np.trunc(self._rows.take(self._cells.take(things, axis=1)) - radius)
        boxes -= ships
        overlap_x, overlap_y = (boxes < _SHIP) & (boxes > -(radius + radius))
        return overlap_x & overlap_y

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
        new = np.empty((2 * MAX_COINS, len(i)))  # as in the observation
        coin_x, coin_y = new[0::2], new[1::2]
        np.add(row_x, _COIN_X, out=coin_x)
        coin_y[0] = y
        for n in range(1, MAX_COINS):
            coin_y[n] = y = _NEXT_Y[numbers[2 + n], y]
        self._coin_y[i] = coin_y.T
        self._scroll[:_ASTEROID, i] = _ROW_SCROLL[:, count]
        np.copyto(new, _NOWHERE, where=_MISSING[:, count])
        self._rows[4 : 4 + 2 * MAX_COINS, i] = new

        j = ((u[7] < ASTEROID_CHANCE) & (self._x[_ASTEROID, i] == _NOWHERE)).nonzero()[0]
        if len(j):
            low, high = ASTEROID_GAP
            last = row_x[j] + (count[j] - 1) * COIN_SPACING
            i = i[j]
            self._x[_ASTEROID, i] = last + (low + (high - low) * u[8, j])
            self._y[_ASTEROID, i] = numbers[6, j]
            self._born[i] = s.t[i]
