"""What a vector game is: the rules of a game for many environments at once."""

from __future__ import annotations

import math
import typing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator

from miniarcade.game import Game, State
from miniarcade.state import DTYPES

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas

# As an array: NumPy would convert a Python number in every operation, which costs as much again.
STEP = np.array(1)  # to count with


class VectorGame:
    """Base of the vector games: N states as arrays, one entry an environment.

    A vector game repeats the arithmetic of its game in `step` and `observe`, operation for
    operation, so that its results are the same to the last bit. Rare events and random numbers it
    leaves to the game itself. It may call the game's private methods, after setting `game.rng`
    and the fields of `game.state` that they read.

    Attributes:
        game: A game of the variant; its state is scratch space.
        state: The numbers of the game's state, an array (N,) for each field of that name.
        rngs: The generators of the N episodes.
    """

    game: Any

    def __init__(self, game: Game, num_envs: int) -> None:
        """Makes the arrays.

        Args:
            game: Of the variant.
            num_envs: N.
        """
        self.game = game
        self.num_envs = num_envs
        self._unknown = np.full(num_envs, np.nan)
        self.rngs: list[Generator] = [np.random.default_rng(0)] * num_envs
        hints = typing.get_type_hints(game.state_type)
        self._numbers = [name for name, hint in hints.items() if hint in DTYPES]
        self.state: Any = SimpleNamespace(
            **{name: np.zeros(num_envs, DTYPES[hints[name]]) for name in self._numbers}
        )

    def pack(self, *names: str) -> np.ndarray:
        """Puts the arrays of these fields into one, as its rows: one operation changes several.

        From then on, change them in place only.
        """
        rows = np.array([getattr(self.state, name) for name in names])
        for name, row in zip(names, rows, strict=True):
            setattr(self.state, name, row)
        return rows

    def step(self, actions: np.ndarray) -> np.ndarray:
        """Advances all games by one step.

        Args:
            actions: (N, action size), float64 in [-1, 1].

        Returns:
            The rewards, (N,) float64.
        """
        raise NotImplementedError

    def observe(self) -> np.ndarray:
        """The observations, a new array (N, observation size) of float32."""
        raise NotImplementedError

    def success(self) -> np.ndarray:
        """(N,) float64: 1.0 or 0.0 where the game knows success at a step, else NaN."""
        return self._unknown.copy()

    def reset(self, i: int, rng: Generator) -> None:
        """Starts an episode of environment `i`, as the game itself starts it."""
        self.rngs[i] = rng
        self.game.reset(rng)
        self.write(i, self.game.state)

    def draw(self, i: int, canvas: Canvas) -> None:
        """Paints environment `i`."""
        self.game.state = self.read(i)
        self.game.draw(canvas)

    def write(self, i: int, state: Any) -> None:
        """Copies a state of the game into entry `i`; override for fields that are no numbers."""
        for name in self._numbers:
            getattr(self.state, name)[i] = getattr(state, name)

    def read(self, i: int) -> State:
        """The state of environment `i` as one of the game."""
        numbers = {name: getattr(self.state, name)[i].item() for name in self._numbers}
        return self.game.state_type(**numbers, **self.read_rest(i))

    def read_rest(self, i: int) -> dict[str, Any]:
        """The fields of the state of environment `i` that are no numbers."""
        return {}


def columns(*values: np.ndarray) -> np.ndarray:
    """Observations from their columns, arrays (N,)."""
    return rows_to_observations(np.array(values))


def rows_to_observations(rows: np.ndarray) -> np.ndarray:
    """(observation size, N) of float64 to (N, observation size) of float32."""
    return rows.T.astype(np.float32, order="C")


def boxes_overlap(
    ax: Any, ay: Any, aw: Any, ah: Any, bx: Any, by: Any, bw: Any, bh: Any
) -> np.ndarray:
    """See `miniarcade.rules.boxes_overlap`; any argument may be an array.

    Corners that are real numbers have to be truncated to whole pixels before (`np.trunc`).
    """
    dx, dy = bx - ax, by - ay
    return (dx < aw) & (dx > -bw) & (dy < ah) & (dy > -bh)


def hypot(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Lengths of the vectors (x, y): `math.hypot`, from which `np.hypot` differs in last bits."""
    return np.fromiter(map(math.hypot, x.tolist(), y.tolist()), np.float64, len(x))
