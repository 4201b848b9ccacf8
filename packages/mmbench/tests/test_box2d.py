"""Box2D: what users rely on, from the outside."""

import subprocess
import sys
import weakref

import numpy as np
import pytest

import mmbench
from mmbench.domains import box2d_scenery
from mmbench.env import TaskEnv

TASKS = mmbench.tasks(domain="box2d", version=None)
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)


def made(name: str, seed: int = 0, **kwargs) -> TaskEnv:
    env = TaskEnv(name, unify=False, **kwargs)
    env.reset(seed=seed)
    return env


def actions(env: TaskEnv, count: int, seed: int = 0) -> np.ndarray:
    shape = (count, env.task.action_dim)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def rollout(env: TaskEnv, sequence: np.ndarray) -> list:
    return [[*obs, reward] for obs, reward, *_ in map(env.step, sequence)]


# Episodes


@every_task
def test_an_episode_does_not_depend_on_earlier_ones(task):
    """A world that is used again would keep the order of its contacts."""
    expected = [made(task.id, seed=4)._observation().tolist()]
    expected += rollout(env := made(task.id, seed=4), actions(env, 250))
    rollout(other := made(task.id, seed=5), actions(other, 250, seed=1))
    first, _ = other.reset(seed=4)
    assert [first.tolist(), *rollout(other, actions(other, 250))] == expected


def test_the_old_world_is_freed():
    env = made("bipedal-walker-rugged")
    world, hull = (weakref.ref(thing) for thing in (env._simulator._world, env._simulator._hull))
    env.step(np.zeros(4))
    env.reset()
    assert world() is None and hull() is None
    last = weakref.ref(env._simulator._world)
    env.close()
    env.close()
    assert last() is None


@pytest.mark.parametrize("name", ["lunarlander-hover", "bipedal-walker-hills"])
def test_states_cannot_be_saved_and_the_error_says_what_can(name):
    env = TaskEnv(name, unify=False)
    first, _ = env.reset(seed=0)
    with pytest.raises(NotImplementedError, match="Box2D"):
        env.get_state()
    with pytest.raises(NotImplementedError, match="Box2D"):
        env.set_state({})
    expected = rollout(env, actions(env, 30))
    other = TaskEnv(name, unify=False)
    again, _ = other.reset(options={"rng": env.episode_rng})
    np.testing.assert_array_equal(again, first)
    assert rollout(other, actions(other, 30)) == expected


@every_task
def test_frames_change_nothing_in_this_episode_or_the_next(task):
    plain, seen = made(task.id), made(task.id, obs="state+rgb")
    for _ in range(2):
        for action in actions(plain, 15):
            expected, reward, *_ = plain.step(action)
            obs, seen_reward, *_ = seen.step(action)
            np.testing.assert_array_equal(obs["state"], expected)
            assert seen_reward == reward
        np.testing.assert_array_equal(seen.reset()[0]["state"], plain.reset()[0])


@every_task
def test_frames_show_the_episode(task):
    env = made(task.id, seed=1, render_mode="rgb_array")
    frame = env.render()
    assert frame.shape == (224, 224, 3) and frame.dtype == np.uint8 and frame.std() > 20
    np.testing.assert_array_equal(env.render(), frame)
    for action in actions(env, 20):
        env.step(action)
    moved = env.render()
    assert np.mean(np.any(moved != frame, axis=-1)) > 0.003
    np.testing.assert_array_equal(made(task.id, seed=1, render_mode="rgb_array").render(), frame)
    other = made(task.id, seed=2, render_mode="rgb_array").render()
    assert np.any(other != frame)


def test_the_walker_is_a_fifth_of_the_frame_from_the_left():
    env = made("bipedal-walker-flat", render_mode="rgb_array")
    env._simulator._hull.position = (30.0, 10.0)
    hull = np.all(np.abs(env.render() - np.array(box2d_scenery._HULL)) < 8, axis=-1)
    rows, columns = np.nonzero(hull)
    assert abs(columns.mean() - 224 / 5) < 4
    assert abs(rows.mean() - (224 - 15 * 10.0)) < 4


def test_the_ground_has_17_colours():
    assert len(set(box2d_scenery._GROUND)) == 17
    seen = set()
    for seed in range(40):
        scenery = box2d_scenery.WalkerScenery(15.0, [(0.0, 1.0)] * 50, [], seed)
        base = min(
            box2d_scenery._GROUND,
            key=lambda color: np.abs(np.subtract(scenery._colors, color)).max(),
        )
        assert 0 < np.abs(np.subtract(scenery._colors, base)).max() <= 15
        seen.add(base)
    assert len(seen) > 10


def test_state_mode_loads_no_drawing_and_nothing_is_said_or_set():
    code = """
import gymnasium, os, random, sys, warnings
warnings.simplefilter("error")
import numpy
before, state, numbers = dict(os.environ), numpy.random.get_state()[1].tolist(), random.getstate()
from mmbench.env import TaskEnv
for name in ("bipedal-walker-hills", "lunarlander-hover"):
    env = TaskEnv(name)
    env.reset(seed=0)
    env.step(env.action_space.sample())
assert dict(os.environ) == before
assert numpy.random.get_state()[1].tolist() == state and random.getstate() == numbers
assert not {"pygame", "gymnasium.envs.box2d"} & set(sys.modules)
assert warnings.filters[0][:3] == ("error", None, Warning), warnings.filters
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_fallen_walker_s_episode_goes_on():
    env = made("bipedal-walker-flat")
    ends = [env.step(np.zeros(4))[2:4] for _ in range(250)]
    assert env._simulator._touch.crashed
    assert ends == [(False, False)] * 249 + [(False, True)]
