"""ManiSkill3: arms at a table, and the package's own control tasks, on the CPU.

Facts (arXiv 2511.19584, appendix A; mani_skill 3.0.1): rewards are the package's normalised dense
ones, summed over an action repeat of 2; success is that of the last raw step; nothing terminates.
Here the package's environments are found and built; :mod:`mmbench.domains.maniskill_simulator`
steps them.
"""

from __future__ import annotations

import ctypes
import importlib.util
from typing import Any

from mmbench.assets import missing_assets
from mmbench.catalog import Task, TaskUnavailableError
from mmbench.domains import maniskill_numpy, maniskill_package
from mmbench.domains.maniskill_simulator import ManiSkillSimulator, NumpySimulator
from mmbench.rendering import FRAME_SIZE
from mmbench.shell import command

# Found, not imported: whoever asks whether a task can run should not load torch and sapien.
for _name in ("torch", "sapien", "mani_skill"):
    if importlib.util.find_spec(_name) is None:
        raise ModuleNotFoundError(f"No module named {_name!r}", name=_name)

_SYSTEM_LIBRARIES = {"libGL.so.1": "libgl1", "libX11.so.6": "libx11-6"}
"""What OpenCV and sapien link to, and the Debian packages that have it."""

_ROBOT_OF_THE_CLASS = frozenset({"ant", "cart_pole", "hopper", "so100"})
"""Robots that are not a choice: the environment class brings its own."""


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
            + command("mmbench", "assets", "download", "--tasks", task.name)
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
