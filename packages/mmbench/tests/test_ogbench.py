"""OGBench: sizes, determinism, restoration, frames, mazes, rewards by hand."""

import importlib.util
import math
import subprocess
import sys

import behaviour
import numpy as np
import pytest

import mmbench
from mmbench import rendering
from mmbench.catalog import TaskUnavailableError
from mmbench.domains import ogbench_mazes as mazes
from mmbench.env import TaskEnv

TASKS = mmbench.tasks(domain="ogbench")
MAZE_TASKS = [task for task in TASKS if "/" in task.native]
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
KINDS = ("og-ant", "og-antball", "og-point-maze", "og-ant-circle")
one_of_each_kind = pytest.mark.parametrize(
    "task",
    [pytest.param(t, marks=[] if t.name in KINDS else [pytest.mark.slow]) for t in TASKS],
    ids=lambda task: task.name,
)
every_maze_task = pytest.mark.parametrize("task", MAZE_TASKS, ids=lambda task: task.name)
every_maze = pytest.mark.parametrize("maze", mazes.MAPS)
needs_frames = pytest.mark.skipif(
    rendering.backend() is None, reason="this machine has neither EGL nor OSMesa"
)


def zeros(env):
    return np.zeros(env.task.action_dim, np.float32)


def restart_at(env, xy, goal):
    """Puts the body at rest at ``xy`` and the goal at ``goal``, through set_state."""
    simulator = env._simulator
    qpos = simulator.model.qpos0.copy()
    qpos[:2] = xy
    simulator.place(qpos, np.zeros(simulator.model.nv))
    state = {key: v for key, v in env.get_state().items() if not key.startswith(("env/", "task/"))}
    target = simulator.model.geom("target").id
    state["model/geom_pos"][target, :2] = goal
    env.set_state(state)


@every_task
def test_an_episode_has_the_sizes_and_length_of_the_catalogue(task):
    behaviour.check_whole_episode(task)


@every_task
def test_an_episode_is_a_function_of_its_seed_and_actions(task):
    behaviour.check_seeding(task)


@every_task
def test_a_restored_state_goes_on_as_the_episode_did(task):
    behaviour.check_restoration(task)


@needs_frames
@one_of_each_kind
def test_frames_show_the_state_and_leave_it_alone(task):
    behaviour.check_frames(task)


@needs_frames
@pytest.mark.parametrize("name", ["og-point-maze", "og-ant-circle", "og-antball"])
def test_frames_show_the_goal(name):
    env = behaviour.make(name, render_mode="rgb_array")
    restart_at(env, (0.0, 8.0), (0.0, 4.0))
    frame = env.render()
    restart_at(env, (0.0, 8.0), (4.0, 0.0))
    assert np.abs(env.render().astype(int) - frame).max() > 50
    env.close()


