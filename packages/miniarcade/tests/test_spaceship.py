"""Spaceship: the rules."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miniarcade.games.spaceship import Asteroid


@pytest.fixture
def env(fresh):
    return fresh("spaceship", render_mode="rgb_array")


def put(env, **fields):
    for name, value in fields.items():
        setattr(env.game.state, name, value)


def put_coins(env, x, *ys):
    put(env, row_x=x, coin_y=list(ys), taken_at=[-1] * len(ys), asteroid=None)


def test_rows(fresh):
    env = fresh("spaceship")
    counts, starts, heights, moves = set(), set(), set(), []
    lowest, highest = 0, 224
    for _ in range(3000):
        env.reset()
        state = env.game.state
        counts.add(len(state.coin_y))
        starts.add(state.row_x)
        heights.add(state.coin_y[0])
        assert all(20 <= y <= 204 for y in state.coin_y)
        lowest, highest = max(lowest, *state.coin_y), min(highest, *state.coin_y)
        moves.extend(b - a for a, b in pairwise(state.coin_y) if 38 <= a <= 186)
    assert counts == {2, 3, 4}
    assert starts == set(range(244, 284))
    assert heights == set(range(30, 194))
    assert (highest, lowest) == (20, 204)
    assert set(moves) == {-18, 0, 18}
    assert np.mean(np.array(moves) != 0) == pytest.approx(0.6, abs=0.05)


def test_asteroids(fresh):
    env = fresh("spaceship")
    gaps, heights, count = [], set(), 0
    for _ in range(3000):
        env.reset()
        state = env.game.state
        if state.asteroid is not None:
            count += 1
            last = state.row_x + 27 * (len(state.coin_y) - 1)
            gaps.append(state.asteroid.x - last)
            heights.add(state.asteroid.y)
    assert count / 3000 == pytest.approx(0.5, abs=0.05)
    # Coin and asteroid radii add up to 27: it never touches the row it comes with.
    assert 51 <= min(gaps) < 51.5 and 110.5 < max(gaps) <= 111
    assert heights == set(range(40, 184))


def test_flight(env):
    put(env, x=100.0, y=100.0)
    env.step([1.0, -0.5])
    s = env.game.state
    assert (s.x, s.y) == pytest.approx((100.65, 99.675))
    assert (s.vx, s.vy) == pytest.approx((0.6175, -0.30875))
    env.step([0.0, 0.0])
    assert s.x == pytest.approx(101.2675)
    assert s.vx == pytest.approx(0.586625)


@pytest.mark.parametrize("way", [-1, 1])
def test_the_ship_stays_in_the_picture(env, way):
    for _ in range(60):
        env.step([way, way])
    corner = (0, 0) if way < 0 else (196, 206)
    assert (env.game.state.x, env.game.state.y) == corner


def test_everything_scrolls(env):
    put_coins(env, 200, 30, 48)
    put(env, asteroid=Asteroid(150.0, 180, 0))
    env.step([0.0, 0.0])
    assert env.game.state.row_x == 188
    assert env.game.state.asteroid.x == 138


@pytest.mark.parametrize(
    ("x", "y", "taken"),
    [
        (88, 112, True),  # after the step the coin spans 67..85, the ship 40..68
        (89, 112, False),  # 68..86: the edges touch
        (44, 112, True),  # 23..41
        (43, 112, False),  # 22..40
        (60, 104, True),  # down to 113, the ship begins at 112
        (60, 103, False),
        (60, 138, True),  # from 129, the ship ends at 130
        (60, 139, False),
    ],
)
def test_taking_a_coin(env, x, y, taken):
    put_coins(env, x, y, 20)
    observation, reward, *_ = env.step([0.0, 0.0])
    assert reward == taken
    assert (observation[4] == -1) == taken
    assert observation[6] == pytest.approx((x - 12 + 27) / 224)
    if taken:  # and only once
        assert env.step([0.0, 0.0])[1] == 0


def test_two_coins_in_one_step(env):
    put_coins(env, 50, 112, 112, 20)
    assert env.step([0.0, 0.0])[1] == 2


def test_next_row_in_the_step_after_all_are_taken(env):
    put_coins(env, 52, 112)
    observation, reward, *_ = env.step([0.0, 0.0])
    assert reward == 1
    assert (observation[4:] == -1).all()
    env.step([0.0, 0.0])
    assert env.game.state.row_x >= 244


def test_next_row_when_all_are_gone(env):
    put_coins(env, -24, 20, 20)
    env.step([0.0, 0.0])
    assert env.game.state.row_x == -36  # the second coin is at -9
    env.step([0.0, 0.0])
    assert env.game.state.row_x >= 244


@pytest.mark.parametrize(
    ("x", "y", "hit"),
    [(97.0, 112, True), (98.0, 112, False), (60.0, 147, True), (60.0, 148, False)],
)
def test_asteroid(env, x, y, hit):
    """After the step its box spans x-30..x+6, the ship's 40..68 and 112..130."""
    put_coins(env, 200, 20)
    put(env, asteroid=Asteroid(x, y, 0))
    assert env.step([0.0, 0.0])[1] == (-2 if hit else 0)


