"""Shows how far a download is."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from mmbench.runs.errors import EXIT_INTERRUPTED


@contextlib.contextmanager
def download_bars(url: str, name: str) -> Iterator[Callable[[str, int, int | None], None]]:
    """Shows a bar for each stage of a download, on standard error, where that is a terminal.

    Ctrl-C ends the program with a line that says how to go on.

    Args:
        url: What is downloaded, for those who see no bars.
        name: For the bars.

    Yields:
        What to call with a stage, the bytes done and, if known, their total.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)  # so that a pipe of stdout holds the results only
    if not console.is_terminal:
        print(f"downloading {url}", file=sys.stderr)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        shown: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int | None) -> None:
            if stage not in shown:
                shown[stage] = bars.add_task(f"{name}: {stage}", total=total)
            bars.update(shown[stage], completed=done, total=total)

        try:
            yield show
        except KeyboardInterrupt:
            bars.stop()
            print("interrupted: the same command goes on with what has arrived", file=sys.stderr)
            raise SystemExit(EXIT_INTERRUPTED) from None
