"""The subcommands of ``mmbench``, one module each, and what they share."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import tyro


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskCommand:
    """A subcommand about tasks, which may come from a module of the user."""

    imports: Annotated[str | None, tyro.conf.arg(name="import", metavar="MODULES")] = None
    """Modules to import first, separated by commas, which register tasks by mmbench.register."""
