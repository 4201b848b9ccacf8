"""One adapter a domain, imported only when one of its tasks is made.

An adapter is a module with a function ``make(task, frames) -> Simulator``.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

from mmbench.catalog import Domain, Task, TaskUnavailableError, domain
from mmbench.domains.simulator import Simulator

__all__ = ["Simulator", "adapter", "make_simulator", "unavailable"]


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
            return importlib.import_module(domain(task.domain).adapter)
        except ImportError as error:
            reason = _not_importable(domain(task.domain), str(error))
    raise TaskUnavailableError(f"task {task.name!r}: {reason}")


def unavailable(task: Task) -> str | None:
    """Why a task cannot run here and what to do about it, or None if it can.

    Looks for packages and assets and loads no simulator, so that a process that only asks stays
    small. Whether what is there works, ``mmbench doctor`` finds out.
    """
    own = domain(task.domain)
    if not _is_installed(own.module):
        return _not_importable(own, f"No module named {own.module!r}")
    if own.missing:
        module, _, function = own.missing.partition(":")
        return getattr(importlib.import_module(module), function)(task)
    return None


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that it is in
        return False


def _not_importable(own: Domain, why: str) -> str:
    install = own.install
    if own.python and not _suits_this_python(own.python):
        install += f" with Python {own.python}"
        if own.in_benchmark:
            install += "; mmbench's README says what can be done on 3.13"
    return f"the simulator of {own.name!r} cannot be imported ({why}): {install}"


def _suits_this_python(versions: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(versions).contains(".".join(map(str, sys.version_info[:3])))
