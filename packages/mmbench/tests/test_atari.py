"""Atari: what users rely on, from the outside."""

import subprocess
import sys

import numpy as np
import pytest
from ale_py import ALEInterface

import mmbench
from mmbench.domains import atari
from mmbench.env import TaskEnv

TASKS = mmbench.tasks(domain="atari")
PLAIN = ("atari-pong-v0", "atari-pong-v1")


def actions(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, 3)).astype(np.float32)


def rollout(env: TaskEnv, sequence: np.ndarray) -> list:
    return [[*obs, reward] for obs, reward, *_ in map(env.step, sequence)]


def played(name: str, steps: int, **kwargs) -> TaskEnv:
    env = TaskEnv(name, unify=False, **kwargs)
    env.reset(seed=0)
    for action in actions(steps, seed=9):
        env.step(action)
    return env


def test_27_games_and_as_many_corrected():
    assert len(TASKS) == 27
    corrected = mmbench.tasks(domain="atari", version=1)
    assert [task.name for task in corrected] == [task.name for task in TASKS]
    assert all("255" in task.differs for task in corrected)


def test_importing_making_and_stepping_says_nothing_and_sets_nothing():
    code = """
import gymnasium, os, random, sys, warnings
import numpy
before, state = dict(os.environ), numpy.random.get_state()[1].tolist()
numbers, filters = random.getstate(), list(warnings.filters)
from mmbench.env import TaskEnv
env = TaskEnv("atari-pong", obs="state+rgb")
env.reset(seed=0)
env.step(env.action_space.sample())
assert dict(os.environ) == before
assert numpy.random.get_state()[1].tolist() == state and random.getstate() == numbers
assert warnings.filters == filters, warnings.filters
assert "pygame" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", ["atari-assault", "atari-beamrider"])
def test_an_episode_starts_alike_whatever_came_before(name):
    """Games in which ALE's own reset leaves RAM of the episode before."""
    env = TaskEnv(name, unify=False)
    first, _ = env.reset(seed=0)
    expected = rollout(env, actions(20))
    for action in actions(500, seed=1):
        env.step(action)
    ale = env._simulator._ale
    ale.reset_game()
    assert not np.array_equal(ale.getRAM(), np.round(first * 255)), "nothing is left, no test"
    again, _ = env.reset()
    np.testing.assert_array_equal(again, first)
    assert rollout(env, actions(20)) == expected


@pytest.mark.parametrize("name", ["atari-pong", "atari-seaquest"])
def test_ale_s_seed_decides_nothing(name, monkeypatch):
    """So that one start, kept from the first load, is every episode's."""
    expected = rollout(played(name, 0), actions(100))
    monkeypatch.setattr(atari, "_SEED", 12345)
    assert rollout(played(name, 0), actions(100)) == expected


def test_a_finished_game_stands_still_until_the_episode_is_over():
    env = TaskEnv("atari-road-runner", unify=False)
    env.reset(seed=0)
    sequence = iter(actions(1000, seed=3))
    while not env._simulator._ale.game_over():
        obs, *_, info = env.step(next(sequence))
    assert env._elapsed < 500
    for action in actions(5, seed=4):
        after, reward, terminated, truncated, after_info = env.step(action)
        np.testing.assert_array_equal(after, obs)
        assert (reward, terminated, truncated) == (0.0, False, False)
        assert after_info["score"] == info["score"]


@pytest.mark.parametrize("past", [0, 25])
def test_a_restored_state_goes_on_and_shows_what_it_showed(past):
    env = played("atari-ms-pacman", past, render_mode="rgb_array")
    state, frame = env.get_state(), env.render()
    assert state["state"].dtype == np.uint8 and state["state"].ndim == 1
    expected = rollout(env, actions(20))
    last = env.render()
    other = played("atari-ms-pacman", 40, render_mode="rgb_array")
    for target in (env, other, other):
        target.set_state(state)
        np.testing.assert_array_equal(target.render(), frame)
        again = target.get_state()
        for key, value in state.items():
            np.testing.assert_array_equal(again[key], value, err_msg=key)
        assert rollout(target, actions(20)) == expected
        np.testing.assert_array_equal(target.render(), last)


