"""ManiSkill's environments behind the interface of all domains: in PyTorch, and in NumPy.

An episode starts in a scene that no physics step was taken in, and so does one that continues
from a saved state: PhysX remembers the contacts of a scene's past, and with them the same state
continues differently (by up to 7e-2 after one step).
"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from mmbench.domains import maniskill_package
from mmbench.domains.maniskill_numpy.scene import RawTask, renew_physics
from mmbench.domains.simulator import Simulator
from mmbench.rendering import RendererUnavailableError

_SEEDS = 2**31
"""The package takes seeds below this."""


class ManiSkillSimulator(Simulator):
    """One of the package's environments, stepped by the package itself.

    Args:
        environment: What :func:`mmbench.domains.maniskill.build` returns.
        action_repeat: Raw steps per agent step.
        frames: Whether the environment was built to be drawn.
    """

    in_cycles = True

    def __init__(self, environment: Any, action_repeat: int, frames: bool) -> None:
        self._environment = environment
        self._action_repeat = action_repeat
        self._frames = frames
        if frames:
            maniskill_package.keep_in_fork(environment)
        self._stepped = False
        self._obs = environment._last_obs
        self._layout = _layout(environment.get_state_dict())

    def reset(self, rng: np.random.Generator) -> None:
        """Starts an episode in a fresh scene."""
        self._start(int(rng.integers(_SEEDS)))

    def step(self, action: np.ndarray) -> tuple[float, float]:
        """Takes ``action_repeat`` raw steps.

        Args:
            action: As the task's control mode has it, each entry in [-1, 1].

        Returns:
            The sum of the raw steps' rewards, and the success of the last: 0.0 throughout where
            the package defines none.
        """
        reward = 0.0
        info: dict[str, Any] = {}
        for _ in range(self._action_repeat):
            raw_reward, info = self.raw_step(action)
            reward += raw_reward
        return reward, float(info.get("success", 0.0))

    def raw_step(self, action: np.ndarray) -> tuple[float, dict[str, Any]]:
        """Takes one of the package's own steps.

        Returns:
            Its reward, and its info: what the task's ``evaluate`` found, as tensors.
        """
        self._stepped = True
        self._obs, reward, _, _, info = self._environment.step(action)
        return float(reward), info

    def observe(self, out: np.ndarray) -> None:
        """Writes the package's flat state observation."""
        out[:] = self._obs[0]

    def render(self) -> np.ndarray:
        """Draws the scene as the package's camera for people sees it, goals included."""
        maniskill_package.check_fork(frames=True)
        return self._environment.render()[0].cpu().numpy()

    def get_state(self) -> dict[str, np.ndarray]:
        """Returns the package's flat state, the raw steps taken and the current observation.

        The observation is part of it as forces of contact are: they are those of the last step.
        """
        environment = self._environment
        return {
            "state": environment.get_state()[0].numpy().copy(),
            "task/elapsed_steps": environment.elapsed_steps.numpy().copy(),
            "task/observation": self._obs[0].numpy().copy(),
        }

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restores a state into a fresh scene."""
        import torch

        flat = torch.from_numpy(state["state"])[None]
        self._start(0)
        environment = self._environment
        environment.set_state_dict(_unflatten(flat, self._layout))
        environment._elapsed_steps[:] = int(np.ravel(state.get("task/elapsed_steps", 0))[0])
        if "task/observation" in state:
            self._obs = torch.from_numpy(state["task/observation"])[None]
        else:
            self._obs = environment.get_obs()

    def close(self) -> None:
        """Frees the scene, unless it draws and belongs to the process this one was forked from."""
        with contextlib.suppress(RendererUnavailableError):
            maniskill_package.check_fork(self._frames)
            self._environment.close()

    def _start(self, seed: int) -> None:
        """Starts an episode of the package's, in a scene without a past."""
        with maniskill_package.building(self._frames):
            self._obs, _ = self._environment.reset(
                seed=seed, options={"reconfigure": self._stepped}
            )
        # Past the agent's check for NaN, which was made already and calls NumPy with a tensor:
        # a deprecated way that warns at every step.
        agent = self._environment.agent
        agent.set_action = agent.controller.set_action
        self._stepped = False


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
        out[:] = self._observation

    def reset(self, rng: np.random.Generator) -> None:
        super().reset(rng)
        self._begin()

    def set_state(self, state: dict[str, np.ndarray]) -> None:
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
        import torch

        self._task = self._task_class(self._environment)
        self._observation[:] = self._obs[0].numpy()
        # The package's count, as an array in the same memory: counting in torch takes 15 us.
        self._elapsed_steps = self._environment._elapsed_steps.numpy()
        # What the package's adapter reads from now on, for a state.
        self._obs = torch.from_numpy(self._observation)[None]


def _layout(state: dict[str, Any]) -> list[tuple[str, str, int]]:
    """The parts of a flat state in order: kind (actors, articulations), name, and size."""
    return [
        (kind, name, part.shape[-1])
        for kind, parts in state.items()
        for name, part in parts.items()
    ]


def _unflatten(flat: Any, layout: list[tuple[str, str, int]]) -> dict[str, Any]:
    """Splits a flat state (1, n) into the package's dictionary."""
    state: dict[str, Any] = {"actors": {}, "articulations": {}}
    start = 0
    for kind, name, size in layout:
        state[kind][name] = flat[:, start : start + size]
        start += size
    return state
