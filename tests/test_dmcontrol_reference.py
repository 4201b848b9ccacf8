"""DMControl against the recorded transitions and fingerprints of the published benchmark."""

from pathlib import Path

import numpy as np
import pytest
import reference
import rollouts
from dm_control import suite
from dm_control.suite.wrappers import action_scale

import mmbench
from mmbench.env import TaskEnv

FOLDER = reference.SHIPPED / "dmcontrol"
RECORDED = sorted(path.stem for path in FOLDER.glob("*.npz"))
TOLERANCE = 1e-6
EPISODES = {"random": 12, "zero": 24, "hold": 12}


def check_transitions(path: Path) -> None:
    env = TaskEnv(path.stem, unify=False)
    env.reset(seed=0)
    for transition in reference.transitions(path):
        env.set_state(transition.state)
        obs, reward, *_ = env.step(transition.action)
        assert reference.relative_error(obs, transition.next_obs) <= TOLERANCE
        assert reference.relative_error(reward, transition.reward) <= TOLERANCE


@pytest.mark.parametrize("name", RECORDED)
def test_steps_as_recorded(name):
    check_transitions(FOLDER / f"{name}.npz")


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDED)
def test_steps_as_recorded_in_full(name):
    check_transitions(reference.full_recording() / "dmcontrol" / f"{name}.npz")


@pytest.mark.parametrize("name", RECORDED)
def test_episodes_distributed_as_recorded(name):
    env = TaskEnv(name, unify=False)
    recorded = reference.fingerprint(FOLDER / f"{name}.json")
    for policy, episodes in EPISODES.items():
        ours = rollouts.roll(env, policy, episodes)
        assert rollouts.differences(ours, recorded[policy]) == []


@pytest.mark.parametrize("task", mmbench.tasks(domain="dmcontrol", split="train"), ids=str)
def test_steps_as_the_package_does(task):
    """Same start, same actions: dm_control's own environment at the same repeat."""
    env = TaskEnv(task, unify=False)
    env.reset(seed=3)
    domain, name = task.native.split("/")
    native = suite.load(domain, name, task_kwargs={"random": 0})
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
    for _ in range(50):
        action = rng.uniform(-1, 1, task.action_dim).astype(np.float32)
        obs, reward, *_ = env.step(action)
        expected = 0.0
        for _ in range(task.action_repeat):
            step = scaled.step(action)
            expected += step.reward
        flat = np.concatenate([np.ravel(v) for v in step.observation.values()])
        np.testing.assert_array_equal(obs, flat.astype(np.float32))
        assert reward == pytest.approx(expected, rel=1e-12, abs=1e-15)
