"""Progress of work on many episodes, in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmbench.catalog import Task


def progress() -> Progress:
    """Returns progress bars on standard error, which show nothing where that is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    console = Console(stderr=True)  # so that a pipe of stdout holds the results only
    return Progress(
        *columns,
        console=console,
        disable=not console.is_terminal,
        redirect_stdout=sys.stdout.isatty(),
    )


def show_episodes(bars: Progress, doing: str, tasks: int) -> Callable[[Task, int, int], None]:
    """Shows how many episodes are played; the number of a task's is known once one is."""
    bar = bars.add_task(doing, total=None)
    done: dict[Task, int] = {}
    totals: dict[Task, int] = {}

    def show(task: Task, played: int, total: int) -> None:
        done[task], totals[task] = played, total
        expected = sum(totals.values()) * tasks // len(totals)
        text = f"{doing} {task.versioned_name}"
        bars.update(bar, completed=sum(done.values()), total=expected, description=text)

    return show
