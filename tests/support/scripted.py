"""Tasks whose every number is known, for tests of what a trainer does with them.

Nothing is simulated: an environment counts its episodes and its steps. Its observation is
``[length, episode, step, *action]``, that is the task's length (which tells the tasks apart), the
number of the episode since the environment was made, the steps taken in it, and the action that
led here (0 at the start). The reward of a step is `reward` of the same numbers, exact in float32.

The fixture is taken up by the `conftest.py` of the tests that use it.
"""

import numpy as np
import pytest
from pretend import Pretence, pretend_task, pretending

from mmbench import Task

EPISODE, STEP, ACTION = 1, 2, 3
"""Where an observation says what; the action goes on to the end."""

SCALE = 100.0
"""Return at which the score is 1."""


def _task(name: str, like: str, length: int, action_dim: int, discount: float) -> Task:
    return pretend_task(
        name,
        like,
        domain="scripted",
        obs_dim=ACTION + action_dim,
        action_dim=action_dim,
        max_episode_steps=length,
        discount=discount,
        score_high=SCALE,
    )


SHORT = _task("script-short", "walker-walk", length=5, action_dim=2, discount=0.5)
LONG = _task("script-long", "cheetah-run", length=7, action_dim=3, discount=0.9)


def reward(episode: int, step: int) -> float:
    """The reward of the ``step``-th step (from 1) of an episode (from 0)."""
    return episode + step / 8


def episode_return(task: Task, episode: int) -> float:
    """The summed reward of a whole episode."""
    return sum(reward(episode, step) for step in range(1, task.max_episode_steps + 1))


class Script(Pretence):
    """Counts; see the module."""

    def __init__(self, task: Task) -> None:
        self._length = task.max_episode_steps
        self._episode, self._step = -1, 0
        self._action = np.zeros(task.action_dim, np.float32)

    def reset(self, rng: np.random.Generator) -> None:
        self._episode += 1
        self._step = 0
        self._action[:] = 0

    def step(self, action: np.ndarray) -> tuple[float, float]:
        self._step += 1
        self._action[:] = action
        return reward(self._episode, self._step), np.nan

    def observe(self, out: np.ndarray) -> None:
        out[:] = [self._length, self._episode, self._step, *self._action]


def make(task: Task, frames: bool) -> Script:
    """What the adapter of a domain has."""
    return Script(task)


@pytest.fixture(scope="module")
def scripted_tasks():
    """Registers `SHORT` and `LONG` for the tests of a module; yields ``tasks=`` for both."""
    with pretending("scripted", __name__, SHORT, LONG) as tasks:
        yield tasks
