"""Any Gymnasium environment as a task."""

import gymnasium as gym
import numpy as np
import own_environments
import pytest
from gymnasium.utils.env_checker import check_env
from outside import registering

import mmbench
from mmbench.catalog import InvalidTaskError, TaskUnavailableError, UnknownTaskError, select
from mmbench.domains.gymnasium import fit
from mmbench.env import TaskEnv
from mmbench.rendering import RendererUnavailableError

LINE = "own_environments:own/Line-v0"
ENDS = own_environments.ENDS_AFTER
LENGTH = 12


def gym_task(env_id=LINE, **settings):
    kwargs = settings.pop("kwargs", {})
    return mmbench.gym_task(env_id, kwargs=kwargs, **settings)


def episode(env, action=0.0, seed=0):
    """Rewards, and the flags of the last step."""
    env.reset(seed=seed)
    rewards = []
    while True:
        _, reward, terminated, truncated, _ = env.step(np.full(16, action, np.float32))
        rewards.append(reward)
        if terminated or truncated:
            return rewards, terminated, truncated


# The record


def test_the_record_holds_what_the_environment_says_and_what_is_given():
    task = gym_task()
    assert (task.name, task.domain, task.native) == (f"gym:{LINE}", "gym", LINE)
    assert task.id == "mmbench/gym-own_environments-own-Line-v0-v0"
    assert (task.obs_dim, task.action_dim, task.max_episode_steps) == (4, 2, LENGTH)
    assert (task.score_metric, task.has_score, task.terminates) == ("none", False, False)
    assert task.discount == 0.95
    given = gym_task(
        instruction="Go.",
        score=(-5, 50),
        length=1000,
        name="line",
        terminations="end",
        discount=0.9,
    )
    assert given == mmbench.catalog.Task(
        name="line",
        domain="gym",
        split="train",
        instruction="Go.",
        native=LINE,
        obs_dim=4,
        action_dim=2,
        max_episode_steps=1000,
        action_repeat=1,
        discount=0.9,
        score_metric="return",
        score_low=-5.0,
        score_high=50.0,
        terminates=True,
    )
    assert gym_task(length=1000).discount == 0.995


@pytest.mark.parametrize(
    ("env_id", "words"),
    [
        ("Pendulum-v1", "Pendulum."),
        ("InvertedDoublePendulum-v5", "Inverted double pendulum."),
        ("MountainCarContinuous-v0", "Mountain car continuous."),
        (LINE, "Own line."),
    ],
)
def test_without_an_instruction_the_words_of_the_id_are_it(env_id, words):
    assert gym_task(env_id).instruction == words


def test_sizes_that_are_given_spare_making_the_environment(monkeypatch):
    monkeypatch.setattr(gym, "make", None)
    task = gym_task("own/Never-v0", sizes=(4, 2), length=7)
    assert (task.obs_dim, task.action_dim, task.max_episode_steps) == (4, 2, 7)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"action": "discrete"}, r"continuous actions, a Box, and not Discrete\(3\)"),
        ({"action": "integer"}, "whole numbers"),
        ({"action": "unbounded"}, r"no bounds.*TransformAction\(.*Box\(-1, 1, \(2,\)\)\)"),
        ({"action": "wide"}, "17 entries, and a task's 1 to 16"),
        ({"observation": "dict"}, "not Dict; .*FlattenObservation"),
        ({"observation": "wide"}, r"129 entries, shape \(3, 43\)"),
    ],
)
def test_other_spaces_are_one_clear_error(kwargs, message):
    with pytest.raises(InvalidTaskError, match=f"^gym:{LINE} cannot be a task: .*{message}"):
        gym_task(kwargs=kwargs)


@pytest.mark.parametrize(
    ("env_id", "kind", "message"),
    [
        ("own/Endless-v0", InvalidTaskError, "no fixed length; .*length="),
        ("Nowhere-v0", UnknownTaskError, "'gym:Nowhere-v0'.*--import"),
        ("no_module:Nowhere-v0", InvalidTaskError, "cannot import 'no_module'"),
        ("a b", UnknownTaskError, "Malformed"),
        ("Pendulum", UnknownTaskError, r"id: Pendulum\. Where a module"),
    ],
)
def test_an_environment_that_cannot_be_is_one_clear_error(env_id, kind, message):
    with pytest.raises(kind, match=message):
        gym_task(env_id)