def test_every_step_in_contact_costs(env):
    put_coins(env, 400, 20)
    put(env, asteroid=Asteroid(100.0, 112, 0))
    rewards = [env.step([0.0, 0.0])[1] for _ in range(10)]
    # Overlap while 22 < x < 86: at 76, 64, 52, 40, 28.
    assert rewards == [0, -2, -2, -2, -2, -2, 0, 0, 0, 0]


def test_asteroid_leaves_and_only_then_the_next_comes(env):
    came = set()
    for _ in range(40):
        put_coins(env, -10, 112)
        put(env, asteroid=Asteroid(-6.0, 60, 0))
        env.step([0.0, 0.0])  # the row is over
        assert env.game.state.asteroid.x == -18
        put_coins(env, -10, 112)
        put(env, asteroid=Asteroid(-18.0, 60, 0))
        env.step([0.0, 0.0])
        came.add(env.game.state.asteroid is not None)
        assert env.game.state.asteroid is None or env.game.state.asteroid.x > 250
    assert came == {True, False}


def test_nothing_is_left_from_the_last_episode(env):
    found = set()
    for seed in range(40):
        put(env, asteroid=Asteroid(77.0, 60, 0))
        env.reset(seed=seed)
        found.add(env.game.state.asteroid is None)
        assert env.game.state.asteroid is None or env.game.state.asteroid.x > 250
    assert found == {True, False}


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), ax=st.floats(-1, 1), ay=st.floats(-1, 1))
def test_everything_stays_inside(make, seed, ax, ay):
    env = make("spaceship")
    env.reset(seed=seed)
    for _ in range(120):
        reward = env.step([ax, ay])[1]
        s = env.game.state
        assert 0 <= s.x <= 196 and 0 <= s.y <= 206
        assert abs(s.vx) < 0.65 * 19 + 1e-9 and abs(s.vy) < 0.65 * 19 + 1e-9
        assert s.asteroid is None or s.asteroid.x >= -18
        assert -2 <= reward <= 4


def test_observation(env):
    put_coins(env, 100, 90, 108)
    put(env, x=56.0, y=140.0, vx=2.0, vy=-3.0)
    expected = [0.25, 0.625, 0.2, -0.3, 100 / 224, 90 / 224, 127 / 224, 108 / 224] + [-1] * 6
    np.testing.assert_allclose(env.game.observe(), expected)
    put(env, taken_at=[3, -1], asteroid=Asteroid(168.0, 56, 0))
    expected[4:6] = [-1, -1]
    expected[12:] = [0.75, 0.25]
    np.testing.assert_allclose(env.game.observe(), expected)


def test_picture(env, pixel):
    put_coins(env, 150, 60, 60)
    put(env, x=46.0, y=161.0, asteroid=Asteroid(190.0, 150, 0))
    gold, rock, ship = pixel(env, 154, 64), pixel(env, 188, 146), pixel(env, 54, 173)
    assert gold[0] > 180 and gold[2] < 110
    assert np.ptp(rock) < 20 and rock.min() > 70
    assert ship[2] > ship[0] + 40
    clear = pixel(env, 20, 30)
    put(env, hit_at=0)
    assert (pixel(env, 20, 30) - clear)[0] > 30
    put(env, x=150.0, taken_at=[0, -1], asteroid=None)
    for x, y in ((154, 64), (188, 146), (54, 173)):
        assert pixel(env, x, y)[1] < 80
