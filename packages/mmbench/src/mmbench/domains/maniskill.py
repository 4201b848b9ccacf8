"""ManiSkill3: arms at a table, and the package's own control tasks, on the CPU.

Facts (arXiv 2511.19584, appendix A; mani_skill 3.0.1): rewards are the package's normalised dense
ones, summed over an action repeat of 2; success is that of the last raw step; nothing terminates.
The package's own step is taken, in PyTorch, for one environment.

An episode starts in a scene that no physics step was taken in, as does one that continues from a
saved state: PhysX remembers the contacts of a scene's past, by which the same state continues
differently (by up to 7e-2 after one step).
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
from typing import Any

import numpy as np

from mmbench.assets import missing_assets
from mmbench.catalog import Task, TaskUnavailableError
from mmbench.domains import maniskill_numpy, maniskill_package
from mmbench.domains.simulator import Simulator
from mmbench.rendering import FRAME_SIZE, RendererUnavailableError

# Found, not imported: whoever asks whether a task can run should not load torch and sapien.
for _name in ("torch", "sapien", "mani_skill"):
    if importlib.util.find_spec(_name) is None:
        raise ModuleNotFoundError(f"No module named {_name!r}", name=_name)

_SYSTEM_LIBRARIES = {"libGL.so.1": "libgl1", "libX11.so.6": "libx11-6"}
"""What OpenCV and sapien link to, and the Debian packages that have it."""

_ROBOT_OF_THE_CLASS = frozenset({"ant", "cart_pole", "hopper", "so100"})
"""Robots that are not a choice: the environment class brings its own."""

_SEEDS = 2**31
"""The package takes seeds below this."""


def make(task: Task, frames: bool) -> ManiSkillSimulator:
    """Builds the simulator of a task (see :mod:`mmbench.domains`).

    Raises:
        TaskUnavailableError: The package cannot be imported.
        RendererUnavailableError: ``frames`` without a Vulkan device.
    """
    environment = build(task, frames)
    task_class = maniskill_numpy.task_class(task.native)
    if task_class is None:
        return ManiSkillSimulator(environment, task.action_repeat, frames)
    # Imported here, because it builds on the class below.
    from mmbench.domains.maniskill_numpy.simulator import NumpySimulator

    return NumpySimulator(environment, task.action_repeat, frames, task_class)


def missing(task: Task) -> str | None:
    """What this machine lacks for a task and how to get it, or None."""
    absent = [package for library, package in _SYSTEM_LIBRARIES.items() if not _loads(library)]
    if absent:
        return (
            "ManiSkill needs system libraries that are not installed: "
            f"apt-get install {' '.join(absent)}"
        )
    assets = missing_assets(task)
    if assets:
        return (
            f"it needs ManiSkill's asset {', '.join(assets)}, which is not on this machine: "
            f"mmbench assets download --tasks {task.name}"
        )
    return None


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def build(task: Task, frames: bool) -> Any:
    """Builds the package's environment of a task, without the package's wrappers.

    Args:
        task: ``native`` is the package's id, ``native_kwargs`` are for its constructor.
        frames: Whether it will be drawn.

    Returns:
        A ``mani_skill.envs.sapien_env.BaseEnv`` for one environment, reset once.
    """
    try:
        environment_class = maniskill_package.load()(task.native)
    except ImportError as error:
        raise TaskUnavailableError(
            f"task {task.name!r}: ManiSkill cannot be imported ({error})"
        ) from error
    settings: dict[str, Any] = dict(task.native_kwargs)
    if settings.get("robot_uids") in _ROBOT_OF_THE_CLASS:
        del settings["robot_uids"]
    if frames:
        settings["render_backend"], _ = maniskill_package.render_device()
        settings["render_mode"] = "rgb_array"
        settings["human_render_camera_configs"] = {"width": FRAME_SIZE, "height": FRAME_SIZE}
    else:
        settings["render_backend"] = "none"
    with maniskill_package.building(frames):
        # The class rather than `gymnasium.make`, whose wrappers add a time limit and a prompt on
        # the terminal where an asset is missing.
        return environment_class(
            num_envs=1,
            obs_mode="state",
            sim_backend="physx_cpu",
            reconfiguration_freq=0,  # rebuilt by the adapter, when it has to be
            **settings,
        )


class ManiSkillSimulator(Simulator):
    """One of the package's environments.

    Args:
        environment: What :func:`build` returns.
        action_repeat: Raw steps per agent step.
        frames: Whether the environment was built to be drawn.
    """

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
