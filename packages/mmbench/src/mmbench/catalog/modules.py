"""Modules of the user that bring tasks or environments."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Iterable
from types import ModuleType

from mmbench.catalog.task import InvalidTaskError

_imported: dict[str, None] = {}


def import_modules(names: str | Iterable[str] | None) -> None:
    """Imports modules that register tasks, also in the worker processes started from now on.

    Args:
        names: Modules, as a list or separated by commas; None for none.

    Raises:
        TypeError: They are something else.
        InvalidTaskError: A module cannot be imported; the message names it and the reason.
    """
    if names is None:
        return
    given = list(names) if isinstance(names, Iterable) else [names]
    parts = names.split(",") if isinstance(names, str) else given
    if not all(isinstance(part, str) for part in parts):
        raise TypeError(f"imports={names!r}: text such as 'my_tasks', or a list of such names")
    for name in parts:
        import_module(name.strip())
        _imported[name.strip()] = None


def imported() -> tuple[str, ...]:
    """Returns what :func:`import_modules` has imported in this process."""
    return tuple(_imported)


def import_module(name: str) -> ModuleType:
    """Imports a module, from the current folder too, which is searched last.

    Raises:
        InvalidTaskError: It cannot be imported; the message names it and the reason.
    """
    if name.endswith(".py"):
        raise InvalidTaskError(f"cannot import {name!r}: give the module's name, without .py")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise InvalidTaskError(f"cannot import {name!r}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """Says what an import raised, and in which line of whoever is not Python or MMBench."""
    where = place(error)
    line = f" ({where.filename}, line {where.lineno})" if where else ""
    return f"{type(error).__name__}: {error}{line}"


def place(error: BaseException) -> traceback.FrameSummary | None:
    """The innermost line that raised an error and is neither the import system's nor ours."""
    ours = os.path.dirname(os.path.dirname(__file__)) + os.sep
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        name = frame.filename
        if not ("importlib" in name or name.startswith(("<", ours))):
            return frame
    return None
