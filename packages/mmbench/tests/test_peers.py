"""What other libraries read of an environment: its infos, its length, copies of it."""

import copy
import math
import pickle
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ClosedEnvironmentError
from gymnasium.vector import SyncVectorEnv
from gymnasium.wrappers import TimeAwareObservation, TimeLimit

import mmbench
from mmbench.catalog import get
from mmbench.domains import unavailable
from mmbench.env import TaskEnv
from mmbench.wrappers import FiniteInfo

NAME = "pygame-landing"
ID = f"mmbench:{get(NAME).id}"
BY_DOMAIN = {
    "dmcontrol": "walker-walk",
    "dmcontrol-ext": "jumper-jump",
    "metaworld": "mw-assembly",
    "maniskill": "ms-push-cube",
    "mujoco": "mujoco-ant",
    "box2d": "lunarlander-land",
    "robodesk": "rd-push-red",
    "ogbench": "og-point-maze",
    "miniarcade": "pygame-spaceship",
    "atari": "atari-pong",
}


def actions(count, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, 16)).astype(np.float32)


def rollout(env, sequence):
    """Everything that the environment says, for exact comparison."""
    return [
        (obs.tobytes(), reward, *ends, info["score"], str(info["success"]))
        for obs, reward, *ends, info in map(env.step, sequence)
    ]


# Infos


def test_step_and_reset_infos_hold_the_same_keys():
    env = TaskEnv(NAME)
    _, first = env.reset(seed=0)
    *_, later = env.step(actions(1)[0])
    assert first.keys() == later.keys() == {"score", "success"}
    assert type(first["success"]).__mro__[1] is np.float64 and math.isnan(first["success"])


def test_what_an_info_holds_is_asked_for():
    env = gym.make(ID, info="rng")
    obs, first = env.reset(seed=3)
    *_, later = env.step(actions(1)[0])
    assert first.keys() == later.keys() == {"score", "success", "rng"}
    np.testing.assert_array_equal(first["rng"], env.unwrapped.episode_rng)
    env.reset(seed=4)
    again, third = env.reset(options={"rng": first["rng"]})
    np.testing.assert_array_equal(again, obs)
    np.testing.assert_array_equal(third["rng"], first["rng"])
    assert env.unwrapped.np_random_seed == -1
    _, full = gym.make(ID, info="full").reset(seed=0)
    assert full.keys() - first.keys() == {"task", "instruction", "action_mask", "observation_mask"}
    with pytest.raises(ValueError, match="'all'.*score, rng, full"):
        gym.make(ID, info="all")


def test_vector_environments_of_gymnasium_make_float_arrays_of_infos():
    env = SyncVectorEnv([lambda name=name: TaskEnv(name) for name in (NAME, "pygame-pong")])
    for infos in (env.reset(seed=0)[1], env.step(actions(2))[-1]):
        for name in ("score", "success"):
            assert infos[name].dtype == np.float64 and infos[f"_{name}"].all()
        assert np.isnan(infos["success"]).all()


def test_infos_can_be_made_finite():
    env = FiniteInfo(gym.make(ID))
    for info in (env.reset(seed=0)[1], env.step(actions(1)[0])[-1]):
        assert info["success"] == -1.0 and 0 <= info["score"] <= 1
    assert gym.make(env.spec).reset(seed=0)[1]["success"] == -1.0
    known = FiniteInfo(TaskEnv("pygame-point-maze-var1"))
    assert known.reset(seed=0)[1] == {"score": 0.0, "success": 0.0}
    scoreless = FiniteInfo(TaskEnv(mmbench.gym_task("Pendulum-v1")))
    assert scoreless.reset(seed=0)[1] == {"score": -1.0, "success": -1.0}


# Length


@pytest.mark.parametrize("name", [ID, "miniarcade:miniarcade/landing-v0"])
def test_the_spec_says_the_length_and_nothing_else_counts_it(name):
    env = gym.make(name)
    assert env.spec.max_episode_steps == 200
    assert "TimeLimit" not in repr(env)
    state = env.reset(seed=0) and env.unwrapped.get_state()
    zeros = np.zeros(env.action_space.shape, np.float32)
    for _ in range(3):  # planning ahead from one state, for more steps than an episode has
        env.unwrapped.set_state(state)
        ends = [env.step(zeros)[3] for _ in range(200)]
        assert ends == [False] * 199 + [True]


