"""Reacher: the rules."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

both = pytest.mark.parametrize("name", ["reacher-easy", "reacher-hard"])
LIMIT = math.radians(160)


def put(env, **fields):
    for name, value in fields.items():
        setattr(env.game.state, name, value)


@pytest.fixture
def env(fresh):
    env = fresh("reacher-easy", render_mode="rgb_array")
    put(env, q1=0.0, q2=0.0, target_x=0.0, target_y=-0.1)
    return env


@both
def test_start(make, name):
    env = make(name)
    starts = np.array([env.reset(seed=seed)[0] for seed in range(400)], float)
    assert (np.abs(starts[:, 0]) <= math.pi + 1e-6).all() and np.abs(starts[:, 0]).max() > 3.1
    assert (np.abs(starts[:, 1]) <= LIMIT + 1e-6).all() and np.abs(starts[:, 1]).max() > 2.75
    assert (starts[:, 4:] == 0).all()
    q = starts[:, 0] + starts[:, 1]
    x = starts[:, 2] + 0.11 * (np.cos(starts[:, 0]) + np.cos(q))
    y = starts[:, 3] + 0.11 * (np.sin(starts[:, 0]) + np.sin(q))
    distance, angle = np.hypot(x, y), np.arctan2(y, x)
    np.testing.assert_allclose(np.quantile(distance, [0, 0.5, 1]), [0.05, 0.125, 0.2], atol=0.01)
    np.testing.assert_allclose(
        np.quantile(angle, [0.25, 0.5, 0.75]) / math.pi, [-0.5, 0, 0.5], atol=0.15
    )


def test_torques(env):
    env.step([1.0, -0.5])
    s = env.game.state
    np.testing.assert_allclose([s.w1, s.w2], [1.8, -1.8])  # 90 x 0.02 and 180 x 0.5 x 0.02
    np.testing.assert_allclose([s.q1, s.q2], [0.036, -0.036])


def test_friction(env):
    put(env, w1=-10.0, w2=5.0)
    env.step([0.0, 0.0])
    s = env.game.state
    # 4 x 10 + 1.2 x 100 = 160, and 38 x 5 + 0.05 x 25 = 191.25
    np.testing.assert_allclose([s.w1, s.w2], [-10 + 3.2, 5 - 3.825])
    np.testing.assert_allclose([s.q1, s.q2], [-6.8 * 0.02, 1.175 * 0.02])


def test_final_speeds(env):
    """Where torque and friction balance: 4 w + 1.2 w^2 = 90."""
    for _ in range(150):
        env.step([1.0, 0.0])
    assert env.game.state.w1 == pytest.approx((-4 + math.sqrt(16 + 4 * 1.2 * 90)) / 2.4)
    assert env.game.state.q1 > 2 * math.pi  # it is not wrapped


def test_top_speed(env):
    put(env, w1=100.0, w2=-900.0)
    env.step([0.0, 0.0])  # friction alone would throw them far to the other side
    assert (env.game.state.w1, env.game.state.w2) == (-30, 30)


@pytest.mark.parametrize("way", [-1, 1])
def test_stops_of_the_elbow(env, way):
    put(env, q2=way * (LIMIT - 0.01), w2=4.0 * way)
    env.step([0.0, way])
    assert env.game.state.q2 == pytest.approx(way * LIMIT)
    assert env.game.state.w2 == 0


@pytest.mark.parametrize(("name", "radius"), [("reacher-easy", 0.04), ("reacher-hard", 0.025)])
@pytest.mark.parametrize("way", [0.0, 2.0, 4.0])
def test_reward(fresh, name, radius, way):
    env = fresh(name)
    for distance, earns in ((radius - 0.001, 1.0), (radius + 0.001, 0.0)):
        put(env, q1=math.pi / 2, q2=-math.pi / 2, w1=0.0, w2=0.0)  # the tip is at (0.11, 0.11)
        put(env, target_x=0.11 + distance * math.cos(way), target_y=0.11 + distance * math.sin(way))
        assert env.step([0.0, 0.0])[1] == earns


def test_observation(env):
    put(env, q1=math.pi / 2, q2=-math.pi / 2, w1=2.0, w2=-3.0, target_x=0.02, target_y=-0.1)
    expected = [math.pi / 2, -math.pi / 2, -0.09, -0.21, 2, -3]
    np.testing.assert_allclose(env.game.observe(), expected)


@both
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32 - 1),
    actions=st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=8),
)
def test_limits(make, name, seed, actions):
    env = make(name)
    env.reset(seed=seed)
    for t in range(200):
        reward = env.step(actions[t // 25 % len(actions)])[1]
        s = env.game.state
        assert abs(s.q2) <= LIMIT and abs(s.w1) <= 30 and abs(s.w2) <= 30
        dx, dy = env.game.observe()[2:4]
        assert math.hypot(s.target_x - dx, s.target_y - dy) <= 0.22 + 1e-9
        assert reward == (math.hypot(dx, dy) <= (0.04 if name == "reacher-easy" else 0.025))


@both
def test_picture(fresh, pixel, name):
    """380 px a metre, the shoulder in the middle."""
    env = fresh(name, render_mode="rgb_array")
    put(env, q1=math.pi / 2, q2=-math.pi / 2, target_x=-0.1, target_y=-0.05)
    elbow_y = 112 + 380 * 0.11
    grey, orange = pixel(env, 112, 133), pixel(env, 133, elbow_y + 2)
    assert np.ptp(grey) < 25 and grey.min() > 120
    assert orange[0] > orange[2] + 100
    assert (pixel(env, 112 + 380 * 0.11, elbow_y) > 220).all()  # the fingertip
    target = pixel(env, 74 - 7, 93)
    assert target[0] > target[2] + 100
    teal, pink = pixel(env, 3, 3), pixel(env, 220, 220)
    assert teal[1] > teal[0] + 60 and pink[0] > pink[1] + 60
