"""Pong: the rules."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.fixture
def env(fresh):
    return fresh("pong", render_mode="rgb_array")


def put(env, **fields):
    for name, value in fields.items():
        setattr(env.game.state, name, value)


def test_serve(env):
    angles, ways = [], []
    for _ in range(2000):
        env.reset()
        s = env.game.state
        assert (s.x, s.y) == (112, 112)
        assert math.hypot(s.vx, s.vy) == pytest.approx(8)
        ways.append(s.vx > 0)
        angles.append(math.asin(s.vy / 8))
    assert 0.4 < np.mean(ways) < 0.6
    quartiles = np.quantile(angles, [0, 0.25, 0.5, 0.75, 1]) / math.pi
    np.testing.assert_allclose(quartiles, [-0.5, -0.25, 0, 0.25, 0.5], atol=0.05)


def test_ball_flies_straight(env):
    put(env, x=100.0, y=100.0, vx=-5.0, vy=2.0)
    env.step([0.0])
    assert (env.game.state.x, env.game.state.y) == (95, 102)


@pytest.mark.parametrize(("y", "vy"), [(30.9, -4.0), (193.1, 4.0)])
def test_bounce_at_the_walls(env, y, vy):
    """The walls are at 20 and 204, the ball reaches 7 px from its centre."""
    put(env, x=100.0, y=y, vx=-5.0, vy=vy)
    env.step([0.0])
    assert env.game.state.vy == -vy
    assert env.game.state.vx == -5.0
    env.step([0.0])
    assert env.game.state.vy == -vy


def test_no_bounce_before_the_margin(env):
    put(env, x=100.0, y=31.0, vx=-5.0, vy=-4.0)
    env.step([0.0])
    assert env.game.state.vy == -4.0


@pytest.mark.parametrize(
    ("agent_y", "hit"), [(90.0, True), (62.0, False), (63.0, True), (109.0, False), (108.0, True)]
)
def test_agent_paddle(env, agent_y, hit):
    """The ball's box spans 102 to 109, the paddle 40 px from `agent_y`."""
    put(env, x=42.0, y=106.0, vx=-8.0, vy=0.0, agent_y=agent_y)
    env.step([0.0])
    assert env.game.state.vx == (8.0 if hit else -8.0)


@pytest.mark.parametrize(("x", "hit"), [(47.6, False), (47.4, True)])
def test_the_paddle_is_met_by_the_box_of_the_ball(env, x, hit):
    """Its front is at 36: the box, 7 whole pixels wide, is there with the centre below 39.5."""
    put(env, x=x, y=106.0, vx=-8.0, vy=0.0, agent_y=90.0)
    env.step([0.0])
    assert (env.game.state.vx > 0) == hit


def test_a_paddle_hits_only_what_comes_towards_it(env):
    put(env, x=32.0, y=106.0, vx=2.0, vy=0.0, agent_y=90.0)
    env.step([0.0])
    assert env.game.state.vx == 2.0


def test_opponent_paddle(env):
    put(env, x=180.0, y=106.0, vx=8.0, vy=0.0, opponent_y=90.0)
    env.step([0.0])
    assert env.game.state.vx == -8.0


@pytest.mark.parametrize(("x", "vx", "reward"), [(200.0, 8.0, 1.0), (24.0, -8.0, -1.0)])
def test_points(env, x, vx, reward):
    put(env, x=x, y=180.0, vx=vx, vy=0.0, agent_y=20.0, opponent_y=20.0)
    observation, got, *_, info = env.step([0.0])
    assert got == reward
    assert info["score"] == pytest.approx((reward + 3) / 6)
    np.testing.assert_allclose(observation[:2], 0.5)
    s = env.game.state
    assert (s.agent_points, s.opponent_points) == ((1, 0) if reward > 0 else (0, 1))
    assert s.agent_scored == (reward > 0)


