"""Ends of episodes in the vector environment, told as Gymnasium's own vector environments do."""

import os
import signal

import gymnasium as gym
import numpy as np
import pytest
from faults import Fault
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import vector as wrappers
from own_environments import ENDS_AFTER
from vectors import ID, actions, assert_same, assert_same_infos, make

from mmbench import gym_task
from mmbench.catalog import get
from mmbench.env import TaskEnv

LINE = "own/Line-v0"
TASKS = (
    gym_task(LINE, terminations="end"),  # terminated after 5 steps
    gym_task(LINE, name="scored", score=(0, 60)),  # truncated after 12
    get("pygame-point-maze-var1"),  # has success
)
IMPORTS = ["own_environments"]
every_mode = pytest.mark.parametrize("mode", AutoresetMode)


@pytest.fixture(scope="module")
def workers():
    """Two worker processes that tests share."""
    env = make("pygame-pong", envs_per_task=2)
    yield env
    env.close()


@every_mode
@pytest.mark.parametrize(
    ("here", "info", "obs"),
    [
        (True, "score", "state"),
        (True, "full", "state"),
        (True, "rng", "state+rgb"),
        (False, "full", "state"),
    ],
)
def test_steps_as_gymnasiums_sync_vector_env_does(mode, here, info, obs, workers):
    singles = [lambda task=task: TaskEnv(task, obs=obs, info=info) for task in TASKS]
    sync = SyncVectorEnv(singles, autoreset_mode=mode)
    env = gym.make_vec(
        ID,
        tasks=TASKS,
        num_workers=0,
        workers=None if here else workers,
        imports=IMPORTS,
        info=info,
        obs=obs,
        autoreset_mode=mode.value,
    ).unwrapped
    assert env.metadata["autoreset_mode"] is env.autoreset_mode is sync.autoreset_mode is mode
    assert env.metadata["render_fps"] == sync.metadata["render_fps"]
    assert_same(env.reset(seed=5), sync.reset(seed=5))
    assert env.np_random_seed == sync.np_random_seed == (5, 6, 7)
    over, ends = np.zeros(3, bool), np.zeros(3, int)
    for step, batch in enumerate(actions(env, 280 if obs == "state" else 20)):
        if step == 17 or (over.any() and mode is AutoresetMode.DISABLED):
            mask = over | ((np.arange(3) == 1) & (step == 17))
            ours, theirs = (one.reset(options={"reset_mask": mask.copy()}) for one in (env, sync))
            over[:] = False
        else:
            ours, theirs = env.step(batch), sync.step(batch)
            over = theirs[2] | theirs[3]
            ends += over
        assert_same(ours, theirs)
    assert (ends > (0, 0, 0 if obs == "state" else -1)).all()
    env.close()


@every_mode
def test_halves_end_as_the_whole_does(mode, workers):
    pair = [
        make(TASKS, 0, workers=own, imports=IMPORTS, autoreset_mode=mode) for own in (None, workers)
    ]
    whole, halves = pair
    for env in pair:
        env.reset(seed=1)
    for batch in actions(whole, 30):
        theirs = whole.step(batch)
        for half in (0, 1):
            halves.send(batch[half::2], half)
        for half in (1, 0):
            ours = halves.recv(half)
            for own, other in zip(ours[:4], theirs[:4], strict=True):
                np.testing.assert_array_equal(own, other[half::2])
            np.testing.assert_array_equal(ours[4]["score"], theirs[4]["score"][half::2])
        over = theirs[2] | theirs[3]
        if over.any() and mode is AutoresetMode.DISABLED:
            for env in pair:
                env.reset(options={"reset_mask": over})
    for env in pair:
        env.close()


@pytest.mark.parametrize("here", [True, False])
def test_what_is_over_has_to_be_reset_where_autoreset_is_disabled(here, workers):
    own = None if here else workers
    env = make(TASKS, 0, workers=own, imports=IMPORTS, autoreset_mode="Disabled")
    env.reset(seed=0)
    for batch in actions(env, ENDS_AFTER):
        *_, infos = env.step(batch)
    assert "final_obs" not in infos
    for call in (lambda: env.step(batch), lambda: env.send(batch[::2], 0)):
        with pytest.raises(ResetNeeded, match=r"environment 0\) is over.*reset_mask"):
            call()
    env.send(batch[1::2], 1)  # the other half goes on
    env.recv(1)
    env.reset(options={"reset_mask": np.arange(3) == 0})
    assert not env.step(batch)[2].any()
    env.close()


