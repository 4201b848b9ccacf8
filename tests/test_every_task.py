"""What every registered task that can run here must do, whatever its domain.

New domains and corrected versions join by being in the catalogue.
"""

import json
import math
import pickle
import random
import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import mmbench
from mmbench.catalog import MAX_ACTION_DIM, MAX_OBS_DIM, TASKS, Task
from mmbench.domains import unavailable
from mmbench.env import TaskEnv

RUNNABLE = [task for task in TASKS if unavailable(task) is None]


SAMPLE = 6
"""About so many tasks of a domain stand for all of it, where its adapter alone decides."""


def sample(domain: str, count: int = SAMPLE) -> list[Task]:
    """Tasks from all over a domain."""
    own = [task for task in RUNNABLE if task.domain == domain]
    return own[:: max(1, len(own) // count)]


def _parametrize(sampled: set[str], count: int = SAMPLE):
    def parameter(task: Task):
        quick = task.domain not in sampled or task in sample(task.domain, count)
        marks = [] if quick else [pytest.mark.slow]
        return pytest.param(task, marks=marks, id=task.id.split("/")[1])

    # The scope lets the tests of a task follow each other, and share its environments.
    return pytest.mark.parametrize("task", [*map(parameter, RUNNABLE)], scope="module")


# One emulator makes all Atari games, and tests/test_atari_reference.py plays each of them.
every_task = _parametrize({"atari"})
some_tasks = _parametrize({task.domain for task in RUNNABLE})
"""For what the tasks of a domain have in common."""
a_few_tasks = _parametrize({task.domain for task in RUNNABLE}, 2)
"""For what is TaskEnv's, and takes long."""


def make(task: Task, **kwargs) -> TaskEnv:
    return gym.make(task.id, disable_env_checker=True, **kwargs).unwrapped


@pytest.fixture(scope="module")
def env(task) -> TaskEnv:
    """Of the task, whatever other tests did with it: to build one takes longer than to step."""
    return make(task, info="full")


@pytest.fixture(scope="module")
def other(task) -> TaskEnv:
    """A second one."""
    return make(task)


def actions(count: int, seed: int = 0) -> np.ndarray:
    """Padded actions whose entries past the task's own are noise too."""
    shape = (count, MAX_ACTION_DIM)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def rollout(env: TaskEnv, sequence: np.ndarray) -> list[np.ndarray]:
    return [np.array([*obs, reward]) for obs, reward, *_ in map(env.step, sequence)]


def test_every_domain_is_covered_or_known_to_be_missing():
    built = {task.domain for task in RUNNABLE}
    assert {"dmcontrol", "dmcontrol-ext", "miniarcade"} <= built  # what `pip install mmbench` runs


@a_few_tasks
@pytest.mark.filterwarnings("ignore:.*A Box observation space:UserWarning")
def test_gymnasium_checker(task):
    env = make(task)
    check_env(env, skip_render_check=True)
    env.close()


@every_task
def test_sizes_and_masks_are_the_catalogue_s(task, env):
    obs, info = env.reset(seed=0)
    assert env.observation_space == gym.spaces.Box(-np.inf, np.inf, (MAX_OBS_DIM,), np.float32)
    assert env.action_space == gym.spaces.Box(-1, 1, (MAX_ACTION_DIM,), np.float32)
    assert env.task is task
    assert info["task"] == task.name
    assert info["instruction"] == task.instruction
    for size, padded, own in (
        (task.obs_dim, MAX_OBS_DIM, "observation_mask"),
        (task.action_dim, MAX_ACTION_DIM, "action_mask"),
    ):
        mask = [1.0] * size + [0.0] * (padded - size)
        assert getattr(env, own).tolist() == info[own].tolist() == mask
    own = make(task, unify=False)
    small, _ = own.reset(seed=0)
    assert small.shape == (task.obs_dim,)
    assert own.action_space.shape == (task.action_dim,)
    np.testing.assert_array_equal(obs[: task.obs_dim], small)
    assert not obs[task.obs_dim :].any()


@some_tasks
def test_only_the_task_s_own_action_entries_count(task, env):
    action = actions(1)[0]
    other = action.copy()
    other[task.action_dim :] = np.nan
    beyond = action.copy()
    beyond[: task.action_dim] *= 1e3
    expected = []
    for one in (action, other, beyond, np.clip(beyond, -1, 1)):
        env.reset(seed=1)
        obs, reward, *_ = env.step(one)
        expected.append([*obs, reward])
    assert expected[0] == expected[1]
    assert expected[2] == expected[3]
    env.reset(seed=1)
    with pytest.raises(ValueError, match=f"{task.name}.*NaN"):
        env.step(np.full(MAX_ACTION_DIM, np.nan, np.float32))


@some_tasks
def test_whole_episode(task, env):
    env.reset(seed=0)
    for step, action in enumerate(actions(task.max_episode_steps, seed=3), start=1):
        obs, reward, terminated, truncated, info = env.step(action)
        assert np.isfinite(obs).all() and math.isfinite(reward)
        assert terminated is False
        assert truncated == (step == task.max_episode_steps)
        assert -1e-6 <= info["score"] <= 1 + 1e-6
        assert info["success"] in (0.0, 1.0) if task.has_success else math.isnan(info["success"])
    with pytest.raises(gym.error.ResetNeeded, match="over"):
        env.step(action)


@every_task
def test_an_episode_is_a_function_of_its_seed(task, env):
    sequence = actions(20 if task.action_repeat < 10 else 10)
    first, _ = env.reset(seed=7)
    expected = rollout(env, sequence)
    np.random.seed(1)
    random.seed(1)
    env.reset()  # another episode in between
    rollout(env, sequence[:5])
    before = np.random.get_state()[1].copy(), random.getstate()
    again, _ = env.reset(seed=7)
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(rollout(env, sequence), expected)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert random.getstate() == before[1]


@some_tasks
def test_reset_from_a_generator_starts_that_episode_again(task, env, other):
    env.reset(seed=7)
    obs, _ = env.reset()
    other.reset(seed=1)
    again, _ = other.reset(options={"rng": env.episode_rng})
    np.testing.assert_array_equal(again, obs)


@every_task
def test_restored_states_continue_exactly(task, env, other):
    future = actions(10, seed=1)
    env.reset(seed=2)
    rollout(env, actions(9))
    if task.domain == "box2d":
        with pytest.raises(NotImplementedError, match="Box2D"):
            env.get_state()
        return
    state = env.get_state()
    assert all(isinstance(value, np.ndarray) for value in state.values())
    assert int(state["env/step"]) == 9
    if task.domain == "maniskill":
        env.set_state(state)  # PhysX also remembers contacts, which no state holds
    *expected, last = rollout(env, future), env.get_state()
    other.reset(seed=3)
    rollout(other, actions(4, seed=4))
    for _ in range(2):
        other.set_state(state)
        np.testing.assert_array_equal(rollout(other, future), expected[0])
    reached = other.get_state()
    assert reached.keys() == last.keys()
    for key in last:
        np.testing.assert_array_equal(reached[key], last[key], err_msg=key)


@some_tasks
def test_spec_survives_pickling(task):
    spec = gym.spec(task.id)
    assert pickle.loads(pickle.dumps(spec)) == spec
    env = pickle.loads(pickle.dumps(spec)).make()
    assert env.unwrapped.task.id == task.id


_DIGEST = """
import hashlib, json, sys, warnings
import numpy as np
warnings.simplefilter("error")  # a user of any domain sees no warning
from mmbench.env import TaskEnv
np.random.seed(5)
digests = {}
for name in sys.argv[1:]:
    env = TaskEnv(name)
    obs, _ = env.reset(seed=11)
    parts = [obs.tobytes()]
    rng = np.random.default_rng(0)
    for _ in range(5):
        obs, reward, *_ = env.step(rng.uniform(-1, 1, 16).astype(np.float32))
        parts += [obs.tobytes(), np.float64(reward).tobytes()]
    digests[name] = hashlib.sha256(b"".join(parts)).hexdigest()
print(json.dumps(digests))
"""


@pytest.mark.parametrize("domain", sorted({task.domain for task in RUNNABLE}))
def test_same_episodes_in_another_process_and_nothing_printed(domain):
    names = [task.id for task in sample(domain)]
    result = subprocess.run(
        [sys.executable, "-c", _DIGEST, *names], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    theirs = json.loads(result.stdout)
    script = _DIGEST.replace("sys.argv[1:]", repr(names)).replace("print(", "output(")
    ours = {}
    with warnings.catch_warnings():
        exec(script, {"output": lambda text: ours.update(json.loads(text))})
    assert ours == theirs


def test_tasks_that_cannot_run_say_why():
    for task in TASKS:
        if task not in RUNNABLE:
            with pytest.raises(mmbench.catalog.TaskUnavailableError, match=task.name):
                TaskEnv(task)
