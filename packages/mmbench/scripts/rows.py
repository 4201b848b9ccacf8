"""A table with a row a task, written as its rows are measured."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

from mmbench.catalog import TASKS, Task, select
from mmbench.runs.files import write_atomically


def fill(
    table: Path,
    fields: Sequence[str],
    chosen: str | None,
    measure: Callable[[Task], dict[str, object] | None],
) -> None:
    """Measures the tasks that have no row yet; one that is interrupted goes on where it stopped.

    Args:
        table: The CSV file.
        fields: Its columns, of which ``task`` is one.
        chosen: Tasks as in ``--tasks``; None is all, corrected versions too.
        measure: Returns a task's row, or None to leave it out.
    """
    rows: dict[str, dict[str, object]] = {}
    if table.exists():
        with table.open() as file:
            rows = {row["task"]: dict(row) for row in csv.DictReader(file)}
    for task in TASKS if chosen is None else select(chosen):
        name = task.versioned_name
        row = None if name in rows else measure(task)
        if row is None:
            continue
        rows[name] = row
        text = io.StringIO()
        writer = csv.DictWriter(text, fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[t.versioned_name] for t in TASKS if t.versioned_name in rows)
        write_atomically(table, text.getvalue())
        print(*row.values(), flush=True)
