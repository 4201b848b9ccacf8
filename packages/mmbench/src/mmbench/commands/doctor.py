"""``mmbench doctor``: what can run on this machine, what cannot, and how to get it."""

from __future__ import annotations

import dataclasses
import sys
from typing import Annotated

import tyro
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from mmbench.catalog import SELECTION, select
from mmbench.commands import TaskCommand
from mmbench.doctor import DomainReport, Package, Problem, Report, examine
from mmbench.runs import RunError, to_json

EXIT_INCOMPLETE = 1

_STYLES = {
    "works": "green",
    "untested": "yellow",
    "partial": "yellow",
    "missing": "yellow",
    "slow": "yellow",
    "fails": "red",
}
_SHOWN_TASKS = 3


@dataclasses.dataclass(frozen=True)
class Doctor(TaskCommand):
    """Tell what can run on this machine, what is missing, and how to get it.

    Steps one task of every domain and draws a frame with the renderers.

    Each has a process of its own: a crash or a hang is a line of the report.

    Exit code:
    0: all tasks asked for can run (renderers and untested versions do not count);
    1: some cannot, or gave no answer in time;
    2: a flag is wrong.
    """

    tasks: Annotated[
        str | None,
        tyro.conf.arg(
            metavar="TASKS",
            help=f"Tasks that have to run: {SELECTION}. By default every task there is, those "
            "from outside too.",
        ),
    ] = None

    json: bool = False
    """Print the report as JSON; its keys are those of `mmbench.doctor.Report`."""

    timeout: Annotated[float | None, tyro.conf.arg(metavar="SECONDS")] = None
    """Time for each simulator and driver. By default a minute, and three for ManiSkill."""

    def run(self) -> None:
        """Prints the report.

        Raises:
            UnknownTaskError: ``tasks`` names none.
            RunError: The time is no positive number.
            SystemExit: Some task cannot run here.
        """
        if self.timeout is not None and not self.timeout > 0:
            raise RunError(f"--timeout {self.timeout:g}: has to be above 0 seconds")
        tasks = None if self.tasks is None else select(self.tasks)
        errors = Console(stderr=True)  # a pipe of stdout holds the report only
        columns = (
            TextColumn("examining"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        shown = errors.is_terminal
        with Progress(*columns, console=errors, transient=True, disable=not shown) as bars:
            bar = bars.add_task("", total=None)

            def show(name: str, done: int, total: int) -> None:
                bars.update(bar, completed=done, total=total, description=f"{name} done")

            report = examine(tasks, self.timeout, show)
        if self.json:
            print(to_json(dataclasses.asdict(report)))
        else:
            _print(report, Console() if sys.stdout.isatty() else Console(width=160))
        if not report.ok:
            sys.stdout.flush()
            raise SystemExit(EXIT_INCOMPLETE)


def _print(report: Report, console: Console) -> None:
    console.print(_headline(report), highlight=False)
    console.print(_domains(report))
    if report.renderers:
        console.print(_renderers(report))
    console.print(_others(report))
    lines = list(_problems(report))
    if lines:
        console.print("\n[bold]What to do[/]")
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
    runnable = sum(domain.runnable for domain in report.domains)
    asked = sum(domain.tasks for domain in report.domains)
    console.print(f"\n{runnable} of {asked} tasks can run here.", highlight=False)


def _headline(report: Report) -> str:
    machine = report.machine
    memory = f"{machine.memory / 2**30:.1f} GiB of memory" if machine.memory else "memory unknown"
    torch = "no torch"
    if machine.torch:
        gpus = ", ".join(machine.gpus) or "no GPU"
        torch = f"torch {machine.torch}, {'see below' if machine.torch_problem else gpus}"
    tested = f" (tested: {machine.python_tested})" if machine.python_tested else ""
    return escape(
        f"mmbench {report.mmbench}, Python {machine.python}{tested}\n"
        f"{machine.cores} cores, {memory}, {torch}"
    )


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _styled(status: str) -> str:
    return f"[{_STYLES[status]}]{status}[/]"


def _versions(group: tuple[Package, ...]) -> tuple[str, str, str]:
    """Three cells, a line each package: its name, the installed version, the tested range."""
    return (
        "\n".join(each.name for each in group),
        "\n".join(
            f"[red]{each.installed}[/]" if each.in_range is False else each.installed or "-"
            for each in group
        ),
        "\n".join(each.tested or "" for each in group),
    )


def _domains(report: Report) -> Table:
    table = _table("domain", "package", "installed", "tested", "tasks", "")
    table.columns[4].justify = "right"
    for row in report.domains:
        tasks = f"{row.runnable} of {row.tasks}"
        table.add_row(row.domain, *_versions(row.packages), tasks, _styled(row.status))
    return table


def _renderers(report: Report) -> Table:
    table = _table("renderer", "draws", "device", "")
    for row in report.renderers:
        table.add_row(row.name, row.draws, escape(row.device or "-"), _styled(row.status))
    return table


def _others(report: Report) -> Table:
    table = _table("other package", "installed", "tested", "for")
    for row in report.others:
        table.add_row(*_versions((row,)), escape(f"mmbench[{row.extra}]") if row.extra else "all")
    return table


def _problems(report: Report) -> list[str]:
    lines = [
        _line(row.domain, _affected(row, each), each)
        for row in report.domains
        for each in row.problems
    ]
    lines += [_line(row.name, "frames", row.problem) for row in report.renderers if row.problem]
    if report.machine.torch_problem:
        lines.append(_line("torch", "", report.machine.torch_problem))
    return lines


def _affected(domain: DomainReport, problem: Problem) -> str:
    names = problem.tasks
    if not names or len(names) == domain.tasks:
        return ""
    shown = ", ".join(names[:_SHOWN_TASKS])
    count = "1 task" if len(names) == 1 else f"{len(names)} tasks"
    return f"{count} ({shown}{', ...' if len(names) > _SHOWN_TASKS else ''})"


def _line(name: str, affected: str, problem: Problem) -> str:
    line = f"[bold]{name}[/]"
    if affected:
        line += f", {escape(affected)}"
    line += f": {escape(problem.reason)}{' (--json has its log)' if problem.log else ''}"
    if problem.fix:
        line += f"\n  [bold]{escape(problem.fix)}[/]"
    return line
