"""MiniArcade: the games of the ``miniarcade`` package, one native step an agent step."""

from __future__ import annotations

import pkgutil
from typing import TYPE_CHECKING

import numpy as np

import miniarcade
from miniarcade.game import Game
from miniarcade.snapshot import Form
from mmbench.catalog import Task
from mmbench.domains.simulator import Simulator

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas


def make(task: Task, frames: bool) -> GameSimulator:
    """Builds the simulator of a game (see :mod:`mmbench.domains`).

    ``task.native`` is the name of a game's task in the package. A game from outside is named by its
    class, ``module:Class``.
    """
    if ":" in task.native:
        return GameSimulator(pkgutil.resolve_name(task.native)(**dict(task.native_kwargs)))
    return GameSimulator(miniarcade.get_task(task.native).make_game())


class GameSimulator(Simulator):
    """A game without the Gymnasium environment around it, whose work TaskEnv does.

    Args:
        game: The game.
    """

    def __init__(self, game: Game) -> None:
        self._game = game
        self.required_state = tuple(game.state_forms())
        self._canvas: Canvas | None = None

    def reset(self, rng: np.random.Generator) -> None:
        self._game.reset(rng)

    def step(self, action: np.ndarray) -> tuple[float, float]:
        """Advances the game by one step; success is NaN where the game knows none."""
        reward = self._game.step(action.tolist())
        return reward, self._game.success()

    def observe(self, out: np.ndarray) -> None:
        out[:] = self._game.observe()

    def render(self) -> np.ndarray:
        if self._canvas is None:
            from miniarcade.drawing import Canvas

            self._canvas = Canvas()
        self._game.draw(self._canvas)
        return self._canvas.to_array()

    def get_state(self) -> dict[str, np.ndarray]:
        return self._game.get_state()

    def state_forms(self) -> dict[str, Form]:
        return self._game.state_forms()

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        self._game.set_state(state)
