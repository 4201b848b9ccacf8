"""Runs at once, until all are done; what is complete is never done again."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from mmbench.evaluation.protocol import Protocol
from mmbench.evaluation.report.results import Result, to_csv
from mmbench.lite.jobs import Job, read_run
from mmbench.runs import RunError, explain, write_atomically
from mmbench.runs.folder import EVAL
from mmbench.runs.lock import FolderLock
from mmbench.shell import plural

TABLE = "runs.csv"
_POLL_SECONDS = 0.2
_FIRST_SECONDS = 30.0
_TELL_SECONDS = 300.0
"""Until the first line that says how far the runs are, and between two."""
_BUSY_SECONDS = 120.0
"""How long a run of an earlier call may take to save and to end."""
_LAST_LINES = 5


class Runner:
    """Does runs.

    Args:
        jobs: The runs, in their order.
        protocol: What they follow.
        out: The folder around theirs. It holds ``runs.csv``, a row a finished run, and ``logs/``.
        workers: Runs at a time, each on one core.
        say: Prints a line.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        protocol: Protocol,
        out: Path,
        workers: int,
        say: Callable[[str], None] = print,
    ) -> None:
        self._jobs = list(jobs)
        self._protocol = protocol
        self._out = out
        self._workers = workers
        self._say = say
        self._running: dict[Job, subprocess.Popen[bytes]] = {}
        self._results: dict[Job, Result] = {}
        self._others: list[Result] = []

    def run(self) -> list[Job]:
        """Runs what is not complete yet. Stopped at any moment, the next call goes on.

        Returns:
            The runs that failed.

        Raises:
            RunError: Another process works in the folder, or no folder can be made there.
        """
        try:
            (self._out / "logs").mkdir(parents=True, exist_ok=True)
            lock = FolderLock(self._out)
        except OSError as error:
            raise RunError(
                f"--out {self._out}: no folder can be made there ({error.strerror}); choose another"
            ) from error
        try:
            with _interrupting():
                return self._run()
        except KeyboardInterrupt:
            self._say("stopping: the runs save what they have; the same command goes on")
            raise
        finally:
            self._stop()
            lock.close()

    def _run(self) -> list[Job]:
        waiting = [job for job in self._jobs if not job.done]
        self._results = {job: job.result() for job in self._jobs if job not in waiting}
        if self._results:
            self._say(f"{len(self._results)} of {len(self._jobs)} runs are done already")
        for job, result in self._results.items():
            if result.protocol is not None and not result.protocol.kept:
                self._say(f"{job.name} is {result.protocol}")
        self._others = list(self._finished_before())
        self._write_table()
        failed: list[Job] = []
        if waiting:
            at_once = min(self._workers, len(waiting))
            self._say(
                f"{plural(len(waiting), 'run')} to do, {at_once} at a time; stop with Ctrl-C, and "
                f"the same command goes on. What they print: {self._out / 'logs'}"
            )
        tell = time.monotonic() + _FIRST_SECONDS
        while waiting or self._running:
            while waiting and len(self._running) < self._workers:
                job = waiting.pop(0)
                try:
                    self._start(job)
                except (RunError, OSError) as error:
                    failed.append(job)
                    reason = explain(error) if isinstance(error, OSError) else None
                    self._say(f"{job.name} failed: {reason or error}")
            time.sleep(_POLL_SECONDS)
            for job, process in list(self._running.items()):
                if process.poll() is None:
                    continue
                del self._running[job]
                problem = self._take_in(job, process.returncode)
                if problem:
                    failed.append(job)
                    self._say(f"{job.name} failed ({problem}):")
                    self._say(_last_lines(self._log(job)))
                else:
                    self._write_table()
                    self._say(f"{job.name} is done: {self._score(job)}; {self._left(waiting)}")
            if self._running and time.monotonic() > tell:
                tell = time.monotonic() + _TELL_SECONDS
                self._say(self._left(waiting))
        return failed

    def _start(self, job: Job) -> None:
        """Starts a run, once what an earlier call left at work in its folder has ended."""
        deadline = time.monotonic() + _BUSY_SECONDS
        while job.busy:
            if time.monotonic() > deadline:
                raise RunError(f"{job.folder} is in use by another process: stop it first")
            time.sleep(_POLL_SECONDS)
        job.prepare()
        words = job.words()
        self._say(f"{job.name} {'goes on' if job.begun else 'begins'}")
        with self._log(job).open("ab") as log:
            log.write(f"$ {' '.join(words)}\n".encode(errors="backslashreplace"))
            log.flush()
            self._running[job] = _spawn(words, log)

    def _take_in(self, job: Job, code: int) -> str:
        """Reads what a run that has ended scored; returns why it cannot be, or nothing."""
        if code != 0:
            return f"exit code {code}"
        try:
            if not job.done:
                return "it ended before it was done"
            self._results[job] = job.result()
        except RunError as error:
            return str(error)
        return ""

    def _stop(self) -> None:
        """Asks the runs to save and to end, and waits for them."""
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        for process in self._running.values():
            process.wait()

    def _log(self, job: Job) -> Path:
        return self._out / "logs" / f"{job.name}.txt"

    def _score(self, job: Job) -> str:
        result = self._results[job]
        scores = [row.score for row in result.tasks.values()]
        other = f", {result.protocol}" if result.protocol and not result.protocol.kept else ""
        return (
            f"score {sum(scores) / len(scores):.3f} on {len(scores)} of {result.asked} tasks in "
            f"{result.seconds / 60:.1f} minutes{other}"
        )

    def _left(self, waiting: Sequence[Job]) -> str:
        """Says what is on, and how long the rest will take."""
        seconds = sum(self._expected(job) for job in waiting)
        running = []
        for job in self._running:
            step, spent = job.progress
            seconds += max(0.0, self._expected(job) - spent)
            running.append(f"{job.name} at {step:,}")
        done = len(self._results)
        minutes = round(seconds / 60 / self._workers)
        hours = f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
        on = f" ({', '.join(running)})" if running else ""
        return f"{done} of {len(self._jobs)} runs done{on}, about {hours} left"

    def _expected(self, job: Job) -> float:
        """Seconds that a run takes: as its method's other runs, or as long as it may."""
        own = [result.seconds for other, result in self._results.items() if other.row == job.row]
        return sum(own) / len(own) if own else 60 * self._protocol.minutes

    def _finished_before(self) -> Iterator[Result]:
        """The folder's finished runs that this call was not asked for; they stay in the table."""
        own = {job.folder for job in self._jobs}
        for evaluation in sorted(self._out.glob(f"*/{EVAL}")):
            if evaluation.parent not in own:
                with contextlib.suppress(RunError):  # no run, or one that is not finished
                    yield read_run(evaluation.parent)

    def _write_table(self) -> None:
        """Writes ``runs.csv`` anew."""
        done = [self._results[job] for job in self._jobs if job in self._results]
        results = [*done, *self._others]
        packages = sorted({name for result in results for name in result.versions})
        header = [
            *("method", "seed", "protocol", "score", "tasks", "missing", "steps", "minutes"),
            *("commit", *packages),
        ]
        rows = [_row(result, packages) for result in results]
        write_atomically(self._out / TABLE, to_csv(header, rows))


def _row(result: Result, packages: Sequence[str]) -> list[Any]:
    scores = [row.score for row in result.tasks.values()]
    return [
        *(result.method, result.seed, str(result.protocol), round(sum(scores) / len(scores), 6)),
        *(len(result.tasks), len(result.missing), result.steps, round(result.seconds / 60, 2)),
        *(result.commit or "", *(result.versions.get(name, "") for name in packages)),
    ]


def _spawn(words: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Starts a run on one core; it ends with this process, however that dies."""
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, **threads},
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,
    )


def _end_with_parent() -> None:
    """Asks Linux to send SIGTERM when the parent dies: the run then saves and ends."""
    set_death_signal = 1  # PR_SET_PDEATHSIG
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGTERM)


@contextlib.contextmanager
def _interrupting() -> Iterator[None]:
    """Turns SIGTERM into what Ctrl-C is."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _last_lines(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        return f"  no log ({error.strerror}): {path}"
    return "\n".join(f"  {line}" for line in [*lines[-_LAST_LINES:], f"all of it: {path}"])
