"""DMControl-Ext: new goals for dm_control's bodies and new bodies (:mod:`mmbench.models`).

Stepped and observed as the domain DMControl: action repeat 2, rewards summed.
"""

from __future__ import annotations

import importlib

from mmbench.catalog import Task
from mmbench.domains.dmcontrol import DMControlSimulator


def make(task: Task, frames: bool) -> DMControlSimulator:
    """Builds the simulator of a task (see :mod:`mmbench.domains`).

    ``task.native`` is the embodiment's module and the function in it that builds the environment.
    """
    embodiment, goal = task.native.split("/")
    module = importlib.import_module(f"mmbench.models.{embodiment}")
    # The seed given here is replaced at every reset.
    return DMControlSimulator(getattr(module, goal)(random=0), task.action_repeat)
