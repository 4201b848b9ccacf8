"""Environments that step together as arrays: nobody can tell."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from mmbench.domains.miniarcade import GamesTogether
from mmbench.vector import together
from mmbench.vector.together import Team

COUNT = together.LEAST
TASKS = "pygame-cowboy,pygame-point-maze-var1,pygame-spaceship,pygame-coinrun"
"""The last one has no vector game. The maze is scored by success and has 200 steps, not 500."""


def make(tasks=TASKS, envs_per_task=COUNT, **settings):
    """Has its teams, if it will have any: the first step decides."""
    settings |= {"tasks": tasks, "envs_per_task": envs_per_task, "num_workers": 0}
    env = gym.make_vec("mmbench:mmbench/multitask-v0", **settings).unwrapped
    env.reset(seed=5)
    act(env, 0)
    return env


@pytest.fixture
def pair(monkeypatch):
    """Makes two vector environments: the first steps together, the second does not."""
    steps = []
    step = GamesTogether.step

    def counted(games, actions):
        steps.append(len(actions))
        return step(games, actions)

    monkeypatch.setattr(GamesTogether, "step", counted)
    made = []

    def pair(*args, **settings):
        made.append(make(*args, **settings))
        assert steps
        steps.clear()
        with monkeypatch.context() as patch:
            patch.setattr(together, "LEAST", 10**6)
            made.append(make(*args, **settings))
        assert not steps
        assert_same(*(env.reset(seed=5) for env in made))
        return made, steps

    yield pair
    for env in made:
        env.close()


def act(env, seed):
    return env.step(batch(env, seed))


def batch(env, seed):
    """Held for five steps, so that much happens; what is masked is not looked at."""
    actions = np.random.default_rng(seed // 5).uniform(-1.2, 1.2, env.action_space.shape)
    return np.where(env.action_mask, actions, np.nan).astype(np.float32)


def assert_same(one, other):
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            assert_same(one[name], other[name])
    elif isinstance(one, (tuple, list)):
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    elif isinstance(one, np.ndarray) and one.dtype == object:
        assert_same(one.tolist(), other.tolist())
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype and one.tobytes() == other.tobytes()
    else:
        assert one == other or one is other


def test_steps_infos_and_ends_are_the_same(pair):
    envs, steps = pair()
    for seed in range(510):
        assert_same(*(act(env, seed) for env in envs))
    assert steps == [COUNT] * 3 * 510
    assert_same(*(env.episode_rng for env in envs))


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
def test_other_ways_to_reset_are_the_same(pair, mode):
    envs, steps = pair("pygame-point-maze-var1,pygame-reacher-easy", autoreset_mode=mode)
    for seed in range(410):
        results = [act(env, seed) for env in envs]
        assert_same(*results)
        ended = results[0][3]
        if mode is AutoresetMode.DISABLED and ended.any():
            assert_same(*(env.reset(options={"reset_mask": ended}) for env in envs))
    assert len(steps) > 2 * 400


def test_halves_and_wholes_take_turns(pair):
    envs, steps = pair("pygame-cowboy,pygame-pong", envs_per_task=2 * COUNT)
    for seed in range(40):
        if seed // 10 % 2:
            assert_same(*(act(env, seed) for env in envs))
        else:
            for half in (1, 0):
                for env in envs:
                    env.send(batch(env, seed)[half::2], half)
                assert_same(*(env.recv(half) for env in envs))
    assert steps == [*[COUNT] * 2 * 2 * 10, *[2 * COUNT] * 2 * 10] * 2


@pytest.mark.parametrize("task", ["pygame-cowboy", "pygame-point-maze-var1", "pygame-spaceship"])
def test_states_are_saved_and_restored_in_between(pair, task):
    envs, steps = pair(task)
    for seed in range(60):
        assert_same(*(act(env, seed) for env in envs))
    states = [env.call("get_state") for env in envs]
    assert_same(*states)
    for env in envs:
        env.call("set_state", states[0][2])
    for seed in range(60, 90):
        assert_same(*(act(env, seed) for env in envs))
    assert_same(*(env.call("get_state") for env in envs))
    assert steps == [COUNT] * 90


def test_what_a_user_sets_is_heeded(pair):
    envs, steps = pair("pygame-cowboy")
    for env in envs:
        env.set_attr("advance", [lambda action: (7.0, False, False, 0.5, np.nan)] * COUNT)
    results = [act(env, 0) for env in envs]
    assert results[0][1].tolist() == [7.0] * COUNT
    assert_same(*results)
    assert not steps


def test_after_an_exception_in_a_step_no_episode_is_left(pair, monkeypatch):
    (env, _), _ = pair("pygame-cowboy")
    act(env, 0)
    end = Team._write

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(Team, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        act(env, 1)
    monkeypatch.setattr(Team, "_write", end)
    env.reset(seed=5)
    again = [act(env, seed) for seed in range(5)]
    env.reset(seed=5)
    assert_same(again, [act(env, seed) for seed in range(5)])
