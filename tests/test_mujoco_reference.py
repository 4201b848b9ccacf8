"""MuJoCo against the recorded data, and against Gymnasium's own classes."""

import importlib

import conformance
import numpy as np
import pytest
import reference

import mmbench
from mmbench.env import TaskEnv

FOLDER = reference.SHIPPED / "mujoco"
FINGERPRINTS = reference.recorded("mujoco", ".json")
EPISODES = {"mujoco-reacher": 40, "mujoco-inverted-pendulum": 12}  # cheap ones, in full
FEW, MANY = 4, 16  # of the others
POLICIES = ("random", "zero", "hold")


test_steps_as_recorded, test_steps_as_recorded_in_full = conformance.transition_tests("mujoco")


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_episodes_distributed_as_recorded(name):
    policies = POLICIES if name in EPISODES else ("random",)
    episodes = dict.fromkeys(policies, EPISODES.get(name, FEW))
    conformance.check_fingerprint(FOLDER / f"{name}.json", episodes)


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", FINGERPRINTS)
def test_many_episodes_distributed_as_recorded(name, policy):
    episodes = {policy: EPISODES.get(name, MANY)}
    conformance.check_fingerprint(FOLDER / f"{name}.json", episodes)


MODULES = {
    "Ant": "ant_v4",
    "HalfCheetah": "half_cheetah_v4",
    "Hopper": "hopper_v4",
    "InvertedPendulum": "inverted_pendulum_v4",
    "Reacher": "reacher_v4",
    "Walker2d": "walker2d_v4",
}


@pytest.mark.parametrize("task", mmbench.tasks(domain="mujoco"), ids=lambda task: task.name)
def test_starts_and_steps_as_the_package_does(task):
    """The same seed and actions give Gymnasium's episode; its reward where we kept it."""
    module = importlib.import_module(f"gymnasium.envs.mujoco.{MODULES[task.native]}")
    unhealthy_goes_on = task.native in ("Ant", "Hopper", "Walker2d")
    kwargs = {"terminate_when_unhealthy": False} if unhealthy_goes_on else {}
    native = getattr(module, f"{task.native}Env")(**kwargs)
    env = TaskEnv(task, unify=False)
    first, _ = native.reset(seed=5)
    np.testing.assert_array_equal(env.reset(seed=5)[0], first.astype(np.float32))
    scale = native.action_space.high
    rng = np.random.default_rng(0)
    for _ in range(50):
        action = rng.uniform(-1, 1, task.action_dim).astype(np.float32)
        obs, reward, *_ = env.step(action)
        expected = 0.0
        for _ in range(task.action_repeat):
            theirs, raw, *_ = native.step(scale * action)
            if task.native in ("Hopper", "Walker2d"):
                raw = max(0.0, raw) if native.is_healthy else -1.0
            expected += raw
        np.testing.assert_array_equal(obs, theirs.astype(np.float32))
        if task.native != "InvertedPendulum":  # its own reward is 1 whatever happens
            assert reward == pytest.approx(expected, rel=1e-6, abs=1e-6)
    native.close()