@pytest.mark.parametrize("make", [lambda: gym.make(gym.make(ID).spec), lambda: gym.make(ID)])
def test_an_environment_made_from_a_spec_says_the_same(make):
    env, bare = make(), TaskEnv(NAME)
    assert env.spec.max_episode_steps == 200
    for one in (env, bare):
        one.reset(seed=2)
    sequence = actions(200)
    assert rollout(env, sequence) == rollout(bare, sequence)


def test_a_shorter_limit_is_gymnasiums():
    env = gym.make(ID, max_episode_steps=7)
    assert isinstance(env, TimeLimit) and env.spec.max_episode_steps == 7
    env.reset(seed=0)
    assert [env.step(action)[3] for action in actions(7)] == [False] * 6 + [True]


def test_observations_with_the_time():
    env = TimeAwareObservation(gym.make(ID))
    assert env.reset(seed=0)[0].shape == (129,) and env.max_timesteps == 200


# Copies

_CONTINUE = """
import pickle, sys
env, sequence = pickle.load(sys.stdin.buffer)
steps = [env.step(action)[:2] for action in sequence]
sys.stdout.buffer.write(pickle.dumps(steps))
"""


def test_every_domain_is_copied():
    assert BY_DOMAIN.keys() == {task.domain for task in mmbench.tasks()}
    assert all(get(name).domain == domain for domain, name in BY_DOMAIN.items())


@pytest.mark.parametrize("domain", BY_DOMAIN)
def test_a_copy_goes_on_as_the_original_does(domain):
    task = get(BY_DOMAIN[domain])
    if reason := unavailable(task):
        pytest.skip(reason)
    env = gym.make(task.id, disable_env_checker=True)
    env.reset(seed=1)
    for action in actions(9, seed=1):
        env.step(action)
    if domain == "box2d":
        for way in (copy.deepcopy, pickle.dumps):
            with pytest.raises(NotImplementedError, match=r"Box2D.*episode_rng"):
                way(env)
        return
    sequence = actions(15)
    twin, pickled = copy.deepcopy(env), pickle.dumps(env)
    if domain == "maniskill":  # PhysX also remembers contacts, which no state holds
        env.unwrapped.set_state(env.unwrapped.get_state())
    expected = rollout(env, sequence)
    assert rollout(twin, sequence) == expected  # what the original has done since does not matter
    assert rollout(pickle.loads(pickled), sequence) == expected
    assert twin.spec == env.spec and twin.unwrapped.task == task


def test_a_copy_has_generators_of_its_own_in_the_same_state():
    env = TaskEnv("pygame-spaceship")
    env.reset(seed=1)
    env.action_space.seed(3)
    twin = copy.deepcopy(env)
    np.testing.assert_array_equal(twin.action_space.sample(), env.action_space.sample())
    np.testing.assert_array_equal(twin.reset()[0], env.reset()[0])
    np.testing.assert_array_equal(twin.episode_rng, env.episode_rng)


def test_a_copy_before_the_first_reset_and_after_the_end():
    env = TaskEnv(NAME)
    np.testing.assert_array_equal(copy.deepcopy(env).reset(seed=4)[0], env.reset(seed=4)[0])
    rollout(env, actions(200))
    with pytest.raises(gym.error.ResetNeeded, match="over"):
        copy.deepcopy(env).step(actions(1)[0])
    env.reset(seed=0)
    env._over = True  # as where a task from outside terminates
    with pytest.raises(gym.error.ResetNeeded, match="over"):
        copy.deepcopy(env).step(actions(1)[0])
    env.close()
    with pytest.raises(ClosedEnvironmentError):
        copy.deepcopy(env)


def test_a_pickle_goes_on_in_another_process():
    env = TaskEnv("walker-walk", obs="state", info="rng")
    env.reset(seed=1)
    sequence = actions(5)
    result = subprocess.run(
        [sys.executable, "-c", _CONTINUE],
        input=pickle.dumps((env, sequence)),
        capture_output=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr.decode()
    for (obs, reward), theirs in zip(
        pickle.loads(result.stdout), map(env.step, sequence), strict=True
    ):
        np.testing.assert_array_equal(obs, theirs[0])
        assert reward == theirs[1]


def test_a_copy_draws():
    env = TaskEnv(NAME, obs="state+rgb", render_mode="rgb_array")
    env.reset(seed=0)
    np.testing.assert_array_equal(copy.deepcopy(env).render(), env.render())


def test_vector_environments_say_that_they_cannot_be_copied():
    many = gym.make_vec("mmbench:mmbench/multitask-v0", tasks=NAME, num_workers=0)
    arcade = gym.make_vec("miniarcade:miniarcade/pong-v0", 3)
    for env in (many, arcade):
        for way in (copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="neither copied nor pickled"):
                way(env)
        env.close()