def test_an_environment_that_cannot_be_made_says_why():
    with pytest.raises(TaskUnavailableError, match="cannot be made: .*KeyError"):
        gym_task(kwargs={"action": "nothing"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length": 0}, "max_episode_steps 0: at least 1"),
        ({"action_repeat": 0}, "action_repeat 0: at least 1"),
        ({"discount": 1.1}, "discount 1.1"),
        ({"sizes": (129, 1), "length": 5}, "obs_dim 129"),
    ],
)
def test_numbers_out_of_range(settings, message):
    with pytest.raises(InvalidTaskError, match=f"^gym:{LINE}: {message}"):
        gym_task(**settings)


def test_kwargs_are_plain_values():
    with pytest.raises(InvalidTaskError, match=r"action=\['box'\]: .*gymnasium.register"):
        gym_task(kwargs={"action": ["box"]})


@pytest.mark.parametrize("score", ["1", "a,b", (1, 2, 3), (2.0, 2.0), "5,-5", (0, float("inf"))])
def test_a_score_is_two_numbers(score):
    with pytest.raises(InvalidTaskError, match="score .*low"):
        gym_task(score=score)


# A selection


def test_tasks_flag():
    plain = gym_task()
    assert select(f"gym:{LINE}") == (plain,)
    (told,) = select(f"gym:{LINE} = Go left")
    assert told.instruction == "Go left"
    both = select(f"gym:{LINE}=Go left,gym:Pendulum-v1=Swing up,walker-walk")
    assert [task.instruction[:8] for task in both] == ["Go left", "Swing up", "A planar"]
    (set_up,) = select(f"gym:{LINE}", instruction="Up, and on", score="-1,5", terminations="end")
    assert (set_up.instruction, set_up.score_low, set_up.score_high) == ("Up, and on", -1.0, 5.0)
    assert set_up.terminates and set_up.has_score
    ended = select(f"gym:{LINE},gym:Pendulum-v1,walker-walk", terminations="end")
    assert [task.terminates for task in ended] == [True, True, False]


@pytest.mark.parametrize(
    ("spec", "settings", "kind", "message"),
    [
        ("walker-walk", {"score": "0,1"}, InvalidTaskError, "there is none here"),
        ("walker-walk", {"terminations": "end"}, InvalidTaskError, "there is none here"),
        (
            f"gym:{LINE},gym:Pendulum-v1",
            {"instruction": "x"},
            InvalidTaskError,
            "are 2 here.*--import",
        ),
        (f"gym:{LINE}", {"terminations": "maybe"}, InvalidTaskError, "'maybe': one of"),
        (f"gym:{LINE}", {"instruction": " "}, InvalidTaskError, "instruction is empty"),
        (f"gym:{LINE}=", {}, InvalidTaskError, "instruction is empty"),
        (f"gym:{LINE},gym:{LINE}=Go", {}, InvalidTaskError, "given twice"),
        (f"gym:{LINE}=Go, then stop", {}, UnknownTaskError, "ends at a comma; .*--instruction"),
        ("gym", {}, UnknownTaskError, "'gym' has no"),
    ],
)
def test_a_selection_that_cannot_be_is_one_clear_error(spec, settings, kind, message):
    with pytest.raises(kind, match=message):
        select(spec, **settings)


def test_a_registered_row_has_an_id_and_is_what_its_name_means():
    with registering():
        row, named = gym_task(score=(0, 60)), gym_task(name="line", instruction="Go.")
        mmbench.register(row, named)
        assert select(f"gym:{LINE}") == (row,)
        assert select(f"gym:{LINE}=Left")[0].score_high == 60
        assert select("gym") == (row, named)
        for task in (row, named):
            env = gym.make(task.id)
            assert env.unwrapped.task.instruction == task.instruction
        with pytest.raises(InvalidTaskError, match="this name"):
            mmbench.register(gym_task(name="line", instruction="Stop."))


# The environment