def test_making_and_stepping_says_nothing_and_imports_no_package():
    code = (
        "import sys\n"
        "from mmbench.env import TaskEnv\n"
        "for name in ('og-ant', 'og-antball', 'og-point-maze', 'og-ant-circle'):\n"
        "    env = TaskEnv(name)\n"
        "    env.reset(seed=0), env.step(env.action_space.sample())\n"
        "assert not {'ogbench', 'dm_control', 'gymnasium.envs.mujoco'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "mmbench.domains.ogbench", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TaskUnavailableError, match=r"og-ant.*pip install 'mmbench\[ogbench\]'"):
        TaskEnv("og-ant")


# Mazes

COUNTS = {
    "arena": 48,
    "medium": 10,
    "bottleneck": 312,
    "circle": 300,
    "spiral": 204,
    "var1": 300,
    "var2": 312,
}


@every_maze
def test_pairs_are_as_many_as_published_and_lie_in_free_connected_cells(maze):
    pairs, walls = mazes.PAIRS[maze], set(mazes.walls(maze))
    rows, columns = mazes.size(maze)
    assert (rows, columns) == (8, 8)
    assert len(pairs) == len(set(pairs)) == COUNTS[maze]
    free = {(i, j) for i in range(rows) for j in range(columns)} - walls
    reached, front = set(), [pairs[0][0]]
    while front:
        i, j = front.pop()
        reached.add((i, j))
        near = {(i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)}
        front.extend((near & free) - reached)
    assert {cell for pair in pairs for cell in pair} <= reached


@every_maze
def test_only_the_held_out_mazes_can_be_left(maze):
    border = {(i, j) for i in range(8) for j in range(8) if {i, j} & {0, 7}}
    closed = border <= set(mazes.walls(maze))
    assert closed == (maze not in ("var1", "var2"))


@every_maze_task
def test_starts_and_goals_are_jittered_pairs(task):
    env = TaskEnv(task, unify=False)
    maze = task.native.split("/")[1]
    # The nearest cell: rows lie along y.
    cell_of = lambda xy: (round((xy[1] + 4) / 4), round((xy[0] + 4) / 4))  # noqa: E731
    seen, offsets = set(), []
    env.reset(seed=0)
    for _ in range(150):
        obs, _ = env.reset()
        start, goal = 20.0 * obs[-5:-3] + 20.0 * obs[-3:-1], 20.0 * obs[-5:-3]
        pair = cell_of(start), cell_of(goal)
        assert pair in mazes.PAIRS[maze]
        seen.add(pair)
        offsets += [start - mazes.centre(pair[0]), goal - mazes.centre(pair[1])]
    assert len(seen) >= min(10, len(mazes.PAIRS[maze]))
    assert 0.9 < np.abs(offsets).max() < 1.0 + 1e-5
    assert np.std(offsets) == pytest.approx(1 / math.sqrt(3), abs=0.05)


@every_maze_task
def test_reward_and_success_are_those_of_the_formula(task):
    env = behaviour.make(task)
    radius, speed_cost = (1.0, 0.025) if task.action_dim == 2 else (0.5, 0.001)
    start = np.array(mazes.centre(mazes.PAIRS[task.native.split("/")[1]][0][0]))
    for goal in (start + [3.0, -4.0], start + [0.6 * radius, 0.0], start + [radius + 0.2, 0.0]):
        restart_at(env, start, goal)
        obs, reward, _, _, info = env.step(zeros(env))
        xy, x, y, distance = 20.0 * obs[-5:-3] + 20.0 * obs[-3:-1], *(20.0 * obs[-3:])
        np.testing.assert_allclose(20.0 * obs[-5:-3], goal, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(xy, start, atol=0.15)
        assert distance == pytest.approx(math.hypot(x, y), rel=1e-5)
        speed = np.linalg.norm(obs[2:4] if task.action_dim == 2 else obs[15:29]) * 20.0
        success = float(distance <= radius)
        assert success == (math.dist(start, goal) < radius)
        cost = 0.5 * (abs(x) + abs(y)) + 0.5 * distance + speed_cost * speed
        assert reward == pytest.approx(success - cost / 20.0, abs=1e-6)
        assert info["success"] == info["score"] == success


def test_the_point_moves_by_a_fifth_of_the_action_and_shows_its_last_move():
    env = behaviour.make("og-point-arena")
    restart_at(env, (8.0, 8.0), (4.0, 4.0))
    obs, reward, *_ = env.step(np.array([1.0, -0.5], np.float32))
    np.testing.assert_allclose(20.0 * obs[:2], [8.0 + 0.8, 8.0 - 0.4], atol=1e-5)
    np.testing.assert_allclose(20.0 * obs[2:4], [0.2, -0.1], atol=1e-5)
    state = env.get_state()
    del state["task/prev_qpos"]
    env.set_state(state)
    assert not env._observation()[2:4].any()  # a state alone has no last move
    cost = 0.5 * (4.8 + 3.6) + 0.5 * 6.0 + 0.025 * math.hypot(0.2, 0.1)
    assert reward == pytest.approx(-cost / 20.0, abs=1e-6)


def test_walls_hold_the_point_and_gaps_let_it_out():
    def run(name, xy, direction):
        env = behaviour.make(name)
        restart_at(env, xy, (0.0, 0.0))
        for _ in range(20):
            obs, *_ = env.step(np.array(direction, np.float32))
        return 20.0 * obs[:2]

    assert run("og-point-maze", mazes.centre((1, 1)), [-1, 0])[0] == pytest.approx(-1.3, abs=0.3)
    assert run("og-point-var1", mazes.centre((2, 6)), [1, 0])[0] > 30.0  # a gap in the border


# The ant on open ground


def test_directions_are_units_and_change_every_100_steps():
    env = behaviour.make("og-ant")
    directions = []
    for action in behaviour.actions(env.task, 300):
        before = env._simulator.data.qpos[:2].copy()
        z = env.get_state()["task/z"]
        obs, reward, _, _, info = env.step(action)
        assert reward == pytest.approx((env._simulator.data.qpos[:2] - before).dot(z))
        assert math.isnan(info["success"])
        directions.append(obs[-2:])
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0, rtol=1e-6)
    changes = np.flatnonzero(np.any(np.diff(directions, axis=0) != 0, axis=1))
    assert changes.tolist() == [98, 198, 298]  # seen after the 100th, 200th and 300th step
    assert env.task.score(125.0, math.nan) == 0.5


def test_directions_drawn_later_come_from_the_seed_and_the_state():
    task = next(task for task in TASKS if task.name == "og-ant")
    sequence = behaviour.actions(task, 120)
    env = behaviour.make(task, seed=3)
    behaviour.rollout(env, sequence[:90])
    state = env.get_state()
    expected = behaviour.rollout(env, sequence[90:])
    np.random.seed(0)
    other = behaviour.make(task, seed=4)
    other.set_state(state)
    np.testing.assert_array_equal(behaviour.rollout(other, sequence[90:]), expected)


def test_without_task_keys_the_direction_stays_and_the_clock_is_read_from_time():
    env = behaviour.make("og-ant")
    for action in behaviour.actions(env.task, 95):
        obs, *_ = env.step(action)
    other = behaviour.make("og-ant", seed=1)
    own = other.get_state()["task/z"]
    other.set_state({"state": env.get_state()["state"]})
    seen = [other.step(zeros(other))[0][-2:] for _ in range(5)]
    np.testing.assert_array_equal(seen[3], own.astype(np.float32))
    assert not np.array_equal(seen[4], seen[3])


# The ant with a ball


def place_ball(env, agent, ball, goal):
    simulator = env._simulator
    qpos = simulator.model.qpos0.copy()
    qpos[:2], qpos[-7:-4] = agent, (*ball, 0.26)
    simulator.place(qpos, np.zeros(simulator.model.nv))
    state = env.get_state()
    target = simulator.model.geom("target").id
    state["model/geom_pos"][target, :2] = goal
    env.set_state({key: v for key, v in state.items() if not key.startswith("task/")})


def test_antball_pays_for_coming_closer():
    env = behaviour.make("og-antball")
    place_ball(env, (3.0, 0.0), (0.0, 0.0), (2.0, 0.0))
    env._simulator.data.qvel[-6] = 1.0  # the ball rolls to the goal and the ant
    obs, reward, _, _, info = env.step(zeros(env))
    agent, ball = env._simulator.data.qpos[:2], env._simulator.data.qpos[-7:-5]
    assert 0.02 < ball[0] < 0.11
    closer = 2.0 - math.dist(ball, (2.0, 0.0)), 3.0 - math.dist(ball, agent)
    assert reward == pytest.approx(10.0 * (2.5 * closer[0] + closer[1]), abs=1e-9)
    np.testing.assert_allclose(obs[-4:], [*(ball - agent), *((2.0, 0.0) - ball)], atol=1e-6)
    assert info["success"] == 0.0


@pytest.mark.parametrize("distance, success", [(0.45, 1.0), (0.55, 0.0)])
def test_antball_succeeds_with_the_ball_at_the_goal(distance, success):
    env = behaviour.make("og-antball")
    place_ball(env, (3.0, 0.0), (0.0, 0.0), (0.0, distance))
    assert env.step(zeros(env))[4]["success"] == success


def test_antball_starts_fill_their_squares():
    env = TaskEnv("og-antball", unify=False)
    env.reset(seed=0)
    starts = []
    for _ in range(200):
        env.reset()
        qpos = env._simulator.data.qpos
        goal = env._simulator.model.geom("target").pos[:2]
        starts.append([*qpos[:2], *qpos[-7:-5], *goal])
        assert qpos[-5] == pytest.approx(3.0, abs=0.1)  # the ball falls
    limits = np.repeat([1.0, 2.0, 3.0], 2)
    extent = np.abs(starts).max(0)
    assert np.all(extent < limits) and np.all(extent > 0.95 * limits)
