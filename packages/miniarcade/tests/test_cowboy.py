"""Cowboy: the rules."""

import numpy as np
import pytest

from miniarcade.games.cowboy import OBSTACLE_HEIGHTS, OBSTACLE_WIDTHS, OBSTACLES


@pytest.fixture
def env(fresh):
    return fresh("cowboy", render_mode="rgb_array")


def act(env, value, steps=1):
    return sum(env.step([value])[1] for _ in range(steps))


def put(env, **fields):
    for name, value in fields.items():
        setattr(env.game.state, name, value)


@pytest.mark.parametrize("strength", [1.0, 0.5, 0.75])
def test_height_and_length_of_a_jump(env, strength):
    """Speeds 12a-1, 12a-2, ... add up to the highest point; the way down takes as long."""
    heights = []
    for _ in range(40):
        env.step([strength if not heights else 0.0])
        heights.append(154 - env.game.state.y)
    rising = [12 * strength - k for k in range(1, 13) if 12 * strength - k > 0]
    assert max(heights) == pytest.approx(sum(rising))
    assert heights.index(0.0) + 1 == 24 * strength - 1  # sum of 12a-k over n steps is 0


def test_touching_down_exactly(env):
    """Full jumps end on the ground: the speed is there for a step more, and a jump may follow.

    Any other ends below it and is stopped at once.
    """
    act(env, 1.0, 1)
    act(env, 0.0, 22)
    assert (env.game.state.y, env.game.state.vy) == (154, 11)
    act(env, 0.0)
    assert (env.game.state.y, env.game.state.vy) == (154, 0)
    act(env, 0.99, 1)
    act(env, 0.0, 22)
    assert (env.game.state.y, env.game.state.vy) == (154, 0)
    put(env, y=154.0, vy=11.0)
    act(env, 1.0)
    assert (env.game.state.y, env.game.state.vy) == (143, -11)


def test_touching_down_in_a_cactus_lifts_onto_it(env):
    put(env, kind=1, obstacle_x=40, y=144.0, vy=9.0)
    assert act(env, 0.0) == 1
    assert (env.game.state.y, env.game.state.vy) == (114, 0)
    put(env, kind=1, obstacle_x=40, y=145.0, vy=9.0)
    assert act(env, 0.0) == -1


def test_negative_action_does_not_jump(env):
    act(env, -1.0)
    assert env.game.state.y == 154
    assert env.game.state.vy == 0


def test_no_jump_in_the_air(env):
    act(env, 1.0)
    act(env, 1.0)
    assert env.game.state.vy == -10


def test_running_into_a_cactus(env):
    """21 steps bring the cactus from 264 to 54, inside the runner's right edge at 58."""
    assert act(env, 0.0, 21) == 21
    assert env.game.state.obstacle_x == 54
    assert act(env, 0.0, 50) == -50
    assert env.game.state.obstacle_x == 54
    assert env.game.state.collided


def test_getting_free_by_a_jump(env):
    put(env, kind=0, obstacle_x=54)
    assert act(env, 1.0) == -1  # 11 px up, the cactus has 25
    assert act(env, 0.0) == -1  # 21 px
    assert act(env, 0.0) == 1  # 30 px
    assert env.game.state.obstacle_x == 44


@pytest.mark.parametrize("kind", range(4))
def test_landing_on_top(env, kind):
    top = 184 - OBSTACLE_HEIGHTS[kind] - 30
    put(env, kind=kind, obstacle_x=44, y=top - 1.0, vy=2.0)
    assert act(env, 0.0) == 1
    assert env.game.state.y == top
    assert env.game.state.vy == 0
    assert env.game.state.obstacle_x == 34


@pytest.mark.parametrize(("left", "lands"), [(48, True), (49, False)])
def test_landing_needs_more_than_half_the_width(env, left, lands):
    """The runner's right edge is 58 and half its width 9."""
    put(env, kind=1, obstacle_x=left, y=113.0, vy=2.0)
    assert act(env, 0.0) == (1 if lands else -1)


@pytest.mark.parametrize("kind", range(4))
def test_hitbox_bounds_the_group(kind):
    assert OBSTACLE_WIDTHS[kind] == max(x + width for x, width, _ in OBSTACLES[kind])
    assert OBSTACLE_HEIGHTS[kind] == max(height for *_, height in OBSTACLES[kind])


@pytest.mark.parametrize(("kind", "last"), [(0, -6), (1, -16), (2, -36), (3, -36)])
def test_next_obstacle_once_the_right_edge_is_past(env, kind, last):
    put(env, kind=kind, obstacle_x=last + 10)
    act(env, 0.0)
    assert env.game.state.obstacle_x == last
    act(env, 0.0)
    assert env.game.state.obstacle_x == 264


def test_all_obstacles_appear_equally_often(env):
    kinds = []
    for seed in range(400):
        env.reset(seed=seed)
        kinds.append(env.game.state.kind)
    assert all(70 < kinds.count(kind) < 130 for kind in range(4))


def test_observation(env):
    put(env, y=110.0, vy=-3.0, obstacle_x=104)
    np.testing.assert_allclose(env.game.observe(), [-44 / 224, -0.3, 104 / 224])


def test_picture(env, pixel):
    put(env, kind=1, obstacle_x=150)
    sky, cactus, sand = pixel(env, 130, 170), pixel(env, 160, 170), pixel(env, 160, 200)
    assert cactus[1] > cactus[0] + 40 and cactus[1] > cactus[2] + 40
    assert sand[0] > sand[2] + 40
    put(env, obstacle_x=110)
    assert np.abs(pixel(env, 160, 170) - sky).max() < 12
    put(env, y=60.0)
    shirt = pixel(env, 49, 76)
    assert shirt[0] > shirt[1] + 80
    clear = pixel(env, 10, 100)
    put(env, collided=True)
    reddened = pixel(env, 10, 100) - clear
    assert reddened[0] > 5 and reddened[2] < -20
