"""The task table: 220 tasks and 8 extras, as data, one module a domain, and what is added to it.

Reading it loads no simulator::

    >>> import mmbench
    >>> len(mmbench.tasks(split="train"))
    200
    >>> [task.name for task in mmbench.catalog.select("mw-door-*")]
    ['mw-door-open', 'mw-door-close', 'mw-door-lock', 'mw-door-unlock']

* :mod:`mmbench.catalog.task`, :mod:`mmbench.catalog.domain`: the two records.
* :mod:`mmbench.catalog.registry`: the benchmark and what is registered beside it.
* :mod:`mmbench.catalog.groups`: what ``--tasks`` accepts.
* :mod:`mmbench.catalog.gymnasium_tasks`: any Gymnasium environment as a task.
"""

from mmbench.catalog.domain import BENCHMARK, GYM, Domain
from mmbench.catalog.groups import SELECTION, select
from mmbench.catalog.gymnasium_tasks import gym_task
from mmbench.catalog.modules import import_modules, imported
from mmbench.catalog.registry import DOMAINS, PRESETS, TASKS, domain, domains, get, outside, tasks
from mmbench.catalog.task import (
    LARGEST,
    MAX_ACTION_DIM,
    MAX_OBS_DIM,
    SPLITS,
    EnvironmentFailure,
    InvalidTaskError,
    Task,
    TaskUnavailableError,
    UnknownTaskError,
    action_mask,
    is_usable,
    observation_mask,
)

__all__ = [
    "BENCHMARK",
    "DOMAINS",
    "GYM",
    "LARGEST",
    "MAX_ACTION_DIM",
    "MAX_OBS_DIM",
    "PRESETS",
    "SELECTION",
    "SPLITS",
    "TASKS",
    "Domain",
    "EnvironmentFailure",
    "InvalidTaskError",
    "Task",
    "TaskUnavailableError",
    "UnknownTaskError",
    "action_mask",
    "domain",
    "domains",
    "get",
    "gym_task",
    "import_modules",
    "imported",
    "is_usable",
    "observation_mask",
    "outside",
    "select",
    "tasks",
]
