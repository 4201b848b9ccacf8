"""How many steps of a task make a second."""

from __future__ import annotations

import numpy as np

from mmbench.catalog import Task
from mmbench.env import TaskEnv

DEFAULT = 30.0
"""Where nobody has said how long a step lasts: at this rate `mmbench video` shows them."""

_IN_STATE = ("dmcontrol", "dmcontrol-ext", "metaworld", "mujoco", "ogbench", "robodesk")
"""Domains whose state begins with the time: it is MuJoCo's."""

_RAW = {
    "atari": 60.0 / 4.0,  # the console's frames, of which ALE takes four a step
    "box2d": 50.0,  # gymnasium.envs.box2d: FPS
    "maniskill": 20.0,  # mani_skill: SimConfig.control_freq, but for the two that follow
}
_MANISKILL = {"ms-ant-": 40.0, "ms-hopper-": 25.0}


def steps_per_second(task: Task) -> float:
    """Agent steps in a second of the simulated time; :data:`DEFAULT` where no time is simulated.

    MuJoCo's clock is read while a step is taken.

    Raises:
        TaskUnavailableError: The simulator that has to be asked is not installed.
    """
    if task.domain in _IN_STATE:
        return _measured(task)
    rate = _RAW.get(task.domain)
    if rate is None:
        return DEFAULT
    if task.domain == "maniskill":
        rate = next((own for name, own in _MANISKILL.items() if task.name.startswith(name)), rate)
    return rate / task.action_repeat


def _measured(task: Task) -> float:
    env = TaskEnv(task, unify=False)
    try:
        env.reset(seed=0)
        before = env.get_state()["state"][0]
        env.step(np.zeros(task.action_dim, np.float32))
        return round(1.0 / float(env.get_state()["state"][0] - before), 6)
    finally:
        env.close()
