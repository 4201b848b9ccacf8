"""What every MuJoCo-based task must do, checked with any task's own simulator."""

from __future__ import annotations

import math
import random

import numpy as np

from mmbench.catalog import Task
from mmbench.env import TaskEnv


def make(task: Task | str, seed: int = 0, **kwargs) -> TaskEnv:
    """A task of its own sizes, with an episode started."""
    env = TaskEnv(task, unify=False, **kwargs)
    env.reset(seed=seed)
    return env


def actions(task: Task, count: int, seed: int = 0) -> np.ndarray:
    """Uniform actions, [count, action_dim] float32."""
    return np.random.default_rng(seed).uniform(-1, 1, (count, task.action_dim)).astype(np.float32)


def rollout(env: TaskEnv, sequence: np.ndarray) -> np.ndarray:
    """Observation and reward after each action, [steps, obs_dim + 1]."""
    return np.array([[*obs, reward] for obs, reward, *_ in map(env.step, sequence)])


def check_whole_episode(task: Task) -> None:
    """Sizes and length are the catalogue's; scores lie in [0, 1]; nothing terminates."""
    env = TaskEnv(task, unify=False)
    obs, info = env.reset(seed=0)
    assert env._simulator.model.nu == task.action_dim
    for step in range(task.max_episode_steps):
        assert obs.shape == (task.obs_dim,) and np.isfinite(obs).all()
        obs, reward, terminated, truncated, info = env.step(actions(task, 1, seed=step)[0])
        assert math.isfinite(reward) and not terminated
        assert truncated == (step == task.max_episode_steps - 1)
        assert -1e-6 <= info["score"] <= 1 + 1e-6
        assert info["success"] in (0.0, 1.0) if task.has_success else math.isnan(info["success"])


def check_seeding(task: Task) -> None:
    """An episode is a function of its seed and actions, and disturbs no global generator."""
    sequence = actions(task, 12)
    env = TaskEnv(task, unify=False)
    first, _ = env.reset(seed=7)
    expected = rollout(env, sequence)
    np.random.seed(1)
    random.seed(1)
    env.reset(seed=8)  # another episode in between
    other = rollout(env, sequence)
    before = np.random.get_state()[1].copy(), random.getstate()
    again, _ = env.reset(seed=7)
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(rollout(env, sequence), expected)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert random.getstate() == before[1]
    assert not np.array_equal(other, expected)


def check_restoration(task: Task, past: int = 15) -> None:
    """From a saved state, elsewhere and twice, the episode goes on exactly as it did."""
    future = actions(task, 15, seed=1)
    env = make(task, seed=2)
    rollout(env, actions(task, past))
    state, seen = env.get_state(), env._observation()
    assert all(isinstance(value, np.ndarray) for value in state.values())
    expected = rollout(env, future)
    other = make(task, seed=3)
    rollout(other, actions(task, 5, seed=4))
    for _ in range(2):
        other.set_state(state)
        np.testing.assert_array_equal(other._observation(), seen)
        np.testing.assert_array_equal(rollout(other, future), expected)


def check_frames(task: Task) -> None:
    """Frames show the state; drawing them changes nothing that follows."""
    sequence = actions(task, 12)
    expected = rollout(make(task), sequence)
    env = make(task, render_mode="rgb_array")
    frame = env.render()
    assert frame.shape == (224, 224, 3) and frame.dtype == np.uint8
    assert frame.std() > 5
    np.testing.assert_array_equal(rollout(env, sequence[:1]), expected[:1])
    env.render()
    np.testing.assert_array_equal(rollout(env, sequence[1:]), expected[1:])
    moved = env.render()
    assert np.abs(moved.astype(int) - frame).max() > 50
    other = make(task, seed=1, render_mode="rgb_array")
    other.set_state(env.get_state())
    np.testing.assert_array_equal(other.render(), moved)
    env.close()
    other.close()
