"""The vector environments: the results of single environments, to the last bit."""

import copy
import dataclasses

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import miniarcade
from miniarcade.arcade import ArcadeEnv
from miniarcade.vector import VectorArcadeEnv
from miniarcade.vector.game import hypot

NUM_ENVS = 5
TASKS = [task for task in miniarcade.tasks() if task.vector]
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)


def make(name, num_envs=NUM_ENVS, **kwargs):
    id = miniarcade.get_task(name).id
    env = gym.make_vec(id, num_envs, vectorization_mode="vector_entry_point", **kwargs)
    assert isinstance(env, VectorArcadeEnv)
    return env


def singles(task, mode=AutoresetMode.SAME_STEP):
    return SyncVectorEnv([lambda: ArcadeEnv(task)] * NUM_ENVS, autoreset_mode=mode)


def actions_for(env, count, seed=0):
    """Held for some steps, so that much happens; now and then beyond the limits."""
    rng = np.random.default_rng(seed)
    shape = (count // 7 + 1, *env.action_space.shape)
    return rng.uniform(-1.3, 1.3, shape).repeat(7, axis=0)[:count].astype(np.float32)


def assert_same_bits(a, b):
    assert a.shape == b.shape
    assert a.dtype == b.dtype
    assert a.tobytes() == b.tobytes(), np.argwhere(a != b)


def assert_same_infos(infos, expected):
    assert infos.keys() == expected.keys()
    for key, value in infos.items():
        if isinstance(value, dict):
            assert_same_infos(value, expected[key])
        elif key == "final_obs":
            for mine, theirs in zip(value, expected[key], strict=True):
                assert mine is theirs is None or mine.tobytes() == theirs.tobytes()
        else:
            assert_same_bits(value, expected[key])


@every_task
def test_same_as_single_environments(task):
    """Over two and a half episodes, so that resets and what follows them are compared too."""
    env, expected = make(task.name), singles(task.name)
    observations, infos = env.reset(seed=3)
    expected_observations, expected_infos = expected.reset(seed=3)
    assert_same_bits(observations, expected_observations)
    assert_same_infos(infos, expected_infos)
    for step, actions in enumerate(actions_for(env, task.max_episode_steps * 5 // 2), start=1):
        *arrays, infos = env.step(actions)
        *expected_arrays, expected_infos = expected.step(actions)
        for mine, theirs in zip(arrays, expected_arrays, strict=True):
            assert_same_bits(mine, theirs)
        assert_same_infos(infos, expected_infos)
        if step % 13 == 0:  # what only pictures show, too
            states = [env.game.read(i) for i in range(NUM_ENVS)]
            assert states == [one.game.state for one in expected.envs]
        assert ("final_obs" in infos) == (step % task.max_episode_steps == 0)
    assert {g.bit_generator.state["state"]["state"] for g in env.np_random} == {
        g.bit_generator.state["state"]["state"] for g in expected.np_random
    }


@every_task
def test_a_state_is_taken_over_in_the_middle_of_an_episode(task):
    """From a single game into arrays and back: nothing is lost, and both go on alike."""
    env, expected = make(task.name, num_envs=1), ArcadeEnv(task)
    env.reset(seed=0)
    expected.reset(seed=3)
    actions = actions_for(env, 160)
    for (action,) in actions[:90]:
        expected.step(action)
    for (action,) in actions[90:]:
        if expected.game.state.t % 25 in (0, 15):
            env.game.write(0, copy.deepcopy(expected.game.state))
            assert env.game.read(0) == expected.game.state
        generator = copy.deepcopy(expected.np_random)
        env.game.rngs[0] = generator
        reward = env.game.step(np.clip(action[None], -1, 1).astype(np.float64))
        _, own, *_ = expected.step(action)
        assert reward.tolist() == [own]
        assert env.game.read(0) == expected.game.state


@every_task
def test_same_pictures(task):
    env = make(task.name, num_envs=2, render_mode="rgb_array")
    one = ArcadeEnv(task.name, render_mode="rgb_array")
    env.reset(seed=3)
    one.reset(seed=4)
    for step, actions in enumerate(actions_for(env, 60)):
        if step % 19 == 0:
            frame = env.render()[1]
            np.testing.assert_array_equal(frame, one.render())
        env.step(actions)
        one.step(actions[1])


def test_random_numbers_are_drawn_inside_episodes():
    """Else the comparison above would prove little."""
    for name in ("cartpole-tremor", "cowboy", "pong", "spaceship"):
        env = make(name)
        env.reset(seed=0)
        before = [generator.bit_generator.state for generator in env.np_random]
        for actions in actions_for(env, 300):
            env.step(actions)
        assert all(
            old != generator.bit_generator.state
            for old, generator in zip(before, env.np_random, strict=True)
        ), name


@pytest.mark.parametrize("mode", AutoresetMode)
@every_task
def test_some_environments_reset_earlier(task, mode):
    """With a mask, as Gymnasium defines it; afterwards their episodes end at other steps."""
    env, expected = make(task.name, autoreset_mode=mode.value), singles(task.name, mode)
    assert env.autoreset_mode is env.metadata["autoreset_mode"] is mode
    env.reset(seed=0)
    expected.reset(seed=0)
    mask = np.array([True, False, True, False, False])
    over, ends = np.zeros(NUM_ENVS, bool), 0
    for step, actions in enumerate(actions_for(env, task.max_episode_steps + 20)):
        again = mask if step == 15 else over
        if step == 15 or (over.any() and mode is AutoresetMode.DISABLED):
            mine, theirs = (one.reset(options={"reset_mask": again}) for one in (env, expected))
            over = np.zeros(NUM_ENVS, bool)
        else:
            mine, theirs = env.step(actions), expected.step(actions)
            for ours, others in zip(mine[1:4], theirs[1:4], strict=True):
                assert_same_bits(ours, others)
            over = mine[3]
            ends += over.sum()
        assert_same_bits(mine[0], theirs[0])
        assert_same_infos(mine[-1], theirs[-1])
    assert ends == NUM_ENVS


def test_the_step_that_resets_draws_nothing_else():
    """All games step, also those whose episodes are over."""
    task = dataclasses.replace(miniarcade.get_task("pong"), max_episode_steps=3)
    env = VectorArcadeEnv(task, NUM_ENVS, autoreset_mode=AutoresetMode.NEXT_STEP)
    env.reset(seed=0)
    step = env.game.step
    env.game.step = lambda actions: [rng.random() for rng in env.game.rngs] and step(actions)
    for actions in actions_for(env, 3):
        env.step(actions)
    generators = copy.deepcopy(env.np_random)
    observations, rewards, *_ = env.step(actions)
    game = task.make_game()
    for generator, mine, observation in zip(generators, env.np_random, observations, strict=True):
        game.reset(generator)
        assert generator.bit_generator.state == mine.bit_generator.state
        assert observation.tolist() == np.float32(game.observe()).tolist()
    assert not rewards.any()


def test_what_is_over_has_to_be_reset_where_autoreset_is_disabled():
    env = make("point-maze-var1", autoreset_mode="Disabled")
    env.reset(seed=0)
    for actions in actions_for(env, 200):
        *_, truncated, infos = env.step(actions)
    assert truncated.all() and "final_obs" not in infos
    with pytest.raises(ResetNeeded, match=r"\[0, 1, 2, 3, 4\] are over.*reset_mask"):
        env.step(actions)
    env.reset(options={"reset_mask": np.arange(NUM_ENVS) > 0})
    with pytest.raises(ResetNeeded, match=r"environments \[0\] are over"):
        env.step(actions)
    env.reset(options={"reset_mask": np.arange(NUM_ENVS) == 0})
    env.step(actions)


@every_task
def test_registered(task):
    assert gym.spec(task.id).vector_entry_point == "miniarcade.vector:VectorArcadeEnv"
    env = make(task.name, num_envs=3)
    assert env.num_envs == 3
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert env.spec.id == task.id
    single = ArcadeEnv(task.name)
    assert env.single_observation_space == single.observation_space
    assert env.single_action_space == single.action_space
    observations, _ = env.reset(seed=0)
    assert env.observation_space.contains(observations)


def test_not_registered_for_the_others():
    task = next(task for task in miniarcade.tasks() if not task.vector)
    assert gym.spec(task.id).vector_entry_point is None
    with pytest.raises(ValueError, match=f"{task.id} has no vector game.*pong"):
        VectorArcadeEnv(task)


def test_seeds():
    env = make("pong", num_envs=3)
    listed, _ = env.reset(seed=[7, 5, 6])
    assert env.np_random_seed == (7, 5, 6)
    counted, _ = env.reset(seed=5)
    np.testing.assert_array_equal(listed, counted[[2, 0, 1]])
    partly, _ = env.reset(seed=[5, None, None])
    np.testing.assert_array_equal(partly[0], counted[0])
    assert (partly[1:] != counted[1:]).any(axis=1).all()
    with pytest.raises(ValueError, match="2 seeds for 3"):
        env.reset(seed=[1, 2])


def test_unseeded_environments_differ():
    observations, _ = make("reacher-easy").reset()
    assert len(np.unique(observations, axis=0)) == NUM_ENVS


def test_results_are_the_callers():
    env = make("cowboy")
    results = [env.reset(seed=0)[0]]
    copies = [results[0].copy()]
    for actions in actions_for(env, 520):
        observations, rewards, _, truncated, infos = env.step(actions)
        new = [observations, rewards, truncated, infos["score"], infos["_score"]]
        results += new
        copies += [array.copy() for array in new]
        observations[0] = rewards[0] = infos["score"][0] = 7.0
        copies[-5][0] = copies[-4][0] = copies[-2][0] = 7.0
    for array, kept in zip(results, copies, strict=True):
        np.testing.assert_array_equal(array, kept)


def test_wrong_use():
    env = make("pong", num_envs=3, render_mode="rgb_array")
    assert len(env.np_random) == 3
    for call in (lambda: env.step(np.zeros((3, 1))), env.render):
        with pytest.raises(ResetNeeded):
            call()
    with pytest.raises(ValueError, match="first reset"):
        env.reset(options={"reset_mask": np.array([True, False, False])})
    env.reset(seed=0)
    for wrong in (np.zeros(3), np.zeros((2, 1)), "left", [[None]] * 3):
        with pytest.raises(ValueError, match="action"):
            env.step(wrong)
    with pytest.raises(ValueError, match="NaN"):
        env.step(np.array([[0.0], [np.nan], [0.0]]))
    with pytest.raises(ValueError, match="reset_mask"):
        env.reset(options={"reset_mask": np.array([True])})
    with pytest.raises(TypeError, match="options=3: a dict"):
        env.reset(options=3)
    with pytest.raises(ValueError, match="render mode"):
        make("pong", render_mode="human")
    with pytest.raises(ValueError, match="'Never'.*NextStep, SameStep, Disabled"):
        make("pong", autoreset_mode="Never")
    with pytest.raises(ValueError, match="num_envs=0"):
        make("pong", num_envs=0)
    env = make("pong")
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.render() is None


def test_functions_agree_with_those_of_math():
    """The single games use `math`, the vector games NumPy: no bit may differ."""
    import math

    values = np.random.default_rng(0).uniform(-60, 60, (2, 20_000))
    x, y = values.tolist()
    assert np.sin(values[0]).tolist() == [math.sin(v) for v in x]
    assert np.cos(values[0]).tolist() == [math.cos(v) for v in x]
    assert hypot(*values).tolist() == [math.hypot(*pair) for pair in zip(x, y, strict=True)]
