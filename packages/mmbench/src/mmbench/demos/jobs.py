"""Jobs, each an episode to be played, and what does them: workers, and pools of them."""

from __future__ import annotations

import abc
import os
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from mmbench.catalog import Task
from mmbench.env import TaskEnv
from mmbench.vector.worker import FAILURES


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


def do(job: Job) -> Done:
    """Does a job in this process."""
    try:
        return Done(job, job.work(job))
    except FAILURES as error:
        release()  # an environment that failed is in no known state
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f" ({os.path.basename(where.filename)}, line {where.lineno})"
        return Done(job, None, f"{type(error).__name__}: {error}{place}")
