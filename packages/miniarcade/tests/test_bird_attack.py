"""Bird attack: the rules."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miniarcade.games.bird_attack import Ball

NEVER = 10**9


@pytest.fixture
def env(fresh):
    env = fresh("bird-attack", render_mode="rgb_array")
    env.game.state.until_shot = NEVER  # tests of the birds' bullets say otherwise
    return env


def put(env, **fields):
    for name, value in fields.items():
        setattr(env.game.state, name, value)


def act(env, move=0.0, fire=-1.0, steps=1):
    return sum(env.step([move, fire])[1] for _ in range(steps))


def clear_birds(env):
    put(env, birds=[], hit_points=[0] * 16)


def center(env, bird):
    """Where the centre of a bird will be after a step in which the formation moves to the right."""
    s = env.game.state
    return s.first_x + 1 + 20 * (bird % 8) + 7, s.first_y + 20 * (bird // 8) + 6


def test_start(env):
    s = env.game.state
    assert (s.x, s.reload, s.stun) == (105, 0, 0)
    assert s.birds == list(range(16))
    assert s.hit_points == [2] * 16
    observation = env.game.observe()
    np.testing.assert_allclose(np.array(observation[3:11]) * 224, 40 + 20 * np.arange(8))
    np.testing.assert_allclose(observation[11:19], observation[3:11])
    assert observation[19] == pytest.approx(60 / 224)


def test_ship_speed_and_limits(env):
    """The ship is 14 px wide, the arena 20..204."""
    act(env, 0.5)
    assert env.game.state.x == 108
    act(env, -1.0, steps=40)
    assert env.game.state.x == 20
    act(env, 1.0, steps=40)
    assert env.game.state.x == 190


def test_fire_rate(env):
    clear_birds(env)
    fired = []
    for step in range(20):
        before = len(env.game.state.bullet_x)
        act(env, fire=0.1)
        if len(env.game.state.bullet_x) > before:
            fired.append(step)
    assert fired == [0, 8, 16]


def test_bullets_rise_and_leave(env):
    clear_birds(env)
    act(env, 1.0, fire=1.0)
    s = env.game.state
    assert (s.bullet_x, s.bullet_y) == ([118], [171])  # from 178 up by 7
    assert s.reload == 7
    act(env, steps=21)
    assert s.bullet_y == [24]
    act(env)
    assert s.bullet_y == s.bullet_x == []
    put(env, bullet_x=[50.0, 60.0], bullet_y=[28, 27])
    act(env)
    assert (s.bullet_x, s.bullet_y) == ([50], [21])  # 20 px is out already


@pytest.mark.parametrize("fire", [0.0, -0.5])
def test_no_fire(env, fire):
    act(env, fire=fire)
    assert env.game.state.bullet_x == []


def test_formation(env):
    """The first bird starts at 40, the rightmost at 180, and the arena ends at 204 - 14 and 20."""
    s = env.game.state
    act(env, steps=10)
    assert (s.first_x, s.first_y, s.way) == (50, 40, 1)
    act(env)  # it drops in a step of its own
    assert (s.first_x, s.first_y, s.way) == (50, 44, -1)
    act(env, steps=30)
    assert (s.first_x, s.first_y, s.way) == (20, 44, -1)
    act(env)
    assert (s.first_x, s.first_y, s.way) == (20, 48, 1)
    act(env)
    assert (s.first_x, s.first_y, s.way) == (21, 48, 1)


def test_fewer_birds_go_further(env):
    """With the columns at both sides gone the rest of the formation still reaches the sides."""
    s = env.game.state
    for bird in (0, 8, 7, 15):
        s.hit_points[bird] = 1
        x, y = center(env, bird)
        put(env, bullet_x=[float(x)], bullet_y=[y + 7])
        assert act(env) == 1
    assert (s.leftmost, s.rightmost) == (20, 120)
    while s.way > 0:
        act(env)
    assert s.first_x + 120 == 190
    while s.way < 0:
        act(env)
    assert s.first_x + 20 == 20


@pytest.mark.parametrize(
    ("dx", "dy", "hit"),
    [(0, 0, 1), (6.9, 5, 1), (-6.9, -5, 1), (7, 0, 0), (-7, 0, 0), (0, 6, 0), (0, -6, 0)],
)
@pytest.mark.parametrize("bird", [0, 5, 8, 15])
def test_a_bird_takes_two_hits(env, bird, dx, dy, hit):
    s = env.game.state
    for shots in (1, 2):
        x, y = center(env, bird)
        put(env, bullet_x=[float(x + dx)], bullet_y=[y + dy + 7])
        assert act(env) == (hit and shots == 2)
        assert len(s.bullet_x) == 1 - hit
        assert s.hit_points[bird] == 2 - hit * shots
    assert (bird in s.birds) == (not hit)


def test_a_bird_takes_one_bullet_a_step(env):
    """The one that was fired first."""
    s = env.game.state
    x, y = center(env, 3)
    put(env, bullet_x=[x - 3.0, x + 3.0], bullet_y=[y + 6, y + 8])
    assert act(env) == 0
    assert s.hit_points[3] == 1
    assert (s.bullet_x, s.bullet_y) == ([x + 3], [y + 1])


def test_dead_birds_let_bullets_pass(env):
    s = env.game.state
    s.birds.remove(3)
    s.hit_points[3] = 0
    x, y = center(env, 3)
    put(env, bullet_x=[float(x)], bullet_y=[y + 7])
    assert act(env) == 0
    assert s.bullet_y == [y]


@pytest.mark.parametrize(
    ("x", "y"), [(27, 66), (27, 46), (208, 66), (208, 46), (110, 26), (110, 86)]
)
def test_bullets_beside_the_formation(env, x, y):
    put(env, bullet_x=[float(x)], bullet_y=[y + 7])
    assert act(env) == 0
    assert env.game.state.hit_points == [2] * 16
    assert env.game.state.bullet_y == [y]


def test_birds_fire_with_the_stated_chance(make):
    env = make("bird-attack")
    steps = shots = 0
    birds = np.zeros(16)
    for seed in range(70):
        env.reset(seed=seed)
        s = env.game.state
        for _ in range(400):
            put(env, t=0, shot_x=[], shot_y=[])
            env.game.step([0.0, 0.0])
            steps += 1
            shots += len(s.shot_x)
            for x, y in zip(s.shot_x, s.shot_y, strict=True):
                # They have fallen by 7 px from the middle of the bird's lower edge.
                column, row = (x - 7 - s.first_x) // 20, (y - 7 - 12 - s.first_y) // 20
                birds[column + 8 * row] += 1
    expected = 16 * steps * 0.0075
    assert abs(shots - expected) < 5 * math.sqrt(expected)
    assert (np.abs(birds - expected / 16) < 5 * math.sqrt(expected / 16)).all()


def test_who_fires(env):
    """The fourth bird in turn, and the next five birds later, in the next step."""
    s = env.game.state
    s.birds = [0, 1, 2, 9, 10, 11]
    put(env, until_shot=3)
    act(env)
    assert s.shot_x[0] == 41 + 20 + 7
    assert s.shot_y[0] == 60 + 12 + 7


def test_shots_fall_and_leave(env):
    put(env, shot_x=[30, 50], shot_y=[196, 197])
    act(env)
    assert (env.game.state.shot_x, env.game.state.shot_y) == ([30], [203])
    act(env)
    assert env.game.state.shot_x == []


@pytest.mark.parametrize(
    ("dx", "y", "hit"),
    [(0, 185, True), (6, 191, True), (-6, 185, True), (7, 188, False), (-7, 188, False),
     (0, 184, False), (0, 192, False)],
)  # fmt: skip
def test_being_hit(env, dx, y, hit):
    put(env, shot_x=[112 + dx], shot_y=[y - 7], reload=2)
    observation, reward, *_ = env.step([0.0, -1.0])
    s = env.game.state
    assert reward == (-2 if hit else 0)
    assert (s.stun, s.reload) == ((16, 16) if hit else (0, 1))
    assert observation[50] == pytest.approx(1.6 * hit)
    assert observation[1] == pytest.approx(3.2 if hit else 0.2)
    assert len(s.shot_x) == (not hit)


def test_the_bullet_after_one_that_hits_passes(env):
    """In the order in which they were fired; those that left the arena do not count."""
    s = env.game.state
    put(env, shot_x=[112, 113, 114], shot_y=[181, 181, 181])
    assert act(env) == -4
    assert s.shot_x == [113]
    put(env, shot_x=[112, 60, 113], shot_y=[181, 100, 181])
    assert act(env) == -4
    assert s.shot_x == [60]
    put(env, shot_x=[112, 60, 113], shot_y=[181, 200, 181])
    assert act(env) == -2
    assert s.shot_x == [113]
    assert act(env) == 0  # it has gone too far in the meantime
    assert s.shot_y == [195]


def test_stun(env):
    put(env, stun=16, reload=16)
    x, fired = [105.0], []
    for _ in range(18):
        act(env, 1.0, fire=1.0)
        x.append(env.game.state.x)
        fired.append(len(env.game.state.bullet_x))
    np.testing.assert_allclose(np.diff(x), [1.2] * 16 + [6.0] * 2)
    assert fired == [0] * 16 + [1] * 2


def test_boss_appears_and_jitters(env):
    s = env.game.state
    clear_birds(env)
    act(env, steps=255)
    assert (s.boss_x, s.boss_y) == (112, 40)
    act(env)  # it takes the steps 251 to 255 to appear
    assert s.boss_x != 112 and s.boss_y != 40
    places = []
    for _ in range(150):
        act(env)
        places.append((s.boss_x - 112, s.boss_y - 40))
    reach = np.abs(places).max(axis=0)
    assert 5 < reach[0] <= 0.03 * 184
    assert 1.6 < reach[1] <= 0.01 * 184


def test_the_boss_throws_at_the_ship(env):
    s = env.game.state
    clear_birds(env)
    act(env, -1.0, steps=304)
    assert s.ball is None
    act(env)  # the fiftieth step in which the boss moves
    ball = s.ball
    assert math.hypot(ball.vx, ball.vy) == pytest.approx(5)
    # It has moved already.
    assert (ball.x, ball.y) == pytest.approx((s.boss_x + ball.vx, s.boss_y + 8 + ball.vy))
    way = math.atan2(188 - ball.y, 27 - ball.x)
    assert math.atan2(ball.vy, ball.vx) == pytest.approx(way)
    before = (ball.x, ball.y)
    act(env)
    assert (s.ball.x, s.ball.y) == pytest.approx((before[0] + ball.vx, before[1] + ball.vy))


def test_one_ball_at_a_time_and_a_pause(env):
    s = env.game.state
    clear_birds(env)
    thrown = []
    for step in range(1, 501):
        had = s.ball is not None
        act(env)
        if s.ball is not None and not had:
            thrown.append(step)
    assert thrown == [305, 355, 405, 455]


def test_the_pause_runs_on_while_a_ball_flies(env):
    clear_birds(env)
    put(env, t=400, boss_pause=2, ball=Ball(50.0, 100.0, 0.0, 0.1))
    act(env, steps=3)
    s = env.game.state
    assert (s.ball.x, s.boss_pause) == (50, -1)
    s.ball = None
    act(env)
    assert s.ball is not None and s.boss_pause == 50


def test_ball_bounces_off_the_sides_and_vanishes(env):
    """Its centre turns beyond 30 and 194, whichever way it flies, and ends at 214."""
    clear_birds(env)
    put(env, t=400, boss_pause=50, x=20.0, ball=Ball(188.0, 100.0, 3.0, 4.0))
    s = env.game.state
    act(env, steps=2)
    assert (s.ball.x, s.ball.vx) == (194, 3.0)
    act(env)
    assert (s.ball.x, s.ball.vx) == (197, -3.0)
    act(env)
    assert (s.ball.x, s.ball.vx) == (194, -3.0)
    put(env, ball=Ball(203.0, 100.0, -3.0, 4.0))
    act(env)
    assert (s.ball.x, s.ball.vx) == (200, 3.0)
    put(env, ball=Ball(21.0, 100.0, 3.0, 4.0))
    act(env)
    assert (s.ball.x, s.ball.vx) == (24, -3.0)
    put(env, x=150.0, ball=Ball(33.0, 202.0, -3.5, 4.0))
    act(env)
    assert (s.ball.x, s.ball.vx) == (29.5, 3.5)
    act(env)
    assert s.ball.y == 210
    act(env)
    assert s.ball is None


@pytest.mark.parametrize(
    ("dx", "dy", "hit"), [(16.9, 0, 1), (17, 0, 0), (0, 13.9, 1), (0, 14, 0), (0, -14, 0)]
)
def test_ball_hits(env, dx, dy, hit):
    put(env, t=400, ball=Ball(112.0 + dx, 188.0 + dy - 4, 0.0, 4.0))
    assert act(env) == -2 * hit
    assert (env.game.state.ball is None) == hit
    assert env.game.state.stun == env.game.state.reload == 16 * hit


def test_the_boss_is_invulnerable(env):
    clear_birds(env)
    put(env, t=400, bullet_x=[112.0], bullet_y=[47])
    act(env)
    assert env.game.state.bullet_y == [40]


def test_every_step_without_birds_earns(env):
    s = env.game.state
    put(env, birds=[0], hit_points=[1] + [0] * 15, bullet_x=[48.0], bullet_y=[53])
    observation, reward, *_ = env.step([0.0, -1.0])
    assert reward == 2  # for the last bird, and for there being none left
    assert observation[19] == pytest.approx(20 / 224)
    assert act(env, steps=10) == 10
    assert s.points == 12


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), move=st.floats(-1, 1))
def test_everything_stays_inside(make, seed, move):
    env = make("bird-attack")
    env.reset(seed=seed)
    s = env.game.state
    for step in range(500):
        act(env, move * math.cos(step / 20), fire=1.0)
        assert 20 <= s.x <= 190
        assert 0 <= s.stun <= 16 and 0 <= s.reload <= 16
        assert all(20 < y < 204 for y in s.bullet_y + s.shot_y)
        assert all(27 <= x <= 197 for x in s.shot_x)
        assert len(s.bullet_x) == len(s.bullet_y) <= 3
        assert len(s.shot_x) == len(s.shot_y)
        assert s.birds == [i for i in range(16) if s.hit_points[i] > 0]
        if s.birds:
            assert s.first_x + s.leftmost >= 20 and s.first_x + s.rightmost <= 190
        if s.ball is not None:
            assert 25 <= s.ball.x <= 199 and s.ball.y < 214
    assert s.points == env._return


def test_observation(env):
    put(env, x=56.0, reload=4, stun=6, birds=[2, 13], bullet_x=[28.0], bullet_y=[84])
    put(env, first_x=30, first_y=52, shot_x=list(range(30, 42)), shot_y=[100] * 12)
    put(env, ball=Ball(112.0, 168.0, 3.0, -4.0))
    expected = np.zeros(55)
    expected[:5] = [0.25, 0.8, 0.125, 70 / 224, 130 / 224]
    expected[19] = 72 / 224
    expected[20:22] = [0.125, 0.375]
    expected[30:50:2] = np.arange(30, 40) / 224
    expected[31:50:2] = 100 / 224
    expected[50:] = [0.6, 0.5, 0.75, 0.6, -0.8]
    np.testing.assert_allclose(env.game.observe(), expected)


def test_picture(env, pixel):
    black = pixel(env, 112, 150)
    assert black.max() < 40
    put(env, x=150.0, shot_x=[40], shot_y=[120], bullet_x=[180.0], bullet_y=[120])
    put(env, birds=[0, 1], hit_points=[2, 1] + [0] * 14)
    ship, whole, damaged = pixel(env, 157, 184), pixel(env, 47, 48), pixel(env, 67, 48)
    assert ship[0] > ship[2] + 100
    assert whole[2] > 150 and damaged.max() < 60
    shot, bullet = pixel(env, 40, 119), pixel(env, 180, 119)
    assert np.ptp(shot) < 40 and shot.min() > 100
    assert bullet[0] > bullet[2] + 60
    assert pixel(env, 107, 48).max() < 60
    put(env, t=400, ball=Ball(90.0, 150.0, 0.0, 5.0))
    boss, ball = pixel(env, 95, 36), pixel(env, 90, 150)
    assert np.ptp(boss) < 30 and boss.min() > 120
    assert np.ptp(ball) < 30 and ball.min() > 80
    put(env, stun=16)
    assert (pixel(env, 30, 150) - black)[0] > 30


@pytest.mark.parametrize("name", ["bullet_x", "bullet_y", "shot_x", "shot_y", "hit_points"])
def test_a_state_whose_lists_do_not_fit_together_is_refused(env, name):
    put(env, bullet_x=[100.0], bullet_y=[100], shot_x=[100], shot_y=[100])
    state = env.get_state()
    with pytest.raises(ValueError, match=rf"task/{name}.*(differ in length|has shape)"):
        env.set_state({**state, f"task/{name}": state[f"task/{name}"][:-1]})
    env.set_state(state)
    assert math.isfinite(act(env, steps=3))
