"""One adapter a domain, imported only when one of its tasks is made.

An adapter is a module with one function, ``make(task, frames) -> Simulator``.
"""

from __future__ import annotations

import importlib

from mmbench.catalog import Task, TaskUnavailableError
from mmbench.domains.simulator import Simulator

_ADAPTERS = {
    "dmcontrol": "mmbench.domains.dmcontrol",
    "dmcontrol-ext": "mmbench.domains.dmcontrol_ext",
    "metaworld": "mmbench.domains.metaworld",
    "mujoco": "mmbench.domains.mujoco",
    "robodesk": "mmbench.domains.robodesk",
    "ogbench": "mmbench.domains.ogbench",
    "miniarcade": "mmbench.domains.miniarcade",
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


def make_simulator(task: Task, frames: bool) -> Simulator:
    """Builds the native simulator of a task.

    Args:
        task: The task.
        frames: Whether :meth:`Simulator.render` will be called.

    Raises:
        TaskUnavailableError: The domain is not built yet, or its package is not installed; the
            message says which and what to do.
    """
    reason = unavailable(task)
    if reason is not None:
        raise TaskUnavailableError(f"task {task.name!r}: {reason}")
    return importlib.import_module(_ADAPTERS[task.domain]).make(task, frames)


def unavailable(task: Task) -> str | None:
    """Why a task cannot run here and what to do about it, or None if it can."""
    adapter = _ADAPTERS.get(task.domain)
    if adapter is None:
        return (
            f"the domain {task.domain!r} is in the catalogue but cannot be simulated by this "
            f"version yet; these can: {', '.join(_ADAPTERS)}"
        )
    try:
        importlib.import_module(adapter)
    except ImportError as error:
        extra = _EXTRAS.get(task.domain)
        install = f"pip install 'mmbench[{extra}]'" if extra else "pip install mmbench"
        return f"the simulator of {task.domain!r} cannot be imported ({error}): {install}"
    return None
