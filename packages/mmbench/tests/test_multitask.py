"""The multitask vector environment against single environments."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from outside import without_simulator

import mmbench
from mmbench.catalog import TaskUnavailableError
from mmbench.env import TaskEnv

ID = "mmbench:mmbench/multitask-v0"
TASKS = "pygame-pong,walker-walk,pygame-landing,cartpole-swingup"  # 500, 500, 200, 500 steps


def make(tasks=TASKS, **kwargs):
    return gym.make_vec(ID, tasks=tasks, num_workers=0, **kwargs)


def actions(env, count, seed=0):
    shape = (count, *env.action_space.shape)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def test_what_it_says_of_itself():
    env = make(envs_per_task=2)
    names = ["pygame-pong", "walker-walk", "pygame-landing", "cartpole-swingup"]
    assert [task.name for task in env.tasks] == [name for name in names for _ in range(2)]
    assert env.num_envs == 8
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert env.observation_space == gym.spaces.Box(-np.inf, np.inf, (8, 128), np.float32)
    assert env.action_space == gym.spaces.Box(-1, 1, (8, 16), np.float32)
    assert env.action_mask.shape == (8, 16)
    assert env.action_mask.sum(1).tolist() == [task.action_dim for task in env.tasks]
    assert env.observation_mask.sum(1).tolist() == [task.obs_dim for task in env.tasks]
    assert env.discount.tolist() == pytest.approx([task.discount for task in env.tasks])
    env.close()


def test_steps_as_single_environments_do_across_resets():
    env = make(envs_per_task=2)
    obs, infos = env.reset(seed=5)
    singles = [TaskEnv(task) for task in env.tasks]
    for i, single in enumerate(singles):
        first, info = single.reset(seed=5 + i)
        np.testing.assert_array_equal(obs[i], first)
        assert infos["score"][i] == info["score"]
    endings = 0
    for batch in actions(env, 520):
        obs, rewards, terminated, truncated, infos = env.step(batch)
        assert not terminated.any()
        for i, single in enumerate(singles):
            expected, reward, _, over, info = single.step(batch[i])
            assert rewards[i] == reward
            assert truncated[i] == over
            np.testing.assert_equal(infos["score"][i], info["score"])
            np.testing.assert_equal(infos["success"][i], float(info["success"]))
            if over:
                endings += 1
                np.testing.assert_array_equal(infos["final_obs"][i], expected)
                assert infos["_final_obs"][i]
                assert infos["final_info"]["score"][i] == info["score"]
                expected, info = single.reset()
                np.testing.assert_array_equal(env.unwrapped.episode_rng[i], info["rng"])
            elif "final_obs" in infos:
                assert not infos["_final_obs"][i]
                assert not infos["final_obs"][i].any()
            np.testing.assert_array_equal(obs[i], expected)
    assert endings == 6 + 2 * 2  # 500 steps once, 200 steps twice


def test_halves_step_as_the_whole_does():
    whole, halves = make("pygame-pong,pygame-cowboy,walker-walk"), None
    halves = make("pygame-pong,pygame-cowboy,walker-walk")
    whole.reset(seed=1)
    halves.reset(seed=1)
    for batch in actions(whole, 510):
        expected = whole.step(batch)
        halves.send(batch[0::2], 0)
        halves.send(batch[1::2], 1)
        for half in (0, 1):
            received = halves.recv(half)
            for ours, theirs in zip(received[:4], expected[:4], strict=True):
                np.testing.assert_array_equal(ours, theirs[half::2])
            np.testing.assert_array_equal(received[4]["score"], expected[4]["score"][half::2])


def test_halves_out_of_order_are_errors():
    env = make("pygame-pong,pygame-cowboy")
    env.reset(seed=0)
    batch = np.zeros((1, 16), np.float32)
    with pytest.raises(RuntimeError, match="send"):
        env.recv(0)
    env.send(batch, 0)
    with pytest.raises(RuntimeError, match="already"):
        env.send(batch, 0)
    with pytest.raises(RuntimeError, match="recv"):
        env.step(np.zeros((2, 16), np.float32))
    with pytest.raises(ValueError, match="half=2"):
        env.send(batch, 2)
    env.recv(0)


def test_arrays_are_the_caller_s_to_keep():
    env = make()
    obs, _ = env.reset(seed=0)
    kept = obs.copy()
    later, rewards, *_ = env.step(actions(env, 1)[0])
    obs[:] = 7
    later[:] = 7
    rewards[:] = 7
    env.reset(seed=0)
    again, _ = env.reset(seed=0)
    np.testing.assert_array_equal(again, kept)


def test_reset_mask_and_generators_bring_an_episode_back():
    env = make()
    env.reset(seed=3)
    for batch in actions(env, 5):
        obs, *_ = env.step(batch)
    mask = np.array([False, True, False, True])
    after, _ = env.reset(options={"reset_mask": mask})
    np.testing.assert_array_equal(after[~mask], obs[~mask])
    assert (after[mask] != obs[mask]).any(1).all()
    other = make()
    again, _ = other.reset(options={"rng": env.episode_rng})
    np.testing.assert_array_equal(again[mask], after[mask])


def test_seeds_one_by_one():
    env = make()
    a, _ = env.reset(seed=[4, 4, 9, 9])
    b, _ = env.reset(seed=4)
    assert (a[0] == b[0]).all()
    assert (a[1] != b[1]).any()
    with pytest.raises(ValueError, match="2 seeds for 4"):
        env.reset(seed=[1, 2])


def test_bad_arguments_name_the_value():
    with pytest.raises(mmbench.UnknownTaskError, match="walker-wlk"):
        make("walker-wlk")
    with pytest.raises(ValueError, match=r"num_envs=3.*4"):
        make(num_envs=3)
    assert make(num_envs=4).num_envs == 4
    with pytest.raises(ValueError, match="envs_per_task=0"):
        make(envs_per_task=0)
    with pytest.raises(ValueError, match="'pixels'"):
        make(obs="pixels")
    env = make()
    with pytest.raises(RuntimeError, match="reset"):
        env.step(actions(env, 1)[0])
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"\(3, 16\), expected \(4, 16\)"):
        env.step(np.zeros((3, 16), np.float32))


def test_tasks_that_cannot_run_are_listed_or_left_out(monkeypatch):
    without_simulator("dmcontrol", monkeypatch)
    with pytest.raises(TaskUnavailableError, match=r"2 of 4 .*walker-walk, cartpole-swingup"):
        make()
    env = make(skip_missing=True)
    assert [task.name for task in env.tasks] == ["pygame-pong", "pygame-landing"]
    assert [task.name for task in env.missing] == ["walker-walk", "cartpole-swingup"]
    with pytest.raises(TaskUnavailableError):
        make("walker-walk", skip_missing=True)


def test_tasks_that_lack_the_same_share_a_sentence(monkeypatch):
    reason = "mmbench.vector.multitask.unavailable"
    monkeypatch.setattr(reason, lambda task: f"it needs an asset: fetch --tasks {task.name}")
    with pytest.raises(TaskUnavailableError) as caught:
        make("pygame-pong,walker-walk")
    assert "it needs an asset: fetch --tasks pygame-pong,walker-walk. Pass" in str(caught.value)


def test_frames_of_all_environments():
    env = make("pygame-pong,pygame-cowboy", obs="state+rgb", render_mode="rgb_array")
    obs, _ = env.reset(seed=0)
    assert obs["state"].shape == (2, 128)
    assert obs["rgb"].shape == (2, 224, 224, 3)
    frames = env.render()
    for i in range(2):
        np.testing.assert_array_equal(frames[i], obs["rgb"][i])
    env.close()


def test_attributes_of_all_environments():
    env = make("pygame-pong,pygame-cowboy")
    env.reset(seed=0)
    assert [task.name for task in env.get_attr("task")] == ["pygame-pong", "pygame-cowboy"]
    states = env.call("get_state")
    assert [int(state["env/step"]) for state in states] == [0, 0]
    env.set_attr("note", ["a", "b"])
    assert env.get_attr("note") == ("a", "b")
    with pytest.raises(ValueError, match="3 values for 2"):
        env.set_attr("note", ["a", "b", "c"])
