"""The adapter that steps a task of this package instead of ManiSkill's own environment."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mmbench.domains import maniskill_package
from mmbench.domains.maniskill import ManiSkillSimulator
from mmbench.domains.maniskill_numpy.scene import RawTask, renew_physics


class NumpySimulator(ManiSkillSimulator):
    """A task in NumPy, in a scene that ManiSkill builds, resets, restores and draws.

    Args:
        environment: What :func:`mmbench.domains.maniskill.build` returns.
        action_repeat: Raw steps per agent step.
        frames: Whether the environment was built to be drawn.
        task_class: The task.
    """

    def __init__(
        self, environment: Any, action_repeat: int, frames: bool, task_class: type[RawTask]
    ) -> None:
        super().__init__(environment, action_repeat, frames)
        self._task_class = task_class
        self._observation = np.empty(environment._last_obs.shape[1], np.float32)
        self._begin()

    def step(self, action: np.ndarray) -> tuple[float, float]:
        """Takes ``action_repeat`` raw steps.

        Args:
            action: As the task's control mode has it, each entry in [-1, 1].

        Returns:
            The sum of the raw steps' rewards, and the success of the last: 0.0 throughout where
            the package defines none.
        """
        self._stepped = True
        task = self._task
        reward = success = 0.0
        for _ in range(self._action_repeat):
            raw_reward, success = task.raw_step(action)
            reward += raw_reward
        self._elapsed_steps += self._action_repeat
        task.observe(self._observation)
        return reward, success

    def observe(self, out: np.ndarray) -> None:
        """Writes the package's flat state observation."""
        out[:] = self._observation

    def reset(self, rng: np.random.Generator) -> None:
        """Starts an episode in a fresh scene."""
        super().reset(rng)
        self._begin()

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restores a state into a fresh scene."""
        super().set_state(state)
        self._begin()

    def _start(self, seed: int) -> None:
        """Starts an episode of the package's, in physics without a past."""
        maniskill_package.check_fork(self._frames)
        if self._stepped:  # else the scene has no past
            self._stepped = not renew_physics(self._environment)
        super()._start(seed)

    def _begin(self) -> None:
        """Looks up what the task reads in the new scene, and takes the package's observation."""
        self._task = self._task_class(self._environment)
        self._observation[:] = self._obs[0].numpy()
        # The package's count, as an array in the same memory: counting in torch takes 15 us.
        self._elapsed_steps = self._environment._elapsed_steps.numpy()
        # What the package's adapter reads from now on, for a state.
        self._obs = torch.from_numpy(self._observation)[None]
