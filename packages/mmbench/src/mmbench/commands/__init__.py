"""The subcommands of ``mmbench``, one module each, and what they share."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from mmbench.runs import RunError


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskCommand:
    """A subcommand about tasks, which may come from a module of the user."""

    imports: Annotated[str | None, tyro.conf.arg(name="import", metavar="MODULES")] = None
    """Modules to import first, separated by commas, which register tasks by mmbench.register."""


def user_path(given: str, what: str) -> Path:
    """Returns a path that the user gave; ``~`` is the home.

    Args:
        given: The path.
        what: The flag, or whatever else the message calls it.

    Raises:
        RunError: It is empty, or in the home of a user whom the system does not know.
    """
    if not given:
        raise RunError(f"{what} is empty: give a path")
    try:
        return Path(given).expanduser()
    except RuntimeError as error:
        raise RunError(
            f"{what} {given}: no user of this name is known here; give the path from the root, /"
        ) from error
