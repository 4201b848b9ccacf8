"""Two tasks that anything learns in seconds, and that only the task itself tells apart.

A point on a line is moved by its action. `RIGHT` and `LEFT` have one observation, the position,
and the same cost, its squared distance from a goal; their goals are on both sides of the middle.
The score of an episode is its mean reward, ``1 - (position - goal)**2``: about 0.4 of random
actions, 0.75 at best of a policy that does not know its task, and 0.95 of a good one.
"""

import numpy as np
import pytest
from pretend import Pretence, pretend_task, pretending

from mmbench import Task

GOALS = {"point-right": 0.5, "point-left": -0.5}
LENGTH = 20
STEP = 0.3
"""How far an action of 1 moves the point."""
TRAINING = {
    "tasks": ",".join(GOALS),
    "size": "XS",
    "envs_per_task": 8,
    "num_workers": 0,
    "eval_every": 0,
    "checkpoint_every": 10**6,
    "threads": 1,
}
"""Settings with which methods learn them in seconds, besides those of their own."""
IGNORANT = 0.75
"""The best score of a policy that does not know its task."""


def _task(name: str, like: str) -> Task:
    return pretend_task(
        name,
        like,
        domain="points",
        obs_dim=1,
        action_dim=1,
        max_episode_steps=LENGTH,
        discount=0.9,
        score_high=float(LENGTH),
    )


RIGHT, LEFT = _task("point-right", "walker-walk"), _task("point-left", "cheetah-run")


class Point(Pretence):
    """A point between -1 and 1; see the module."""

    def __init__(self, task: Task) -> None:
        self._goal = GOALS[task.name]
        self._position = 0.0

    def reset(self, rng: np.random.Generator) -> None:
        self._position = float(rng.uniform(-1, 1))

    def step(self, action: np.ndarray) -> tuple[float, float]:
        self._position = float(np.clip(self._position + STEP * action[0], -1, 1))
        return 1 - (self._position - self._goal) ** 2, np.nan

    def observe(self, out: np.ndarray) -> None:
        out[:] = self._position


def make(task: Task, frames: bool) -> Point:
    """What the adapter of a domain has."""
    return Point(task)


@pytest.fixture(scope="module")
def points():
    """Registers both tasks for the tests of a module; yields ``tasks=`` for both."""
    with pretending("points", __name__, RIGHT, LEFT) as tasks:
        yield tasks