def test_agent_speed_and_limits(env):
    put(env, agent_y=100.0)
    env.step([-0.5])
    assert env.game.state.agent_y == 95.75
    for action, limit in ((-1.0, 20), (1.0, 164)):
        for _ in range(30):
            env.step([action])
        assert env.game.state.agent_y == limit


def test_opponent_ignores_a_far_ball(env):
    put(env, x=70.0, y=30.0, vx=-1.0, vy=0.0, alert=True)  # 0.3 of the arena is at 75.2
    env.step([0.0])
    assert env.game.state.opponent_y == 92
    assert not env.game.state.alert


def reaction(env):
    """Steps that the opponent stands still after it has seen the ball."""
    put(env, opponent_y=92.0, alert=False)
    for step in range(20):
        put(env, x=100.0, y=190.0)
        env.step([0.0])
        if env.game.state.opponent_y != 92:
            return step
    raise AssertionError("it never moved")


def test_reaction_delay(env):
    assert {reaction(env) for _ in range(200)} == {2, 3, 4, 5, 6}


def test_opponent_moves_by_where_the_ball_was(env):
    put(env, x=100.0, y=114.0, vx=0.0, vy=-8.0, opponent_y=92.0, alert=True)
    env.step([0.0])
    assert env.game.state.y == 106  # above the middle of the paddle by now
    assert env.game.state.opponent_y > 92


def test_a_ball_served_to_an_alert_opponent_meets_no_delay(env):
    """Neither does a delay that runs on start anew."""
    put(env, x=200.0, y=180.0, vx=8.0, vy=0.0, opponent_y=20.0, alert=True, delay=2)
    assert env.step([0.0])[1] == 1.0
    assert env.game.state.opponent_y == 20
    env.step([0.0])
    assert env.game.state.opponent_y == 20
    env.step([0.0])
    assert env.game.state.opponent_y > 20


def test_an_episode_starts_without_an_alert_opponent(env):
    put(env, alert=True, delay=3)
    env.reset(seed=0)
    assert (env.game.state.alert, env.game.state.delay) == (False, 0)


@pytest.mark.parametrize(
    ("x", "speed"), [(112.0, 8.5 * (0.5 + 0.35 * 0.2 / 0.65)), (200.0, 8.5 * 0.85)]
)
@pytest.mark.parametrize(("y", "way"), [(40.0, -1), (112.0, -1), (112.1, 1), (190.0, 1)])
def test_opponent_speed(env, x, speed, y, way):
    put(env, x=x, y=y, vx=0.0, vy=0.0, opponent_y=92.0, alert=True, delay=0)
    env.step([0.0])
    assert env.game.state.opponent_y == pytest.approx(92 + way * speed)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), action=st.floats(-1, 1))
def test_everything_stays_inside(make, seed, action):
    env = make("pong")
    env.reset(seed=seed)
    for _ in range(120):
        env.step([action])
        s = env.game.state
        assert 20 <= s.x <= 204 and 19 < s.y < 205
        assert 20 <= s.agent_y <= 164 and 20 <= s.opponent_y <= 164
        assert math.hypot(s.vx, s.vy) == pytest.approx(8)


def test_observation(env):
    put(env, x=50.0, y=60.0, vx=4.0, vy=-2.0, agent_y=30.0, opponent_y=150.0)
    expected = [50 / 224, 60 / 224, 0.5, -0.25, 30 / 224, 150 / 224]
    np.testing.assert_allclose(env.game.observe(), expected)


def test_picture(env, pixel):
    put(env, x=80.0, y=60.0, vx=4.0, vy=0.0, agent_y=30.0, opponent_y=150.0)
    assert (pixel(env, 80, 60) > 220).all()
    assert (pixel(env, 80, 100) < 40).all()
    agent, opponent = pixel(env, 33, 50), pixel(env, 191, 170)
    assert agent[0] > agent[2] + 150
    assert np.ptp(opponent) < 30 and opponent.min() > 100
    assert (pixel(env, 33, 100) < 40).all()
