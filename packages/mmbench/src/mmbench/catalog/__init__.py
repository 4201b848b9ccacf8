"""The task table: 220 tasks and 8 extras, as data, one module a domain.

Reading it loads no simulator::

    >>> import mmbench
    >>> len(mmbench.tasks(split="train"))
    200
    >>> [task.name for task in mmbench.catalog.select("mw-door-*")]
    ['mw-door-open', 'mw-door-close', 'mw-door-lock', 'mw-door-unlock']
"""

from mmbench.catalog.errors import EnvironmentFailure, TaskUnavailableError, UnknownTaskError
from mmbench.catalog.groups import PRESETS, get, select
from mmbench.catalog.masks import action_mask, observation_mask
from mmbench.catalog.table import DOMAINS, SPLITS, TASKS, tasks
from mmbench.catalog.task import MAX_ACTION_DIM, MAX_OBS_DIM, Task

__all__ = [
    "DOMAINS",
    "MAX_ACTION_DIM",
    "MAX_OBS_DIM",
    "PRESETS",
    "SPLITS",
    "TASKS",
    "EnvironmentFailure",
    "Task",
    "TaskUnavailableError",
    "UnknownTaskError",
    "action_mask",
    "get",
    "observation_mask",
    "select",
    "tasks",
]
