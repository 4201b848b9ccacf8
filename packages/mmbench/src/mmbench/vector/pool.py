"""The worker processes of vector environments, as their parent sees them."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from mmbench.vector.arrays import SharedArrays, anonymous_file
from mmbench.vector.worker import CLOSE, OPEN, ORDER, REQUEST, EnvironmentSet, Modes

_POLL_MILLISECONDS = 200
"""How often to check that a worker that is waited for is still there."""

_GRACE = 2.0
"""Seconds that all workers together get to close their environments."""

_WAKE_UPS = 4096
"""Wake-ups read at once, at most."""

_BODY = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = sys.argv[5:]; "
    "from mmbench.vector.worker import main; main(*map(int, sys.argv[1:5]))"
)

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
"""Variables that numerical libraries read when they load: there is a process for every core."""


class WorkerLost(Exception):
    """A worker process is gone or does not answer; ``reason`` completes "its worker process"."""

    def __init__(self, worker: int, reason: str) -> None:
        super().__init__(f"worker process {worker} {reason}")
        self.worker = worker
        self.reason = reason


class Request:
    """A call of a method of :class:`EnvironmentSet`, and later its answer.

    Both are in a file of their own, so an answer cannot be taken for another request's.

    Raises:
        ValueError: The arguments cannot be pickled.
    """

    def __init__(self, *content: Any) -> None:
        try:
            data = pickle.dumps(content)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise ValueError(f"cannot be sent to a worker process: {error}") from error
        self._file = anonymous_file()
        self._file.write(data)
        self._file.seek(0)

    def fileno(self) -> int:
        """The file's descriptor."""
        return self._file.fileno()

    def answer(self) -> Any:
        """What the method returned, or how it failed."""
        self._file.seek(0)  # the worker moves the same position
        return pickle.load(self._file)


class WorkerProcess:
    """A worker process, and the socket to it.

    The worker reads orders from the socket and sends a wake-up after each. The shared arrays say
    how far it is, so an exception in the middle of anything here, such as Ctrl-C, loses nothing.
    Only errors of the system are caught here: a signal handler may raise anything else.

    Attributes:
        number: Number of this worker.
        reason: Why it is lost, such as ``was killed by SIGSEGV``; None while it is not.

    Args:
        number: Number of this worker.
        core: The core on which it wakes up, or -1 for any.
    """

    request = Request

    def __init__(self, number: int, core: int) -> None:
        self.number = number
        self.reason: str | None = None
        self._link, theirs = socket.socketpair()
        self._link.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._link, select.POLLIN)
        with theirs:
            # A new interpreter, as `multiprocessing` spawns it, but this one does not run the
            # caller's script again, may start in a daemon process, and is not joined at exit.
            numbers = (theirs.fileno(), number, os.getpid(), core)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _BODY, *map(str, (*numbers, *sys.path))],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, **ONE_THREAD},
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def open(self, set_id: int, order_id: int, arrays: SharedArrays, modes: Modes) -> None:
        """Makes the worker begin a set of environments on some arrays."""
        sizes = self.request(len(arrays.actions), len(arrays.done), modes)
        self.order(set_id, order_id, OPEN, sizes, arrays.file)

    def order(self, set_id: int, order_id: int, command: int, *files: Any) -> None:
        """Sends an order; :meth:`wait` waits until it is carried out.

        Args:
            set_id: The set of environments.
            order_id: The order's number in this set.
            command: A subset to step, or ``REQUEST`` with a :class:`Request`, ``OPEN``, ``CLOSE``.
            *files: What goes with it.

        Raises:
            WorkerLost: The process ended.
        """
        if self.reason is not None:
            raise WorkerLost(self.number, self.reason)
        order = ORDER.pack(set_id, order_id, command)
        try:
            if files:
                socket.send_fds(self._link, [order], [file.fileno() for file in files])
            else:
                self._link.send(order)
        except ConnectionError as error:
            raise self.lose() from error
        except BlockingIOError as error:
            raise self.lose("does not read its orders") from error

    def wait(
        self,
        done: memoryview,
        order_id: int,
        limit: float,
        progress: Callable[[], bool] = lambda: False,
    ) -> None:
        """Waits until an order is carried out.

        Args:
            done: By worker, the number of the last order done.
            order_id: The order's number.
            limit: Seconds after which the worker counts as hanging.
            progress: Called now and then; when it returns True, the seconds start again.

        Raises:
            WorkerLost: The process ended or hangs.
        """
        left, before = limit, time.monotonic()
        while done[self.number] < order_id:
            if self.reason is not None:
                raise WorkerLost(self.number, self.reason)
            if left < 0:
                raise self.lose(f"did not finish within {limit:g} s")
            if self._poll.poll(_POLL_MILLISECONDS):
                gone = self._is_closed()
            else:
                gone = self._process.poll() is not None
                if progress():
                    left = limit
            now = time.monotonic()
            # Where more has passed, this process did not run: it was stopped (Ctrl-Z), and most
            # likely the worker was too.
            left -= min(now - before, 2e-3 * _POLL_MILLISECONDS)
            before = now
            if gone and done[self.number] < order_id:
                raise self.lose()

    def _is_closed(self) -> bool:
        """Reads the wake-ups, and tells whether the worker has closed its end."""
        try:
            return not self._link.recv(_WAKE_UPS)
        except BlockingIOError:
            return False
        except ConnectionError:
            return True

    def lose(self, reason: str | None = None) -> WorkerLost:
        """Kills a process that is of no more use; by default for the reason that ended it."""
        if self.reason is None:
            if reason is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(1e-3 * _POLL_MILLISECONDS)
                reason = exit_reason(self._process.returncode)
            self.reason = reason
            self.end()
        return WorkerLost(self.number, self.reason)

    def ask_to_end(self) -> None:
        """Asks the process to close everything and end, without waiting for it."""
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)

    def end(self, deadline: float = 0.0) -> None:
        """Joins the process until ``deadline`` (monotonic clock), then kills it."""
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(max(0.0, deadline - time.monotonic()))
        finally:
            self._process.kill()
            self._process.wait()
            self._link.close()


