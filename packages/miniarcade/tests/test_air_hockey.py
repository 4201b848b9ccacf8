"""Air hockey: the rules."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miniarcade.games import air_hockey

LEFT, RIGHT, TOP, BOTTOM = 33, 191, 24, 200  # px, the rink


@pytest.fixture
def env(fresh):
    return fresh("air-hockey", render_mode="rgb_array")


def put(env, **fields):
    for name, value in fields.items():
        setattr(env.game.state, name, value)


def put_puck(env, x, y, vx, vy):
    """Puts the puck, and the mallets into corners out of its way."""
    put(env, x=x, y=y, vx=vx, vy=vy, agent_x=43.0, agent_y=122.0, opponent_x=181.0)
    put(env, opponent_y=102.0)


def act(env, ax=0.0, ay=0.0):
    return env.step([ax, ay])[1]


def test_serve(make):
    env = make("air-hockey")
    velocities = []
    for seed in range(1500):
        env.reset(seed=seed)
        s = env.game.state
        assert (s.x, s.y) == (112, 112)
        assert (s.agent_x, s.agent_y) == (112, 170)
        assert (s.opponent_x, s.opponent_y) == (112, 54)
        velocities.append((s.vx, s.vy))
    vx, vy = np.array(velocities).T
    for v in (vx, vy):
        assert np.mean(v > 0) == pytest.approx(0.5, abs=0.06)
    # The speed along the rink goes by the sine with its sign, so that half of the serves are slow.
    angle = np.arccos(np.abs(vx) / 6)
    up, down = (6 * np.abs(0.3 + 0.7 * sign * np.sin(angle)) for sign in (1, -1))
    assert np.isclose(np.abs(vy), up).mean() == pytest.approx(0.5, abs=0.06)
    assert (np.isclose(np.abs(vy), up) | np.isclose(np.abs(vy), down)).all()
    quartiles = np.quantile(angle, [0, 0.25, 0.5, 0.75, 1]) / math.pi
    np.testing.assert_allclose(quartiles, 0.35 * np.array([0, 0.25, 0.5, 0.75, 1]), atol=0.015)


def test_gliding(env):
    put_puck(env, 100.0, 150.0, 5.0, 2.0)
    act(env)
    s = env.game.state
    assert (s.vx, s.vy) == pytest.approx((4.99, 1.996))
    assert (s.x, s.y) == (105, 152)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ((42.0, 150.0, -5.0, 1.0), (39, 151, 4.5, 1)),
        ((182.0, 150.0, 5.0, 1.0), (185, 151, -4.5, 1)),
        ((60.0, 33.0, 1.0, -5.0), (61, 30, 1, 4.5)),
        ((60.0, 191.0, 1.0, 5.0), (61, 194, 1, -4.5)),
        ((35.0, 150.0, 1.0, 1.0), (39, 151, -0.9, 1)),  # also on the way out of a wall
    ],
)
def test_walls(env, start, end):
    put_puck(env, *start)
    act(env)
    s = env.game.state
    x, y, vx, vy = end
    assert (s.x, s.y, s.vx, s.vy) == pytest.approx((x, y, 0.998 * vx, 0.998 * vy))


@pytest.mark.parametrize(
    ("dx", "scores"), [(0, True), (28, True), (-28, True), (28.1, False), (-28.1, False)]
)
@pytest.mark.parametrize("way", [-1, 1])
def test_goals(env, way, dx, scores):
    """The mouths are 56 px wide; the puck's centre has to get 10 px beyond the line."""
    put_puck(env, 112.0 + dx, 112.0 + way * 81, 0.0, way * 5.0)
    rewards = [act(env) for _ in range(5)]
    s = env.game.state
    if not scores:
        assert rewards == [0] * 5
        assert s.vy * way < 0
        return
    # After 5, 9.99, 14.97 and 19.94 px: the fourth is 7 px to the line and 10 px more away.
    assert rewards == [0, 0, 0, -way, 0]
    assert (s.agent_points, s.opponent_points) == ((1, 0) if way < 0 else (0, 1))
    assert s.vy * way > 0  # towards the side that conceded
    assert math.hypot(s.x - 112, s.y - 112) < 9
    assert (s.agent_x, s.agent_y) == (112, 170)
    assert math.hypot(s.opponent_x - 112, s.opponent_y - 54) < 4


