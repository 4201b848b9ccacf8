"""What the subcommands of ``mmbench demos`` share."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import tyro

from mmbench.catalog import Task, TaskUnavailableError
from mmbench.runs import RunError
from mmbench.shell import command

T = TypeVar("T")
Root = Annotated[
    str | None,
    tyro.conf.arg(metavar="DIR", help="The folder of demonstrations; by default your own."),
]
Workers = Annotated[
    int | None,
    tyro.conf.arg(help="Processes; by default one a core. 0: everything in this one."),
]


def demos_folder(root: str | None) -> Path | None:
    """The folder that ``--root`` names; None is the user's own.

    Raises:
        RunError: It names none.
    """
    if root is not None and not root.strip():
        raise RunError("--root '': name a folder, or leave it out for your own")
    return None if root is None else Path(root).expanduser()


def some(found: Sequence[T], root: Path | None) -> Sequence[T]:
    """Returns what was found in a folder of demonstrations.

    Raises:
        RunError: It is nothing.
    """
    from mmbench.demos.places import root_folder

    if not found:
        raise RunError(
            f"there are no demonstrations in {root_folder(root)}: --root names another folder, and "
            + command("mmbench", "demos", "collect")
            + " collects some"
        )
    return found


def worker_count(workers: int | None) -> int:
    """The number of processes.

    Raises:
        RunError: ``--workers`` is negative.
    """
    from mmbench.demos.workers import default_workers

    if workers is None:
        return default_workers()
    if workers < 0:
        raise RunError(f"--workers {workers}: at least 0")
    return workers


def runnable(tasks: Iterable[Task], skip: bool) -> tuple[Task, ...]:
    """The tasks that can run here; without ``skip`` all have to."""
    from mmbench.domains import unavailable

    left = []
    for task in tasks:
        if reason := unavailable(task):
            text = f"task {task.versioned_name!r}: {reason}"
            if not skip:
                raise TaskUnavailableError(f"{text}; or leave it out: --skip-missing")
            print(f"left out: {text}", file=sys.stderr)
        else:
            left.append(task)
    if not left:
        raise RunError("no task is left")
    return tuple(left)
