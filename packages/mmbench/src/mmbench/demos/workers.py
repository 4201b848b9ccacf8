"""Jobs, each an episode to be played, and who does them.

A :class:`Pool` holds workers: processes of this machine (:mod:`mmbench.demos.local_pool`) or of a
Ray cluster (:mod:`mmbench.demos.ray_pool`). :func:`run_jobs` gives them jobs, and does again what a
worker took with it when it died. What comes of a job is the same in every pool.
"""

from __future__ import annotations

import abc
import math
import os
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from mmbench.catalog import Task
from mmbench.env import TaskEnv
from mmbench.vector.pool import available_cores
from mmbench.vector.worker import FAILURES

Engine = Literal["local", "ray"]
"""Where processes run: on this machine, or on a Ray cluster."""

TRIES = 3
"""How often a job is begun whose process dies: it may be the machine's fault, or the job's."""


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
        died: Its process, or the machine that the process was on, is gone.
    """

    job: Job
    value: Any
    error: str = ""
    late: bool = False
    died: bool = False


class Worker(abc.ABC):
    """A process that does one job at a time.

    Attributes:
        job: What it is doing, or None.
        loaded: The task of its last job.
        began: When it began with its job, by ``time.monotonic``.
    """

    job: Job | None = None
    loaded: Task | None = None
    began: float = 0.0

    def begin(self, job: Job) -> None:
        """Begins with a job."""
        self.job, self.loaded, self.began = job, job.task, time.monotonic()
        self._send(job)

    def end(self) -> Done:
        """Returns what came of its job, and waits for that if it has to."""
        job, self.job = self.job, None
        assert job is not None
        return self._receive(job)

    def end_late(self, seconds: float) -> Done:
        """Ends the process with its job."""
        job, self.job = self.job, None
        assert job is not None
        self.close()
        return Done(job, None, f"it did not end within {seconds:g} s", late=True)

    @abc.abstractmethod
    def _send(self, job: Job) -> None: ...

    @abc.abstractmethod
    def _receive(self, job: Job) -> Done: ...

    @abc.abstractmethod
    def close(self) -> None:
        """Ends the process."""


class Pool(abc.ABC):
    """The workers that share some jobs."""

    @abc.abstractmethod
    def workers(self) -> Sequence[Worker]:
        """Returns those that can be given a job, and those that have one.

        Waits until there is one.
        """

    @abc.abstractmethod
    def wait(self, seconds: float) -> Sequence[Worker]:
        """Waits until something happens.

        Args:
            seconds: To wait at most; may be infinite.

        Returns:
            Workers with a job, whose :meth:`Worker.end` does not have to wait.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Ends all workers."""


def default_workers() -> int:
    """One for each core that this process may use."""
    return available_cores()


def run_jobs(
    next_job: Callable[[Task | None], Job | None],
    workers: int | None,
    seconds: float = math.inf,
    engine: Engine = "local",
) -> Iterator[Done]:
    """Does jobs until there are none, and yields what comes of them, in any order.

    A job that raises yields an error, and so does one whose process dies :data:`TRIES` times.
    Others are not affected.

    Args:
        next_job: Called for an idle worker with the task that it has loaded; returns its next job,
            or None while there is none. Called again after each result.
        workers: Processes; None is one a core. 0 does everything in the calling process.
        seconds: A process whose job takes longer is ended. Nobody can end the calling one.
        engine: Where the processes run.

    Raises:
        RunError: Ray is not installed, or its cluster cannot be reached.
    """
    if workers == 0:
        yield from _run_here(next_job)
        return
    pool = _pool(engine, workers)
    try:
        yield from _run(next_job, pool, seconds)
    finally:
        pool.close()


def _pool(engine: Engine, workers: int | None) -> Pool:
    if engine == "ray":
        from mmbench.demos.ray_pool import RayPool

        return RayPool(workers)
    from mmbench.demos.local_pool import LocalPool

    return LocalPool(default_workers() if workers is None else workers)


def _run(
    next_job: Callable[[Task | None], Job | None], pool: Pool, seconds: float
) -> Iterator[Done]:
    first = next_job(None)
    if first is None:
        return  # before the pool starts anything
    waiting = [first]
    begun: Counter[tuple[Task, int]] = Counter()
    while True:
        for worker in pool.workers():
            if worker.job is None:
                job = waiting.pop(0) if waiting else next_job(worker.loaded)
                if job is not None:
                    begun[job.task, job.number] += 1
                    worker.begin(job)
        busy = [worker for worker in pool.workers() if worker.job is not None]
        if not busy:
            return
        left = min(worker.began for worker in busy) + seconds - time.monotonic()
        for worker in pool.wait(max(0.0, left)):
            done = worker.end()
            if done.died and begun[done.job.task, done.job.number] < TRIES:
                waiting.append(done.job)
            else:
                yield done
        for worker in busy:
            if worker.job is not None and time.monotonic() - worker.began > seconds:
                yield worker.end_late(seconds)


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
            yield do(job)
    finally:
        release()


def do(job: Job) -> Done:
    """Does a job in this process."""
    try:
        return Done(job, job.work(job))
    except FAILURES as error:
        release()  # an environment that failed is in no known state
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f" ({os.path.basename(where.filename)}, line {where.lineno})"
        return Done(job, None, f"{type(error).__name__}: {error}{place}")
