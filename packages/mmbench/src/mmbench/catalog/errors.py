"""Errors about tasks that a user can mend."""


class UnknownTaskError(ValueError):
    """No task, domain, preset or group has this name."""


class TaskUnavailableError(RuntimeError):
    """A task exists and cannot run here: its simulator or an asset of it is missing."""
