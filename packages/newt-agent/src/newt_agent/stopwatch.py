"""Where the time of a run goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """How long a process spent on what, by the wall clock."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._spent: dict[str, float] = {}

    @contextmanager
    def on(self, what: str) -> Iterator[None]:
        """Times a part of the work; the parts do not overlap."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._spent[what] = self._spent.get(what, 0.0) + time.perf_counter() - began

    @property
    def shares(self) -> dict[str, float]:
        """The part of all time that each took, in [0, 1], the largest first."""
        total = max(1e-9, time.perf_counter() - self._started)
        parts = sorted(self._spent.items(), key=lambda item: -item[1])
        return {what: seconds / total for what, seconds in parts}
