"""Processes that play episodes, each preferably of the task that it has loaded."""

from __future__ import annotations

import math
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, NamedTuple

from mmbench.catalog import Task, import_modules, imported
from mmbench.env import TaskEnv
from mmbench.vector.pool import ONE_THREAD, available_cores, exit_reason
from mmbench.vector.worker import FAILURES, end_with

_BODY = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = sys.argv[3:]; "
    "from mmbench.demos.workers import main; main(*map(int, sys.argv[1:3]))"
)


class Job(NamedTuple):
    """One episode to be played.

    Attributes:
        task: Its task.
        number: Which of the task's.
        work: What to do: a function of a module, called with the job.
        arguments: What else it needs.
    """

    task: Task
    number: int
    work: Callable[[Job], Any]
    arguments: tuple = ()


class Done(NamedTuple):
    """A job and what came of it: a value, or the reason why there is none.

    Attributes:
        job: The job.
        value: What it returned.
        error: Why there is no value, or empty.
        late: It did not end within its time, and was ended.
    """

    job: Job
    value: Any
    error: str = ""
    late: bool = False


def default_workers() -> int:
    """One for each core that this process may use."""
    return available_cores()


def run_jobs(
    next_job: Callable[[Task | None], Job | None], workers: int, seconds: float = math.inf
) -> Iterator[Done]:
    """Does jobs until there are none, and yields what comes of them, in any order.

    A job that raises, or kills its process, yields an error; others are not affected.

    Args:
        next_job: Called for an idle worker with the task that it has loaded; returns its next job,
            or None while there is none. Called again after each result.
        workers: Processes; 0 does everything in the calling process.
        seconds: A process whose job takes longer is ended. Nobody can end the calling one.
    """
    if workers == 0:
        yield from _run_here(next_job)
        return
    pool = [_Worker() for _ in range(workers)]
    try:
        while True:
            for worker in pool:
                if worker.job is None and (job := next_job(worker.loaded)) is not None:
                    worker.begin(job)
            busy: dict[Any, _Worker] = {w.link: w for w in pool if w.job is not None}
            if not busy:
                return
            left = min(worker.began for worker in busy.values()) + seconds - time.monotonic()
            for link in wait(list(busy), None if left == math.inf else max(0.0, left)):
                yield busy[link].end()
            for worker in busy.values():
                if worker.job is not None and time.monotonic() - worker.began > seconds:
                    yield worker.end_late(seconds)
    finally:
        for worker in pool:
            worker.close()


def environments(task: Task, count: int) -> list[TaskEnv]:
    """Returns environments of this process with the task's own sizes; closes those of others."""
    if _environments and _environments[0].task != task:
        release()
    while len(_environments) < count:
        _environments.append(TaskEnv(task, unify=False))
    return _environments[:count]


def release() -> None:
    """Closes the environments of this process."""
    while _environments:
        _environments.pop().close()


_environments: list[TaskEnv] = []


def _run_here(next_job: Callable[[Task | None], Job | None]) -> Iterator[Done]:
    loaded = None
    try:
        while (job := next_job(loaded)) is not None:
            loaded = job.task
            yield _do(job)
    finally:
        release()


def _do(job: Job) -> Done:
    try:
        return Done(job, job.work(job))
    except FAILURES as error:
        release()  # an environment that failed is in no known state
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f" ({os.path.basename(where.filename)}, line {where.lineno})"
        return Done(job, None, f"{type(error).__name__}: {error}{place}")


class _Worker:
    """A process that is started with its first job, and again if it dies."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self.loaded: Task | None = None
        self.link: Connection | None = None
        self.began = 0.0
        self._process: subprocess.Popen | None = None

    def begin(self, job: Job) -> None:
        if self.link is None:
            self._start()
        self.job, self.loaded, self.began = job, job.task, time.monotonic()
        assert self.link is not None
        try:
            self.link.send(job)
        except ConnectionError:
            pass  # it died while it was idle; `end` finds that out

    def end(self) -> Done:
        """The result of its job."""
        job, self.job = self.job, None
        assert job is not None and self.link is not None and self._process is not None
        try:
            return Done(job, *pickle.loads(self.link.recv_bytes()))
        except (EOFError, ConnectionError):
            reason = exit_reason(self._process.wait())
            self.close()
            return Done(job, None, f"its process {reason}")

    def end_late(self, seconds: float) -> Done:
        """Ends the process with its job."""
        job, self.job = self.job, None
        assert job is not None
        self.close()
        return Done(job, None, f"it did not end within {seconds:g} s", late=True)

    def close(self) -> None:
        if self._process is not None and self.link is not None:
            self.link.close()
            self._process.kill()
            self._process.wait()
        self.link = self._process = self.loaded = None

    def _start(self) -> None:
        # A new interpreter that does not run the caller's script again, unlike one that
        # `multiprocessing` spawns: demonstrations may be loaded by a script without a main.
        self.link, theirs = Pipe()
        with theirs:
            numbers = map(str, (theirs.fileno(), os.getpid()))
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _BODY, *numbers, *sys.path],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=2,  # what a simulator prints is no result
                env={**os.environ, **ONE_THREAD},
            )
        self.link.send(imported())


def main(link: int, parent: int) -> None:
    """The body of a worker process, which ends with its parent.

    Args:
        link: Descriptor of the connection.
        parent: Process id of the parent.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # sent to all; the parent decides
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    with Connection(link) as jobs:
        import_modules(jobs.recv())
        while True:
            try:
                job = jobs.recv()
            except EOFError:
                break
            done = _do(job)
            jobs.send_bytes(pickle.dumps((done.value, done.error)))
