"""Rocket-collect: the rules."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miniarcade.games.rocket_collect import Asteroid


@pytest.fixture
def env(fresh):
    """The rocket at rest, the asteroid far away and going away, the coin far off."""
    env = fresh("rocket-collect", render_mode="rgb_array")
    put(env, coin_x=112.0, coin_y=40.0, asteroids=[Asteroid(-500.0, -500.0, -1.0, 0.0)])
    return env


def put(env, **fields):
    for name, value in fields.items():
        setattr(env.game.state, name, value)


def nearness(distance):
    return 0.002 * (1 - distance / (224 * math.sqrt(2)))


def test_start(env):
    for seed in range(40):
        env.reset(seed=seed)
        s = env.game.state
        assert (s.x, s.y, s.vx, s.vy) == (112, 184, 0, 0)
        assert len(s.asteroids) == 1


def test_thrust_and_drag(env):
    env.step([1.0, -0.5])
    s = env.game.state
    np.testing.assert_allclose([s.vx, s.vy], [0.735, -0.3675])  # 0.75 x 0.98
    np.testing.assert_allclose([s.x, s.y], [112.735, 183.6325])
    env.step([0.0, 0.0])
    np.testing.assert_allclose([s.vx, s.vy], [0.7203, -0.36015])
    np.testing.assert_allclose([s.x, s.y], [113.4553, 183.27235])


def test_top_speed(env):
    put(env, vx=3.0, vy=-4.0)
    env.step([0.0, 0.0])
    np.testing.assert_allclose([env.game.state.vx, env.game.state.vy], [2.4, -3.2])


def test_the_rocket_stays_away_from_the_border(env):
    put(env, x=16.0, y=208.0, vx=-3.0, vy=3.0)
    env.step([0.0, 0.0])
    assert (env.game.state.x, env.game.state.y) == (15, 209)


def test_reward_for_being_near(env):
    put(env, x=100.0, y=100.0, coin_x=130.0, coin_y=60.0)
    assert env.step([0.0, 0.0])[1] == pytest.approx(nearness(50))


@pytest.mark.parametrize(("distance", "picked"), [(18.9, True), (19.1, False)])
def test_pickup(env, distance, picked):
    """The radii are 10 and 9."""
    put(env, x=60.0, y=100.0, coin_x=60.0 + distance, coin_y=100.0)
    assert env.step([0.0, 0.0])[1] == pytest.approx(nearness(distance) + picked)
    s = env.game.state
    assert s.coins == picked
    assert ((s.coin_x, s.coin_y) != (60 + distance, 100)) == picked


def test_where_coins_appear(env):
    places = []
    for seed in range(2000):
        env.reset(seed=seed)
        places.append((env.game.state.coin_x, env.game.state.coin_y))
    xs, ys = zip(*places, strict=True)
    assert set(xs) == set(range(30, 194))
    assert set(ys) == set(range(40, 112))


@pytest.mark.parametrize(("distance", "cost"), [(23.9, 0.2), (24.1, 0.0)])
def test_crash(env, distance, cost):
    """The radii are 10 and 14."""
    put(env, y=100.0, asteroids=[Asteroid(112.0 - distance, 100.0, 0.0, 0.0)])
    assert env.step([0.0, 0.0])[1] == pytest.approx(nearness(60) - cost)


def test_each_asteroid_costs(env):
    put(env, y=100.0, asteroids=[Asteroid(112.0, y, 0.0, 0.0) for y in (90.0, 110.0, 200.0)])
    assert env.step([0.0, 0.0])[1] == pytest.approx(nearness(60) - 0.4)


def test_flash(env):
    """On for the step of the crash and four more."""
    put(env, y=100.0, asteroids=[Asteroid(112.0, 100.0, 0.0, 0.0)])
    flags = [env.step([0.0, 0.0])[0][8]]
    env.game.state.asteroids[0].x = -500.0
    flags += [env.step([0.0, 0.0])[0][8] for _ in range(7)]
    assert flags == [1, 1, 1, 1, 1, 0, 0, 0]


def test_number_of_asteroids(env):
    env.reset(seed=0)
    counts = [len(env.game.state.asteroids)]
    for _ in range(500):
        env.step([0.0, 0.0])
        counts.append(len(env.game.state.asteroids))
    assert counts == [min(1 + t // 150, 3) for t in range(501)]


def test_asteroids_come_in(env):
    """From just outside, aimed at the middle half of the picture, at 1 to 2.2 px a step."""
    speeds, sides = [], []
    for seed in range(600):
        env.reset(seed=seed)
        a = env.game.state.asteroids[0]
        edges = [a.x == -28, a.x == 252, a.y == -28, a.y == 252]
        assert any(edges)
        sides.append(edges.index(True))
        along = a.y if edges.index(True) < 2 else a.x
        assert 20 <= along <= 203 and along == int(along)
        speed = math.hypot(a.vx, a.vy)
        speeds.append(speed)
        # The way crosses the middle half: some point on it has both coordinates in 56 ... 168.
        ts = np.linspace(0, 400, 4001)
        xs, ys = a.x + a.vx * ts, a.y + a.vy * ts
        assert ((xs > 55.8) & (xs < 168.2) & (ys > 55.8) & (ys < 168.2)).any()
    assert 1 <= min(speeds) < 1.02 and 2.18 < max(speeds) < 2.2
    assert all(100 < sides.count(side) < 200 for side in range(4))


def test_asteroids_bounce_only_after_they_have_come_in(env):
    put(env, asteroids=[Asteroid(-20.0, 100.0, 2.0, -1.0)])
    a = env.game.state.asteroids[0]
    for _ in range(16):
        env.step([0.0, 0.0])
    assert (a.x, a.y, a.vx) == (12, 84, 2)
    assert not a.inside
    env.step([0.0, 0.0])
    assert a.inside
    a.x, a.y, a.vx, a.vy = 15.0, 209.0, -2.0, 1.5
    env.step([0.0, 0.0])
    assert (a.x, a.y, a.vx, a.vy) == (14, 210, 2, -1.5)


def test_observation(env):
    put(env, x=56.0, y=112.0, vx=2.0, vy=-4.0, coin_x=168.0, coin_y=84.0)
    put(env, asteroids=[Asteroid(28.0, 196.0, -1.0, 2.0), Asteroid(224.0, 0.0, 0.5, 0.0)])
    expected = [0.25, 0.5, 0.5, -1, 0.75, 0.375, 0.5, -0.125, 0]
    expected += [0.125, 0.875, -0.25, 0.5, 1, 0, 0.125, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(env.game.observe(), expected)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32 - 1),
    actions=st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=5),
)
def test_everything_stays_inside(make, seed, actions):
    env = make("rocket-collect")
    env.reset(seed=seed)
    for t in range(500):
        reward = env.step(actions[t // 100 % len(actions)])[1]
        s = env.game.state
        assert 15 <= s.x <= 209 and 15 <= s.y <= 209
        assert math.hypot(s.vx, s.vy) <= 4 + 1e-9
        assert 30 <= s.coin_x <= 193 and 40 <= s.coin_y <= 111
        for a in s.asteroids:
            assert -28 <= a.x <= 252 and -28 <= a.y <= 252
            assert not a.inside or (14 <= a.x <= 210 and 14 <= a.y <= 210)
        assert -0.6 <= reward <= 1.002


def test_picture(env, pixel):
    put(env, x=60.0, y=150.0, coin_x=160.0, coin_y=60.0)
    put(env, asteroids=[Asteroid(150.0, 160.0, 0.0, 0.0)])
    sky = pixel(env, 60, 90)
    assert sky[2] > sky[1] and sky.max() < 100  # dark violet
    coin, rocket, rock = pixel(env, 165, 60), pixel(env, 60, 142), pixel(env, 150, 165)
    assert coin[0] > 180 and coin[0] > coin[2] + 100
    assert rocket[0] > 180 and rocket[0] > rocket[2] + 80  # its red nose
    assert np.ptp(rock) < 25 and rock.min() > 70
    put(env, crash_at=env.game.state.t)
    assert pixel(env, 30, 30)[0] > sky[0] + 30
