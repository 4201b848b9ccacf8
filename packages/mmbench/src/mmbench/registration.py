"""Registers tasks from outside, in every process.

A package names a module in its entry points, which ``import mmbench`` imports in every process::

    [project.entry-points."mmbench.domains"]
    blocks = "my_package.tasks"

Without a package, ``--import my_module`` and ``make_vec(..., imports=["my_module"])`` import it.
Either module calls :func:`register`.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Iterable
from traceback import FrameSummary

import gymnasium

from mmbench.catalog import registry
from mmbench.catalog.domain import Domain
from mmbench.catalog.modules import place, reason
from mmbench.catalog.task import Task

ENTRY_POINTS = "mmbench.domains"
"""The entry-point group of packages that bring domains or tasks."""

_WARNED = "MMBENCH_WARNED"
"""Environment variable with the warnings about packages that other processes inherit."""


def register(*records: Domain | Task) -> None:
    """Adds tasks and domains beside those of the benchmark.

    The tasks are then ``mmbench/<name>-v0`` in Gymnasium, and have their names and their domain's
    in ``--tasks``, in vector environments and in every command. ``all`` and the groups of the
    benchmark stay as they are. Other processes, such as the workers of a vector environment, know
    them if the call is in a module that an entry point, ``--import`` or ``imports=`` names.

    Args:
        *records: Domains and tasks, in any order; see :class:`mmbench.Domain`,
            :class:`mmbench.Task` and :func:`mmbench.gym_task`.

    Raises:
        InvalidTaskError: A name is taken, or a record is not possible. Nothing is registered.
    """
    for task in registry.add(*records):
        register_id(task)


def register_id(task: Task) -> None:
    """Registers a task's id with Gymnasium."""
    # No max_episode_steps: TaskEnv truncates by itself, so that a restored state (`set_state`)
    # carries its own step count; a TimeLimit around it would not know.
    gymnasium.register(id=task.id, entry_point="mmbench.env:TaskEnv", kwargs={"task": task.id})
    if task.version > 0:
        # Gymnasium warns of an older version when it knows a newer one of that name. Here version
        # 0 is the published task, the one to compare with, so the newer one gets another name.
        gymnasium.registry[task.id].name = f"{task.name}-corrected"


def load_packages() -> None:
    """Imports what installed packages name in their entry points.

    A package that cannot be loaded is left out with a warning.
    """
    for file in _entry_point_files():
        # Imported here: it takes as long as the rest of `import mmbench`.
        from importlib.metadata import entry_points

        for point in entry_points(group=ENTRY_POINTS):
            package = point.dist.name if point.dist else file
            try:
                importlib.import_module(point.value)
            except (Exception, SystemExit) as error:
                registry.FAILED[package] = reason(error)
                _warn(
                    f"mmbench goes on without the tasks of the package {package} (entry point "
                    f"{point.name} = {point.value}): {type(error).__name__}: {error}",
                    place(error),
                )
        return


def _warn(message: str, where: FrameSummary | None) -> None:
    """Warns once in this process and those it starts, such as workers, of a line of a package."""
    if message not in os.environ.get(_WARNED, ""):
        os.environ[_WARNED] = os.environ.get(_WARNED, "") + message
        file, line = (where.filename, where.lineno or 1) if where else ("mmbench", 1)
        warnings.warn_explicit(message, UserWarning, file, line)


def _entry_point_files() -> Iterable[str]:
    """Yields the files of installed packages that name the group. Takes 1 ms for all packages."""
    for folder in sys.path:
        if os.path.isfile(folder):  # an archive, which only importlib.metadata can look into
            yield folder
            continue
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        for name in names:
            if not name.endswith((".dist-info", ".egg-info")):
                continue
            path = os.path.join(folder, name, "entry_points.txt")
            try:
                with open(path, encoding="utf-8", errors="replace") as file:
                    if ENTRY_POINTS in file.read():
                        yield path
            except OSError:
                continue
