"""Box2D: a bipedal walker on five kinds of ground, and a lunar lander with three goals.

Written on Box2D itself, not on Gymnasium's classes: those read module constants that the
published tasks overwrite, and compute what nobody sees (rays in the first of two native steps,
particles). The tests compare them step by step.
"""

from __future__ import annotations

from mmbench.catalog import Task
from mmbench.domains.box2d_lander import TASKS
from mmbench.domains.box2d_walker import BipedalSimulator
from mmbench.domains.box2d_world import Box2DSimulator


def make(task: Task, frames: bool) -> Box2DSimulator:
    """Builds the simulator of a task (see :mod:`mmbench.domains`)."""
    robot, variant = task.native.split("/")
    if robot == "lunarlander":
        return TASKS[variant](task.action_repeat)
    return BipedalSimulator(variant, task.action_repeat)
