"""``mmbench demos``: demonstrations, collected, replayed, checked, listed and shown."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated

import tyro
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from mmbench.catalog import SELECTION, Task, TaskUnavailableError, import_modules, select
from mmbench.commands import TaskCommand
from mmbench.runs import RunError

Root = Annotated[
    str | None,
    tyro.conf.arg(metavar="DIR", help="The folder of demonstrations; by default your own."),
]
Workers = Annotated[
    int | None,
    tyro.conf.arg(help="Processes; by default one a core. 0: everything in this one."),
]


@dataclasses.dataclass(frozen=True)
class CollectDemos(TaskCommand):
    """Let experts play until every task has its demonstrations, and store them as tapes.

    A collection that was interrupted goes on where it stopped.
    """

    tasks: Annotated[
        str | None,
        tyro.conf.arg(metavar="TASKS", help=f"{SELECTION}. By default all that have an expert."),
    ] = None

    episodes: int = 10
    """Demonstrations of each task."""

    root: Root = None

    workers: Workers = None

    seed: int = 0
    """Of the collection: another one, other episodes."""

    attempts: int = 5
    """Episodes played for each one wanted, at most."""

    expert: Annotated[str | None, tyro.conf.arg(metavar="MODULE:CLASS")] = None
    """Who plays, in place of the task's own expert: a subclass of mmbench.demos.experts.Expert."""

    overwrite: bool = False
    """Begin anew where there are demonstrations already. They stay until the new ones are
    complete."""

    skip_missing: bool = False
    """Leave out tasks that cannot run here or have no expert."""

    def run(self) -> None:
        """Collects.

        Raises:
            RunError: A number is out of range, or a task has no expert.
            UnknownTaskError: ``tasks`` names none.
            TaskUnavailableError: A task cannot run here.
            SystemExit: Tasks are left without their demonstrations; they are printed.
        """
        from mmbench.demos.collect import Plan, collect

        for flag, value in (("--episodes", self.episodes), ("--attempts", self.attempts)):
            if value < 1:
                raise RunError(f"{flag} {value}: at least 1")
        if self.seed < 0:
            raise RunError(f"--seed {self.seed}: at least 0")
        experts = self._experts()
        root = _folder(self.root)
        plan = Plan(root, self.episodes, self.attempts, self.seed, self.overwrite)
        lacking = []
        with _progress() as bars:
            shown = bars.add_task("collecting", total=len(experts) * self.episodes)
            chosen: dict[Task, int] = {}

            def show(task: Task, good: int, played: int) -> None:
                chosen[task] = good
                bars.update(
                    shown,
                    completed=sum(chosen.values()),
                    description=f"{task.versioned_name}: {good} good of {played} played",
                )

            for outcome in collect(experts, plan, _count(self.workers), show):
                bars.console.print(f"{outcome.task}: {outcome.text}", soft_wrap=True)
                if not outcome.good:
                    lacking.append(outcome.task)
        if lacking:
            print(f"without demonstrations: {', '.join(lacking)}", file=sys.stderr)
            raise SystemExit(1)

    def _experts(self) -> dict[Task, str]:
        from mmbench.demos.experts import NoExpertError, find_expert, tasks_with_expert
        from mmbench.domains import unavailable

        experts, reasons = {}, []
        for task in select(self.tasks if self.tasks is not None else tasks_with_expert()):
            try:
                experts[task] = self.expert or find_expert(task.versioned_name)
            except NoExpertError as error:
                if not self.skip_missing:
                    raise
                reasons.append(str(error))
                continue
            if reason := unavailable(task):
                reasons.append(f"task {task.versioned_name!r}: {reason}")
                del experts[task]
                if not self.skip_missing:
                    raise TaskUnavailableError(f"{reasons[-1]}; or leave it out: --skip-missing")
        for reason in reasons:
            print(f"left out: {reason}", file=sys.stderr)
        if not experts:
            raise RunError("no task is left")
        return experts


@dataclasses.dataclass(frozen=True)
class ListDemos(TaskCommand):
    """List the demonstrations, with their scores and those of random actions."""

    root: Root = None

    json: bool = False
    """Print the same as JSON."""

    def run(self) -> None:
        """Prints the table or the JSON."""
        from mmbench.demos.listing import rows

        found = list(rows(_folder(self.root)))
        if self.json:
            print(json.dumps([dataclasses.asdict(row) for row in found], indent=2))
            return
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for column in ("task", "episodes", "score", "random", "kB", "replayed", "expert"):
            number = column in ("episodes", "score", "random", "kB")
            table.add_column(column, no_wrap=True, justify="right" if number else "left")
        for row in found:
            random = "" if row.random is None else f"{row.random:.3f}"
            size, replayed = f"{row.bytes / 1e3:.0f}", "yes" if row.replayed else ""
            cells = (row.task, str(row.episodes), f"{row.score:.3f}", random, size, replayed)
            table.add_row(*map(Text, (*cells, row.expert)))
        console = Console() if sys.stdout.isatty() else Console(width=160)
        console.print(table)
        for row in found:
            if row.problem:
                print(f"{row.task}: {row.problem}")
        good = [row for row in found if not row.problem]
        megabytes = sum(row.bytes for row in good) / 1e6
        count = sum(row.episodes for row in good)
        print(f"{len(good)} tasks with {count} episodes, {megabytes:.1f} MB")


@dataclasses.dataclass(frozen=True)
class Demos:
    """Demonstrations: collect, replay, verify, list them, or make a video of one."""

    command: tyro.conf.OmitSubcommandPrefixes[
        tyro.conf.OmitArgPrefixes[
            Annotated[CollectDemos, tyro.conf.subcommand("collect")]
            | Annotated[ListDemos, tyro.conf.subcommand("list")]
        ]
    ]

    def run(self) -> None:
        """Runs the subcommand."""
        import_modules(self.command.imports)
        self.command.run()


def _folder(root: str | None) -> Path | None:
    return None if root is None else Path(root).expanduser()


def _count(workers: int | None) -> int:
    from mmbench.demos.workers import default_workers

    if workers is None:
        return default_workers()
    if workers < 0:
        raise RunError(f"--workers {workers}: at least 0")
    return workers


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    console = Console(stderr=True)  # so that a pipe of stdout holds the results only
    return Progress(*columns, console=console, disable=not console.is_terminal)
