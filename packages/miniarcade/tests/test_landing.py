"""Landing: the rules."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.fixture
def env(fresh):
    """The ship lies still in the middle, the helicopter hovers high above it."""
    env = fresh("landing", render_mode="rgb_array")
    put(env, ship_x=112.0, ship_v=0.0, x=98.0, y=40.0, vx=0.0, vy=0.0)
    return env


def put(env, **fields):
    for name, value in fields.items():
        setattr(env.game.state, name, value)


def act(env, ax=0.0, ay=0.0):
    return env.step([ax, ay])[1]


def test_start(make):
    env = make("landing")
    places, speeds, ship = [], [], []
    for seed in range(400):
        env.reset(seed=seed)
        s = env.game.state
        places += [s.x, s.y]
        speeds += [s.vx, s.vy]
        ship.append(s.ship_v)
        assert s.ship_x == 74 and not s.contact
    assert 12 <= min(places) < 12.5 and 35.5 < max(places) <= 36
    assert -0.3 <= min(speeds) < -0.29 and 0.29 < max(speeds) <= 0.3
    assert 1.1 <= np.abs(ship).min() < 1.12 and 1.68 < np.abs(ship).max() <= 1.7
    assert np.mean(np.array(ship) > 0) == pytest.approx(0.5, abs=0.1)


def test_flight(env):
    act(env, 1.0, -0.5)
    s = env.game.state
    assert (s.x, s.y) == pytest.approx((98.6, 39.9))  # gravity is 0.2, the thrust 0.6
    assert (s.vx, s.vy) == pytest.approx((0.576, -0.096))


@pytest.mark.parametrize("way", [-1, 1])
def test_the_helicopter_stays_in_the_picture(env, way):
    put(env, ship_x=35.0 if way > 0 else 189.0)
    for _ in range(120):
        act(env, way, way)
    assert (env.game.state.x, env.game.state.y) == ((0, 0) if way < 0 else (196, 206))


def test_the_ship_turns_at_the_edges(env):
    put(env, ship_x=188.0, ship_v=1.5)
    s = env.game.state
    act(env)
    assert (s.ship_x, s.ship_v) == (189, -1.5)
    act(env)
    assert s.ship_x == 187.5
    put(env, ship_x=36.0)
    act(env)
    assert (s.ship_x, s.ship_v) == (35, 1.5)


def test_touchdown(env):
    """The deck is at 183, so the helicopter's corner comes to rest at 165."""
    put(env, y=160.0, vy=5.0, vx=1.0)
    s = env.game.state
    reward = act(env)  # to y 165.2: its whole pixels do not touch the deck's yet, but it stands
    assert s.y == pytest.approx(165.2)
    assert s.contact
    vy = 5.2 * 0.96
    assert s.vy == pytest.approx(vy)
    assert s.vx == pytest.approx(0.96 * 0.7)
    off = 1 / 35
    above = 0.025 * (1 - off) + 0.1 * (1 - (189 - 174) / 224)
    assert reward == pytest.approx(0.1 + 0.9 * (1 - off) - 0.001 * vy - 2 * vy + above)
    reward = act(env)
    assert (s.y, s.vy) == (165, 0)
    assert s.vx == pytest.approx(0.96 * 0.7 * 0.96 * 0.9 * 0.7)
    assert reward > 1  # no second touchdown


def test_impact_costs_ten_at_most(env):
    put(env, y=160.0, vy=9.0)
    assert -10 < act(env) < -8.8
    assert env.game.state.impact == pytest.approx(9.2 * 0.96)


def test_every_touchdown_costs(env):
    for _ in range(2):
        put(env, y=162.0, vy=2.0)
        assert act(env) < -2
        put(env, y=100.0, vy=0.0)
        act(env)
        assert not env.game.state.contact


@pytest.mark.parametrize(
    ("x", "bottom", "contact"),
    [
        (98.0, 183.0, True),
        (98.0, 180.1, True),
        (98.0, 179.9, False),
        # 5 whole px of the helicopter have to be over the deck, which spans 77..147.
        (54.0, 183.0, True),
        (53.9, 183.0, False),
        (142.9, 183.0, True),
        (143.0, 183.0, False),
    ],
)
def test_contact(env, x, bottom, contact):
    put(env, x=x, y=bottom - 18.0 - 0.2)
    act(env)
    assert env.game.state.contact == contact


