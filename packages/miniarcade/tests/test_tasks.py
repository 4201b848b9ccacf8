"""What holds for every registered task."""

import copy
import math
import pickle
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import miniarcade
from miniarcade.arcade import ArcadeEnv

TASKS = miniarcade.tasks()
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)


def actions_for(env, count, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, env.game.action_size))


def rollout(env, actions):
    """Everything that the environment says about the steps, for exact comparison."""
    return [
        (o.tobytes(), r, terminated, truncated, info["score"], str(info["success"]))
        for o, r, terminated, truncated, info in map(env.step, actions)
    ]


def assert_same_arrays(a, b):
    assert a.keys() == b.keys()
    for key in a:
        assert a[key].dtype == b[key].dtype
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)


@every_task
@pytest.mark.filterwarnings("ignore:.*A Box observation space:UserWarning")
def test_gymnasium_checker(task, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")  # it opens a window
    env = ArcadeEnv(task.name, render_mode="rgb_array")
    env.spec = gym.spec(task.id)
    check_env(env, skip_render_check=False)


@every_task
def test_registered_without_time_limit(task):
    spec = gym.spec(task.id)
    assert spec.max_episode_steps is None
    assert isinstance(spec.entry_point, str)
    env = gym.make(task.id)
    assert env.spec.max_episode_steps == task.max_episode_steps
    assert "TimeLimit" not in repr(env)


@every_task
def test_episode_runs_its_length(task, fresh):
    env = fresh(task.name)
    for step, action in enumerate(actions_for(env, task.max_episode_steps), start=1):
        observation, reward, terminated, truncated, info = env.step(action)
        assert observation.shape == (env.game.observation_size,)
        assert observation.dtype == np.float32
        assert env.game.state.t == step
        assert terminated is False
        assert truncated is (step == task.max_episode_steps)
        assert type(reward) is float
        assert 0.0 <= info["score"] <= 1.0
        if task.score_metric == "success":
            assert info["success"] in (0.0, 1.0)
            assert info["score"] == info["success"]
        else:
            assert math.isnan(info["success"])


@every_task
def test_score_is_that_of_the_return(task, fresh):
    if task.score_metric == "success":
        pytest.skip("scored by success")
    env = fresh(task.name)
    total = 0.0
    for action in actions_for(env, task.max_episode_steps):
        _, reward, _, _, info = env.step(action)
        total += reward
    share = (total - task.score_low) / (task.score_high - task.score_low)
    assert info["score"] == min(max(share, 0.0), 1.0)


@every_task
def test_seed_determines_the_episode(task, fresh):
    first, second = fresh(task.name, seed=5), fresh(task.name, seed=9)
    actions = actions_for(first, 50)
    expected = rollout(first, actions)
    rollout(second, actions)  # another episode, so that what leaks would show
    np.random.seed(0)
    np.random.random(7)
    again, _ = second.reset(seed=5)
    np.testing.assert_array_equal(again, first.reset(seed=5)[0])
    assert rollout(second, actions) == expected


@every_task
def test_seeds_and_unseeded_resets_differ(task, fresh):
    env = fresh(task.name)
    decor_seeds = {env.game.state.decor_seed}
    for seed in (1, None, None):
        env.reset(seed=seed)
        decor_seeds.add(env.game.state.decor_seed)
    assert len(decor_seeds) == 4


@every_task
def test_reset_clears_everything(task, fresh):
    env = fresh(task.name, seed=3)
    expected = env.get_state()
    rollout(env, actions_for(env, task.max_episode_steps))
    env.reset(seed=3)
    assert_same_arrays(env.get_state(), expected)


@every_task
@pytest.mark.parametrize("at", [0, 1, 77])
def test_restored_state_continues(task, fresh, at):
    env = fresh(task.name, seed=2)
    actions = actions_for(env, task.max_episode_steps)
    rollout(env, actions[:at])
    state = env.get_state()
    kept = {key: array.copy() for key, array in state.items()}
    expected = rollout(env, actions[at:])
    assert_same_arrays(state, kept)  # it shares no memory with the game

    other = fresh(task.name, seed=11)
    rollout(other, actions[:30])
    for restored in (env, other):
        restored.set_state(state)
        assert_same_arrays(restored.get_state(), state)
        assert rollout(restored, actions[at:]) == expected


@every_task
def test_copies_go_on_as_the_original_does(task, fresh):
    env = fresh(task.name, seed=2, render_mode="rgb_array")
    actions = actions_for(env, 200)
    rollout(env, actions[:60])
    env.render()
    copies = [copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    expected = rollout(env, actions[60:])
    for other in copies:
        assert rollout(other, actions[60:]) == expected
        np.testing.assert_array_equal(other.render(), env.render())
        assert other.np_random.bit_generator.state == env.np_random.bit_generator.state


@every_task
def test_state_restored_before_any_reset(task, make, fresh):
    env, other = fresh(task.name, seed=2), make(task.name)
    actions = actions_for(env, task.max_episode_steps)
    other.set_state(env.get_state())
    assert rollout(other, actions) == rollout(env, actions)


@every_task
def test_state_without_the_environments_part(task, fresh):
    env = fresh(task.name, seed=2)
    rollout(env, actions_for(env, 20))
    game_only = {k: v for k, v in env.get_state().items() if k.startswith("task/")}
    other = fresh(task.name, seed=4)
    other.set_state(game_only)
    restored = other.get_state()
    assert restored["env/step"] == 20
    assert restored["env/return"] == 0
    assert_same_arrays({k: restored[k] for k in game_only}, game_only)


@every_task
def test_state_keys(task, fresh):
    env = fresh(task.name)
    state = env.get_state()
    assert state["env/rng"].dtype == np.uint64
    assert state["env/rng"].shape == (6,)
    assert all(key.partition("/")[0] in ("env", "task") for key in state)
    del state["task/decor_seed"]
    with pytest.raises(ValueError, match="task/decor_seed"):
        env.set_state(state)


@every_task
def test_drawing_changes_nothing(task, fresh):
    env, blind = fresh(task.name, render_mode="rgb_array"), fresh(task.name)
    frames = []
    for action in actions_for(env, 60):
        before = env.get_state()
        frames.append(env.render())
        assert_same_arrays(env.get_state(), before)
        np.testing.assert_array_equal(env.render(), frames[-1])
        assert rollout(env, [action]) == rollout(blind, [action])
    assert frames[0].shape == (224, 224, 3)
    assert frames[0].dtype == np.uint8
    assert frames[0].std() > 8
    assert sum((a != b).any() for a, b in zip(frames, frames[1:], strict=False)) > 50


@every_task
def test_picture_follows_from_the_state(task, fresh):
    """A restored state looks the same: nothing of the picture is kept elsewhere."""
    env = fresh(task.name, render_mode="rgb_array")
    for action in actions_for(env, 40):
        env.step(action)
        env.render()
    other = fresh(task.name, seed=8, render_mode="rgb_array")
    other.render()
    other.set_state(env.get_state())
    np.testing.assert_array_equal(other.render(), env.render())


@every_task
def test_actions_are_clipped(task, fresh):
    a, b = fresh(task.name), fresh(task.name)
    size = a.game.action_size
    for value in (1.0, -1.0):
        beyond = np.full(size, value * 7)
        assert rollout(a, [beyond]) == rollout(b, [np.full(size, value)])


@every_task
@pytest.mark.parametrize("kind", [np.float32, np.float64, list])
def test_kinds_of_actions(task, fresh, kind):
    a, b = fresh(task.name), fresh(task.name)
    values = [0.5] * a.game.action_size
    action = values if kind is list else np.array(values, kind)
    assert rollout(a, [action]) == rollout(b, [np.array(values)])


@every_task
def test_wrong_actions(task, fresh):
    env = fresh(task.name)
    before = env.get_state()
    size = env.game.action_size
    for wrong in (np.zeros(size + 1), np.zeros((1, size)), np.float32(0), "left", [None] * size):
        with pytest.raises(ValueError, match="action"):
            env.step(wrong)
    with pytest.raises(ValueError, match="NaN"):
        env.step(np.full(size, np.nan, np.float32))
    assert_same_arrays(env.get_state(), before)


@every_task
def test_reset_needed(task, make):
    env = make(task.name, render_mode="rgb_array")
    for call in (lambda: env.step(np.zeros(env.game.action_size)), env.render, env.get_state):
        with pytest.raises(ResetNeeded):
            call()


@every_task
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_actions_are_survived(task, data):
    env = gym.make(task.id).unwrapped
    env.reset(seed=data.draw(st.integers(0, 2**32 - 1)))
    entry = st.floats(-2, 2, width=32)
    action = st.lists(entry, min_size=env.game.action_size, max_size=env.game.action_size)
    for held in data.draw(st.lists(action, min_size=1, max_size=12)):
        for _ in range(task.max_episode_steps // 12):
            observation, reward, _, _, info = env.step(np.array(held, np.float32))
            assert np.isfinite(observation).all()
            assert math.isfinite(reward)
            assert 0.0 <= info["score"] <= 1.0


def test_stepping_needs_no_pygame():
    code = """
import sys, gymnasium as gym, miniarcade
for task in miniarcade.tasks():
    env = gym.make(task.id)
    env.reset(seed=0)
    env.step(env.action_space.sample())
assert "pygame" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
