import dataclasses
import random
from types import SimpleNamespace

import numpy as np
import pytest

import mmbench
from mmbench import rendering
from mmbench.env import TaskEnv

pytest.importorskip("metaworld")

TASKS = mmbench.tasks(domain="metaworld")
BY_NAME = {task.name: task for task in TASKS}
STEPS = 4

all_tasks = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
needs_opengl = pytest.mark.skipif(rendering.backend() is None, reason="neither EGL nor OSMesa here")


def advance(env, steps=STEPS, seed=0):
    """Steps with seeded random actions: all observations, rewards and successes."""
    rng = np.random.default_rng(seed)
    trace = []
    for _ in range(steps):
        obs, reward, terminated, _, info = env.step(rng.uniform(-1, 1, 4).astype(np.float32))
        assert not terminated
        trace.append((*obs, reward, info["success"]))
    return np.array(trace)


def test_there_are_49():
    assert len(TASKS) == 49


@all_tasks
def test_sizes_and_ranges(task):
    env = TaskEnv(task, unify=False)
    obs, info = env.reset(seed=0)
    assert obs.shape == (task.obs_dim,) and env.action_space.shape == (task.action_dim,)
    assert info["success"] == info["score"] == 0.0
    obs, reward, _, _, info = env.step(np.ones(4, np.float32))
    assert np.isfinite(obs).all() and 0.0 <= reward <= 20.0
    assert info["score"] == info["success"] and info["success"] in (0.0, 1.0)
    # A reset without a seed places something elsewhere.
    first = env.get_state()
    env.reset()
    env.step(np.ones(4, np.float32))
    second = env.get_state()
    placed = [k for k in first if k == "state" or k.startswith("model/")]
    assert any(not np.allclose(first[k], second[k], atol=1e-5) for k in placed)


def test_an_episode_lasts_100_steps_and_scores_its_last():
    env = TaskEnv("mw-window-close", unify=False)
    env.reset(seed=0)
    solved = env.get_state()
    for step in range(100):
        if step == 50:
            close_window(env)
        _, _, terminated, truncated, info = env.step(np.zeros(4, np.float32))
        assert not terminated and truncated == (step == 99)
        assert info["score"] == float(step >= 50)
    env.reset(seed=0)
    env.set_state(solved)
    *_, info = env.step(np.zeros(4, np.float32))
    assert info["score"] == 0.0


@all_tasks
def test_an_episode_is_a_function_of_its_seed(task):
    env = TaskEnv(task, unify=False)
    first, _ = env.reset(seed=5)
    trace = advance(env)

    np.random.seed(1)
    random.seed(1)
    before = np.random.get_state()[1].copy(), random.getstate()
    other = TaskEnv(task, unify=False)
    other.reset(seed=6)
    advance(other, seed=1)
    elsewhere = other.get_state()
    elsewhere["model/body_pos"] = elsewhere["model/body_pos"] + 0.01
    elsewhere["task/obj_init_pos"] = np.ones(3)
    other.set_state(elsewhere)
    again, _ = other.reset(seed=5)
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(advance(other), trace)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert random.getstate() == before[1]


@all_tasks
def test_restores_states(task):
    env = TaskEnv(task, unify=False)
    env.reset(seed=1)
    advance(env)
    state = env.get_state()
    uninterrupted = advance(env, seed=2)
    observed = {key: value.copy() for key, value in state.items()}

    other = TaskEnv(task, unify=False)
    other.reset(seed=2)
    advance(other, seed=3)
    for restored in (other, env):
        restored.set_state(state)
        again = restored.get_state()
        assert again.keys() == observed.keys()
        for key, value in observed.items():
            np.testing.assert_array_equal(again[key], value, err_msg=key)
        np.testing.assert_array_equal(advance(restored, seed=2), uninterrupted)

    # Without the task's variables the goal follows from the model.
    other.reset(seed=3)
    other.set_state({k: v for k, v in state.items() if not k.startswith(("task/", "env/"))})
    goals = advance(other, seed=2)[:, 36:39]
    np.testing.assert_allclose(goals, uninterrupted[:, 36:39], atol=1e-6)