class LocalRequest:
    """A :class:`Request` to the calling process itself."""

    def __init__(self, *content: Any) -> None:
        self.content = content
        self.result: Any = None

    def answer(self) -> Any:
        """What the method returned, or how it failed."""
        return self.result


class LocalWorker:
    """The calling process as a worker: everything happens at once."""

    number = 0
    reason: str | None = None
    request = LocalRequest

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._sets: dict[int, EnvironmentSet] = {}

    def open(self, set_id: int, order_id: int, arrays: SharedArrays, modes: Modes) -> None:
        """Begins a set of environments on some arrays."""
        self._sets[set_id] = EnvironmentSet(arrays, 0, modes)

    def order(self, set_id: int, order_id: int, command: int, *files: Any) -> None:
        """Carries out an order."""
        if command == REQUEST:
            files[0].result = self._sets[set_id].execute(*files[0].content)
        elif command == CLOSE:
            self._sets.pop(set_id).close()
        else:
            self._sets[set_id].step(command)

    def wait(self, *args: Any) -> None:
        """Nothing is left to wait for."""

    def ask_to_end(self) -> None:
        """Closes every environment."""
        while self._sets:
            self._sets.popitem()[1].close()

    def end(self, deadline: float = 0.0) -> None:
        """Nothing is left to end."""


Worker = WorkerProcess | LocalWorker


class WorkerPool:
    """Owns the worker processes, in which vector environments have sets of environments.

    Starts a process when it is first needed. The last set to leave ends them all.

    Attributes:
        size: Worker processes, at most; 0 where the calling process does the work.

    Args:
        size: Processes; 0 for the calling process alone.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._cores = _wake_up_cores(size)
        self._workers: dict[int, Worker] = {}
        self._numbers = itertools.count()
        self._sets: set[int] = set()
        self._process = os.getpid()

    @property
    def workers(self) -> list[Worker]:
        """The workers that have started."""
        return [worker for _, worker in sorted(self._workers.items())]

    @property
    def forked(self) -> bool:
        """Whether this is a copy in a forked child, which must leave the workers alone."""
        return os.getpid() != self._process

    def worker(self, number: int) -> Worker:
        """Returns a worker, a new one if it is missing or lost."""
        worker = self._workers.get(number)
        if worker is None or worker.reason is not None:
            if worker is not None:
                worker.end()
            worker = WorkerProcess(number, self._cores[number]) if self.size else LocalWorker()
            self._workers[number] = worker
        return worker

    def join(self) -> int:
        """Begins a new set of environments and returns its number."""
        set_id = next(self._numbers)
        self._sets.add(set_id)
        return set_id

    def leave(self, set_id: int) -> None:
        """Closes a set of environments without waiting; the last set ends the workers."""
        if self.forked or set_id not in self._sets:
            return
        self._sets.discard(set_id)
        if self._sets:
            for worker in self.workers:
                with contextlib.suppress(WorkerLost):
                    worker.order(set_id, 0, CLOSE)
            return
        deadline = time.monotonic() + _GRACE
        for worker in self.workers:
            worker.ask_to_end()
        try:
            for worker in self.workers:
                worker.end(deadline)
        finally:
            for worker in self.workers:
                worker.end()
            self._workers.clear()


def available_cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _wake_up_cores(num_workers: int) -> list[int]:
    """A core for each worker to wake up on; -1 (any) where there are cores to spare."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = sorted(affinity(0)) if affinity else []
    if not cores or num_workers < len(cores):
        return [-1] * num_workers
    return [cores[i % len(cores)] for i in range(num_workers)]


def exit_reason(code: int | None) -> str:
    """Says how a process ended, such as ``was killed by SIGSEGV``."""
    if code is None:
        return "does not answer"
    if code == -9:
        return "was killed by SIGKILL, as the system does where memory runs out"
    if code >= 0:
        return f"ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"
