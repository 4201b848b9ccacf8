"""The multitask vector environment against single environments."""

import math
import re

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ClosedEnvironmentError
from gymnasium.vector import AutoresetMode
from outside import without_simulator

import mmbench
from mmbench.catalog import TaskUnavailableError
from mmbench.domains import unavailable
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


BY_DOMAIN = {
    "dmcontrol": "walker-walk",
    "dmcontrol-ext": "giraffe-run",
    "metaworld": "mw-reach",
    "maniskill": "ms-push-cube,ms-cartpole-swingup",  # scored by success, and by return
    "mujoco": "mujoco-hopper",
    "box2d": "bipedal-walker-flat",
    "robodesk": "rd-push-red",
    "ogbench": "og-point-arena,og-ant",
    "miniarcade": "pygame-point-maze-var1,pygame-landing",
    "atari": "atari-pong",
}


@pytest.mark.parametrize("domain", BY_DOMAIN)
def test_a_task_of_every_domain_steps_as_a_single_environment_does(domain):
    tasks = mmbench.catalog.select(BY_DOMAIN[domain])
    reasons = [reason for task in tasks if (reason := unavailable(task))]
    if reasons:
        pytest.skip(reasons[0])
    env = make(tasks)
    obs, infos = env.reset(seed=11)
    singles = [TaskEnv(task) for task in tasks]
    for i, single in enumerate(singles):
        first, info = single.reset(seed=11 + i)
        np.testing.assert_array_equal(obs[i], first)
        for name, value in info.items():
            np.testing.assert_equal(infos[name][i], float(value))
        assert np.isnan(infos["success"][i]) == (not tasks[i].has_success)
    for batch in actions(env, 110):
        obs, rewards, terminated, truncated, infos = env.step(batch)
        for i, single in enumerate(singles):
            expected, reward, *ends, info = single.step(batch[i])
            assert rewards[i] == reward
            assert [terminated[i], truncated[i]] == ends
            final = infos["final_info"] if ends[1] else infos
            for name, value in info.items():
                np.testing.assert_equal(final[name][i], float(value))
            if ends[1]:
                np.testing.assert_array_equal(infos["final_obs"][i], expected)
                expected, _ = single.reset()
            np.testing.assert_array_equal(obs[i], expected)
    env.close()


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
    for wrong in ("envs_per_task=0", "envs_per_task=1.5", "num_workers=-1", "num_workers=1.5"):
        name, _, value = wrong.partition("=")
        with pytest.raises(ValueError, match=f"{wrong}: an integer"):
            gym.make_vec(ID, tasks=TASKS, **{name: float(value) if "." in value else int(value)})
    with pytest.raises(ValueError, match="time_limit=nan"):
        make(time_limit=math.nan)
    with pytest.raises(ValueError, match="'pixels'"):
        make(obs="pixels")
    single = gym.make("mmbench/pygame-pong-v0")
    wrong = {
        "tasks": (None, 3, [3], [None], b"pygame-pong", [["pygame-pong"]]),
        "imports": (3, ["json", None], b"json"),
        "workers": (3, "2", single),
        "time_limit": ("5", None, [1]),
        "num_envs": ("4", None),
        "progress": (3,),
    }
    for name, values in wrong.items():
        for value in values:
            with pytest.raises((TypeError, ValueError), match=re.escape(f"{name}={value!r}: ")):
                gym.make_vec(ID, **{"tasks": TASKS, "num_workers": 0, name: value})
    for env in (make(), single):
        for options in (3, "rng", ["rng"]):
            with pytest.raises(TypeError, match=re.escape(f"options={options!r}: a dict")):
                env.reset(options=options)
    env = make()
    with pytest.raises(RuntimeError, match="reset"):
        env.step(actions(env, 1)[0])
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"\(3, 16\), expected \(4, 16\)"):
        env.step(np.zeros((3, 16), np.float32))


BAD = {
    "negative seed": lambda env: env.reset(seed=-1),
    "seed of a fraction": lambda env: env.reset(seed=1.5),
    "seeds of fractions": lambda env: env.reset(seed=np.ones(4)),
    "a negative seed of many": lambda env: env.reset(seed=np.array([1, 2, -3, 4])),
    "seeds in rows": lambda env: env.reset(seed=np.ones((4, 2), int)),
    "seeds of text": lambda env: env.reset(seed="1234"),
    "too few seeds": lambda env: env.reset(seed=[1, 2]),
    "a short mask": lambda env: env.reset(options={"reset_mask": [True]}),
    "a mask of numbers": lambda env: env.reset(options={"reset_mask": [0, 1, 2, 3]}),
    "no generators": lambda env: env.reset(options={"rng": np.zeros((4, 6), np.uint64)}),
    "too few generators": lambda env: env.reset(options={"rng": env.episode_rng[:2]}),
    "generators of fractions": lambda env: env.reset(options={"rng": np.ones((4, 6))}),
    "generators of text": lambda env: env.reset(options={"rng": "seed"}),
    "NaN": lambda env: env.step(np.full((4, 16), np.nan, np.float32)),
    "NaN in a half": lambda env: env.send(np.full((2, 16), np.nan, np.float32), 1),
    "too few actions": lambda env: env.step(np.zeros((3, 16), np.float32)),
    "no numbers": lambda env: env.step("left"),
    "nothing": lambda env: env.step(None),
    "objects": lambda env: env.step([[{}] * 16] * 4),
    "a half of a fraction": lambda env: env.send(np.zeros((2, 16)), 0.0),
    "too few values": lambda env: env.set_attr("note", [1]),
}