def test_a_state_is_not_a_view_of_the_running_game():
    env = played("atari-pong", 10)
    state = env.get_state()
    kept = {key: value.copy() for key, value in state.items()}
    env.set_state(state)
    rollout(env, actions(5))
    for key, value in kept.items():
        np.testing.assert_array_equal(state[key], value)


def test_a_state_without_its_screen_is_black_until_the_next_step():
    env = played("atari-pong", 30, render_mode="rgb_array")
    state = env.get_state()
    (expected,) = rollout(env, actions(1))
    shown = env.render()
    env.set_state({"state": state["state"]})
    assert not env.render().any()
    assert rollout(env, actions(1)) == [expected]
    np.testing.assert_array_equal(env.render(), shown)


def test_what_is_no_state_is_refused():
    env = played("atari-pong", 3)
    with pytest.raises(ValueError, match="ALE cannot read"):
        env.set_state({"state": np.zeros(10, np.uint8)})


def test_ram_is_scaled_alone_and_in_version_1_beside_frames_too():
    """Version 1's observation has one scale; version 0's bytes do not fit it."""
    state, both = {}, {}
    for name in PLAIN:
        env, beside = played(name, 20), played(name, 20, obs="state+rgb")
        state[name], both[name] = env._observation(), beside._observation()["state"]
        np.testing.assert_array_equal(env._simulator._ram, beside._simulator._ram)
        ram = env._simulator._ram
    v0, v1 = PLAIN
    np.testing.assert_array_equal(both[v0], ram)
    np.testing.assert_array_equal(state[v0], ram / np.float32(255))
    np.testing.assert_array_equal(state[v1], state[v0])
    np.testing.assert_array_equal(both[v1], state[v1])
    assert both[v0].max() > 100 and both[v1].max() <= 1


def test_the_render_mode_does_not_change_the_observation():
    np.testing.assert_array_equal(
        played("atari-pong", 3, render_mode="rgb_array")._observation(),
        played("atari-pong", 3)._observation(),
    )


def test_scores_follow_the_points():
    """Pong's range is -21 to 21: a lost point costs 1/42."""
    env = TaskEnv("atari-pong", unify=False)
    _, info = env.reset(seed=0)
    assert info["score"] == pytest.approx(0.5)
    total, lost = 0.0, 0
    while lost < 2:
        _, reward, *_, info = env.step(np.array([-1, 0, -1], np.float32))
        total += reward
        lost += reward < 0
        assert info["score"] == pytest.approx((total + 21) / 42)


def test_the_push_turns_the_paddle_as_fast():
    """Pong's paddle (byte 51 of RAM) moves further with a full push than with a small one."""
    moved = []
    for push in (0.2, 1.0):
        env = TaskEnv("atari-pong", unify=False)
        env.reset(seed=0)
        for _ in range(20):
            env.step(np.array([-1, 0, -1], np.float32))
        before = int(env._simulator._ram[51])
        for _ in range(2):
            env.step(np.array([push, 0, -1], np.float32))
        moved.append(abs(int(env._simulator._ram[51]) - before))
    assert 0 < moved[0] < moved[1]


def test_two_consoles_do_not_meet():
    expected = rollout(played("atari-boxing", 0), actions(20))
    env, other = played("atari-boxing", 0), played("atari-boxing", 0)
    trace = []
    for action, another in zip(actions(20), actions(20, seed=5), strict=True):
        trace += rollout(env, [action])
        other.step(another)
    assert trace == expected


def test_every_rom_is_the_one_that_the_package_knows():
    for task in TASKS:
        rom = atari._rom(task.native)
        assert ALEInterface.isSupportedROM(atari._ROMS / f"{rom}.bin") == rom
