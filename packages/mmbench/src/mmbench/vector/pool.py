"""The worker processes of vector environments, as their parent sees them."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import multiprocessing
import os
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import reduction
from typing import Any

import numpy as np

from mmbench.vector.arrays import SharedArrays
from mmbench.vector.failures import WorkerLost, exit_reason
from mmbench.vector.worker import REQUEST, RING, WHOLE, EnvironmentSet, run_worker

_POLL = 0.2
"""Seconds between two looks at whether a worker that is waited for is still there."""

_NAME = "mmbench-worker-"

_GRACE = 2.0
"""Seconds that all workers together get to close their environments."""

Job = tuple[str, tuple[Any, ...]]
"""A method of :class:`EnvironmentSet` and its arguments."""


class RemoteError(Exception):
    """A worker's request raised.

    Attributes:
        kind: Name of the exception's class.
        message: What it says.
        trace: Its traceback.
    """

    def __init__(self, kind: str, message: str, trace: str) -> None:
        super().__init__(f"{kind}: {message}\n{trace}")
        self.kind, self.message, self.trace = kind, message, trace


class WorkerProcess:
    """A worker process and the means to reach it.

    Args:
        number: Number of this worker.
        home: The core on which it wakes up, or None for any.
    """

    def __init__(self, number: int, home: int | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self.number = number
        self._pipe, theirs = context.Pipe()
        self._go = context.Semaphore(0)
        self._done = [context.Semaphore(0) for _ in range(WHOLE)]
        orders = context.RawArray("q", 2 * RING)
        self._ring = np.frombuffer(orders, np.int64).reshape(RING, 2)
        self._turns = itertools.cycle(range(RING))
        self._asked_at = 0.0
        self._process = context.Process(
            target=run_worker,
            args=(number, theirs, self._go, self._done, orders, home),
            name=f"{_NAME}{number}",
            daemon=True,
        )
        with _clean_start():
            self._process.start()
        theirs.close()

    @property
    def pid(self) -> int | None:
        """Process id."""
        return self._process.pid

    def open(
        self, which: int, arrays: SharedArrays, num_workers: int, obs: str, render_mode: str | None
    ) -> None:
        """Has the worker begin a set of environments on some arrays."""
        self.ask(which, "open", arrays.actions.shape[0], obs, num_workers, render_mode)
        with self._reporting_loss():
            reduction.send_handle(self._pipe, arrays.file, self.pid)

    def step(self, which: int, part: int) -> None:
        """Orders a step; :meth:`wait` waits for it."""
        self._ring[next(self._turns)] = which, part
        self._go.release()

    def wait(self, part: int, limit: float) -> None:
        """Waits for a step.

        Raises:
            WorkerLost: The process ended, or ``limit`` seconds have passed.
        """
        done = self._done[part % WHOLE]
        deadline = time.monotonic() + limit
        while not done.acquire(timeout=_POLL):
            if not self._process.is_alive() and not done.acquire(block=False):
                raise self._lost()
            if time.monotonic() > deadline:
                raise WorkerLost(self.number, f"did not finish within {limit:g} s")

    def ask(self, which: int, method: str, *args: Any) -> None:
        """Sends a request; :meth:`answer` reads its answer."""
        with self._reporting_loss():
            self._pipe.send((method, args))
        self._asked_at = time.monotonic()
        self.step(which, REQUEST)

    def answer(self, limit: float, wait: bool = True) -> tuple[bool, Any]:
        """Reads the answer to the last request.

        Args:
            limit: Seconds since the request after which the worker counts as lost.
            wait: Wait for it. Otherwise look, for a moment, whether it is there.

        Returns:
            Whether there is one, and the answer.

        Raises:
            RemoteError: The request raised.
            WorkerLost: The process ended, or the time is over.
        """
        with self._reporting_loss():
            while not self._pipe.poll(_POLL if wait else 0.01):
                if not self._process.is_alive() and not self._pipe.poll(0):
                    raise self._lost()
                if time.monotonic() > self._asked_at + limit:
                    raise WorkerLost(self.number, f"did not answer within {limit:g} s")
                if not wait:
                    return False, None
            good, value = self._pipe.recv()
        if not good:
            raise RemoteError(*value)
        return True, value

    def ask_to_exit(self) -> None:
        """Has the process close everything and end, without waiting for it."""
        with contextlib.suppress(WorkerLost):
            self.ask(0, "exit")

    def end(self, deadline: float) -> None:
        """Waits for the end until a moment of the monotonic clock, and then makes an end."""
        self._process.join(max(0.0, deadline - time.monotonic()))
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self._pipe.close()

    def _lost(self) -> WorkerLost:
        self._process.join(_POLL)
        return WorkerLost(self.number, exit_reason(self._process.exitcode))

    @contextlib.contextmanager
    def _reporting_loss(self) -> Iterator[None]:
        try:
            yield
        except (OSError, EOFError) as error:
            raise self._lost() from error


class LocalWorker:
    """The calling process as a worker: everything happens at once."""

    number = 0
    pid = os.getpid()

    def __init__(self) -> None:
        self._sets: dict[int, EnvironmentSet] = {}
        self._result: Any = None
        self._error: Exception | None = None

    def open(
        self, which: int, arrays: SharedArrays, num_workers: int, obs: str, render_mode: str | None
    ) -> None:
        """Begins a set of environments on some arrays."""
        self._sets[which] = EnvironmentSet(arrays, 0, obs, render_mode)
        self._result = self._error = None

    def step(self, which: int, part: int) -> None:
        """Takes a step."""
        self._sets[which].step(part)

    def wait(self, part: int, limit: float) -> None:
        """Nothing is left to wait for."""

    def ask(self, which: int, method: str, *args: Any) -> None:
        """Carries out a request."""
        self._error = None
        try:
            self._result = getattr(self._sets[which], method)(*args)
        except Exception as error:
            self._error = error
        if method == "close":
            del self._sets[which]

    def answer(self, limit: float, wait: bool = True) -> tuple[bool, Any]:
        """Returns the last request's answer, or raises what it raised, as a RemoteError."""
        if self._error is not None:
            error = self._error
            trace = "".join(traceback.format_exception(error))
            raise RemoteError(type(error).__name__, str(error), trace) from error
        return True, self._result

    def ask_to_exit(self) -> None:
        """Closes every environment."""
        for environments in self._sets.values():
            environments.close()
        self._sets.clear()

    def end(self, deadline: float) -> None:
        """Nothing is left to end."""