@pytest.mark.parametrize(("way", "y"), [(-1, 14.0), (1, 210.0)])
def test_exactly_10_px_are_enough(env, way, y):
    put_puck(env, 112.0, y - 4.0 * way, 0.0, 4.0 * way)
    assert act(env) == -way


def test_the_state_after_a_goal(env):
    """The serve glides already, and the opponent keeps in mind that it has seen the puck."""
    put_puck(env, 112.0, 18.0, 0.0, -5.0)
    put(env, alert=True, delay=4)
    assert act(env) == 1
    s = env.game.state
    assert (s.x, s.y, s.agent_x, s.agent_y) == (112, 112, 112, 170)
    assert (s.opponent_x, s.opponent_y) == (112, 54)
    assert (s.agent_vx, s.agent_vy, s.opponent_vx, s.opponent_vy) == (0, 0, 0, 0)
    angle = math.acos(abs(s.vx) / 0.998 / 6)
    serves = [6 * 0.998 * abs(0.3 + 0.7 * math.sin(way * angle)) for way in (-1, 1)]
    assert any(-s.vy == pytest.approx(serve) for serve in serves)
    assert (s.alert, s.delay) == (True, 3)
    env.reset(seed=1)
    assert (env.game.state.alert, env.game.state.delay) == (False, 0)


def test_score(env):
    put_puck(env, 112.0, 16.0, 0.0, -5.0)
    *_, info = env.step([0.0, 0.0])
    assert info["score"] == pytest.approx(0.1)


@pytest.mark.parametrize(("y", "vy", "line"), [(20.0, -2.0, 30), (204.0, 2.0, 194)])
def test_goals_have_no_sides(env, y, vy, line):
    """A puck that leaves the mouth sideways is put back before the line."""
    put_puck(env, 138.0, y, 5.0, vy)
    act(env)
    s = env.game.state
    assert (s.x, s.y) == (143, line)
    assert (s.vx, s.vy) == pytest.approx((0.998 * 5, -0.998 * 0.9 * vy))


def test_agent_speed_and_limits(env):
    put(env, x=40.0, y=40.0, vx=0.0, vy=0.0)
    act(env, 1.0, -0.5)
    s = env.game.state
    assert (s.agent_x, s.agent_y) == (119.5, 166.25)
    assert (s.agent_vx, s.agent_vy) == (7.5, -3.75)
    for ax, ay, x, y in ((-1, -1, LEFT + 10, 122), (1, 1, RIGHT - 10, BOTTOM - 10)):
        for _ in range(40):
            put(env, x=40.0, y=40.0, vx=0.0, vy=0.0)
            act(env, ax, ay)
        assert (s.agent_x, s.agent_y) == (x, y)


def test_hit_at_rest(env):
    """Straight onto a mallet at rest: 0.9 of the speed comes back."""
    put_puck(env, 112.0, 150.0, 0.0, 5.0)
    put(env, agent_x=112.0, agent_y=170.0)
    act(env)
    s = env.game.state
    assert (s.y, s.vy) == pytest.approx((170 - 16.5, -0.998 * 5 * 0.9))


def test_hit_by_a_moving_mallet(env):
    """The relative speed 1 + 3.75 turns into -0.9 of it, and 0.35 of 3.75 is added."""
    put_puck(env, 112.0, 140.0, 0.0, 1.0)
    put(env, agent_x=112.0, agent_y=160.0)
    act(env, 0.0, -0.5)
    s = env.game.state
    assert s.vy == pytest.approx(0.998 * (1 - 1.9 * (1 + 3.75) - 0.35 * 3.75))
    put_puck(env, 112.0, 140.0, 0.0, -6.0)
    put(env, agent_x=112.0, agent_y=154.0)
    act(env, 0.0, -1.0)
    assert s.vy == pytest.approx(0.998 * (-6 - 1.9 * (-6 + 7.5) - 0.35 * 7.5))


def test_a_puck_that_flies_off_faster_is_only_moved_out(env):
    put_puck(env, 112.0, 140.0, 0.0, -6.0)
    put(env, agent_x=112.0, agent_y=150.0)
    act(env, 0.0, -0.5)
    s = env.game.state
    assert (s.y, s.vy) == pytest.approx((150 - 3.75 - 16.5, -6 * 0.998))


