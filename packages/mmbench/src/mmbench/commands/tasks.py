"""``mmbench tasks``: the tasks of the benchmark, as a list or one of them whole."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Annotated

import tyro
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mmbench.catalog import (
    MAX_ACTION_DIM,
    MAX_OBS_DIM,
    SELECTION,
    SPLITS,
    Task,
    domains,
    outside,
    select,
    tasks,
)
from mmbench.catalog.registry import find
from mmbench.commands import TaskCommand
from mmbench.domains import unavailable
from mmbench.runs import RunError, to_json
from mmbench.shell import command

_HELD_OUT = {"train": "", "test": ", held out", "extra": ", extra"}
_WIDE = 78
"""Columns from which on a row of the list holds everything."""


@dataclasses.dataclass(frozen=True)
class Tasks(TaskCommand):
    """List the tasks: 200 to train on, 20 held out, and those from outside. Or show one whole."""

    names: Annotated[
        tyro.conf.Positional[tuple[str, ...]],
        tyro.conf.arg(
            metavar="[NAME ...]",
            help=f"Only these: {SELECTION}. A single task is shown with its instruction and "
            "everything else.",
        ),
    ] = ()

    domain: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Only the tasks of this domain, such as dmcontrol or atari."""

    split: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Only the tasks to train on (train), those held out (test), or the 8 more (extra)."""

    json: bool = False
    """Print every field of every task, its instruction included, as JSON."""

    def run(self) -> None:
        """Prints the list, the one task, or the JSON.

        Raises:
            RunError: A domain or a split does not exist, or no task is left.
            UnknownTaskError: A name selects nothing.
        """
        selected = self._selected()
        if self.json:
            print(to_json([_fields(task) for task in selected]))
        elif self.names and len(selected) == 1:
            _show(selected[0], Console(highlight=False))
        else:
            _list(selected, Console(highlight=False))

    def _selected(self) -> tuple[Task, ...]:
        for flag, value, known in (
            ("--domain", self.domain, [domain.name for domain in domains()]),
            ("--split", self.split, SPLITS),
        ):
            if value is not None and value not in known:
                raise RunError(f"unknown {flag} {value!r}: one of {', '.join(known)}")
        everything = (*tasks(split=self.split), *outside())
        left = tuple(
            task
            for task in (select(self.names) if self.names else everything)
            if self.domain in (None, task.domain) and self.split in (None, task.split)
        )
        if not left:
            of = f" of {', '.join(self.names)}" if self.names else ""
            raise RunError(f"no task{of} has that domain and split")
        return left


def _fields(task: Task) -> dict[str, object]:
    fields = {"name": task.name, "id": task.id, **dataclasses.asdict(task)}
    fields["native_kwargs"] = dict(task.native_kwargs)
    return fields


def _list(selected: Sequence[Task], console: Console) -> None:
    name = max(len(task.versioned_name) for task in selected)
    wide = console.width >= _WIDE

    def row(task: str, obs: object, action: object, *others: object) -> str:
        if not wide:
            return f"{task:{name}} {f'{obs}/{action}':>5}"
        steps, repeat, discount, score = others
        return f"{task:{name}}  {obs:>3} {action:>6} {steps:>5} {repeat:>6} {discount:>8}  {score}"

    def line(text: str, style: str = "") -> None:
        console.print(Text(text, style), soft_wrap=True)

    line(row("task", "obs", "action" if wide else "a", "steps", "repeat", "discount", "score"))
    for (domain, split), group in itertools.groupby(selected, lambda t: (t.domain, t.split)):
        members = list(group)
        line("")
        line(f"{domain}{_HELD_OUT[split]}: {len(members)}", "bold")
        for task in members:
            line(
                row(
                    task.versioned_name,
                    task.obs_dim,
                    task.action_dim,
                    task.max_episode_steps,
                    task.action_repeat,
                    f"{task.discount:g}",
                    _score(task),
                )
            )
    columns = (
        "obs, action: entries. score: success, or the returns that count as 0 and 1."
        if wide
        else "obs/a: entries of observations and actions."
    )
    console.print(
        f"\n{_count(len(selected), 'task', 'tasks')}. {columns} "
        f"`{command('mmbench', 'tasks', 'NAME')}` shows one with its instruction."
    )


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _score(task: Task) -> str:
    if task.score_metric == "return":
        return f"{task.score_low:g} to {task.score_high:g}"
    return task.score_metric


def _show(task: Task, console: Console) -> None:
    console.print(Text(task.id if find(task.id) else task.versioned_name, "bold"))
    console.print(Padding(Text(task.instruction), (0, 0, 1, 2)))
    reason = unavailable(task)
    native = "" if task.action_repeat == 1 else f", each {task.action_repeat} native ones"
    most = "at most " if task.terminates else ""
    rows = {
        "domain": f"{task.domain}{_HELD_OUT[task.split]}",
        "observation": (
            f"{_count(task.obs_dim, 'entry', 'entries')}, padded to {MAX_OBS_DIM}"
            if task.obs_dim
            else "images"
        ),
        "action": (
            f"{_count(task.action_dim, 'entry', 'entries')} in [-1, 1], padded to {MAX_ACTION_DIM}"
        ),
        "episode": f"{most}{_count(task.max_episode_steps, 'step', 'steps')}{native}",
        "discount": f"{task.discount:g}",
        "score": {
            "success": "success of the last step",
            "return": f"0 to 1 for returns from {task.score_low:g} to {task.score_high:g}",
            "none": "none: the return tells",
        }[task.score_metric],
        "needs": "nothing more: it can run here" if reason is None else reason,
    }
    versions = tasks(split=task.split, domain=task.domain, version=None)
    for other in (each for each in versions if each.name == task.name):
        if other.version == 0 and task.version:
            rows["published"] = f"{other.id}, the version to compare with"
        elif other.version:
            rows[f"version {other.version}"] = f"{other.id}: {other.differs}"
    table = Table.grid(padding=(0, 2))
    for title, text in rows.items():
        table.add_row(Text(title), Text(text))
    console.print(Padding(table, (0, 0, 0, 2)))