Worker = WorkerProcess | LocalWorker


class WorkerPool:
    """The workers of one vector environment, or of several that share them.

    Attributes:
        workers: The workers.
        generation: How often each has been replaced.
        num_processes: Worker processes; 0 where the calling process does the work.

    Args:
        num_workers: Processes; 0 for the calling process alone.
    """

    def __init__(self, num_workers: int) -> None:
        self._homes = _homes(num_workers)
        self.workers: list[Worker] = [WorkerProcess(i, self._homes[i]) for i in range(num_workers)]
        self.num_processes = num_workers
        if num_workers == 0:
            self.workers = [LocalWorker()]
        self.generation = [0] * len(self.workers)
        self._users: set[int] = set()
        self._numbers = itertools.count()

    def join(self) -> int:
        """Counts one more user; returns its number."""
        number = next(self._numbers)
        self._users.add(number)
        return number

    @property
    def shared(self) -> bool:
        """Whether there is more than one user."""
        return len(self._users) > 1

    def leave(self, number: int) -> None:
        """Counts one user less; the last one closes the workers."""
        if number not in self._users:
            return
        self._users.discard(number)
        if self._users:
            return
        deadline = time.monotonic() + _GRACE
        for worker in self.workers:
            worker.ask_to_exit()
        for worker in self.workers:
            worker.end(deadline)

    def replace(self, number: int) -> Worker:
        """Kills a worker, whatever state it is in, and starts another in its place."""
        self.workers[number].end(0.0)
        self.workers[number] = WorkerProcess(number, self._homes[number])
        self.generation[number] += 1
        return self.workers[number]

    def run(
        self,
        which: int,
        jobs: Mapping[int, Sequence[Job]],
        limit: float,
        on_result: Callable[[int, int, Any], None] = lambda worker, job, result: None,
    ) -> None:
        """Carries out jobs: one after the other in each worker, the workers side by side.

        Args:
            which: The set of environments.
            jobs: By number of the worker.
            limit: Seconds that one job may take.
            on_result: Called with the worker, the job's position and its result, or with what
                it raised (:class:`RemoteError` or :class:`WorkerLost`; the worker's further
                jobs are then left out). What this raises ends the call once every running job
                has ended.
        """
        left = {number: iter(enumerate(own)) for number, own in jobs.items()}
        running: dict[int, int] = {}
        raised: BaseException | None = None

        def report(number: int, result: Any) -> None:
            nonlocal raised
            try:
                on_result(number, running.pop(number), result)
            except BaseException as error:
                raised = raised or error

        def go_on(number: int) -> None:
            position, job = next(left[number], (None, None))
            if position is None or job is None or raised:
                return
            running[number] = position
            try:
                self.workers[number].ask(which, job[0], *job[1])
            except WorkerLost as error:
                report(number, error)

        for number in jobs:
            go_on(number)
        while running:
            for number in list(running):
                try:
                    there, result = self.workers[number].answer(limit, wait=len(running) == 1)
                except (RemoteError, WorkerLost) as error:
                    report(number, error)
                    continue
                if there:
                    report(number, result)
                    go_on(number)
        if raised:
            raise raised


def available_cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _homes(num_workers: int) -> list[int | None]:
    """A core for each worker to wake up on, where there are no more cores than workers."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = sorted(affinity(0)) if affinity else []
    if not cores or num_workers < len(cores):
        return [None] * num_workers
    return [cores[i % len(cores)] for i in range(num_workers)]


@atexit.register
def _end_all() -> None:
    """Ends workers that nobody has closed.

    Runs before what `multiprocessing` does at exit, which is to ask them by SIGTERM, to which
    they do not listen, and to wait for them.
    """
    for process in multiprocessing.active_children():
        if process.name.startswith(_NAME):
            process.kill()


_STARTING = threading.Lock()

_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
"""Variables that numerical libraries read when they load: there is a process for every core."""


@contextlib.contextmanager
def _clean_start() -> Iterator[None]:
    """Starts processes with one thread each, and without running the caller's script again.

    A spawned process first imports the parent's main module, which a script without an
    ``if __name__ == "__main__"`` does not survive. Workers need nothing of it.
    """
    with _STARTING:
        main = sys.modules["__main__"]
        before = {name: os.environ.get(name) for name in _ONE_THREAD}
        sys.modules["__main__"] = types.ModuleType("__main__")
        os.environ.update(_ONE_THREAD)
        try:
            yield
        finally:
            sys.modules["__main__"] = main
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
