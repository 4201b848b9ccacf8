"""The ``mmbench`` command.

Every subcommand is a dataclass: its fields are the flags, their docstrings the help, and ``run``
the work. What a command needs beyond the catalogue it imports in ``run``, so that every other
command starts fast.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Protocol

import tyro
from rich import box
from rich.console import Console
from rich.table import Table

from mmbench.catalog import DOMAINS, SPLITS, Task, UnknownTaskError, tasks
from mmbench.commands.assets import Assets
from mmbench.commands.bench import Bench
from mmbench.commands.doctor import Doctor
from mmbench.runs import RunError, report_errors


class Command(Protocol):
    """A subcommand."""

    def run(self) -> None:
        """Does the work.

        Raises:
            RunError: The user has to change something.
        """


@dataclasses.dataclass(frozen=True)
class Tasks:
    """List the tasks of the benchmark: 200 to train on and 20 held out."""

    domain: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Only the tasks of this domain, such as dmcontrol or atari."""

    split: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Only the tasks to train on (train), those held out (test), or the 8 more (extra)."""

    json: bool = False
    """Print every field of every task, its instruction included, as JSON."""

    def run(self) -> None:
        """Prints the table or the JSON."""
        for flag, value, known in (
            ("--domain", self.domain, DOMAINS),
            ("--split", self.split, SPLITS),
        ):
            if value is not None and value not in known:
                raise RunError(f"unknown {flag} {value!r}: one of {', '.join(known)}")
        selected = tasks(split=self.split, domain=self.domain)
        if self.json:
            print(json.dumps([_fields(task) for task in selected], indent=2))
        else:
            _console().print(_table(selected))


COMMANDS: dict[str, Callable[..., Command]] = {
    "tasks": Tasks,
    "doctor": Doctor,
    "assets": Assets,
    "bench": Bench,
}
"""The subcommands. Further ones are a class here or in a module of their own."""


def main(args: Sequence[str] | None = None) -> None:
    """Runs the ``mmbench`` command; ends with exit code 2 where the user has to change something.

    Args:
        args: The arguments, by default those of the process.
    """
    with report_errors("mmbench", UnknownTaskError):
        command = tyro.extras.subcommand_cli_from_dict(
            COMMANDS,
            prog="mmbench",
            description="MMBench: 220 continuous-control tasks from ten domains.",
            args=args,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
        command.run()


def _fields(task: Task) -> dict[str, object]:
    fields = {"name": task.name, "id": task.id, **dataclasses.asdict(task)}
    fields["native_kwargs"] = dict(task.native_kwargs)
    return fields


def _table(selected: Sequence[Task]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        caption=f"{len(selected)} tasks; score: the returns that count as 0 and 1, or success",
    )
    table.add_column("task", no_wrap=True)
    for column in ("domain", "split"):
        table.add_column(column)
    for column in ("obs", "action", "steps", "repeat", "discount"):
        table.add_column(column, justify="right")
    table.add_column("score", no_wrap=True)
    for task in selected:
        table.add_row(
            task.versioned_name,
            task.domain,
            task.split,
            str(task.obs_dim),
            str(task.action_dim),
            str(task.max_episode_steps),
            str(task.action_repeat),
            f"{task.discount:g}",
            _score(task),
        )
    return table


def _score(task: Task) -> str:
    if task.score_metric == "success":
        return "success"
    return f"{task.score_low:g} to {task.score_high:g}"


def _console() -> Console:
    # Rich assumes 80 columns for a pipe and would cut what does not fit.
    return Console() if sys.stdout.isatty() else Console(width=200)
