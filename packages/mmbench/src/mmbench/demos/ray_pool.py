"""Workers that are processes of a Ray cluster. Needs the extra ``ray``.

Machines may come and go while there are jobs: a new one's cores are used as soon as Ray offers
them, and what a lost one was doing is done again elsewhere.
"""

from __future__ import annotations

import importlib
import logging
import math
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from mmbench.catalog import import_modules, imported
from mmbench.demos.jobs import Done, Job, Pool, Worker, do
from mmbench.runs import RunError
from mmbench.runs.errors import one_line
from mmbench.shell import command
from mmbench.vector.pool import ONE_THREAD

_SETTINGS = {
    # Under `uv run`, Ray would build the environment anew for every worker, from a copy of the
    # current folder. The machines of a cluster have theirs.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Variables that Ray reads when it is imported; those that are set already stay."""

_LOOK_SECONDS = 2.0
"""How often the cluster is asked for new cores."""

_PATIENCE_SECONDS = 10.0
"""After which one is told that there is no core."""

_FAILED_STARTS = 3
"""So many in a row, without one that succeeds, are no accident."""


def require_ray() -> Any:
    """Imports Ray.

    Raises:
        RunError: The extra is not installed.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise RunError(
            f"--engine ray needs the extra `ray` ({error}): "
            + command("pip", "install", "mmbench[ray]")
        ) from error


class RayPool(Pool):
    """Processes of a Ray cluster, one a core.

    The cluster is the one that this process is connected to; else the one at ``RAY_ADDRESS``, or
    the one that runs on this machine; else one of this machine alone, which ends with the pool.

    Args:
        most: Processes at most; None is no limit.

    Raises:
        RunError: Ray is not installed, or there are no workers to be had.
    """

    def __init__(self, most: int | None) -> None:
        self._ray = require_ray()
        self._most = math.inf if most is None else most
        self._starting: list[_RayWorker] = []
        self._started: list[_RayWorker] = []
        self._failed_starts = 0
        self._connected = False
        self._actor = self._ray.remote(
            num_cpus=1, max_restarts=0, runtime_env={"env_vars": ONE_THREAD}
        )(_Actor)

    def workers(self) -> Sequence[Worker]:
        """Returns those that have started and are not lost; asks for more where there is room."""
        self._connect()
        self._started = [worker for worker in self._started if worker.alive]
        began, said = time.monotonic(), False
        self._grow()
        self._look()
        while not self._started:
            if not said and time.monotonic() - began > _PATIENCE_SECONDS:
                print("waiting for a core of the Ray cluster", file=sys.stderr)
                said = True
            self.wait(_LOOK_SECONDS)
            self._grow()
            self._look()
        return self._started

    def wait(self, seconds: float) -> Sequence[Worker]:
        """Waits for a result, a lost worker, or a new one; a little while at most."""
        busy = {worker.answer: worker for worker in self._started if worker.job is not None}
        answers = [*busy, *(worker.answer for worker in self._starting)]
        seconds = min(seconds, _LOOK_SECONDS)
        if not answers:
            time.sleep(seconds)  # no machine of the cluster has a core
            return []
        ready, _ = self._ray.wait(answers, timeout=seconds)
        return [busy[answer] for answer in ready if answer in busy]

    def close(self) -> None:
        """Ends all workers; and the cluster, if it was made for them."""
        for worker in (*self._starting, *self._started):
            worker.close()
        if self._connected:
            self._ray.shutdown()

    def _connect(self) -> None:
        if self._connected or self._ray.is_initialized():
            return
        try:
            self._ray.init(
                include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING
            )
        except Exception as error:  # Ray raises bare ones too
            address = os.environ.get("RAY_ADDRESS")
            raise RunError(
                f"no Ray cluster can be reached ({one_line(error)}): "
                + (f"RAY_ADDRESS is {address!r}" if address else "`ray status` may tell why")
            ) from error
        self._connected = True

    def _grow(self) -> None:
        """Asks for workers, as many as there are cores."""
        cores = int(self._ray.cluster_resources().get("CPU", 0))
        have = len(self._started) + len(self._starting)
        for _ in range(int(min(cores, self._most)) - have):
            self._starting.append(_RayWorker(self._ray, self._actor))

    def _look(self) -> None:
        """Takes over workers that have started."""
        answers = {worker.answer: worker for worker in self._starting}
        if not answers:
            return
        for answer in self._ray.wait(list(answers), num_returns=len(answers), timeout=0)[0]:
            worker = answers[answer]
            self._starting.remove(worker)
            try:
                self._ray.get(answer)
            except self._ray.exceptions.RayError as error:
                worker.close()
                self._failed_starts += 1
                if self._failed_starts >= _FAILED_STARTS:
                    raise RunError(
                        f"workers cannot start on the Ray cluster: {one_line(error)}"
                    ) from error
            else:
                self._failed_starts = 0
                self._started.append(worker)


class _RayWorker(Worker):
    """An actor.

    Attributes:
        answer: What it is to say next: that it has started, or what came of its job.
        alive: Whether it can be given a job.
    """

    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray = ray
        self._actor = actor.remote(sys.path, imported())
        self.answer = self._actor.start.remote()
        self.alive = True

    def _send(self, job: Job) -> None:
        self.answer = self._actor.work.remote(job)

    def _receive(self, job: Job) -> Done:
        try:
            return Done(job, *self._ray.get(self.answer))
        except self._ray.exceptions.RayError as error:
            self.close()
            reason = str(error).partition("\n")[0]
            return Done(job, None, f"its process on the Ray cluster is gone: {reason}", died=True)

    def close(self) -> None:
        if self.alive:
            self._ray.kill(self._actor)
        self.alive = False


class _Actor:
    """The process of a worker.

    Args:
        path: Where the caller finds its modules; what of it there is here is searched too.
        modules: That register tasks.
    """

    def __init__(self, path: Sequence[str], modules: Sequence[str]) -> None:
        sys.path += [place for place in path if place not in sys.path and os.path.exists(place)]
        import_modules(modules)

    def start(self) -> None:
        """Answers as soon as it has started."""

    def work(self, job: Job) -> tuple[Any, str]:
        """Does a job, and returns its value or the reason why there is none."""
        done = do(job)
        return done.value, done.error
