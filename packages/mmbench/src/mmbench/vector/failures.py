"""What can go wrong with worker processes."""

from __future__ import annotations

import signal


class WorkerLost(Exception):
    """A worker process is gone or does not answer; ``reason`` completes "its worker process"."""

    def __init__(self, worker: int, reason: str) -> None:
        super().__init__(f"worker process {worker} {reason}")
        self.worker = worker
        self.reason = reason


def exit_reason(code: int | None) -> str:
    """Says how a process ended, such as ``was killed by SIGKILL``."""
    if code is None:
        return "does not answer"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed by {name}"
