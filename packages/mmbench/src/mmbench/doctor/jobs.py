"""Running probes in processes of their own, a few at a time, each with a time limit."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

_LOG_LINES = 40
_REAP_SECONDS = 2.0  # a process that is stuck in a driver may not even die
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Job:
    """One probe to run.

    Attributes:
        name: For the progress display and as a key.
        arguments: Of :mod:`mmbench.doctor.probe`.
        seconds: How long it may take.
    """

    name: str
    arguments: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """How a probe ended.

    Attributes:
        said: What it reported before it ended, however it ended.
        failure: Why it did not finish, or empty.
        log: The last lines it printed, where it failed.
        seconds: How long it ran.
        slow: It ran out of time: it is slow, or hangs.
    """

    said: dict[str, Any]
    failure: str = ""
    log: str = ""
    seconds: float = 0.0
    slow: bool = False


class _Running:
    """A probe's process. What it prints goes to files: a pipe outlives a process that hangs."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._report: IO[bytes] = tempfile.TemporaryFile()
        self._log: IO[bytes] = tempfile.TemporaryFile()
        self._start = time.monotonic()
        # -P: a file of the current folder must not pass for a simulator.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mmbench.doctor.probe", *job.arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._report,
            stderr=self._log,
            start_new_session=True,
        )

    def outcome(self) -> Outcome | None:
        """Its outcome, or None while it runs within its limit."""
        code = self._process.poll()
        seconds = time.monotonic() - self._start
        if code is None and seconds < self.job.seconds:
            return None
        slow = code is None
        if code is None:
            failure = f"no answer within {self.job.seconds:.0f} s"
            self.stop()
        elif code < 0:
            failure = f"crashed with {_signal_name(-code)}"
        else:
            failure = f"ended with exit code {code}" if code else ""
        said: dict[str, Any] = {}
        for line in _text(self._report).splitlines():
            with contextlib.suppress(ValueError):  # cut off by a crash
                said |= json.loads(line)
        failure = said.get("error", failure)
        if failure and "doing" in said:
            failure += f" (while {said['doing']})"
        log = "\n".join(_text(self._log).splitlines()[-_LOG_LINES:]) if failure else ""
        return Outcome(said, failure, log, seconds, slow)

    def stop(self) -> None:
        """Ends it with what it started."""
        with contextlib.suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_SECONDS)


def run(jobs: Sequence[Job], workers: int = 2) -> Iterator[tuple[Job, Outcome]]:
    """Runs probes and yields each as it ends.

    Args:
        jobs: In the order to start them.
        workers: Processes at a time.

    Yields:
        Every job once with its outcome. Closing the generator ends what still runs.
    """
    waiting = list(jobs)
    running: list[_Running] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_Running(waiting.pop(0)))
            ended = [(one, outcome) for one in running if (outcome := one.outcome()) is not None]
            for one, outcome in ended:
                running.remove(one)
                yield one.job, outcome
            if not ended:
                time.sleep(_POLL_SECONDS)
    finally:
        for one in running:
            one.stop()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
