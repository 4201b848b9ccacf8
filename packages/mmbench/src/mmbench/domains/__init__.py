"""One adapter a domain, imported only when one of its tasks is made.

An adapter is a module with a function ``make(task, frames) -> Simulator``.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

from mmbench.catalog import Task, TaskUnavailableError
from mmbench.domains.simulator import Simulator

_ADAPTERS = {
    "dmcontrol": "mmbench.domains.dmcontrol",
    "dmcontrol-ext": "mmbench.domains.dmcontrol_ext",
    "metaworld": "mmbench.domains.metaworld",
    "maniskill": "mmbench.domains.maniskill",
    "mujoco": "mmbench.domains.mujoco",
    "box2d": "mmbench.domains.box2d",
    "robodesk": "mmbench.domains.robodesk",
    "ogbench": "mmbench.domains.ogbench",
    "miniarcade": "mmbench.domains.miniarcade",
    "atari": "mmbench.domains.atari",
}
"""Domains that are built, by adapter module."""

_EXTRAS = {
    "metaworld": "metaworld",
    "maniskill": "maniskill",
    "box2d": "box2d",
    "robodesk": "robodesk",
    "ogbench": "ogbench",
    "atari": "atari",
}
"""Domains whose simulator comes with an extra of the same package."""

_PACKAGES = {
    "dmcontrol": "dm_control",
    "dmcontrol-ext": "dm_control",
    "metaworld": "metaworld",
    "maniskill": "mani_skill",
    "mujoco": "mujoco",
    "box2d": "Box2D",
    "robodesk": "robodesk",
    "ogbench": "ogbench",
    "miniarcade": "miniarcade",
    "atari": "ale_py",
}
"""The module of each domain's simulator."""


_BEFORE_3_13 = ("dmcontrol", "dmcontrol-ext", "maniskill", "robodesk", "ogbench")
"""Domains whose simulator pip does not install on Python 3.13: a dependency has no wheel."""


def make_simulator(task: Task, frames: bool) -> Simulator:
    """Builds the native simulator of a task.

    Args:
        task: The task.
        frames: Whether :meth:`Simulator.render` will be called.

    Raises:
        TaskUnavailableError: Its simulator or an asset of it is not installed, or cannot be
            imported; the message says which and what to do.
    """
    return adapter(task).make(task, frames)


def adapter(task: Task) -> Any:
    """Imports the adapter of a task's domain, and its simulator with it.

    Raises:
        TaskUnavailableError: See :func:`make_simulator`.
    """
    reason = unavailable(task)
    if reason is None:
        try:
            return importlib.import_module(_ADAPTERS[task.domain])
        except ImportError as error:
            reason = _not_importable(task, str(error))
    raise TaskUnavailableError(f"task {task.name!r}: {reason}")


def unavailable(task: Task) -> str | None:
    """Why a task cannot run here and what to do about it, or None if it can.

    Looks for packages and assets and loads no simulator, so that a process that only asks stays
    small. Whether what is there works, ``mmbench doctor`` finds out.
    """
    package = _PACKAGES[task.domain]
    if importlib.util.find_spec(package) is None:
        return _not_importable(task, f"No module named {package!r}")
    if task.domain == "maniskill":
        from mmbench.domains.maniskill import missing

        return missing(task)
    return None


def _not_importable(task: Task, why: str) -> str:
    extra = _EXTRAS.get(task.domain)
    install = f"pip install 'mmbench[{extra}]'" if extra else "pip install mmbench"
    if task.domain in _BEFORE_3_13 and sys.version_info >= (3, 13):
        install += " with Python 3.11 or 3.12; mmbench's README says what can be done on 3.13"
    return f"the simulator of {task.domain!r} cannot be imported ({why}): {install}"
