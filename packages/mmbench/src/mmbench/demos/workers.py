"""Doing jobs (:mod:`mmbench.demos.jobs`), in this process or by workers.

Workers are processes of this machine (:mod:`mmbench.demos.local_pool`) or of a Ray cluster
(:mod:`mmbench.demos.ray_pool`). They are given jobs, and what one took with it when it died is done
again. What comes of a job is the same everywhere.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Literal

from mmbench.catalog import Task
from mmbench.demos.jobs import Done, Job, Pool, do, release
from mmbench.demos.local_pool import LocalPool
from mmbench.demos.ray_pool import RayPool
from mmbench.vector.pool import available_cores

Engine = Literal["local", "ray"]
"""Where processes run: on this machine, or on a Ray cluster."""

TRIES = 3
"""How often a job is begun whose process dies: it may be the machine's fault, or the job's."""


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
        return RayPool(workers)
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


def _run_here(next_job: Callable[[Task | None], Job | None]) -> Iterator[Done]:
    loaded = None
    try:
        while (job := next_job(loaded)) is not None:
            loaded = job.task
            yield do(job)
    finally:
        release()
