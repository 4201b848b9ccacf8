"""Experts that try whole episodes out from the start, and play the first that succeeds."""

from __future__ import annotations

import abc
from typing import ClassVar

import numpy as np

from mmbench.demos.experts import Expert
from mmbench.env import TaskEnv


class TriedOut(Expert):
    """Plans an episode by trying it out, and plays the first plan that succeeds, or else the last.

    Attributes:
        tries: Plans that are tried, at most.
    """

    tries: ClassVar[int]

    def begin(self, env: TaskEnv, obs: np.ndarray, rng: np.random.Generator) -> None:
        """Plans the whole episode."""
        start = env.get_state()
        for attempt in range(self.tries):
            env.set_state(start)
            actions, succeeded = self._try(env, rng, attempt)
            if succeeded:
                break
        env.set_state(start)
        self._actions = iter(actions)

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Follows the plan."""
        return next(self._actions)

    @abc.abstractmethod
    def _try(
        self, env: TaskEnv, rng: np.random.Generator, attempt: int
    ) -> tuple[list[np.ndarray], bool]:
        """Plays an episode, another one each time; returns its actions, and whether it succeeds."""
