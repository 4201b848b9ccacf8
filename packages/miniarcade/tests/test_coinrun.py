"""Coinrun: the rules."""

import numpy as np
import pytest


@pytest.fixture
def env(fresh):
    return fresh("coinrun", render_mode="rgb_array")


def put_coins(env, *coins):
    state = env.game.state
    state.coin_x = [x for x, _ in coins]
    state.coin_y = [y for _, y in coins]
    state.taken_at = [-1] * len(coins)


def test_rows(env):
    counts, starts, first_heights, moves = set(), set(), set(), []
    for seed in range(500):
        env.reset(seed=seed)
        state = env.game.state
        counts.add(len(state.coin_x))
        starts.add(state.coin_x[0])
        first_heights.add(state.coin_y[0])
        assert set(np.diff(state.coin_x)) == {27}
        assert all(83 <= y <= 173 for y in state.coin_y)
        moves.extend(np.diff(state.coin_y))
    assert counts == {2, 3, 4, 5}
    assert starts == set(range(244, 284))
    assert first_heights == {155, 137, 119, 101}
    assert set(moves) == {-18, 0, 18}
    assert np.mean(np.array(moves) != 0) == pytest.approx(0.6, abs=0.05)


def test_coins_scroll(env):
    before = list(env.game.state.coin_x)
    env.step([0.0])
    assert env.game.state.coin_x == [x - 10 for x in before]


@pytest.mark.parametrize(
    ("x", "y", "taken"),
    [
        (76, 169, True),  # after the step the coin spans 57..75, the girl 40..58
        (77, 169, False),  # 58..76: the edges touch
        (42, 169, True),  # 23..41
        (41, 169, False),  # 22..40
        (60, 146, True),  # down to 155, her head is at 154
        (60, 145, False),
    ],
)
def test_taking_a_coin(env, x, y, taken):
    put_coins(env, (x, y), (200, 100))
    observation, reward, *_ = env.step([0.0])
    assert reward == taken
    assert (observation[2] == -1) == taken
    assert observation[4] == pytest.approx(190 / 224)
    if taken:  # and only once
        assert env.step([0.0])[1] == 0


def test_two_coins_in_one_step(env):
    put_coins(env, (60, 170), (55, 160), (200, 100))
    assert env.step([0.0])[1] == 2


def test_next_row_in_the_step_after_all_are_taken(env):
    put_coins(env, (60, 170))
    observation, reward, *_ = env.step([0.0])
    assert reward == 1
    assert (observation[2:] == -1).all()
    env.step([0.0])
    assert len(env.game.state.coin_x) >= 2
    assert min(env.game.state.coin_x) >= 244


def test_next_row_when_all_are_gone(env):
    put_coins(env, (2, 100), (10, 100))
    env.step([0.0])
    assert env.game.state.coin_x == [-8, 0]
    env.step([0.0])
    assert min(env.game.state.coin_x) >= 244


def test_observation(env):
    put_coins(env, (100, 90), (127, 108))
    env.game.state.y, env.game.state.vy = 110.0, 4.0
    expected = [-44 / 224, 0.4, 100 / 224, 90 / 224, 127 / 224, 108 / 224] + [-1] * 6
    np.testing.assert_allclose(env.game.observe(), expected)


def test_picture(env, pixel):
    put_coins(env, (150, 100), (190, 100))
    gold = pixel(env, 154, 104)
    assert gold[0] > 180 and gold[2] < 110
    env.game.state.taken_at = [5, -1]
    assert pixel(env, 154, 104)[2] > 150
    env.game.state.y = 80.0
    dress = pixel(env, 49, 98)
    assert dress[2] > dress[0] + 60