def test_the_ship_carries_the_helicopter_along(env):
    put(env, y=165.0, ship_v=1.5, contact=True)
    s = env.game.state
    act(env)
    assert s.vx == pytest.approx(0.45)
    act(env)
    assert s.vx == pytest.approx(0.7 * 0.96 * 0.45 + 0.45)


def test_lock(env):
    put(env, x=98.0, y=165.0, vx=1.5, ship_v=1.5, contact=True)
    s = env.game.state
    offset = s.ship_x - s.x
    for _ in range(30):
        act(env)
        assert (s.y, s.vx, s.vy) == (165, 1.5, 0)
        assert s.ship_x - s.x == pytest.approx(offset)


def test_taking_off(env):
    """The deck puts it back until its upward speed lifts it by more than 3 px in one step."""
    put(env, x=98.0, y=165.0, vx=1.5, ship_v=1.5, contact=True, locked=True)
    s = env.game.state
    speed, steps = 0.0, 0
    while True:
        act(env, 0.0, -1.0)
        way, speed, steps = 0.4 + speed, 0.96 * (0.4 + speed), steps + 1
        assert s.vy == pytest.approx(-speed)
        if way > 3.0:
            break
        assert (s.y, s.vx, s.locked, s.contact) == (165, 1.5, True, True)
    assert steps == 9
    assert s.y == pytest.approx(165 - way)
    assert (s.locked, s.contact) == (False, False)


def test_a_lock_holds_against_the_thrust_sideways(env):
    put(env, x=98.0, y=165.0, vx=1.5, ship_v=1.5, contact=True, locked=True)
    for _ in range(10):
        act(env, 1.0)
        assert (env.game.state.vx, env.game.state.vy) == (1.5, 0)


@pytest.mark.parametrize(
    ("relative", "ay", "locked"),
    [(0.19, 0.0, True), (-0.19, 0.0, True), (0.21, 0.0, False), (0.0, 0.02, False)],
)
def test_lock_needs_low_speeds(env, relative, ay, locked):
    """Falling from rest gives 0.192 px/step, which is below 0.2."""
    vx = (1.5 + relative / 0.7) / 0.96
    put(env, y=165.0, vx=vx, ship_v=1.5, contact=True)
    act(env, 0.0, ay)
    s = env.game.state
    assert s.vx == pytest.approx(1.5 if locked else 1.5 + relative)
    assert (s.y == 165) == (s.vy == 0) == locked


@pytest.mark.parametrize(
    ("x", "vx", "expected", "expected_vx"),
    [
        (55.0, 1.0, 49.0, 0.0),
        (55.0, -0.5, 49.0, -0.48),
        (140.0, -1.0, 147.0, 0.0),
        (140.0, 0.5, 147.0, 0.48),
    ],
)
def test_the_ship_pushes_aside(env, x, vx, expected, expected_vx):
    """The deck spans 77..147; a helicopter that is deep beside it goes out sideways."""
    put(env, x=x, y=176.0, vx=vx)
    act(env)
    s = env.game.state
    assert s.x == expected
    assert s.vx == pytest.approx(expected_vx)


def test_the_ship_pushes_out_of_the_picture(env):
    put(env, x=5.0, y=179.0, ship_x=56.0, ship_v=-1.0)
    act(env)
    assert env.game.state.x == 55 - 35 - 28


@pytest.mark.parametrize(
    ("ship_x", "x", "y", "expected"),
    [
        (112.0, 53.0, 169.0, (53.0, 165.0)),  # 4 px deep both ways: up rather than aside
        (112.0, 53.0, 170.0, (49.0, 170.0)),
        # By its middle, 9 px lower, and that of the deck, at 189.
        (112.0, 98.0, 179.0, (98.0, 165.0)),
        (112.0, 98.0, 180.0, (98.0, 195.0)),
    ],
)
def test_the_way_out_of_the_deck(env, ship_x, x, y, expected):
    put(env, x=x, y=y, ship_x=ship_x)
    act(env, 0.0, -1 / 3)
    assert (env.game.state.x, env.game.state.y) == expected