@every_mode
@pytest.mark.parametrize("kind", ["raise", "kill"])
def test_a_failure_ends_an_episode_as_the_mode_says(mode, kind, workers):
    env = make(
        "pygame-pong,pygame-reacher-easy",  # whose episodes differ from their first observation on
        workers=workers if kind == "raise" else None,
        on_error="restart",
        autoreset_mode=mode,
    )
    env.reset(seed=0)
    env.set_attr("advance", [Fault("none"), Fault(kind, after=1)])
    batch = actions(env, 1)[0]
    env.step(batch)
    before = env.call("get_state")
    obs, _, _, truncated, infos = env.step(batch)
    assert truncated.tolist() == infos["restarted"].tolist() == [False, True]
    last = infos["final_obs"][1] if mode is AutoresetMode.SAME_STEP else obs[1]
    probe = TaskEnv("pygame-reacher-easy")
    probe.reset()
    probe.set_state(before[1])
    expected = np.zeros(128, np.float32)
    probe.observe(expected[: probe.task.obs_dim])
    np.testing.assert_array_equal(last, expected)
    if mode is AutoresetMode.DISABLED:
        with pytest.raises(ResetNeeded, match="environment 1"):
            env.step(batch)
        env.reset(options={"reset_mask": truncated})
    obs, reward, _, truncated, infos = env.step(batch)
    assert not truncated.any() and not infos["restarted"].any()
    taken = [int(state["env/step"]) for state in env.call("get_state")]
    if mode is AutoresetMode.NEXT_STEP:
        assert reward[1] == 0 and taken[1] == 0
        np.testing.assert_array_equal(obs[1], env.reset(options={"rng": env.episode_rng})[0][1])
    else:
        assert taken[1] == 1
    env.close()


@every_mode
@pytest.mark.parametrize("lost", [False, True])
def test_an_end_in_a_step_that_was_interrupted_is_told(mode, lost):
    """Also if its worker process has died since."""
    length = 3
    tasks = [gym_task(LINE, name="short", length=length, score=(0, 60))]
    kwargs = {"imports": IMPORTS, "autoreset_mode": mode, "on_error": "restart"}
    env, alone = (make(tasks, num_workers, envs_per_task=2, **kwargs) for num_workers in (1, 0))
    batches = actions(env, 8)
    for one in (env, alone):
        one.reset(seed=0)
        for batch in batches[: length - 1]:
            one.step(batch)
    env._order(2, batches[length - 1])  # a step whose results nobody gets
    if lost:
        env.get_attr("task")  # finishes it
        os.kill(env.pool.workers[0].pid, signal.SIGKILL)
    ours, theirs = env.step(batches[0]), alone.step(batches[length - 1])
    assert ours[4].pop("restarted").tolist() == [lost] * 2
    theirs[4].pop("restarted")
    if lost and mode is AutoresetMode.SAME_STEP:
        final = [
            {name: value for name, value in infos.items() if "final" in name}
            for infos in (ours[4], theirs[4])
        ]
        assert_same_infos(*final)
        np.testing.assert_equal(ours[1:4], theirs[1:4])
    else:
        assert_same(ours, theirs)
    env.close()
    alone.close()


@pytest.mark.filterwarnings("error::UserWarning")
def test_gymnasiums_vector_wrappers(workers):
    env = make(TASKS, workers=workers, imports=IMPORTS, autoreset_mode="NextStep")
    plain = make(TASKS, 0, imports=IMPORTS, autoreset_mode="NextStep")
    env = wrappers.RecordEpisodeStatistics(env)
    env = wrappers.NormalizeReward(wrappers.NormalizeObservation(env))
    obs, _ = env.reset(seed=0)
    plain.reset(seed=0)
    returns = np.zeros(3)
    for batch in actions(plain, 13):
        obs, reward, terminated, truncated, infos = env.step(batch)
        _, plain_reward, *_ = plain.step(batch)
        returns += plain_reward
        assert obs.shape == (3, 128) and np.isfinite(obs).all() and np.isfinite(reward).all()
        if terminated[0]:
            assert infos["episode"]["r"][0] == pytest.approx(returns[0])
            assert infos["episode"]["l"][0] == ENDS_AFTER
            returns[0] = 0
    env.close()
    plain.close()


@every_mode
def test_gymnasiums_wrappers_of_infos(mode):
    env = wrappers.DictInfoToList(
        wrappers.RecordEpisodeStatistics(
            make(TASKS, 0, imports=IMPORTS, autoreset_mode=mode, info="full")
        )
    )
    _, infos = env.reset(seed=0)
    assert [info["task"] for info in infos] == [task.name for task in TASKS]
    for batch in actions(env, ENDS_AFTER):
        *_, infos = env.step(batch)
    assert infos[0]["episode"]["l"] == ENDS_AFTER and "episode" not in infos[1]
    assert ("final_info" in infos[0]) == (mode is AutoresetMode.SAME_STEP)


@every_mode
def test_tensors_instead_of_arrays(mode):
    pytest.importorskip("array_api_compat")  # which Gymnasium's wrapper needs
    torch = pytest.importorskip("torch")
    env = wrappers.NumpyToTorch(make("pygame-landing,pygame-cowboy", 0, autoreset_mode=mode))
    obs, infos = env.reset(seed=0)
    assert isinstance(infos["success"], torch.Tensor) and infos["success"].isnan().all()
    obs, reward, _, truncated, infos = env.step(torch.zeros(2, 16))
    assert obs.shape == (2, 128) and infos["score"].shape == reward.shape == truncated.shape


def test_a_mode_that_is_none_is_refused():
    with pytest.raises(ValueError, match="'Never'.*NextStep, SameStep, Disabled"):
        make("pygame-pong", 0, autoreset_mode="Never")
    with pytest.raises(ValueError, match="'all'.*score, rng, full"):
        make("pygame-pong", 0, info="all")