def test_a_glancing_hit_keeps_the_speed_along_the_mallet(env):
    """The line between the centres is at 45 degrees."""
    put(env, agent_x=100.0, agent_y=150.0, opponent_x=181.0, opponent_y=60.0)
    offset = 15.5 / math.sqrt(2)
    put(env, x=100 + offset + 4, y=150 - offset, vx=-4.0, vy=0.0)
    act(env)
    s = env.game.state
    # Along the normal (1, -1)/sqrt(2) the speed -4/sqrt(2) is turned into 0.9 of its opposite.
    assert (s.vx, s.vy) == pytest.approx((0.998 * (-4 + 1.9 * 2), 0.998 * -1.9 * 2))
    assert math.hypot(s.x - 100, s.y - 150) == pytest.approx(16.5)


def test_speed_limit(env):
    put_puck(env, 112.0, 140.0, 0.0, 11.0)
    put(env, agent_x=112.0, agent_y=165.0)
    act(env, 0.0, -1.0)
    s = env.game.state
    assert math.hypot(s.vx, s.vy) == pytest.approx(12)


def test_the_speed_is_limited_after_both_mallets_have_hit(env, monkeypatch):
    monkeypatch.setattr(air_hockey, "OPPONENT_JITTER", 0.0)
    put(env, agent_x=112.0, agent_y=129.5, opponent_x=112.0, opponent_y=98.0)
    put(env, x=112.0, y=103.0, vx=0.0, vy=5.0)
    act(env, 0.0, -1.0)
    s = env.game.state
    assert (s.opponent_vx, s.opponent_vy) == (0, -6.375)  # on its way home
    vy = 5 - 1.9 * 12.5 - 0.35 * 7.5  # off the agent's mallet: -21 px/step
    vy += 1.9 * (-6.375 - vy) - 0.35 * 6.375
    assert (s.y, s.vy) == pytest.approx((98 - 6.375 + 16.5, 0.998 * vy))


def test_the_opponent_hits_too(env):
    put_puck(env, 112.0, 72.0, 0.0, -5.0)
    put(env, opponent_x=112.0, opponent_y=52.0)
    act(env)
    s = env.game.state
    assert (s.y, s.vy) == pytest.approx((52 + 16.5, 0.998 * 4.5))


def home_distance(env):
    return math.hypot(env.game.state.opponent_x - 112, env.game.state.opponent_y - 52)


@pytest.mark.parametrize(("y", "vy"), [(120.0, -1.0), (60.0, 1.0)])
def test_the_opponent_stays_at_home(env, y, vy):
    """For a puck in the agent's half, 8 px from the middle or more, or moving down."""
    for _ in range(30):
        put(env, x=180.0, y=y, vx=0.0, vy=vy)
        act(env)
        assert home_distance(env) < 1.5
    assert not env.game.state.alert


def reaction(env, speed):
    """Steps that the opponent stays at home after it has seen the puck."""
    put(env, alert=False, opponent_x=112.0, opponent_y=52.0)
    for step in range(20):
        put(env, x=170.0, y=117.0, vx=0.0, vy=-speed, agent_x=60.0, agent_y=180.0)
        act(env)
        if home_distance(env) > 4:
            return step
    raise AssertionError("it never moved")


@pytest.mark.parametrize(
    ("speed", "low", "high"),
    [(12.0, 1, 4), (10.0, 1, 4), (6.0, 3, 7), (5.0, 3, 7), (2.0, 5, 10), (0.01, 5, 10)],
)
def test_reaction_delay(env, speed, low, high):
    delays = {reaction(env, speed) for _ in range(150)}
    assert delays == set(range(low, high + 1))


@pytest.mark.parametrize(("y", "target"), [(115.0, 83), (80.0, 83), (50.0, 62)])
def test_the_opponent_goes_to_the_puck(env, y, target):
    """12 px below the puck, but no further than 2 px before 35% of the rink (85 px)."""
    velocities = []
    for _ in range(300):
        put(env, alert=True, delay=0, opponent_x=60.0, opponent_y=52.0)
        put(env, x=150.0, y=y, vx=0.0, vy=-1.0, agent_x=60.0, agent_y=180.0)
        act(env)
        velocities.append((env.game.state.opponent_vx, env.game.state.opponent_vy))
    way = np.array([90, target - 52])
    expected = 0.85 * 7.5 * way / np.linalg.norm(way)
    np.testing.assert_allclose(np.mean(velocities, axis=0), expected, atol=0.08)


