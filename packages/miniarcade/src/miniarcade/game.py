"""What a game is: rules and a picture, with neither Gymnasium nor pygame.

A game is one file in `miniarcade.games`, read from top to bottom: constants with their units, the
state, `reset`, `step`, `observe`, `draw`. Common to all of them: the world is 224 x 224 pixels
with y growing downwards, lengths are in pixels and times in steps, so that a speed is in pixels
per step; episodes have a fixed length and nothing ends them early.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from miniarcade import state as states
from miniarcade.rules import SIZE, integer
from miniarcade.snapshot import Form

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas

__all__ = ["SIZE", "Game", "State", "sample_decor_seed"]


@dataclass(slots=True)
class State:
    """What every game's state has; a game derives its own from it."""

    t: int  # steps since the reset
    decor_seed: int  # chooses decorations that no rule depends on


class Game:
    """Base of the games: the interface, and saving and restoring the state.

    Three rules make episodes reproducible. Everything that changes is in `state`, and `reset`
    builds a new one, so that nothing leaks from one episode to the next. All chance comes from
    `rng`. `draw` changes neither: decorations follow from the state's step count and `decor_seed`.

    Attributes:
        action_size: Number of action entries.
        observation_size: Number of observation entries.
        state_type: The dataclass of the state.
        state: The state of the running episode.
        rng: The generator of the running episode.
    """

    action_size: ClassVar[int]
    observation_size: ClassVar[int]
    state_type: ClassVar[type[State]]
    state: Any
    rng: np.random.Generator

    def reset(self, rng: np.random.Generator) -> None:
        """Starts an episode: keeps `rng` and builds a new `state`.

        Args:
            rng: Where all chance of the episode comes from.
        """
        raise NotImplementedError

    def step(self, action: Sequence[float]) -> float:
        """Advances the game by one step.

        Args:
            action: `action_size` numbers in [-1, 1].

        Returns:
            The reward of the step.
        """
        raise NotImplementedError

    def observe(self) -> list[float]:
        """The observation of the current state, `observation_size` numbers."""
        raise NotImplementedError

    def success(self) -> float:
        """1.0 or 0.0 where the game knows success at a step, else NaN."""
        return math.nan

    def draw(self, canvas: Canvas) -> None:
        """Paints the current state."""
        raise NotImplementedError

    def get_state(self) -> dict[str, np.ndarray]:
        """The whole state as arrays named `task/<field>`; the generator is not part of it."""
        return states.to_arrays(self.state, "task/")

    def state_forms(self) -> dict[str, Form]:
        """The names and forms of the arrays that `get_state` returns."""
        return states.forms(self.state_type, "task/")

    def set_state(self, arrays: dict[str, np.ndarray]) -> None:
        """Restores what `get_state` returned.

        Raises:
            ValueError: If an array is missing, or those of a list differ in length; the state is
                then as before.
        """
        self.state = states.from_arrays(self.state_type, arrays, "task/")


def sample_decor_seed(rng: np.random.Generator) -> int:
    """A seed for the decorations of an episode."""
    return integer(rng, 0, 2**31 - 1)