def test_the_deck_from_above_slows_down_also_on_the_way_up(env):
    put(env, y=170.0, vx=1.0, vy=-1.0)
    act(env, 0.0, -1 / 3)
    s = env.game.state
    assert s.y == 165
    assert s.vy == pytest.approx(-0.96)
    assert s.vx == pytest.approx(0.96 * 0.9 * 0.7)


def test_the_deck_from_below(env):
    put(env, y=194.5, vx=1.0, vy=-2.0)
    act(env)
    s = env.game.state
    assert (s.y, s.vx, s.vy) == (195, pytest.approx(0.96), 0)


@pytest.mark.parametrize(
    ("dx", "dy", "reward"),
    [
        (0.0, 100.0, 0.025 + 0.1 * (1 - 100 / 224)),
        (17.5, 100.0, 0.025 * (1 - 17 / 35) + 0.1 * (1 - 100 / 224)),  # of whole pixels
        (-80.0, 20.0, 0.1 * (1 - 20 / 224)),
        (-80.0, 6.0, 0.1 * (1 - 6 / 224)),  # level with the deck
        (-80.0, 5.0, -0.5),
        (-80.0, -20.0, -0.5),
    ],
)
def test_reward_without_contact(env, dx, dy, reward):
    put(env, x=98.0 + dx, y=180.0 - dy)
    assert act(env, 0.0, -1 / 3) == pytest.approx(reward)
    put(env, x=98.0 + dx, y=180.0 - dy - 1, vy=1.0)
    assert act(env, 0.0, -1 / 3) == pytest.approx(reward - 0.001 * 0.96)


@pytest.mark.parametrize("dx", [0.0, 10.0, -20.0, 44.0])
def test_reward_on_the_deck(env, dx):
    put(env, x=98.0 + dx, y=165.0, contact=True)
    closeness = max(0, 1 - abs(dx) / 35)
    above = 0.025 * closeness + 0.1 * (1 - 15 / 224)
    assert act(env) == pytest.approx(0.1 + 0.9 * closeness + above)


@pytest.mark.parametrize("seed", range(4))
def test_a_good_landing_scores(fresh, seed):
    """A controller that follows the ship and lets itself down on the flag."""
    env = fresh("landing", seed=seed)
    s = env.game.state
    for _ in range(200):
        error = s.ship_x - 14 - s.x
        vx = s.ship_v + 0.1 * error
        if s.contact:
            action = [vx - s.vx, 0.0]
        else:
            vy = 0.12 * (165 - s.y) + 0.3 if abs(error) < 25 else 0.1 * (140 - s.y)
            action = [1.5 * (vx - s.vx), 1.5 * (min(vy, 4.0) - s.vy) - 1 / 3]
        info = env.step(action)[4]
    assert info["score"] > 0.75


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), ax=st.floats(-1, 1), ay=st.floats(-1, 1))
def test_everything_stays_inside(make, seed, ax, ay):
    env = make("landing")
    env.reset(seed=seed)
    s = env.game.state
    for step in range(200):
        reward = act(env, ax * math.cos(step / 20), ay)
        assert -14 <= s.x <= 210 and 0 <= s.y <= 206  # the ship may push it out a little
        assert 35 <= s.ship_x <= 189
        assert -10.6 < reward < 1.13


def test_observation(env):
    put(env, x=56.0, y=28.0, vx=2.0, vy=-3.0, ship_x=168.0, ship_v=-1.5)
    expected = [0.25, 0.125, 0.2, -0.3, 0.75, 189 / 224, -0.3]
    np.testing.assert_allclose(env.game.observe(), expected)


def test_picture(env, pixel):
    sky, water = pixel(env, 60, 100), pixel(env, 10, 200)
    assert sky[2] > sky[0] + 30 and water[2] > water[0] + 30
    assert pixel(env, 112, 100)[2] > 120
    deck, flag = pixel(env, 90, 186), pixel(env, 115, 173)
    assert deck.min() > 220
    assert flag[0] > flag[2] + 80
    empty = pixel(env, 70, 110)
    put(env, x=56.0, y=100.0)
    assert np.abs(pixel(env, 70, 110) - empty).max() > 30
    put(env, ship_x=60.0)
    assert pixel(env, 140, 186).min() < 120
    assert pixel(env, 35, 184).min() > 220
    put(env, contact=True)
    tint = pixel(env, 150, 100) - sky
    assert tint[1] - tint[2] > 5
