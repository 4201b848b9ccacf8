"""Episodes as rows of a CSV file."""

from __future__ import annotations

import csv
import errno
import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmbench.runs.errors import RunError
from mmbench.runs.files import flush, write_atomically

METRIC_FIELDS = ("step", "phase", "task", "score", "success", "return", "length", "seconds")
"""``step``: agent steps summed over all environments when the episode ended. ``phase``:
``train``, or the evaluation: ``random`` (the random policy), ``before``, ``eval``, ``after``.
``seconds`` since the run's start: the one column that two equal runs do not share."""

_NUMBERS = tuple(name for name in METRIC_FIELDS if name not in ("phase", "task"))
_HEADER = (",".join(METRIC_FIELDS) + "\n").encode()


class MetricsFile:
    """Appends rows to ``metrics.csv``; a row reaches the disk whole.

    Args:
        path: The file; :meth:`begin` makes it.
        guard: Called before each change; may raise, to stop it.
    """

    def __init__(self, path: Path, guard: Callable[[], None] = lambda: None) -> None:
        self._path = path
        self._guard = guard

    def begin(self) -> None:
        """Starts the file anew, without rows."""
        self._guard()
        write_atomically(self._path, _HEADER)

    def append(self, rows: list[dict[str, Any]]) -> None:
        """Adds rows; each has all of :data:`METRIC_FIELDS`.

        Raises:
            OSError: The disk is full; the file is as it was before.
        """
        if not rows:
            return
        self._guard()
        if not self._path.exists():
            warnings.warn(f"{self._path} is gone; a new one begins", RuntimeWarning, stacklevel=2)
            self.begin()
        buffer = io.StringIO()
        csv.DictWriter(buffer, METRIC_FIELDS, lineterminator="\n").writerows(rows)
        content = buffer.getvalue().encode()
        # One write call, so that a kill in between loses rows but never splits one.
        with self._path.open("ab", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if file.write(content) != len(content):
                file.truncate(size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))

    def rows(self) -> list[dict[str, str]]:
        """Reads all complete rows; none if there is no file."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return []
        return [row for _, row in _whole_rows(content)]

    def flush(self) -> None:
        """Waits until the rows are on the disk."""
        if self._path.exists():
            flush(self._path)

    @property
    def size(self) -> int:
        """Length of the file in bytes; what :meth:`restore` takes."""
        return self._path.stat().st_size if self._path.exists() else 0

    def restore(self, size: int, step: int) -> str:
        """Restores the rows that a checkpoint knew of, as far as they are there.

        Drops later rows. If the file is missing, shorter than it was, or damaged, its complete
        rows stay.

        Args:
            size: The file's length when the checkpoint was written.
            step: The checkpoint's.

        Returns:
            What is lost, as a sentence; empty where nothing is.

        Raises:
            RunError: Something else than a file has the name, or it cannot be read.
        """
        self._guard()
        try:
            content = self._path.read_bytes() if self._path.exists() else b""
        except OSError as error:
            raise RunError(f"{self._path} cannot be read: {error.strerror}") from error
        known = content[:size]
        whole = _whole_rows(known)
        kept = _HEADER + b"".join(line for line, _ in whole)
        if kept != known:
            write_atomically(self._path, kept)
        elif len(content) > size:
            os.truncate(self._path, size)
        if len(kept) == size:
            return ""
        state = "gone" if not content else "shorter than it was" if len(known) < size else "damaged"
        last = int(whole[-1][1]["step"]) if whole else 0
        return (
            f"{self._path} is {state}: {len(whole):,} whole rows are left, the last of step "
            f"{last:,}; the checkpoint is of step {step:,}. The other rows are lost"
        )


def _whole_rows(content: bytes) -> list[tuple[bytes, dict[str, str]]]:
    """The complete rows: each as a line, and as values by column."""
    lines = [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]
    lines = [line for line in lines if b"\0" not in line]
    return [(line, row) for line in lines if (row := _row(line)) is not None]


def _row(line: bytes) -> dict[str, str] | None:
    try:
        values = next(csv.reader([line.decode()]), [])
        row = dict(zip(METRIC_FIELDS, values, strict=True))
        int(row["step"])
        for name in _NUMBERS:
            float(row[name])
    except (ValueError, csv.Error):
        return None  # the header is none either
    return row
