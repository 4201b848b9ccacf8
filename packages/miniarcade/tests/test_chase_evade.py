"""Chase-evade: the rules."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miniarcade.games.chase_evade import Gnome

CENTER = np.array([112.0, 118.0])
# rad, of the first obstacle: they stand at (0, 40), (35, -20) and (-35, -20) from the centre, so
# that a line at y = 10 is free of them.
CLEAR = math.pi / 2


@pytest.fixture
def env(fresh):
    """The agent pursues; the obstacles stand still."""
    env = fresh("chase-evade", render_mode="rgb_array")
    place(env, (80.0, 0.0), (0.0, 0.0), evading=False)
    return env


def place(env, agent, opponent, **fields):
    """Puts the gnomes at positions relative to the centre."""
    s = env.game.state
    s.agent, s.opponent = (Gnome(*map(float, CENTER + at)) for at in (agent, opponent))
    s.phase, s.spin, s.swapping = CLEAR, 0.0, 0
    for name, value in fields.items():
        setattr(s, name, value)


def where(gnome):
    """Relative to the centre."""
    return np.array([gnome.x, gnome.y]) - CENTER


def speed(gnome):
    return math.hypot(gnome.vx, gnome.vy)


def test_start(env):
    evading, spins = [], []
    for seed in range(300):
        env.reset(seed=seed)
        s = env.game.state
        assert np.hypot(*where(s.agent)) == pytest.approx(75)
        assert (where(s.opponent) == 0).all()
        evading.append(s.evading)
        spins.append(s.spin)
    assert 0.4 < np.mean(evading) < 0.6
    assert set(spins) == {-0.01, 0.01}


def test_obstacles_circle(env):
    """From the second step on."""
    env.reset(seed=3)
    s = env.game.state
    for step in range(20):
        angle = s.phase + max(0, step - 1) * s.spin
        expected = [angle + k * 2 * math.pi / 3 for k in range(3)]
        around = np.array(env.game._obstacles()) - CENTER
        np.testing.assert_allclose(around, [(40 * math.cos(a), 40 * math.sin(a)) for a in expected])
        env.step([0.0, 0.0])


@pytest.mark.parametrize(("evading", "expected"), [(False, 3.5), (True, 3.325)])
def test_speed_of_the_agent(env, evading, expected):
    place(env, (-60.0, 0.0), (60.0, 0.0), evading=evading)
    env.step([0.0, -1.0])
    np.testing.assert_allclose(where(env.game.state.agent), [-60, -expected])


def test_the_whole_gnome_stays_4_px_inside_the_rim(env):
    for _ in range(60):
        env.step([1.0, 0.0])
    np.testing.assert_allclose(where(env.game.state.agent), [78, 0])


def test_obstacles_push_and_reflect(env):
    """The first stands at (0, 40); contact is at 20 px, 0.5 px more are added."""
    place(env, (0.0, 62.0), (0.0, -80.0), evading=False)
    env.step([0.5, -1.0])
    s = env.game.state
    away = where(s.agent) - (0, 40)
    assert np.hypot(*away) == pytest.approx(20.5)
    normal = away / 20.5
    wanted = np.array([1.75, -3.5])
    np.testing.assert_allclose(normal, (0 + 1.75, 22 - 3.5) / np.hypot(1.75, 18.5))
    reflected = wanted - 2 * (wanted @ normal) * normal
    np.testing.assert_allclose([s.agent.vx, s.agent.vy], reflected)


def test_the_opponent_pursues(env):
    place(env, (70.0, 10.0), (-70.0, 10.0), evading=True)
    env.step([0.0, 0.0])
    np.testing.assert_allclose(where(env.game.state.opponent), [-66.5, 10])


def test_the_pursuer_turns_off_obstacles(env):
    """30 px from one at (0, 40), a sixth of the weight of the way to the agent pushes it off."""
    place(env, (30.0, 70.0), (0.0, 70.0), evading=True)
    env.step([0.0, 0.0])
    heading = np.array([1.0, 1 / 6])
    step = where(env.game.state.opponent) - (0, 70)
    np.testing.assert_allclose(step, 3.5 * heading / np.hypot(*heading))


def test_the_opponent_evades(env):
    place(env, (-20.0, 10.0), (20.0, 10.0), evading=False)
    env.step([0.0, 0.0])
    np.testing.assert_allclose(where(env.game.state.opponent), [23.325, 10])


def test_the_evader_turns_in_near_the_rim(env):
    """Beyond 72 px half the way outwards is taken off."""
    place(env, (51.0, -32.0), (75.0, 0.0), evading=False, phase=math.pi)
    s = env.game.state
    env.step([0.0, 0.0])
    heading = np.array([0.6 - 0.5, 0.8])
    expected = 3.325 * heading / np.hypot(*heading)
    np.testing.assert_allclose([s.opponent.vx, s.opponent.vy], expected)


def test_the_evader_hides_behind_an_obstacle(env):
    """An obstacle 38 px before it pulls by 0.76, the pursuer pushes by 1, the rim by 0.5."""
    place(env, (0.0, 15.0), (0.0, 78.0), evading=False)
    s = env.game.state
    env.step([0.0, 0.0])
    assert s.opponent.vy == pytest.approx(-3.325)  # 1 - 0.5 - 0.76 < 0
    # A sixth of a turn later there is none between the two.
    place(env, (0.0, 20.0), (0.0, 70.0), evading=False, phase=CLEAR + math.pi / 3)
    env.step([0.0, 0.0])
    assert s.opponent.vy == pytest.approx(3.325)


@pytest.mark.parametrize(("x", "pulled"), [(29.0, False), (31.0, True)])
def test_between_the_two_is_inside_the_circle_around_them(env, x, pulled):
    """One obstacle, at (35, -20), is 30 px from the middle of their way."""
    place(env, (35.0 - x, 10.0), (35.0 + x, 10.0), evading=False)
    env.step([0.0, 0.0])
    assert (env.game.state.opponent.vy < 0) == pulled


def test_the_evader_dodges(env):
    """Closer than 36 px it adds 0.2 of either sign along each axis of the way sideways."""
    ways = set()
    for _ in range(60):
        place(env, (0.0, -5.0), (18.0, 19.0), evading=False)
        env.step([0.0, 0.0])
        opponent = env.game.state.opponent
        assert speed(opponent) == pytest.approx(3.325)
        ways.add((round(opponent.vx, 9), round(opponent.vy, 9)))
    expected = set()
    for one in (-0.2, 0.2):
        for other in (-0.2, 0.2):
            heading = np.array([0.6 - one * 0.8, 0.8 + other * 0.6])
            vx, vy = 3.325 * heading / np.hypot(*heading)
            expected.add((round(vx, 9), round(vy, 9)))
    assert ways == expected
    place(env, (-10.0, 10.0), (30.0, 10.0), evading=False)
    env.step([0.0, 0.0])
    assert env.game.state.opponent.vy == 0


@pytest.mark.parametrize(
    ("evading", "x", "reward"),
    [(True, 70.0, 0.1 * (140 - 3.5) / 90), (False, 20.0, -0.1 * (40 + 3.325) / 90)],
)
def test_reward(env, evading, x, reward):
    place(env, (-x, 10.0), (x, 10.0), evading=evading)
    assert env.step([0.0, 0.0])[1] == pytest.approx(reward)


def test_catch_by_the_agent(env):
    place(env, (50.0, 0.0), (69.0, 0.0), evading=False)
    s = env.game.state
    assert not s.evading
    assert env.step([1.0, 0.0])[1] < 0  # 19 - 3.5 + 3.3 is more than 16
    place(env, (59.0, 0.0), (78.0, 0.0), evading=False)  # at the rim it cannot get away
    reward = env.step([1.0, 0.0])[1]
    assert s.evading and s.swapping and s.catches == 1
    assert 0 < reward < 0.1 * 16 / 90  # already that of the new role


def swap(env, limit=200):
    """Steps with the strongest action until the swap of roles is over; how many."""
    for step in range(1, limit):
        env.step([0.0, 1.0])
        if not env.game.state.swapping:
            return step
    raise AssertionError("it never ended")


def test_swap_of_roles(env):
    """The caught agent walks to the centre, the opponent to 23 px from the rim."""
    place(env, (60.0, 0.0), (74.0, 0.0), evading=True)
    s = env.game.state
    env.step([0.0, 0.0])
    assert not s.evading and s.swapping
    start = where(s.agent)[0]
    assert swap(env) == math.ceil((start - 2) / 3.5)
    assert np.hypot(*where(s.agent)) < 2
    np.testing.assert_allclose(where(s.opponent), [67, 0], atol=1e-6)
    env.step([1.0, 0.0])
    assert s.agent.vx == 3.5  # it obeys again


def test_a_step_of_the_swap(env):
    """Through the obstacle at (0, 40), and with the velocities of the catch."""
    place(env, (0.0, 60.0), (0.0, 40.0), evading=True, swapping=1)
    s = env.game.state
    s.agent.vx, s.agent.vy, s.opponent.vx, s.opponent.vy = 1.0, 2.0, 3.0, -1.0
    env.step([1.0, 1.0])
    np.testing.assert_allclose([where(s.agent), where(s.opponent)], [(0, 63.325), (0, 36.5)])
    assert (s.agent.vx, s.agent.vy, s.opponent.vx, s.opponent.vy) == (1, 2, 3, -1)
    env.step([1.0, 1.0])
    np.testing.assert_allclose(where(s.agent), [0, 66.65])
    env.step([1.0, 1.0])
    np.testing.assert_allclose(where(s.agent), [0, 67])


@pytest.mark.parametrize(("x", "expected"), [(1.5, 1.5), (1.6, -1.9), (5.0, 1.5)])
def test_the_new_pursuer_may_walk_past_the_centre(env, x, expected):
    place(env, (-60.0, 0.0), (x, 0.0), evading=True, swapping=1)
    env.step([0.0, 0.0])
    assert where(env.game.state.opponent)[0] == pytest.approx(expected)


def test_an_evader_at_the_centre_stays_there(env):
    place(env, (0.0, 0.0), (50.0, 0.0), evading=True, swapping=1)
    env.step([0.0, 0.0])
    np.testing.assert_allclose(where(env.game.state.agent), 0)


def test_a_swap_lasts_5_steps_at_least(env):
    place(env, (0.0, 0.0), (8.0, 0.0), evading=True)
    env.step([0.0, 0.0])
    assert swap(env) == 5


def test_a_swap_lasts_until_the_pursuer_is_near_the_centre(env):
    place(env, (-60.0, 0.0), (9.1, 0.0), evading=True, swapping=5)
    s = env.game.state
    env.step([0.0, 0.0])
    assert s.swapping
    env.step([0.0, 0.0])
    assert s.swapping  # 2.1 px away
    env.step([0.0, 0.0])
    assert not s.swapping


def test_no_catch_during_the_swap(env):
    """Its last step included."""
    place(env, (60.0, 0.0), (70.0, 0.0), evading=True)
    s = env.game.state
    for _ in range(3):
        env.step([0.0, 0.0])
    assert s.catches == 1
    assert not s.evading
    place(env, (1.0, 0.0), (0.0, 0.0), evading=True, swapping=5)
    env.step([0.0, 0.0])
    assert (s.swapping, s.catches) == (0, 1)
    env.step([0.0, 0.0])
    assert s.catches == 2


def test_observation(env):
    place(env, (0.0, -6.0), (56.0, -34.0), evading=True)
    s = env.game.state
    s.agent.vx, s.agent.vy, s.opponent.vx, s.opponent.vy = 1.75, -3.5, 0.0, 0.7
    third = 40 * math.sin(math.pi / 3)
    expected = [0.5, 0.5, 0.5, -1, 0.75, 0.375, 0, 0.2, 1]
    for x, y in ((112, 158), (112 - third, 98), (112 + third, 98)):
        expected += [x / 224, y / 224]
    np.testing.assert_allclose(env.game.observe(), expected)
    s.evading = False
    assert env.game.observe()[8] == 0


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32 - 1),
    actions=st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=5),
)
def test_everyone_stays_on_the_disc(make, seed, actions):
    env = make("chase-evade")
    env.reset(seed=seed)
    s = env.game.state
    for t in range(500):
        roles, catches, swapped = s.evading, s.catches, s.swapping > 0
        reward = env.step(actions[t // 50 % len(actions)])[1]
        obstacles = np.array(env.game._obstacles()) - CENTER
        for gnome in (s.agent, s.opponent):
            assert np.hypot(*where(gnome)) <= 78 + 1e-9
            assert swapped or np.hypot(*(obstacles - where(gnome)).T).min() >= 20 - 1e-9
        assert (s.evading != roles) == (s.catches == catches + 1)
        assert reward == 0 or (reward > 0) == s.evading
        assert abs(reward) <= 0.1 * 2 * 78 / 90 + 1e-9


def test_picture(env, pixel):
    place(env, (-60.0, 0.0), (60.0, 0.0), evading=False)
    agent, opponent = pixel(env, 52, 123), pixel(env, 172, 123)
    assert agent[0] > agent[1] + 50 and agent[0] > agent[2] + 100
    assert opponent[1] > opponent[0] + 50
    disc, cylinder = pixel(env, 112, 60), pixel(env, 112, 151)
    assert disc.max() < 90
    assert np.ptp(cylinder) < 30 and cylinder.min() > 120
    flag = pixel(env, 117, 104)
    assert flag[1] > flag[0] + 50  # green evades
    sky = pixel(env, 10, 200)
    put_back = env.game.state
    put_back.evading = True
    flag = pixel(env, 117, 104)
    assert flag[0] > flag[1] + 50
    assert pixel(env, 10, 200)[0] > sky[0]  # the sky is tinted