def test_the_second_frame_is_one_raw_step_old():
    task = BY_NAME["mw-push"]
    env = TaskEnv(task, unify=False)
    single = TaskEnv(dataclasses.replace(task, action_repeat=1), unify=False)
    env.reset(seed=0)
    single.reset(seed=0)
    action = np.array([0.3, -1.0, 0.5, 1.0], np.float32)
    obs, reward, *_ = env.step(action)
    first, first_reward, *_ = single.step(action)
    second, second_reward, *_ = single.step(action)
    np.testing.assert_array_equal(obs[:18], second[:18])
    np.testing.assert_array_equal(obs[18:36], first[:18])
    assert np.abs(obs[:18] - obs[18:36]).max() > 1e-4
    assert reward == first_reward + second_reward


def test_dial_turn_starts_with_up_to_date_frames():
    env = TaskEnv("mw-dial-turn", unify=False)
    for seed in range(5):
        obs, _ = env.reset(seed=seed)
        np.testing.assert_allclose(obs[22:24], obs[4:6], atol=1e-3)


def test_weld_and_camera_are_the_published_ones():
    model = TaskEnv("mw-reach")._simulator._model
    assert model.eq_data[0, -1] == 3.75
    np.testing.assert_array_equal(model.camera("corner2").pos, [0.75, 0.075, 0.7])


@needs_opengl
@pytest.mark.parametrize("name", ["mw-door-open", "mw-soccer"])
def test_frames_show_the_state_and_do_not_touch_it(name):
    check_frames(BY_NAME[name])


@pytest.mark.slow
@needs_opengl
@all_tasks
def test_frames_of_every_task(task):
    check_frames(task)


