"""What the SO100's expert knows of its arm, held against the simulator."""

import numpy as np
import pytest

from mmbench.demos.experts.small_arm import Seen, _jacobian
from mmbench.env import TaskEnv


@pytest.fixture(scope="module")
def env():
    """The task, with the hand somewhere."""
    env = TaskEnv("ms-pick-cube-so", unify=False)
    env.reset(seed=4)
    for action in np.random.default_rng(0).uniform(-1.0, 1.0, (6, 6)).astype(np.float32):
        action[5] = -0.3
        env.advance(action)
    return env


def see(env):
    obs = np.empty(env.task.obs_dim, np.float32)
    env.observe(obs)
    return Seen.read(obs)


@pytest.mark.parametrize("joint", range(5))
def test_a_joint_moves_and_turns_the_tool_as_the_expert_thinks(env, joint):
    state, before = env.get_state(), see(env)
    action = np.zeros(6, np.float32)
    action[joint] = 1.0
    env.advance(action)
    after = see(env)
    env.set_state(state)
    turns = after.joints - before.joints
    assert turns[joint] > 0.03
    known = _jacobian(before.joints, before.tool) @ turns[:5]
    np.testing.assert_allclose(after.tool - before.tool, known[:3], atol=5e-4)
    turned = after.hand @ before.hand.T - np.eye(3)
    spin = np.array((turned[2, 1], turned[0, 2], turned[1, 0]))
    np.testing.assert_allclose(spin, known[3:], atol=3e-3)


def test_the_jaw_leaves_the_fixed_finger_where_it_is(env):
    env.reset(seed=5)
    before = see(env)
    while see(env).joints[5] > -1.0:
        env.advance(np.array((0.0, 0.0, 0.0, 0.0, 0.0, -1.0), np.float32))
        after = see(env)
        assert np.abs(after.tip - before.tip).max() < 1.5e-3
    assert np.abs(after.tool - before.tool).max() > 0.02
