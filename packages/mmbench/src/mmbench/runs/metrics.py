"""Episodes as rows of a CSV file."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

from mmbench.runs.files import write_atomically

METRIC_FIELDS = ("step", "phase", "task", "score", "success", "return", "length", "seconds")
"""``step``: agent steps summed over all environments when the episode ended. ``phase``:
``train``, ``eval`` or ``random`` (the random policy). ``seconds`` since the run's start: the one
column that two equal runs do not share."""


class MetricsFile:
    """Appends rows to ``metrics.csv``; a row reaches the disk whole.

    Args:
        path: The file; created with its header if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            write_atomically(path, ",".join(METRIC_FIELDS) + "\n")

    def append(self, rows: list[dict[str, Any]]) -> None:
        """Adds rows; each has all of :data:`METRIC_FIELDS`."""
        if not rows:
            return
        buffer = io.StringIO()
        csv.DictWriter(buffer, METRIC_FIELDS, lineterminator="\n").writerows(rows)
        # One write call, so that a kill in between loses rows but never splits one.
        with self._path.open("ab", buffering=0) as file:
            file.write(buffer.getvalue().encode())

    def rows(self) -> list[dict[str, str]]:
        """Reads all rows."""
        with self._path.open(newline="") as file:
            return list(csv.DictReader(file))

    def flush(self) -> None:
        """Waits until the rows are on the disk."""
        with self._path.open("ab") as file:
            os.fsync(file.fileno())

    @property
    def size(self) -> int:
        """Length of the file in bytes; what :meth:`truncate` takes."""
        return self._path.stat().st_size

    def truncate(self, size: int) -> None:
        """Cuts the file back to ``size`` bytes: the rows that a checkpoint knew of."""
        os.truncate(self._path, size)
