"""MiniArcade: the games of the ``miniarcade`` package, one native step an agent step."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

import miniarcade
from miniarcade.game import Game
from miniarcade.snapshot import Form
from mmbench.catalog import Task
from mmbench.domains.simulator import Simulator, VectorSimulator

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas
    from miniarcade.vector.game import VectorGame


def make(task: Task, frames: bool) -> GameSimulator:
    """Builds the simulator of a game (see :mod:`mmbench.domains`).

    ``task.native`` is the name of a game's task in the package. A game from outside is named by its
    class, ``module:Class``.
    """
    if ":" in task.native:
        return GameSimulator(pkgutil.resolve_name(task.native)(**dict(task.native_kwargs)))
    game = miniarcade.get_task(task.native)
    return GameSimulator(game.make_game(), game.make_vector_game if game.vector else None)


class GameSimulator(Simulator):
    """A game without the Gymnasium environment around it, whose work TaskEnv does.

    Args:
        game: The game.
        make_vector: Makes a number of such games as arrays; None if nothing does.
    """

    def __init__(self, game: Game, make_vector: Callable[[int], VectorGame] | None = None) -> None:
        self.game = game
        self._make_vector = make_vector
        self.required_state = tuple(game.state_forms())
        self._canvas: Canvas | None = None

    def reset(self, rng: np.random.Generator) -> None:
        self.game.reset(rng)

    def step(self, action: np.ndarray) -> tuple[float, float]:
        """Advances the game by one step; success is NaN where the game knows none."""
        reward = self.game.step(action.tolist())
        return reward, self.game.success()

    def observe(self, out: np.ndarray) -> None:
        out[:] = self.game.observe()

    def render(self) -> np.ndarray:
        if self._canvas is None:
            from miniarcade.drawing import Canvas

            self._canvas = Canvas()
        self.game.draw(self._canvas)
        return self._canvas.to_array()

    def get_state(self) -> dict[str, np.ndarray]:
        return self.game.get_state()

    def state_forms(self) -> dict[str, Form]:
        return self.game.state_forms()

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        self.game.set_state(state)

    def together(self, count: int) -> GamesTogether | None:
        return None if self._make_vector is None else GamesTogether(self._make_vector(count))


class GamesTogether(VectorSimulator):
    """Games as arrays.

    Args:
        games: They.
    """

    def __init__(self, games: VectorGame) -> None:
        self._games = games

    def take(self, k: int, simulator: GameSimulator) -> None:
        self._games.rngs[k] = simulator.game.rng
        self._games.write(k, simulator.game.state)

    def give(self, k: int, simulator: GameSimulator) -> None:
        simulator.game.state = self._games.read(k)

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rewards = self._games.step(actions.astype(np.float64))
        return rewards, self._games.success()

    def observe(self) -> np.ndarray:
        return self._games.observe()
