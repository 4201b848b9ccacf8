"""RoboDesk: what users rely on, from the outside; rewards at states made by hand."""

import subprocess
import sys

import mujoco
import numpy as np
import pytest

import mmbench
from mmbench.domains import robodesk
from mmbench.env import TaskEnv

ALL = mmbench.tasks(domain="robodesk", version=None)
OBJECT_POSITIONS = slice(3, 29)
FLAT_BLOCK = slice(23, 26)  # its position within version 1's observation
HAND = slice(0, 3)
QPOS = {
    "drawer": 9,
    "slide": 10,
    "red_light": 14,
    "green_light": 15,
    "blue_light": 16,
    "flat_block": slice(31, 38),
}
BIN = (0.4, 0.5, 0.2)


def rolled(env: TaskEnv, seed: int, steps: int = 5) -> list[np.ndarray]:
    """The observations and rewards of a short episode."""
    rng = np.random.default_rng(seed)
    trace = [env.reset(seed=seed)[0]]
    for _ in range(steps):
        obs, reward, *_ = env.step(rng.uniform(-1, 1, env.action_space.shape))
        trace += [obs, np.asarray(reward)]
    return trace


def assert_equal(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def placed(name: str, **positions: object) -> TaskEnv:
    """An environment with some positions (see ``QPOS``) given, at rest."""
    env = TaskEnv(name, unify=False)
    env.reset(seed=0)
    state = env.get_state()
    qpos = state["state"][1 : 1 + 38]  # after the time
    for joint, value in positions.items():
        qpos[QPOS[joint]] = value
    state["state"][1 + 38 : 1 + 38 + 35] = 0.0
    state.pop("task/original_pos", None)
    env.set_state(state)
    return env


@pytest.mark.parametrize("task", ALL, ids=lambda task: task.id)
def test_sizes_are_the_catalogues(task):
    env = TaskEnv(task)
    obs, _ = env.reset(seed=0)
    assert env.observation_mask.sum() == task.obs_dim == 73
    assert env.action_mask.sum() == task.action_dim == 5
    assert np.count_nonzero(obs[73:]) == 0 and obs[72] != 0
    obs, reward, terminated, truncated, info = env.step(np.ones(16))
    assert 0 <= reward <= 10
    assert not terminated and not truncated
    assert info["success"] in (0.0, 1.0) and info["score"] == info["success"]


def test_episode_ends_after_100_steps_and_one_at_the_reset():
    env = TaskEnv("rd-push-blue", unify=False)
    env.reset(seed=0)
    assert env._simulator.data.time == pytest.approx(0.2)
    ends = [env.step(np.zeros(5))[2:4] for _ in range(100)]
    assert ends == [(False, False)] * 99 + [(False, True)]
    assert env._simulator.data.time == pytest.approx(20.2)


@pytest.mark.parametrize("name", ["rd-open-slide-v0", "rd-open-slide-v1"])
def test_an_episode_is_a_function_of_the_seed(name):
    np.random.seed(1)
    expected = rolled(TaskEnv(name), seed=7)
    env = TaskEnv(name)
    rolled(env, seed=8)
    np.random.seed(2)
    before = np.random.get_state()[1].copy()
    assert_equal(rolled(env, seed=7), expected)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    assert not np.array_equal(rolled(env, seed=8)[0], expected[0])


def test_environments_that_share_the_model_do_not_meet():
    expected = rolled(TaskEnv("rd-open-drawer"), seed=7)
    env, other = TaskEnv("rd-open-drawer"), TaskEnv("rd-push-red")
    rng, other_rng = np.random.default_rng(7), np.random.default_rng(8)
    trace = [env.reset(seed=7)[0]]
    for _ in range(5):
        other.reset(seed=9)
        other.step(other_rng.uniform(-1, 1, 16))
        obs, reward, *_ = env.step(rng.uniform(-1, 1, 16))
        trace += [obs, np.asarray(reward)]
    assert_equal(trace, expected)


@pytest.mark.parametrize("name", ["rd-open-slide-v0", "rd-open-slide-v1", "rd-push-green-v0"])
@pytest.mark.parametrize("steps", [0, 4])
def test_a_restored_state_continues_as_if_uninterrupted(name, steps):
    env = TaskEnv(name)
    rolled(env, seed=3, steps=steps)
    state = env.get_state()
    actions = np.random.default_rng(1).uniform(-1, 1, (5, 16))
    expected = [env.step(action)[:2] for action in actions]
    other = TaskEnv(name)
    rolled(other, seed=4)
    for target in (env, other):
        target.set_state(state)
        for action, (obs, reward) in zip(actions, expected, strict=True):
            ours = target.step(action)
            np.testing.assert_array_equal(ours[0], obs)
            assert ours[1] == reward


def test_a_state_without_task_variables_counts_blocks_as_unmoved():
    env = placed("rd-open-slide-v1", flat_block=(0.2, 0.7, 0.775, 1, 0, 0, 0))
    np.testing.assert_allclose(env.get_state()["task/original_pos"][0], (0.2, 0.7, 0.775))


def test_frames_show_the_state_and_leave_it_alone():
    env = TaskEnv("rd-open-drawer", obs="state+rgb", render_mode="rgb_array")
    plain = TaskEnv("rd-open-drawer")
    first, _ = env.reset(seed=0)
    plain.reset(seed=0)
    assert first["rgb"].shape == (224, 224, 3) and first["rgb"].std() > 20
    for action in np.eye(2, 16):
        obs, *_ = env.step(action)
        expected, *_ = plain.step(action)
        np.testing.assert_array_equal(obs["state"], expected)
    np.testing.assert_array_equal(obs["rgb"], env.render())
    assert np.mean(obs["rgb"] != first["rgb"]) > 0.01
    env.close()
    env.close()


def test_frames_are_taken_from_140_cm_above_the_front_of_the_desk():
    env = TaskEnv("rd-open-drawer", render_mode="rgb_array")
    env.reset(seed=0)
    simulator = env._simulator
    scene = mujoco.MjvScene(simulator._model, maxgeom=2000)
    view = (mujoco.MjvOption(), None, robodesk._camera(), mujoco.mjtCatBit.mjCAT_ALL, scene)
    mujoco.mjv_updateScene(simulator._model, simulator.data, *view)
    eye = np.mean([camera.pos for camera in scene.camera], axis=0)  # of left and right
    sine, cosine = np.sin(np.pi / 3), np.cos(np.pi / 3)
    np.testing.assert_allclose(eye, (0, 0.535 - 1.4 * cosine, 1.1 + 1.4 * sine), atol=1e-4)


def test_importing_and_stepping_says_nothing_and_sets_nothing():
    code = """
import os, sys, warnings
warnings.simplefilter("error")
import numpy
before, state = dict(os.environ), numpy.random.get_state()[1].tolist()
from mmbench.env import TaskEnv
env = TaskEnv("rd-push-red")
env.reset(seed=0)
env.step(env.action_space.sample())
assert dict(os.environ) == before
assert numpy.random.get_state()[1].tolist() == state
assert not {"gym", "robodesk", "PIL"} & set(sys.modules), "the package's class was imported"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_physics_that_blows_up_is_a_named_error():
    env = TaskEnv("rd-push-red")
    env.reset(seed=0)
    env._simulator.data.qvel[:] = 1e12
    with pytest.raises(RuntimeError, match="RoboDesk.*BAD"):
        env.step(np.zeros(16))
    env.reset(seed=0)
    env.step(np.zeros(16))


# Rewards, from the formulas, at states made by hand. The hand is `reach` metres from the target.


def reach(env: TaskEnv, target: object) -> float:
    return max(0.0, 1 - float(np.linalg.norm(env._simulator._desk.hand - np.asarray(target))))


def goal(env: TaskEnv) -> tuple[float, bool]:
    return env._simulator._goal.reward(), env._simulator._goal.success()


@pytest.mark.parametrize("opened, success", [(0.0, False), (0.54, False), (0.56, True)])
def test_open_slide(opened, success):
    env = placed("rd-open-slide", slide=opened)
    # The handle of the door at 0: desk (0, 0.85, 0), door (-0.3, 0.04, 0.935), handle -0.11 in y.
    grasp = (-0.3 + opened - 0.15, 0.85 + 0.04 - 0.11, 0.935)
    expected = 0.9 * (0.75 * opened / 0.6 + 0.25 * reach(env, grasp)) + 0.1
    assert goal(env) == (pytest.approx(expected), success)


@pytest.mark.parametrize("drawer, success", [(0.0, False), (-0.19, False), (-0.21, True)])
def test_open_drawer(drawer, success):
    env = placed("rd-open-drawer", drawer=drawer)
    handle = env._simulator.data.geom("drawer_handle").xpos
    assert 0.85 + drawer - 0.37 < handle[1] < 0.85 + drawer - 0.3  # in front of the drawer
    expected = 0.75 * -drawer / 0.3 + 0.25 * reach(env, handle)
    assert goal(env) == (pytest.approx(expected), success)


@pytest.mark.parametrize("color, x", [("red", -0.45), ("green", -0.25), ("blue", -0.05)])
@pytest.mark.parametrize("light, success", [(-0.0045, False), (-0.0046, True)])
def test_push_button(color, x, light, success):
    env = placed(f"rd-push-{color}", **{f"{color}_light": light})
    expected = 0.25 * success + 0.75 * reach(env, (x, 0.625, 0.76))
    assert goal(env) == (pytest.approx(expected), success)


@pytest.mark.parametrize(
    "offset, success",
    [
        ((0.0, 0.0, 0.0), True),
        ((0.13, 0.0, 0.0), False),
        ((-0.13, 0.0, 0.0), False),
        ((0.0, 0.13, 0.0), False),
        ((0.0, -0.13, 0.0), False),
        ((0.0, 0.0, 0.21), False),
    ],
)
def test_flat_block_in_bin(offset, success):
    position = np.add(BIN, offset)
    env = placed("rd-flat-block-in-bin", flat_block=(*position, 1, 0, 0, 0))
    expected = 0.5 * reach(env, position) + 0.5 * success
    assert goal(env) == (pytest.approx(expected), success)


def test_each_inner_reward_is_clipped_to_one():
    env = placed("rd-open-drawer", drawer=-0.45)
    assert goal(env)[0] > 1
    assert env.step(np.zeros(5))[1] == 10.0


# Version 1.


def test_version_1_observes_where_objects_are_and_version_0_does_not():
    """Two states at rest that differ in where objects lie."""
    here = {"flat_block": (0.2, 0.65, 0.775, 1, 0, 0, 0), "drawer": 0.0}
    half = np.sqrt(0.5)
    there = {"flat_block": (0.4, 0.69, 0.775, half, 0, 0, half), "drawer": -0.1}
    for name in ("rd-open-drawer-v0", "rd-open-drawer-v1"):
        (one, other) = (placed(name, **positions)._observation() for positions in (here, there))
        if name.endswith("v0"):
            np.testing.assert_array_equal(one, other)
        else:
            np.testing.assert_allclose(one[FLAT_BLOCK], (0.2, 0.65, 0.775), atol=1e-6)
            np.testing.assert_allclose(other[FLAT_BLOCK], (0.4, 0.69, 0.775), atol=1e-6)
            np.testing.assert_allclose(other[26:29], (0, 0, np.pi / 2), atol=1e-6)
            np.testing.assert_allclose([one[3], other[3]], (0.0, -0.1), atol=1e-6)
            one[OBJECT_POSITIONS] = other[OBJECT_POSITIONS]
            np.testing.assert_array_equal(one, other)


def test_version_1_lets_a_policy_find_the_block():
    """One policy that moves the hand to where the observation says that the flat block is."""
    distances = {0: [], 1: []}
    for version, found in distances.items():
        env = TaskEnv(f"rd-flat-block-in-bin-v{version}", unify=False)
        for seed in range(2):
            obs, _ = env.reset(seed=seed)
            for _ in range(25):
                move = np.clip(10 * (obs[FLAT_BLOCK] - obs[HAND]), -1, 1)
                obs, *_ = env.step(np.array([*move, 0, 1]))
            found.append(np.linalg.norm(env._simulator._goal._block - obs[HAND]))
    assert max(distances[1]) < 0.2 < min(distances[0])


def test_version_1_pays_only_for_blocks_that_stayed():
    pose = (0.2, 0.65, 0.775, 1, 0, 0, 0)
    rewards = []
    for name in ("rd-open-slide-v0", "rd-open-slide-v1"):
        env = placed(name, flat_block=pose)
        before = goal(env)[0]
        state = env.get_state()
        state["state"][1:39][QPOS["flat_block"]] = (0.22, *pose[1:])
        env.set_state(state)
        rewards.append((before, goal(env)[0]))
    (published, published_moved), (corrected, corrected_moved) = rewards
    assert published == published_moved == corrected
    assert corrected - corrected_moved == pytest.approx(0.1 * 0.33)


def test_version_1_pays_the_whole_bonus_to_an_arm_that_keeps_still():
    env = TaskEnv("rd-open-slide-v1", unify=False)
    env.reset(seed=0)
    for _ in range(20):
        env.step(np.zeros(5))
    assert env._simulator._desk.unmoved() == [True, True, True]


def test_every_version_1_says_what_differs():
    for task in ALL:
        assert bool(task.differs) == (task.version == 1)
    assert [task.name for task in ALL if task.version == 0] == [
        task.name for task in ALL if task.version == 1
    ]