@pytest.fixture(scope="module", params=[0, 2], ids=["here", "workers"])
def pair(request):
    """Two environments of the same kind, the second in this process."""
    env = gym.make_vec(ID, tasks=TASKS, num_workers=request.param)
    alone = make()
    yield env, alone
    env.close()
    alone.close()


@pytest.mark.parametrize("what", BAD)
def test_wrong_arguments_are_the_caller_s_and_nothing_is_lost(pair, what):
    env, alone = pair
    np.testing.assert_array_equal(env.reset(seed=6)[0], alone.reset(seed=6)[0])
    for batch in actions(env, 2):
        with pytest.raises(ValueError):
            BAD[what](env)
        for ours, theirs in zip(env.step(batch)[:4], alone.step(batch)[:4], strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_nan_in_an_action_names_the_task_and_what_is_not_its_own_may_be_nan():
    env = make()
    env.reset(seed=0)
    batch = np.where(env.action_mask > 0, 0, np.nan).astype(np.float32)
    env.step(batch)
    batch[3, 0] = np.nan
    with pytest.raises(ValueError, match=r"cartpole-swingup.* row 3"):
        env.step(batch)
    env.send(batch[0::2], 0)
    with pytest.raises(ValueError, match=r"cartpole-swingup.* row 1"):
        env.send(batch[1::2], 1)
    env.recv(0)


@pytest.mark.parametrize("kind", [np.int8, np.uint64, np.array, type("Index", (int,), {})])
def test_any_integer_is_a_seed(kind):
    env = make()
    expected, _ = env.reset(seed=7)
    np.testing.assert_array_equal(env.reset(seed=kind(7))[0], expected)
    np.testing.assert_array_equal(env.reset(seed=[kind(7 + i) for i in range(4)])[0], expected)
    np.testing.assert_array_equal(env.reset(seed=np.arange(7, 11, dtype=np.uint8))[0], expected)
    single = TaskEnv(env.tasks[0])
    np.testing.assert_array_equal(single.reset(seed=kind(7))[0], expected[0])


@pytest.mark.parametrize("seed", [-1, 2.0, "5", [3]])
def test_what_is_no_integer_is_no_seed_of_a_single_environment(seed):
    env = TaskEnv("pygame-pong")
    with pytest.raises(ValueError, match="seed="):
        env.reset(seed=seed)
    for rng in (np.zeros(6, np.uint64), np.ones(5, np.uint64), "rng"):
        with pytest.raises(ValueError, match="rng"):
            env.reset(options={"rng": rng})
    env.reset(seed=0)


CALLS = {
    "step": lambda env: env.step(actions(env, 1)[0]),
    "reset": lambda env: env.reset(seed=0),
    "send": lambda env: env.send(actions(env, 1)[0][::2], 0),
    "render": lambda env: env.render(),
    "call": lambda env: env.call("get_state"),
    "get_attr": lambda env: env.get_attr("task"),
    "set_attr": lambda env: env.set_attr("note", 1),
}


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("on_error", ["raise", "restart"])
def test_nothing_happens_in_a_closed_environment(num_workers, on_error):
    env = gym.make_vec(
        ID, tasks="pygame-pong,pygame-cowboy", num_workers=num_workers, on_error=on_error
    )
    env.reset(seed=0)
    env.send(actions(env, 1)[0][::2], 0)
    env.close()
    env.close()
    with pytest.raises(ClosedEnvironmentError):
        env.recv(0)
    for use in CALLS.values():
        with pytest.raises(ClosedEnvironmentError):
            use(env)
    assert not env.pool.workers


def test_nothing_happens_in_a_closed_single_environment():
    env = gym.make("mmbench:mmbench/pygame-pong-v0", render_mode="rgb_array")
    env.reset(seed=0)
    env.close()
    env.close()
    for use in (
        lambda: env.step(env.action_space.sample()),
        lambda: env.reset(seed=0),
        lambda: env.render(),
        lambda: env.unwrapped.get_state(),
    ):
        with pytest.raises(ClosedEnvironmentError):
            use()


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