def test_the_opponent_does_not_overshoot(env):
    for _ in range(40):
        put(env, alert=True, delay=0, opponent_x=149.0, opponent_y=82.6)
        put(env, x=150.0, y=115.0, vx=0.0, vy=-1.0, agent_x=60.0, agent_y=180.0)
        act(env)
        s = env.game.state
        assert math.hypot(s.opponent_x - 150, s.opponent_y - 83) < 1.5


def test_the_opponent_aims_at_where_it_can_get(env, monkeypatch):
    monkeypatch.setattr(air_hockey, "OPPONENT_JITTER", 0.0)
    put(env, alert=True, delay=0, opponent_x=178.0, opponent_y=83.0)
    put(env, x=185.0, y=115.0, vx=0.0, vy=-1.0)
    act(env)
    assert (env.game.state.opponent_x, env.game.state.opponent_vx) == (181, 3)


def test_the_opponent_goes_by_the_puck_of_the_step_before(env, monkeypatch):
    monkeypatch.setattr(air_hockey, "OPPONENT_JITTER", 0.0)
    put(env, x=150.0, y=120.5, vx=0.0, vy=-5.0, alert=False)
    act(env)
    assert not env.game.state.alert
    act(env)
    assert env.game.state.alert


def test_the_opponent_rests_at_its_target(env):
    for _ in range(2):
        put(env, x=180.0, y=150.0, vx=0.0, vy=1.0, opponent_x=112.0, opponent_y=52.0)
        act(env)
        s = env.game.state
        assert (s.opponent_x, s.opponent_y, s.opponent_vx, s.opponent_vy) == (112, 52, 0, 0)


def test_jitter(env):
    velocities = []
    for _ in range(3000):
        put(env, x=180.0, y=150.0, vx=0.0, vy=1.0, opponent_x=112.0, opponent_y=53.0)
        env.game.step([0.0, 0.0])
        velocities.append((env.game.state.opponent_vx, env.game.state.opponent_vy))
    np.testing.assert_allclose(np.std(velocities, axis=0), 0.25, atol=0.015)
    np.testing.assert_allclose(np.mean(velocities, axis=0), [0, -1], atol=0.02)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), chase=st.floats(0, 1), side=st.floats(-1, 1))
def test_everything_stays_inside(make, seed, chase, side):
    env = make("air-hockey")
    env.reset(seed=seed)
    s = env.game.state
    for step in range(300):
        dx, dy = s.x - s.agent_x, s.y - s.agent_y
        act(env, chase * dx / 4 + side * math.sin(step), chase * dy / 4)
        assert LEFT + 6 <= s.x <= RIGHT - 6
        assert TOP - 10 <= s.y <= BOTTOM + 10
        if not TOP + 6 <= s.y <= BOTTOM - 6:
            assert abs(s.x - 112) <= 28
        assert math.hypot(s.vx, s.vy) <= 12 + 1e-9
        assert LEFT + 10 <= s.agent_x <= RIGHT - 10 and 122 <= s.agent_y <= BOTTOM - 10
        assert LEFT + 10 <= s.opponent_x <= RIGHT - 10 and TOP + 10 <= s.opponent_y <= 102
    assert s.agent_points - s.opponent_points == env._return


def test_observation(env):
    put(env, x=56.0, y=168.0, vx=6.0, vy=-3.0, agent_x=28.0, agent_y=140.0, agent_vx=7.5)
    put(env, agent_vy=-3.0, opponent_x=84.0, opponent_y=70.0, opponent_vx=3.0, opponent_vy=1.5)
    expected = [0.25, 0.75, 0.5, -0.25, 0.125, 0.625, 1.0, -0.4, 0.375, 0.3125, 0.4, 0.2]
    np.testing.assert_allclose(env.game.observe(), expected)


def test_picture(env, pixel):
    put(env, x=60.0, y=150.0, vx=0.0, vy=0.0, agent_x=150.0, agent_y=160.0, opponent_x=80.0)
    put(env, opponent_y=60.0)
    assert pixel(env, 60, 150).min() > 200
    agent, opponent = pixel(env, 157, 160), pixel(env, 87, 60)
    assert agent[0] > agent[2] + 100
    assert np.ptp(opponent) < 30 and opponent.min() > 90
    for x, y in ((60, 90), (150, 100), (112, 172)):
        assert pixel(env, x, y).max() < 60
    border = pixel(env, 60, 22)
    assert border.min() > 80
    assert pixel(env, 112, 22).max() < 70  # the goal
