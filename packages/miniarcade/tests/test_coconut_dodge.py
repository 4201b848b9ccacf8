"""Coconut-dodge: the rules."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miniarcade.games.coconut_dodge import Coconut


@pytest.fixture
def env(fresh):
    return fresh("coconut-dodge", render_mode="rgb_array")


def put(env, **fields):
    for name, value in fields.items():
        setattr(env.game.state, name, value)


def coconut(x, y, vx=0.0, vy=0.0, radius=7, **fields):
    return Coconut(x, y, vx, vy, radius, number=1, **fields)


def test_running(env):
    env.step([1.0])
    s = env.game.state
    assert s.v == pytest.approx(0.8245)  # 0.85 x 0.97
    assert s.x == pytest.approx(100.8245)
    env.step([0.0])
    assert s.v == pytest.approx(0.799765)


def test_top_speed_and_sides(env):
    for way, side in ((1, 191), (-1, 9)):
        for _ in range(80):
            env.step([way])
            assert abs(env.game.state.v) <= 5
        assert env.game.state.v == 5 * way
        assert env.game.state.x == side


def test_number_of_coconuts(env):
    counts = [len(env.game.state.coconuts)]
    for _ in range(500):
        env.step([0.0])
        counts.append(len(env.game.state.coconuts))
    assert counts == [1 + int(5 * (t / 500)) for t in range(501)]


@pytest.mark.parametrize(
    ("t", "drift", "low", "high"), [(0, 0.5, 1.4, 2.6), (499, 0.8, 2.52, 4.68)]
)
def test_where_and_how_fast_they_start(env, t, drift, low, high):
    """Drift grows by 0.6 of itself over the episode, the fall by 0.8."""
    new = [env.game._drop(t) for _ in range(3000)]
    assert {c.radius for c in new} == {6, 7, 8}
    assert all(c.y == c.radius + 1 for c in new)
    assert all(c.radius <= c.x <= 200 - c.radius for c in new)
    assert min(c.x for c in new) < 8 and max(c.x for c in new) > 192
    drifts, falls = [c.vx for c in new], [c.vy for c in new]
    np.testing.assert_allclose([min(drifts), max(drifts)], [-drift, drift], atol=0.01)
    np.testing.assert_allclose([min(falls), max(falls)], [low, high], atol=0.01)


def test_flight_and_sides(env):
    put(env, coconuts=[coconut(8.0, 50.0, -0.4, 2.0), coconut(192.0, 50.0, 0.6, 3.0)])
    for _ in range(4):
        env.step([0.0])
    left, right = env.game.state.coconuts
    assert left.x == pytest.approx(7.4) and left.vx == 0.4  # 7.6, 7.2, 6.8 -> 7, 7.4
    assert right.x == pytest.approx(191.8) and right.vx == -0.6  # 192.6, 193.2 -> 193, 192.4, 191.8
    assert (left.y, right.y) == (58, 62)


@pytest.mark.parametrize(("dx", "hit"), [(15.9, True), (16.1, False)])
def test_hit(env, dx, hit):
    """The radii are 9 and 7."""
    put(env, coconuts=[coconut(100.0 + dx, 188.0)])
    assert env.step([0.0])[1] == -hit


def test_hits_in_one_step_cost_once(env):
    put(env, coconuts=[coconut(95.0, 180.0), coconut(105.0, 182.0)])
    assert env.step([0.0])[1] == -1


def test_hit_flag(env):
    """On for the step of the hit and four more."""
    put(env, coconuts=[coconut(100.0, 180.0)])
    flags = [env.step([0.0])[0][4]]
    env.game.state.coconuts[0].x = 20.0
    flags += [env.step([0.0])[0][4] for _ in range(7)]
    assert flags == [1, 1, 1, 1, 1, 0, 0, 0]


def test_on_the_ground(env):
    """It lies for 10 steps, harmless, and the next one falls from the top."""
    put(env, coconuts=[coconut(100.0, 190.0, 0.3, 3.0)])
    for _ in range(10):
        assert env.step([0.0])[1] == 0
        c = env.game.state.coconuts[0]
        assert (c.x, c.y, c.vx, c.vy) == (pytest.approx(100.3), 193, 0.3, 3.0)
    env.step([0.0])
    c = env.game.state.coconuts[0]
    assert c.y == c.radius + 1
    assert not c.cracked


def test_one_more_does_not_move_in_its_first_step(env):
    put(env, t=99)
    env.step([0.0])
    new = env.game.state.coconuts[1]
    assert new.y == new.radius + 1
    env.step([0.0])
    assert new.y == new.radius + 1 + new.vy


def test_observation(env):
    lying = coconut(90.0, 193.0, 0.5, 2.0, cracked=4)
    put(
        env,
        x=100.0,
        v=-2.5,
        coconuts=[coconut(40.0, 20.0, -0.5, 1.0), coconut(160.0, 108.0), lying],
    )
    expected = [0.5, -0.5, 0.3, -0.4, 0]
    expected += [0.45, 0.965, 0.1, 0.4, 0.8, 0.54, 0, 0, 0.2, 0.1, -0.1, 0.2]
    np.testing.assert_allclose(env.game.observe(), expected + 12 * [0])
    put(env, coconuts=[lying])
    np.testing.assert_allclose(env.game.observe()[2:4], [0, -1])


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), actions=st.lists(st.floats(-1, 1), min_size=1, max_size=5))
def test_everything_stays_inside(make, seed, actions):
    env = make("coconut-dodge")
    env.reset(seed=seed)
    for t in range(500):
        observation, reward, *_ = env.step([actions[t // 100 % len(actions)]])
        s = env.game.state
        assert 9 <= s.x <= 191 and abs(s.v) <= 5
        assert all(c.radius <= c.x <= 200 - c.radius for c in s.coconuts)
        assert all(7 <= c.y <= 200 - c.radius and 0 <= c.cracked <= 10 for c in s.coconuts)
        assert reward in (0.0, -1.0)
        apart = np.hypot(observation[5:29:4] - observation[0], observation[6:29:4] - 0.94)
        assert (np.diff(apart[: len(s.coconuts)]) >= -1e-6).all()  # sorted by distance


def test_picture(env, pixel):
    put(env, x=60.0, coconuts=[coconut(120.0, 60.0)])
    brown, sky = pixel(env, 132, 76), pixel(env, 132, 100)
    assert 40 < brown[0] < 160 and brown[0] > brown[2] + 20
    assert np.abs(brown - sky).sum() > 60
    shirt, sand = pixel(env, 72, 199), pixel(env, 112, 199)
    assert shirt[1] > shirt[0] + 50
    assert sand[0] > sand[2] + 40
    put(env, coconuts=[coconut(120.0, 193.0, cracked=9)])
    halves = [pixel(env, x, 208) for x in range(122, 143)]
    assert any(half.min() > 200 for half in halves)  # the white flesh
    before = pixel(env, 20, 20)
    put(env, hit_at=env.game.state.t)
    tinted = pixel(env, 20, 20)
    assert tinted[0] > before[0] + 30 and tinted[2] < before[2]