def check_frames(task):
    env = TaskEnv(task, unify=False, render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    before = env.get_state()
    env.render()
    for key, value in env.get_state().items():
        np.testing.assert_array_equal(value, before[key], err_msg=key)
    advance(env, 8)
    assert first.shape == (224, 224, 3) and first.std() > 10
    assert (np.abs(env.render().astype(int) - first) > 20).mean() > 0.002
    env.close()


@needs_opengl
def test_frames_are_the_right_way_up():
    """The hand, seen from the far side of the table, goes up in the frame when raised."""
    env = TaskEnv("mw-reach", unify=False, render_mode="rgb_array")
    env.reset(seed=0)

    def red_rows():
        frame = env.render().astype(int)
        red = (frame[:, :112, 0] > 2 * frame[:, :112, 1]) & (frame[:, :112, 0] > 80)
        return np.nonzero(red)[0].min()

    env.step(np.zeros(4, np.float32))
    low = red_rows()
    for _ in range(15):
        env.step(np.array([0, 0, 1, 0], np.float32))
    assert red_rows() < low - 10
    env.close()


# Rewards, at states constructed by hand, of tasks without a recording. Distances in metres.


def long_tail(distance, bound, margin):
    """1 up to the bound, 0.1 at `margin` beyond it."""
    return 1.0 if distance <= bound else 1.0 / ((3.0 * (distance - bound) / margin) ** 2 + 1.0)


def gaussian(distance, bound, margin):
    return 1.0 if distance <= bound else 0.1 ** (((distance - bound) / margin) ** 2)


def hamacher(a, b):
    return a * b / (a + b - a * b) if a + b - a * b > 0 else 0.0


def distance(a, b):
    return float(np.linalg.norm(np.asarray(a, np.float64) - b))


def edit(env, index, values, relative=False):
    """Puts joints at given positions, at rest; relative adds to where they are."""
    values = np.atleast_1d(values)
    state = env.get_state()
    nq = env._simulator._model.nq
    positions = state["state"][1 : 1 + nq]  # after the time
    chosen = slice(index, index + len(values))
    positions[chosen] = values + (positions[chosen] if relative else 0.0)
    state["state"][1 + nq : 1 + nq + env._simulator._model.nv] = 0.0
    env.set_state(state)


def close_window(env):
    edit(env, 9, 0.0)


def single_step(name, seed=0):
    env = TaskEnv(dataclasses.replace(BY_NAME[name], action_repeat=1), unify=False)
    obs, _ = env.reset(seed=seed)
    return env, obs


# Task: first entry of the object's position in qpos, and its axes there (z of the hoop is 0.3).
MOVED_TO_THE_GOAL = {
    "mw-basketball": (9, [0, 1, 2]),
    "mw-box-close": (9, [0, 1, 2]),
    "mw-coffee-pull": (0, [0, 1, 2]),
    "mw-drawer-close": (9, [1]),
    "mw-peg-unplug-side": (9, [0, 1, 2]),
    "mw-pick-place": (9, [0, 1, 2]),
    "mw-plate-slide": (9, [0, 1]),
    "mw-plate-slide-back-side": (9, [0, 1]),
    "mw-push": (9, [0, 1, 2]),
    "mw-push-wall": (9, [0, 1, 2]),
    "mw-sweep": (9, [0, 1, 2]),
}


@pytest.mark.parametrize("name", MOVED_TO_THE_GOAL)
def test_rewards_an_object_at_the_goal(name):
    first, axes = MOVED_TO_THE_GOAL[name]
    env, obs = single_step(name)
    _, reward, _, _, info = env.step(np.zeros(4, np.float32))
    assert reward < 5.0 and info["success"] == 0.0
    goal = obs[36:39].copy()
    if name == "mw-basketball":
        goal[2] = 0.3
    edit(env, first, (goal - obs[4:7])[axes].astype(np.float64), relative=True)
    _, reward, _, _, info = env.step(np.zeros(4, np.float32))
    # The lid of the box must lie flat too, which it does to 1 mrad.
    assert reward == pytest.approx(10.0, abs=0.1 if name == "mw-box-close" else 0.0)
    assert info["success"] == 1.0


# Task: index of a joint in qpos, its position when solved, and the reward there if it does not
# depend on the hand.
JOINT_AT_THE_GOAL = {
    "mw-button-press-wall": (9, -0.09, None),
    "mw-door-open": (9, -1.45, 10.0),
    "mw-door-close": (9, 0.0, 10.0),
    "mw-faucet-close": (9, -1.57, 10.0),
    "mw-hammer": (16, 0.095, None),
    "mw-handle-press": (9, -0.09, 10.0),
    "mw-handle-pull": (9, 0.0, 10.0),
}


def reach_wall(at):
    return 10.0 * long_tail(distance(at.tcp, at.goal), 0.05, distance([0.0, 0.6, 0.2], at.goal))


def window_close(at):
    start = at.start("window_handle_pos_init")
    placed = long_tail(abs(at.obj[0] - at.goal[0]), 0.05, abs(abs(start - at.goal)[0] - 0.05))
    reached = gaussian(
        distance(at.obj, at.tcp), 0.02, abs(distance(start, at.start("init_tcp")) - 0.02)
    )
    return 10.0 * hamacher(reached, placed)


def dial_turn(at):
    start = at.start("dial_push_position")
    placed = long_tail(distance(at.obj, at.goal), 0.07, abs(distance(start, at.goal) - 0.07))
    push = at.obj + [0.05, 0.02, 0.09]
    margin = abs(distance(start, at.start("init_tcp")) - 0.005)
    reached = gaussian(distance(push, at.tcp), 0.005, margin)
    return 10.0 * hamacher(hamacher(reached, max(0.0, at.action[3])), placed)


def handle_press(at):
    start = at.start("_handle_init_pos")
    placed = long_tail(abs(at.obj[2] - at.goal[2]), 0.02, abs(abs(start[2] - at.goal[2]) - 0.02))
    reached = long_tail(
        distance(at.obj, at.tcp), 0.02, abs(distance(start, at.start("init_tcp")) - 0.02)
    )
    return 10.0 * hamacher(reached, placed)


def faucet_close(at):
    start = at.start("obj_init_pos")
    placed = long_tail(distance(at.obj, at.goal), 0.07, abs(distance(start, at.goal) - 0.07))
    reached = gaussian(
        distance(at.obj, at.tcp), 0.01, abs(distance(start, at.start("init_tcp")) - 0.01)
    )
    return 4.0 * reached + 6.0 * placed


def door_close(at):
    placed = gaussian(distance(at.obj, at.goal), 0.05, distance(at.start("obj_init_pos"), at.goal))
    hand = gaussian(distance(at.tcp, at.goal), 0.0125, distance([-0.5, 0.6, 0.2], at.obj) + 0.1)
    return 3.0 * hand + 6.0 * placed


def button_press_topdown(at):
    near = long_tail(distance(at.obj, at.tcp), 0.01, distance(at.obj, at.start("init_tcp")))
    return 5.0 * hamacher(1.0 - at.obs[3], near)


def lever_pull(at):
    scale, offset = np.array([4.0, 1.0, 4.0]), np.array([0.0, 0.055, 0.07])
    lever, tcp = at.start("_lever_pos_init"), at.start("init_tcp")
    shoulder = np.linalg.norm((at.obs[:3] + offset - at.obj) * scale)
    ready = long_tail(shoulder, 0.02, np.linalg.norm((tcp + offset - lever) * scale))
    placed = long_tail(distance(at.obj, at.goal), 0.04, distance(lever, at.goal))
    return 10.0 * hamacher(ready, placed)


# Task: its reward, and where to move its joint (entry 9 of qpos), half-way to the goal.
FORMULAS = {
    "mw-button-press-topdown": (button_press_topdown, None),
    "mw-dial-turn": (dial_turn, 0.8),
    "mw-door-close": (door_close, -0.7),
    "mw-faucet-close": (faucet_close, -0.5),
    "mw-handle-press": (handle_press, -0.04),
    "mw-lever-pull": (lever_pull, -0.6),
    "mw-reach-wall": (reach_wall, None),
    "mw-window-close": (window_close, 0.1),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_rewards_follow_the_formula(name):
    formula, position = FORMULAS[name]
    env, _ = single_step(name)
    action = np.array([0.5, 0.5, -0.5, 0.7], np.float32)
    rewards = []
    for step in range(8):
        if step == 4 and position is not None:
            edit(env, 9, position)
        obs, reward, *_ = env.step(action)
        sites = env._simulator._data.site
        variables = env.get_state()
        at = SimpleNamespace(
            obs=obs,
            obj=obs[4:7],
            goal=obs[36:39],
            action=action,
            tcp=(sites("rightEndEffector").xpos + sites("leftEndEffector").xpos) / 2.0,
            start=lambda variable, values=variables: values[f"task/{variable}"],
        )
        assert reward == pytest.approx(formula(at), rel=1e-4)
        rewards.append(reward)
    assert min(rewards) > 0.0 and np.ptp(rewards) > 1e-3


@pytest.mark.parametrize("name", JOINT_AT_THE_GOAL)
def test_rewards_a_joint_at_the_goal(name):
    index, position, expected = JOINT_AT_THE_GOAL[name]
    env, _ = single_step(name)
    _, reward, _, _, info = env.step(np.zeros(4, np.float32))
    assert reward < 5.0 and info["success"] == 0.0
    edit(env, index, position)
    _, reward, _, _, info = env.step(np.zeros(4, np.float32))
    assert info["success"] == 1.0
    if expected is not None:
        assert reward == expected
