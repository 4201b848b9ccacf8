"""Workers that are processes of this machine."""

from __future__ import annotations

import math
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

from mmbench.catalog import import_modules, imported
from mmbench.demos.jobs import Done, Job, Pool, Worker, do
from mmbench.vector.pool import ONE_THREAD, exit_reason
from mmbench.vector.worker import end_with

_BODY = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = sys.argv[3:]; "
    "from mmbench.demos.local_pool import main; main(*map(int, sys.argv[1:3]))"
)


class LocalPool(Pool):
    """Some processes, each started with its first job.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self._workers = [_LocalWorker() for _ in range(count)]

    def workers(self) -> Sequence[Worker]:
        """Returns all."""
        return self._workers

    def wait(self, seconds: float) -> Sequence[Worker]:
        """Waits for a result, or the end of a process."""
        busy: dict[Any, Worker] = {w.link: w for w in self._workers if w.job is not None}
        return [busy[link] for link in wait(list(busy), None if seconds == math.inf else seconds)]

    def close(self) -> None:
        """Ends all processes."""
        for worker in self._workers:
            worker.close()


class _LocalWorker(Worker):
    """A process that is started with its first job, and again if it dies."""

    link: Connection | None = None
    _process: subprocess.Popen | None = None

    def _send(self, job: Job) -> None:
        if self.link is None:
            self._start()
        assert self.link is not None
        try:
            self.link.send(job)
        except ConnectionError:
            pass  # it died while it was idle; `end` finds that out

    def _receive(self, job: Job) -> Done:
        assert self.link is not None and self._process is not None
        try:
            return Done(job, *pickle.loads(self.link.recv_bytes()))
        except (EOFError, ConnectionError):
            reason = exit_reason(self._process.wait())
            self.close()
            return Done(job, None, f"its process {reason}", died=True)

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
            done = do(job)
            jobs.send_bytes(pickle.dumps((done.value, done.error)))
