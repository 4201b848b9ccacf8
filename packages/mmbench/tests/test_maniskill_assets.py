"""The ManiSkill tasks with downloaded assets, on stand-ins of the same names and layout."""

import os
import subprocess
import sys
import warnings
from importlib.util import find_spec

import gymnasium as gym
import numpy as np
import pytest

from mmbench.assets import required_asset
from mmbench.catalog import TASKS, TaskUnavailableError, get
from mmbench.domains import unavailable
from mmbench.rendering import RendererUnavailableError

# One task an environment class; the others differ in the object only.
EACH = ("ms-pick-apple", "ms-push-apple", "ms-pick-cube-xarm6", "ms-reach-xarm6", "ms-anymal-reach")
each_class = pytest.mark.parametrize("name", EACH)


@each_class
def test_sizes_and_a_whole_episode(make, name):
    env = make(name)
    obs, _ = env.reset(seed=0)
    assert obs.shape == (env.task.obs_dim,)
    rng, done, steps = np.random.default_rng(0), False, 0
    while not done:
        obs, reward, terminated, done, info = env.step(rng.uniform(-1, 1, env.task.action_dim))
        steps += 1
        assert np.isfinite(obs).all() and np.isfinite(reward)
        assert not terminated and info["success"] in (0.0, 1.0)
        assert info["score"] == info["success"]
    assert steps == env.task.max_episode_steps


@each_class
def test_an_episode_is_a_function_of_its_seed(make, name):
    import torch

    env = make(name)
    actions = np.random.default_rng(1).uniform(-1, 1, (5, env.task.action_dim))

    def episode(seed):
        first, _ = env.reset(seed=seed)
        return [first, *(np.append(*env.step(action)[:2]) for action in actions)]

    expected = episode(3)
    episode(4)
    torch.manual_seed(5)
    np.random.seed(5)
    for left, right in zip(expected, episode(3), strict=True):
        np.testing.assert_array_equal(left, right)
    assert not np.array_equal(expected[0], episode(4)[0])


@each_class
def test_a_restored_state_continues_alike(make, name):
    env = make(name)
    env.reset(seed=0)
    actions = np.random.default_rng(2).uniform(-1, 1, (6, env.task.action_dim))
    for action in actions[:3]:
        env.step(action)
    state = env.get_state()

    def continued():
        env.set_state(state)
        for key, value in env.get_state().items():
            # PhysX normalises a quaternion that it is given: the last bit may change.
            np.testing.assert_allclose(value, state[key], rtol=0, atol=1e-7, err_msg=key)
        return [np.append(*env.step(action)[:2]) for action in actions[3:]]

    expected = continued()
    env.reset(seed=9)
    for left, right in zip(expected, continued(), strict=True):
        np.testing.assert_array_equal(left, right)


@each_class
def test_nothing_is_printed_or_warned(make, name, capfd):
    make(name)  # the package's folder is the stand-ins' from here on
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gym.make(get(name).id, unify=False)
        env.reset(seed=0)
        env.step(np.zeros(get(name).action_dim))
        env.close()
    assert capfd.readouterr() == ("", "")


@each_class
def test_frames(make, name):
    try:
        make(name)  # the package's folder is the stand-ins' from here on
        env = gym.make(get(name).id, unify=False, render_mode="rgb_array").unwrapped
    except RendererUnavailableError as error:
        pytest.skip(str(error))
    env.reset(seed=0)
    before = env.get_state()["state"]
    first = env.render()
    assert first.shape == (224, 224, 3) and first.dtype == np.uint8 and first.std() > 10
    np.testing.assert_array_equal(env.get_state()["state"], before)
    for _ in range(4):
        env.step(np.ones(env.task.action_dim))
    assert (env.render() != first).any()
    env.close()


@pytest.mark.skipif(find_spec("mani_skill") is None, reason="ManiSkill is not installed")
@each_class
def test_a_missing_asset_is_one_error_with_its_command(tmp_path, monkeypatch, capfd, name):
    monkeypatch.setenv("MS_ASSET_DIR", str(tmp_path))
    task = get(name)
    command = f"mmbench assets download --tasks {name}"
    assert command in unavailable(task)
    with pytest.raises(TaskUnavailableError, match=f"{name}.*{command}"):
        gym.make(task.id)
    assert not list(tmp_path.iterdir())  # nothing was fetched
    assert capfd.readouterr() == ("", "")  # nor asked


def test_stand_ins_satisfy_what_the_command_looks_for(stand_in_data, monkeypatch):
    monkeypatch.setenv("MS_ASSET_DIR", str(stand_in_data.parent))
    for name in EACH:
        assert unavailable(get(name)) is None


def test_a_process_with_its_own_asset_folder(stand_in_data):
    """As a user has it: the folder is set before anything is imported."""
    script = (
        "import gymnasium as gym, numpy as np\n"
        "env = gym.make('mmbench:mmbench/ms-reach-xarm6-v0')\n"
        "obs, _ = env.reset(seed=0); env.step(np.zeros(16)); print(obs.shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "MS_ASSET_DIR": str(stand_in_data.parent)},
        stdin=subprocess.DEVNULL,
    )
    assert (done.stdout, done.stderr) == ("(128,)\n", "")


def test_every_task_of_the_catalogue_is_built_by_a_tested_class():
    tested = {get(name).native for name in EACH}
    needing = {task.native for task in TASKS if required_asset(task)}
    assert needing == tested
