"""The tables of a report, for every form that it has: Markdown, CSV, HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmbench.catalog import tasks as known_tasks
from mmbench.evaluation.report.comparison import Comparison, Statistic
from mmbench.evaluation.report.paper import PAPER, PAPER_TOTAL
from mmbench.evaluation.report.results import to_csv

Cell = str | int | float | Statistic | None
"""A number that is not known is None or NaN."""

_ESCAPES = str.maketrans({"<": "&lt;", ">": "&gt;", **{sign: f"\\{sign}" for sign in "\\|*`"}})


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: Of its CSV file.
        title: Above it.
        text: What its numbers are, as sentences.
        header: Names of the columns.
        rows: As many cells each.
        heat: Whether cells are coloured by their number.
    """

    name: str
    title: str
    text: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    heat: bool = False

    def markdown(self) -> str:
        """Formats it as Markdown."""
        lines = [f"## {self.title}", "", self.text, "", _line(self.header)]
        lines.append(_line(["---", *(["---:"] * (len(self.header) - 1))]))
        lines += [_line([shown(cell) for cell in row]) for row in self.rows]
        return "\n".join(lines) + "\n"

    def csv(self) -> str:
        """Formats it as CSV; a number with an interval takes three columns."""
        wide = [
            any(isinstance(row[at], Statistic) for row in self.rows)
            for at in range(len(self.header))
        ]
        header: list[str] = []
        for name, three in zip(self.header, wide, strict=True):
            header += [name, f"{name} low", f"{name} high"] if three else [name]
        rows = []
        for row in self.rows:
            flat: list[Any] = []
            for cell, three in zip(row, wide, strict=True):
                flat += _three(cell) if three else [cell]
            rows.append(flat)
        return to_csv(header, rows)


def shown(cell: Cell) -> str:
    """Formats a cell for people."""
    if isinstance(cell, Statistic):
        low, high = cell.interval
        interval = "" if math.isnan(low) else f" [{low:.3f}, {high:.3f}]"
        return shown(cell.value) + interval
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "–"
    if isinstance(cell, float):
        return f"{cell:.3f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def escaped(text: str) -> str:
    """Returns text that Markdown shows as it is, on one line."""
    return " ".join(text.split()).translate(_ESCAPES)


def tables(comparison: Comparison) -> list[Table]:
    """Returns the tables of a report, in its order."""
    several = len(comparison.entries) > 1
    return [
        total(comparison),
        *([_improvement(comparison)] if several else []),
        _domains(comparison),
        _tasks(comparison),
        _cost(comparison),
    ]


def total(comparison: Comparison) -> Table:
    """Returns the first table: what each method scored in all."""
    rows = [
        (
            entry.method,
            entry.mean,
            entry.iqm,
            f"{len(entry.tasks)} of {comparison.asked}",
            len(entry.runs),
            round(entry.steps),
            _minutes(entry.seconds),
            entry.protocol,
        )
        for entry in comparison.entries
    ]
    return Table(
        "total",
        "Total",
        "Mean and interquartile mean of the scores of all runs and tasks, with 95 % intervals "
        "(stratified bootstrap over runs). Steps of methods that learn without acting are updates.",
        ("method", "mean", "IQM", "tasks", "runs", "steps", "minutes a run", "protocol"),
        rows,
    )


def _improvement(comparison: Comparison) -> Table:
    entries = comparison.entries
    rows: list[Sequence[Cell]] = [
        (ours.method, *(None if o is ours else comparison.improvement(ours, o) for o in entries))
        for ours in entries
    ]
    return Table(
        "improvement",
        "Probability of improvement",
        "How likely a run of the row's method scores more than one of the column's, on a task "
        "drawn at random.",
        ("method", *(entry.method for entry in entries)),
        rows,
        heat=True,
    )


def _domains(comparison: Comparison) -> Table:
    entries, domains = comparison.entries, comparison.domains
    whole = {
        domain: {task.name for task in known_tasks(split="train", domain=domain)} == set(own)
        for domain, own in domains.items()
        if domain in PAPER
    }
    paper = any(whole.values())
    rows: list[Sequence[Cell]] = []
    for domain, own in domains.items():
        cells: list[Cell] = [domain, len(own), *(entry.mean_of(own) for entry in entries)]
        if paper:
            row = PAPER[domain] if whole.get(domain) else None
            cells += [row.newt, row.specialists] if row else [None, None]
        rows.append(cells)
    last: list[Cell] = ["total", len(comparison.tasks), *(entry.mean for entry in entries)]
    if paper:
        everything = len(whole) == len(PAPER) and all(whole.values())
        last += [PAPER_TOTAL.newt, PAPER_TOTAL.specialists] if everything else [None, None]
    text = "Mean over the domain's tasks and the runs."
    if paper:
        text += (
            " The paper's columns (its Table 9) are of 100M steps of all 200 tasks together: Newt, "
            "and as many single TD-MPC2 agents as tasks."
        )
    else:
        text += (
            " The paper's numbers are of all tasks of a domain, after 100M steps of all 200 (Newt "
            "0.44 in total): no domain here has all of its tasks, so none is comparable."
        )
    header = ["domain", "tasks", *(entry.method for entry in entries)]
    header += ["paper: Newt", "paper: TD-MPC2"] if paper else []
    return Table("domains", "Domains", text, header, [*rows, last])


def _tasks(comparison: Comparison) -> Table:
    entries = comparison.entries
    rows: list[Sequence[Cell]] = [
        (name, domain, *(entry.score(name) for entry in entries))
        for name, domain in comparison.tasks.items()
    ]
    return Table(
        "tasks",
        "Tasks",
        "Mean score over runs.",
        ("task", "domain", *(entry.method for entry in entries)),
        rows,
        heat=True,
    )


def _cost(comparison: Comparison) -> Table:
    rows = [
        (
            entry.method,
            run.seed,
            float(sum(run.tasks[name].score for name in entry.tasks) / len(entry.tasks)),
            run.steps,
            _minutes(run.seconds),
            (run.commit or "–")[:10],
            run.versions.get("mmbench", "–"),
            str(run.protocol or "none"),
            run.source,
        )
        for entry in comparison.entries
        for run in entry.runs
    ]
    header = (
        *("method", "seed", "mean", "steps", "minutes", "commit", "mmbench"),
        *("protocol", "read from"),
    )
    return Table("runs", "Runs and what they cost", "Minutes of the clock.", header, rows)


def _minutes(seconds: float) -> str | None:
    return None if math.isnan(seconds) else f"{seconds / 60:.1f}"


def _three(cell: Cell) -> list[Any]:
    if isinstance(cell, Statistic):
        return [cell.value, *cell.interval]
    return [cell, None, None]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(escaped, cells)) + " |"
