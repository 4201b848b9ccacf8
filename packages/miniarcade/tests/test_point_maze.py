"""Point-maze: the rules."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miniarcade.games.point_maze import MAZES

mazes = pytest.mark.parametrize("maze", MAZES)
CELL = 36.8
EDGES = (20, 57, 94, 130, 167)  # px, left or top of the boxes of walls and wind, 37 px wide


def put(env, **fields):
    for name, value in fields.items():
        setattr(env.game.state, name, value)


def center(row, column):
    return {"x": 20 + CELL * (column + 0.5), "y": 20 + CELL * (row + 0.5)}


@pytest.fixture
def env(fresh):
    """The diamond maze, the point in the middle, the wind at the top."""
    env = fresh("point-maze-var4", render_mode="rgb_array")
    put(env, **center(2, 2), goal_x=60.0, goal_y=70.0, wind_cell=2, wind=0)
    return env


def free(maze, x, y):
    """Whether no wall, with 6 px around it, covers the pixel that holds the position."""
    walls = [
        (EDGES[column], EDGES[row])
        for row, cells in enumerate(MAZES[maze])
        for column, cell in enumerate(cells)
        if cell == "#"
    ]
    return not any(
        left - 6 <= int(x) <= left + 42 and top - 6 <= int(y) <= top + 42 for left, top in walls
    )


def test_layouts():
    assert MAZES["var3"] == (".###.", "..#..", "..#..", "#...#", "#####")  # a U
    assert all(len(rows) == 5 and {len(row) for row in rows} == {5} for rows in MAZES.values())


@mazes
def test_every_free_cell_is_reached_from_every_other(maze):
    free_cells = {i for i, cell in enumerate("".join(MAZES[maze])) if cell == "."}
    reached, new = set(), {min(free_cells)}
    while new:
        reached |= new
        ways = [(i, i + step) for i in new for step in (-5, 5, -1, 1)]
        new = {j for i, j in ways if j in free_cells and (j % 5 == i % 5 or j // 5 == i // 5)}
        new -= reached
    assert reached == free_cells


def test_var1_has_one_gap_in_its_middle_column():
    assert [row[2] for row in MAZES["var1"]] == ["#", "#", ".", "#", "#"]


@mazes
def test_start(make, maze):
    env = make(f"point-maze-{maze}")
    cells = set()
    for seed in range(400):
        env.reset(seed=seed)
        s = env.game.state
        assert free(maze, s.x, s.y) and free(maze, s.goal_x, s.goal_y)
        assert all(28 <= place <= 196 for place in (s.x, s.y, s.goal_x, s.goal_y))
        assert 36.8 <= math.hypot(s.goal_x - s.x, s.goal_y - s.y) <= 128.8
        assert (s.vx, s.vy) == (0, 0)
        assert 0 <= s.wind <= 3
        cells.add(s.wind_cell)
    assert cells == {i for i, cell in enumerate("".join(MAZES[maze])) if cell == "."}


def test_point_and_goal_in_the_centre_where_nothing_else_is_found(env):
    env.game._sample_position = lambda: (30.0, 30.0)
    assert env.game._sample_start() == (112, 112)
    assert env.game._sample_goal(112.0, 112.0) == (112, 112)


def test_speed(env):
    env.step([1.0, -0.5])
    s = env.game.state
    np.testing.assert_allclose([s.x, s.y, s.vx, s.vy], [117, 109.5, 5, -2.5])


@pytest.mark.parametrize(("wind", "dx", "dy"), [(0, 0, -2), (1, 2, 0), (2, 0, 2), (3, -2, 0)])
def test_wind(env, wind, dx, dy):
    put(env, wind_cell=12, wind=wind)
    observation, *_ = env.step([0.2, 0.4])
    s = env.game.state
    np.testing.assert_allclose([s.x, s.y], [113 + dx, 114 + dy])
    np.testing.assert_allclose(observation[4:6], [0.2 + dx / 5, 0.4 + dy / 5], rtol=1e-6)
    np.testing.assert_allclose(observation[31:35], np.arange(4) == wind)
    np.testing.assert_allclose(observation[39:42], [1, dx / 5, dy / 5], rtol=1e-6)


def test_wind_blows_only_in_its_cell(env):
    put(env, wind_cell=11, wind=1)
    observation, *_ = env.step([0.0, 0.0])
    assert (env.game.state.x, env.game.state.y) == (112, 112)
    np.testing.assert_allclose(observation[39:42], 0)


@pytest.mark.parametrize(
    ("x", "felt"), [(93.99, False), (94.0, True), (130.99, True), (131.0, False)]
)
def test_wind_blows_in_whole_pixels(env, x, felt):
    """The box of cell 12 is 37 px wide, from 94; it shares a column of pixels with the next."""
    put(env, wind_cell=12, wind=0, x=x)
    assert env.game.observe()[39] == felt
    env.step([0.0, 0.0])
    assert env.game.state.y == (110 if felt else 112)


def test_sliding_along_a_wall(env):
    """The box of the wall in row 0, column 1 ends at 57, the centre stays 6 px off."""
    put(env, x=75.0, y=63.0)
    env.step([0.4, -0.2])
    s = env.game.state
    assert (s.x, s.y) == (77, 63)  # y = 62 is too near
    assert s.vy == -1  # the speed is what was wanted
    env.step([0.0, -0.03])
    assert s.y == 63  # and so is any other on that pixel


def test_at_a_corner_the_move_along_x_comes_first(env):
    put(env, x=64.0, y=101.0)  # the wall keeps the centre out of x < 63, y < 100
    env.step([-0.4, -0.4])
    assert (env.game.state.x, env.game.state.y) == (62, 101)


def test_border(env):
    put(env, **center(2, 0))
    for _ in range(20):
        env.step([-1.0, 0.0])
    assert env.game.state.x == 27


@pytest.mark.parametrize(
    ("distance", "reward"), [(46.0, 0.75), (0.0, 1.0), (184.0, 0.0), (300, 0.0)]
)
def test_reward(env, distance, reward):
    put(env, goal_x=112.0 + distance, goal_y=112.0)
    assert env.step([0.0, 0.0])[1] == pytest.approx(reward)


@pytest.mark.parametrize(("distance", "reached"), [(11.9, 1.0), (12.1, 0.0)])
def test_success(env, distance, reached):
    put(env, goal_x=112.0, goal_y=112.0 + distance)
    observation, _, _, _, info = env.step([0.0, 0.0])
    assert info["success"] == info["score"] == observation[38] == reached


def test_success_is_lost_again(env):
    put(env, goal_x=112.0, goal_y=112.0)
    assert env.step([0.0, 0.0])[4]["score"] == 1
    for _ in range(3):
        info = env.step([1.0, 0.0])[4]
    assert info["score"] == 0


def test_observation(env):
    put(env, x=56.0, y=112.0, goal_x=102.0, goal_y=112.0, vx=-2.5, vy=6.0)
    put(env, wind_cell=8, wind=3)
    grid = [1, 1, 0, 1, 1, 1, 0, 0, -1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0, 1, 1]
    expected = [0.25, 0.5, 102 / 224, 0.5, -0.5, 1.2, *grid, 0, 0, 0, 1]
    expected += [0.25, 0, 0.25, 0, 0, 0, 0, 0.5, 0]  # row 2, column 0
    np.testing.assert_allclose(env.game.observe(), expected)


@mazes
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32 - 1),
    actions=st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=8),
)
def test_the_point_stays_out_of_the_walls(make, maze, seed, actions):
    env = make(f"point-maze-{maze}")
    env.reset(seed=seed)
    for t in range(200):
        before = env.game.state.x, env.game.state.y
        reward = env.step(actions[t // 25 % len(actions)])[1]
        s = env.game.state
        assert free(maze, s.x, s.y)
        assert 27 <= s.x <= 197 and 27 <= s.y <= 197
        assert max(abs(s.x - before[0]), abs(s.y - before[1])) <= 7 + 1e-9
        assert 0 <= reward <= 1


@mazes
def test_every_free_cell_can_be_reached(maze):
    """The mazes are connected as drawn."""
    rows = MAZES[maze]
    cells = {(r, c) for r in range(5) for c in range(5) if rows[r][c] == "."}
    seen, todo = set(), [min(cells)]
    while todo:
        r, c = todo.pop()
        if (r, c) in cells and (r, c) not in seen:
            seen.add((r, c))
            todo += [(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)]
    assert seen == cells


@mazes
def test_picture(fresh, pixel, maze):
    env = fresh(f"point-maze-{maze}", render_mode="rgb_array")
    rows = MAZES[maze]
    first, *_, last = ((r, c) for r in range(5) for c in range(5) if rows[r][c] == ".")
    at, goal = center(*first), center(*last)
    put(env, **at, goal_x=goal["x"], goal_y=goal["y"])
    agent, target = pixel(env, at["x"], at["y"]), pixel(env, goal["x"], goal["y"] + 5)
    assert agent[0] > agent[2] + 100
    assert target[1] > target[0] + 40
    for r in range(5):
        for c in range(5):
            if (r, c) in (first, last) or 5 * r + c == env.game.state.wind_cell:
                continue
            tile = pixel(env, **center(r, c))
            assert (tile.min() > 150) == (rows[r][c] == "#")
    put(env, wind_cell=5 * last[0] + last[1])
    blue = pixel(env, goal["x"] - 15, goal["y"] - 15)
    assert blue[2] > blue[0] + 30
