"""A thread that holds what must be used from one thread only, such as an OpenGL context.

An OpenGL context is current in one thread at a time, and opening a window (SDL, GLFW) makes another
context current in that thread. So ours has a thread of its own: any thread may ask for frames, and
no two contexts get in each other's way.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

_Held = TypeVar("_Held")
_Result = TypeVar("_Result")

_EXIT_PATIENCE = 5.0  # seconds for what is being drawn when the program ends


class DrawingThread(Generic[_Held]):
    """Runs functions, one at a time, on an object that lives in this thread and nowhere else.

    The thread ends with the program; what it holds is then left to the system. A forked process
    has no such thread. It gets one of its own, unless the object was there already: then it is
    :attr:`lost`, as graphics drivers do not survive a fork.

    Args:
        make: Makes the object, in the thread, when the first function is to be run.
    """

    def __init__(self, make: Callable[[], _Held]) -> None:
        self._make = make
        self._made = False
        self.lost = False
        self._thread: threading.Thread | None = None
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def run(self, function: Callable[[_Held], _Result]) -> _Result:
        """Returns what the function returns, or raises what it raises."""
        if self._resting.is_set() and threading.current_thread() is threading.main_thread():
            raise RuntimeError("no more frames are drawn: the program is ending")
        job = _Job(function)
        self._start()
        self._jobs.put(job)
        try:
            job.done.acquire()
        except BaseException:  # Ctrl-C: the function reads what the caller may now change
            job.done.acquire()
            raise
        if job.error is not None:
            raise job.error
        return job.result

    def run_later(self, function: Callable[[_Held], None]) -> None:
        """Queues a function without waiting for it, if the object exists. Drops its errors.

        Safe to call at any moment, by the garbage collector too.
        """
        if self._made and not self.lost:
            self._jobs.put(_Job(function))

    def _rest(self) -> None:
        """Finishes the current job and starts no other: native code must not outlive Python."""
        if self._thread is not None:
            self._jobs.put(None)
            self._resting.wait(_EXIT_PATIENCE)

    def _renew(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._resting = threading.Event()
        self._starting = threading.Lock()
        self._thread = None

    def _after_fork(self) -> None:
        self.lost = self.lost or self._made
        self._renew()

    def _start(self) -> None:
        if self._thread is not None:
            return
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, args=(self._jobs,), name="mmbench-drawing", daemon=True
                )
                self._thread.start()
                atexit.register(self._rest)

    def _work(self, jobs: SimpleQueue[_Job | None]) -> None:
        # A local variable, so that it is never freed in a forked process or at exit, where the
        # driver that would have to free it is gone.
        held: list[_Held] = []
        while True:
            job = jobs.get()
            if job is None:
                self._resting.set()
                threading.Event().wait()  # for ever, with what is held
                return
            try:
                if not held:
                    self._made = True  # already: a fork may come in between
                    held.append(self._make())
                job.result = job.function(held[0])
            except BaseException as error:
                job.error = error
                self._made = bool(held)
            job.done.release()
            del job  # or it would keep a model alive until the next one comes


class _Job:
    """A function to be run, and what came of it."""

    __slots__ = ("done", "error", "function", "result")

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = threading.Lock()
        self.done.acquire()
