"""A task of a dm_control suite beside dm_control's own environment."""

from __future__ import annotations

import numpy as np

from mmbench.catalog import Task
from mmbench.domains import dmcontrol  # noqa: F401 - imports dm_control without its warning
from mmbench.env import TaskEnv

from dm_control.rl.control import Environment  # isort: skip
from dm_control.suite.wrappers import action_scale  # isort: skip


def check_steps_as_dm_control(task: Task, native: Environment, steps: int = 50) -> None:
    """Same start, same actions: dm_control's own environment loop at the same repeat.

    Args:
        task: A task of a dm_control suite.
        native: The suite's environment of it; used up.
        steps: Agent steps to compare.
    """
    env = TaskEnv(task, unify=False)
    env.reset(seed=3)
    scaled = action_scale.Wrapper(native, minimum=-1.0, maximum=1.0)
    scaled.reset()
    # The same model arrays and state in both.
    state = env.get_state()
    other = TaskEnv(task, unify=False)
    other.reset(seed=4)
    simulator = other._simulator
    simulator._physics, simulator._task = native.physics, native.task
    simulator.set_state(state)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        action = rng.uniform(-1, 1, task.action_dim).astype(np.float32)
        obs, reward, *_ = env.step(action)
        expected = 0.0
        for _ in range(task.action_repeat):
            step = scaled.step(action)
            expected += step.reward
        flat = np.concatenate([np.ravel(v) for v in step.observation.values()])
        np.testing.assert_array_equal(obs, flat.astype(np.float32))
        np.testing.assert_allclose(reward, expected, rtol=1e-12, atol=1e-15)
