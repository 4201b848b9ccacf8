"""What can go wrong with tasks."""

from mmbench.catalog.task import Task


class UnknownTaskError(ValueError):
    """No task, domain, preset or group has this name."""


class InvalidTaskError(ValueError):
    """A task or domain from outside that cannot be one, or a module that should bring it.

    Its name is taken, a number is out of range, an environment has other spaces than a task can
    have, its module cannot be imported.
    """


class TaskUnavailableError(RuntimeError):
    """A task exists and cannot run here: its simulator or an asset of it is missing."""


class EnvironmentFailure(RuntimeError):
    """An environment raised, hung, died with its process, or returned NaN or infinite numbers.

    Attributes:
        task: Name of its task.
        index: Its row in the vector environment.
        cause: What happened, with the worker's traceback where there is one.
        lost: Number of the worker process that was lost with it; -1 if none was.
    """

    def __init__(self, task: Task, index: int, cause: str, lost: int = -1) -> None:
        super().__init__(f"task {task.versioned_name!r} (environment {index}) {cause}")
        self.task = task.versioned_name
        self.index = index
        self.cause = cause
        self.lost = lost
