"""DMControl-Ext against the recorded transitions and fingerprints of the published benchmark."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import reference
import rollouts

import mmbench
from mmbench.domains import dmcontrol  # noqa: F401 - imports dm_control without its warning
from mmbench.env import TaskEnv

from dm_control.suite.wrappers import action_scale  # isort: skip

DOMAIN = "dmcontrol-ext"
FOLDER = reference.SHIPPED / DOMAIN
RECORDED = sorted(path.stem for path in FOLDER.glob("*.npz"))
TASKS = mmbench.tasks(domain=DOMAIN) + mmbench.tasks(domain=DOMAIN, split="extra")
TOLERANCE = 1e-6  # the new bodies' too: their numbers turned out to be exact
EPISODES = {"random": 10}
MANY_EPISODES = {"random": 24, "zero": 24, "hold": 24}


def check_transitions(path: Path) -> None:
    env = TaskEnv(path.stem, unify=False)
    env.reset(seed=0)
    for transition in reference.transitions(path):
        env.set_state(transition.state)
        obs, reward, *_ = env.step(transition.action)
        assert reference.relative_error(obs, transition.next_obs) <= TOLERANCE
        assert reference.relative_error(reward, transition.reward) <= TOLERANCE


def check_episodes(name: str, episodes: dict[str, int]) -> None:
    env = TaskEnv(name, unify=False)
    recorded = reference.fingerprint(FOLDER / f"{name}.json")
    for policy, count in episodes.items():
        ours = rollouts.roll(env, policy, count)
        assert rollouts.differences(ours, recorded[policy]) == []


@pytest.mark.parametrize("name", RECORDED)
def test_steps_as_recorded(name):
    check_transitions(FOLDER / f"{name}.npz")


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDED)
def test_steps_as_recorded_in_full(name):
    check_transitions(reference.full_recording() / DOMAIN / f"{name}.npz")


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDED)
def test_the_body_is_the_recorded_one(name):
    env = TaskEnv(name, unify=False)
    env.reset(seed=0)
    state = env.get_state()
    with np.load(reference.full_recording() / DOMAIN / f"{name}.npz") as data:
        fields = [key for key in data.files if key.startswith("0/model/")]
        assert fields
        for key in fields:
            if np.array_equal(data[key], data[key.replace("0/", "10/", 1)]):
                np.testing.assert_allclose(state[key[2:]], data[key], atol=1e-12, err_msg=key)


@pytest.mark.parametrize("name", RECORDED)
def test_episodes_distributed_as_recorded(name):
    check_episodes(name, EPISODES)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDED)
def test_many_episodes_distributed_as_recorded(name):
    check_episodes(name, MANY_EPISODES)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_steps_as_dm_control_does(task):
    """Same start, same actions: dm_control's own environment loop at the same repeat."""
    env = TaskEnv(task, unify=False)
    env.reset(seed=3)
    embodiment, goal = task.native.split("/")
    native = getattr(importlib.import_module(f"mmbench.models.{embodiment}"), goal)(random=0)
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
    for _ in range(30):
        action = rng.uniform(-1, 1, task.action_dim).astype(np.float32)
        obs, reward, *_ = env.step(action)
        expected = 0.0
        for _ in range(task.action_repeat):
            step = scaled.step(action)
            expected += step.reward
        flat = np.concatenate([np.ravel(v) for v in step.observation.values()])
        np.testing.assert_array_equal(obs, flat.astype(np.float32))
        assert reward == pytest.approx(expected, rel=1e-12, abs=1e-15)