def test_actions_are_rescaled_and_observations_flattened_and_padded():
    env = TaskEnv(gym_task())
    obs, info = env.reset(seed=0)
    assert env.observation_space.contains(obs) and obs.shape == (128,)
    assert env.action_mask.sum() == 2 and env.observation_mask.sum() == 4
    assert np.isnan(info["score"]) and np.isnan(info["success"])
    for action, native in (
        ([-1, -1], [-2, 0]),
        ([1, 1], [2, 10]),
        ([0, 0.5], [0, 7.5]),
        ([-9, 9], [-2, 10]),
    ):
        obs, reward, *_ = env.step(np.float32([*action, *[7] * 14]))
        assert obs[:2].tolist() == native and reward == sum(native)
    assert obs[3] == 4 and not obs[4:].any()
    draws = [env.reset(seed=seed)[0][2] for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    assert env.reset()[0][2] != draws[2]


def test_gymnasiums_own_checker_is_content():
    with registering():
        mmbench.register(gym_task(name="line"))
        check_env(gym.make("mmbench/line-v0").unwrapped, skip_render_check=True)


def test_float32_rounding_stays_within_the_bounds(monkeypatch):
    bounds = np.float32(0.1), np.float32(0.7)
    monkeypatch.setattr(own_environments, "LOW", np.full((1, 2), bounds[0]))
    monkeypatch.setattr(own_environments, "HIGH", np.full((1, 2), bounds[1]))
    env = TaskEnv(gym_task())
    env.reset(seed=0)
    for action in (-1, 1):
        env.step(np.full(16, action, np.float32))  # which asserts that the space contains it


@pytest.mark.parametrize(
    ("settings", "rewards", "terminated"),
    [
        ({}, [5.0] * LENGTH, False),
        ({"length": 7}, [5.0] * 7, False),
        ({"length": 30}, [5.0] * 30, False),
        ({"kwargs": {"strict": True}}, [5.0] * ENDS + [0.0], False),
        ({"kwargs": {"cut": 3}}, [5.0] * 3, False),
        ({"terminations": "end"}, [5.0] * ENDS, True),
        ({"terminations": "end", "kwargs": {"strict": True}}, [5.0] * ENDS, True),
        ({"terminations": "end", "length": ENDS}, [5.0] * ENDS, True),
        ({"action_repeat": 2}, [10.0] * 6, False),
        ({"action_repeat": 2, "terminations": "end"}, [10.0, 10.0, 5.0], True),
        ({"action_repeat": 5, "kwargs": {"strict": True}}, [25.0, 0.0], False),
    ],
)
def test_how_episodes_end(settings, rewards, terminated):
    env = TaskEnv(gym_task(**settings))
    for _ in range(2):
        assert episode(env) == (rewards, terminated, not terminated)
        with pytest.raises(gym.error.ResetNeeded):
            env.step(np.zeros(16, np.float32))


def test_an_error_before_the_end_is_not_the_end(monkeypatch):
    env = TaskEnv(gym_task(kwargs={"strict": True}))
    env.reset(seed=0)
    monkeypatch.setattr(own_environments.Line, "step", lambda self, action: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        env.step(np.zeros(16, np.float32))


def test_an_environment_that_cannot_draw_here_is_named(monkeypatch):
    def render(self):
        raise OSError("no OpenGL")

    monkeypatch.setattr(own_environments.Line, "render", render)
    message = f"gym:{LINE} does not draw here .OSError: no OpenGL.*MUJOCO_GL=egl"
    with pytest.raises(RendererUnavailableError, match=message):
        TaskEnv(gym_task(), obs="rgb").reset(seed=0)


@pytest.mark.parametrize(
    ("method", "old", "message"),
    [
        ("reset", lambda all_of_it: all_of_it[0], "reset returned a single value, .* 2: obs"),
        ("step", lambda all_of_it: all_of_it[1:], "step returned 4 values, .* 5: .*truncated"),
    ],
)
def test_an_environment_of_the_old_api_is_named(monkeypatch, method, old, message):
    env = TaskEnv(gym_task())
    env.reset(seed=0)
    today = getattr(own_environments.Line, method)
    monkeypatch.setattr(own_environments.Line, method, lambda *args, **kw: old(today(*args, **kw)))
    with pytest.raises(ValueError, match=f"gym:{LINE}: its {message}"):
        env.step(np.zeros(16, np.float32)) if method == "step" else env.reset()


def test_an_observation_of_another_shape_is_named(monkeypatch):
    env = TaskEnv(gym_task())
    env.reset(seed=0)
    step = own_environments.Line.step
    monkeypatch.setattr(
        own_environments.Line, "step", lambda self, action: (1.0, *step(self, action)[1:])
    )
    with pytest.raises(Exception, match=r"step returned an observation of shape \(\), and .*\("):
        env.step(np.zeros(16, np.float32))


def test_the_score():
    env = TaskEnv(gym_task(score=(0, 120)))
    env.reset(seed=0)
    scores = [env.step(np.zeros(16, np.float32))[4]["score"] for _ in range(LENGTH)]
    assert scores == pytest.approx([5 * step / 120 for step in range(1, LENGTH + 1)])
    assert gym_task(score=(0, 10)).score(999.0, 0.0) == 1.0


def test_states_cannot_be_saved():
    env = TaskEnv(gym_task())
    env.reset(seed=0)
    for call in (env.get_state, lambda: env.set_state({})):
        with pytest.raises(NotImplementedError, match=f"gym:{LINE}.*rng"):
            call()


def test_an_episode_is_started_again_from_its_generator():
    env = TaskEnv(gym_task())
    env.reset(seed=5)
    obs, _ = env.reset()
    rng = env.episode_rng
    env.reset()
    again, _ = env.reset(options={"rng": rng})
    assert (obs == again).all()


def test_frames():
    env = TaskEnv(gym_task(), obs="state+rgb", render_mode="rgb_array")
    obs, _ = env.reset(seed=0)
    assert env.observation_space.contains(obs) and (env.render() == obs["rgb"]).all()
    assert (obs["rgb"][60:160] == 50).all() and not obs["rgb"][:50].any()


@pytest.mark.parametrize("name", ["Undrawn", "Plain"])
def test_an_environment_without_frames_has_states(name):
    task = gym_task(f"own/{name}-v0")
    assert episode(TaskEnv(task))[2]
    with pytest.raises(TaskUnavailableError, match=f"own/{name}-v0' has no frames.*rgb_array"):
        TaskEnv(task, obs="rgb")


@pytest.mark.parametrize(("kind", "lit"), [("image", (56, 112)), ("grey", (0, 56))])
def test_images_are_seen_as_frames(kind, lit):
    task = gym_task(kwargs={"observation": kind})
    assert task.obs_dim == 0
    env = TaskEnv(task, obs="rgb")
    obs, _ = env.reset(seed=0)
    assert env.observation_space.contains(obs)
    assert (obs[lit[0] + 8 : lit[1] - 8, 112] == 200).all()
    assert not obs[lit[1] + 8 :].any()
    for obs_mode in ("state", "state+rgb"):
        with pytest.raises(ValueError, match='images: pass obs="rgb"'):
            TaskEnv(task, obs=obs_mode)
        with pytest.raises(ValueError, match='images: pass obs="rgb"'):
            gym.make_vec("mmbench/multitask-v0", tasks=[task], obs=obs_mode)


def test_an_image_keeps_its_shape():
    white = np.full((10, 30, 3), 255, np.uint8)
    frame = fit(white)
    rows, columns = np.flatnonzero(frame.any((1, 2))), np.flatnonzero(frame.any((0, 2)))
    assert (len(rows), len(columns)) == (75, 224) and frame.dtype == np.uint8


# Many environments


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("terminations", ["ignore", "end"])
def test_the_vector_environment_is_the_single_one(num_workers, terminations):
    tasks = [
        gym_task(terminations=terminations),
        gym_task("Pendulum-v1", length=7),
        gym_task(name="strict", terminations=terminations, kwargs={"strict": True}),
    ]
    singles = [TaskEnv(task) for task in tasks]
    many = gym.make_vec("mmbench/multitask-v0", tasks=tasks, num_workers=num_workers).unwrapped
    rng = np.random.default_rng(0)
    obs, _ = many.reset(seed=[3, 4, 5])
    expected = np.stack([env.reset(seed=3 + i)[0] for i, env in enumerate(singles)])
    assert (obs == expected).all()
    seen = set()
    for _ in range(15):
        actions = rng.uniform(-1, 1, (3, 16)).astype(np.float32)
        obs, rewards, terminated, truncated, infos = many.step(actions)
        for i, env in enumerate(singles):
            own, reward, *flags, info = env.step(actions[i])
            assert [rewards[i], terminated[i], truncated[i]] == [reward, *flags]
            seen.add(tuple(flags))
            final = infos["final_info"] if any(flags) else infos
            assert np.array_equal(final["score"][i], info["score"], equal_nan=True)
            if any(flags):
                assert (infos["final_obs"][i] == own).all() and infos["_final_obs"][i]
                own, _ = env.reset()
            assert (obs[i] == own).all()
    many.close()
    assert ((True, False) in seen) == (terminations == "end")
