"""Which entries of the padded actions and observations belong to a task."""

import numpy as np

from mmbench.catalog.task import MAX_ACTION_DIM, MAX_OBS_DIM, Task


def action_mask(task: Task) -> np.ndarray:
    """Returns ``(16,)`` float32: 1 for the task's own action entries, else 0."""
    return (np.arange(MAX_ACTION_DIM) < task.action_dim).astype(np.float32)


def observation_mask(task: Task) -> np.ndarray:
    """Returns ``(128,)`` float32: 1 for the task's own observation entries, else 0."""
    return (np.arange(MAX_OBS_DIM) < task.obs_dim).astype(np.float32)
