"""TaskEnv: what it adds to a simulator, with two cheap ones."""

import gc
import math
import subprocess
import sys
import weakref

import gymnasium as gym
import numpy as np
import pytest

import mmbench
from mmbench.env import TaskEnv

DMC, ARCADE = "cartpole-swingup", "pygame-landing"


@pytest.mark.parametrize("name", [DMC, ARCADE])
def test_observation_modes(name):
    state = TaskEnv(name)
    rgb, both = TaskEnv(name, obs="rgb"), TaskEnv(name, obs="state+rgb")
    assert rgb.observation_space == gym.spaces.Box(0, 255, (224, 224, 3), np.uint8)
    assert set(both.observation_space) == {"state", "rgb"}
    action = np.full(16, 0.3, np.float32)
    for step in range(3):
        if step == 0:
            a, b, c = (env.reset(seed=2)[0] for env in (state, rgb, both))
        else:
            a, b, c = (env.step(action)[0] for env in (state, rgb, both))
        np.testing.assert_array_equal(c["state"], a)  # drawing changes nothing
        np.testing.assert_array_equal(c["rgb"], b)
        assert rgb.observation_space.contains(b) and both.observation_space.contains(c)
        assert b.std() > 5
    for env in (state, rgb, both):
        env.close()


def test_score_is_that_of_the_episode_so_far():
    env = TaskEnv(DMC)
    env.reset(seed=0)
    total = 0.0
    for _ in range(20):
        *_, info = (result := env.step(np.zeros(16, np.float32)))
        total += result[1]
        assert info["score"] == pytest.approx(total / 1000)
    assert math.isnan(info["success"])


def test_score_is_clipped_where_the_published_one_is():
    task = mmbench.catalog.get("pygame-pong")
    assert task.score(-3, math.nan) == 0.0
    assert task.score(0, math.nan) == 0.5
    assert task.score(9, math.nan) == 1.0
    assert task.score(-9, math.nan) == 0.0
    task = mmbench.catalog.get("walker-walk")
    assert task.score(1001.0, math.nan) == pytest.approx(1.001)
    task = mmbench.catalog.get("mw-reach")
    assert task.score(-50.0, 1.0) == 1.0
    assert task.score(500.0, 0.0) == 0.0


def test_action_repeat_sums_rewards():
    env, state = TaskEnv(DMC), None
    env.reset(seed=1)
    state = env.get_state()
    action = np.full(16, 0.5, np.float32)
    reward = env.step(action)[1]
    simulator = env._simulator
    env.set_state(state)
    simulator._action_repeat = 1
    parts = [env.step(action)[1] for _ in range(2)]
    assert reward == pytest.approx(sum(parts))


def test_state_without_its_env_keys_starts_an_episode_there():
    env = TaskEnv(DMC)
    env.reset(seed=0)
    for _ in range(30):
        env.step(np.full(16, 0.7, np.float32))
    state = {k: v for k, v in env.get_state().items() if not k.startswith("env/")}
    obs = env.step(np.zeros(16, np.float32))[0]
    other = TaskEnv(DMC)
    other.reset(seed=9)
    other.set_state(state)
    again, reward, _, _, info = other.step(np.zeros(16, np.float32))
    np.testing.assert_array_equal(again, obs)
    assert info["score"] == pytest.approx(reward / 1000)
    assert int(other.get_state()["env/step"]) == 1


def test_state_of_another_task_is_refused():
    env = TaskEnv(DMC)
    env.reset(seed=0)
    other = TaskEnv("walker-walk")
    other.reset(seed=0)
    with pytest.raises(ValueError, match="state of mmbench/walker-walk-v0"):
        env.set_state(other.get_state())


def test_needs_a_reset_first():
    env = TaskEnv(ARCADE)
    for call in (lambda: env.step(np.zeros(16)), env.get_state, lambda: env.set_state({})):
        with pytest.raises(gym.error.ResetNeeded, match=ARCADE):
            call()


def test_an_interrupted_reset_leaves_no_episode_to_go_on_with(monkeypatch):
    env = TaskEnv(ARCADE)
    env.reset(seed=0)
    env.step(np.zeros(16))

    def interrupted(rng):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(env._simulator, "reset", interrupted)
        with pytest.raises(KeyboardInterrupt):
            env.reset()
    with pytest.raises(gym.error.ResetNeeded, match=ARCADE):
        env.step(np.zeros(16))
    env.reset(seed=0)
    env.step(np.zeros(16))


def test_bad_arguments_name_the_value():
    with pytest.raises(ValueError, match="'pixels'.*state, rgb"):
        TaskEnv(ARCADE, obs="pixels")
    with pytest.raises(ValueError, match="'ansi'"):
        TaskEnv(ARCADE, render_mode="ansi")
    env = TaskEnv(ARCADE)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"shape \(2,\), expected \(16,\)"):
        env.step(np.zeros(2, np.float32))
    with pytest.raises(ValueError, match=r"expected \(2,\)"):
        own = TaskEnv(ARCADE, unify=False)
        own.reset(seed=0)
        own.step(np.zeros(16, np.float32))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (np.zeros(6, np.uint64), "no state of a PCG64"),
        (np.array([1, 1, 1, 1, 2, 0], np.uint64), "no state of a PCG64"),
        (np.ones(4, np.uint64), r"expected \(6,\) uint64"),
        (np.full(6, -1), "no state of a PCG64"),
        (np.full(6, np.nan), "float64, expected"),
        ("seed", "expected"),
    ],
)
@pytest.mark.parametrize("name", [DMC, ARCADE])
def test_a_generator_that_is_none_is_refused(name, words, message):
    """From zeros a generator draws zeros for ever, and some resets draw until a number fits."""
    env, untouched = TaskEnv(name), TaskEnv(name)
    for one in (env, untouched):
        one.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        env.reset(seed=5, options={"rng": words})
    np.testing.assert_array_equal(env.get_state()["env/rng"], untouched.get_state()["env/rng"])
    np.testing.assert_array_equal(env.reset()[0], untouched.reset()[0])


def test_id_with_the_module_needs_no_import():
    code = 'import gymnasium as g; print(g.make("mmbench:mmbench/walker-walk-v0").reset()[0].shape)'
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
    )
    assert result.stdout.strip() == "(128,)", result.stderr
    assert result.stderr == ""


@pytest.mark.parametrize(
    "task",
    [
        *("pygame-pong", "mujoco-reacher", "og-point-maze", "og-ant", "lunarlander-hover"),
        *("bipedal-walker-flat", "atari-pong", "rd-push-red"),
    ],
)
def test_what_is_in_no_cycles_is_freed_with_its_last_reference(task):
    env = TaskEnv(task, unify=False)
    assert not env.simulator.in_cycles
    env.reset(seed=0)
    env.step(np.zeros(env.task.action_dim, np.float32))
    gc.collect()
    gc.disable()
    try:
        env.close()
        simulator = weakref.ref(env.simulator)
        del env
        assert simulator() is None
        assert gc.collect() == 0
    finally:
        gc.enable()
