"""DMControl-Ext: new goals for dm_control's bodies and new bodies (:mod:`mmbench.models`).

Stepped and observed as the domain DMControl: action repeat 2, rewards summed.
"""

from __future__ import annotations

import pkgutil

from mmbench.catalog import Task
from mmbench.domains.dmcontrol import DMControlSimulator


def make(task: Task, frames: bool) -> DMControlSimulator:
    """Builds the simulator of a task (see :mod:`mmbench.domains`).

    ``task.native`` is the embodiment's module and the function in it that builds the environment,
    ``walker/jump``. From outside it is ``module:function``.
    """
    native = task.native
    if ":" not in native:
        native = "mmbench.models." + native.replace("/", ":")
    # The seed given here is replaced at every reset.
    environment = pkgutil.resolve_name(native)(random=0, **dict(task.native_kwargs))
    return DMControlSimulator(environment, task.action_repeat)
