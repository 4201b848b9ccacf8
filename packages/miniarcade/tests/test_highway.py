"""Highway: the rules."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miniarcade.games.highway import BLUE_CAR, LENGTHS, NO_LANE, TRUCK, YELLOW_CAR, Car

# px, top of the agent's car in the middle of the second and the third lane
LANE_1, LANE_2 = 65.4, 103.0
NEVER = 10**9


@pytest.fixture
def env(fresh):
    """An empty road, and the agent at rest in the middle of it."""
    env = fresh("highway", render_mode="rgb_array")
    put_cars(env)
    put(env, x=50.0, y=LANE_2, vx=0.0, vy=0.0)
    return env


def put(env, **fields):
    for name, value in fields.items():
        setattr(env.game.state, name, value)


def put_cars(env, *cars):
    """Cars as (lane, kind, x); the other places stay free, as do those that are None."""
    places = [Car(NEVER) if car is None else Car(0, *car) for car in cars]
    put(env, cars=places + [Car(NEVER) for _ in range(4 - len(places))])
    put(env, sticky=-1, sticky_left=0)


def act(env, ax=0.0, ay=0.0, steps=1):
    return sum(env.step([ax, ay])[1] for _ in range(steps))


def test_start(make):
    env = make("highway")
    xs, speeds, lanes, kinds = [], [], set(), set()
    pauses = set()
    for seed in range(300):
        env.reset(seed=seed)
        s = env.game.state
        xs.append(s.x)
        speeds += [s.vx, s.vy]
        lanes.add(round(s.y, 6))
        first, *free = s.cars
        assert first.x == 264 and 0 <= first.lane <= 4
        kinds.add((first.kind, first.lane))
        assert all(car.lane == NO_LANE for car in free)
        pauses |= {car.pause for car in free}
    assert 20 <= min(xs) < 21 and 59 < max(xs) <= 60
    assert -0.2 <= min(speeds) < -0.19 and 0.19 < max(speeds) <= 0.2
    assert lanes == {65.4, 103.0, 140.6}
    assert len(kinds) == 15
    assert pauses == set(range(7))


def test_driving(env):
    act(env, 1.0, -0.5)
    s = env.game.state
    assert (s.x, s.y) == pytest.approx((50.65, 102.675))
    assert (s.vx, s.vy) == pytest.approx((0.6175, -0.30875))


@pytest.mark.parametrize("way", [-1, 1])
def test_the_road_is_the_limit(env, way):
    act(env, way, way, steps=60)
    assert (env.game.state.x, env.game.state.y) == ((0, 18) if way < 0 else (196, 188))


@pytest.mark.parametrize(("kind", "speed"), [(BLUE_CAR, 6), (YELLOW_CAR, 7.2), (TRUCK, 6)])
def test_speeds(env, kind, speed):
    put_cars(env, (0, kind, 200.0))
    act(env)
    assert env.game.state.cars[0].x == pytest.approx(200 - speed)


@pytest.mark.parametrize(
    ("front", "x", "speed"),
    [(BLUE_CAR, 156.0, 6), (BLUE_CAR, 156.5, 7.2), (TRUCK, 212.0, 6), (TRUCK, 212.5, 7.2)],
)
def test_a_yellow_car_slows_down_behind_another(env, front, x, speed):
    """Within the longer one's length, 28 or 56 px, of its right edge at 128 or 156."""
    put_cars(env, (0, YELLOW_CAR, x), (0, front, 100.0))
    act(env)
    assert env.game.state.cars[0].x == pytest.approx(x - speed)
    put_cars(env, (0, YELLOW_CAR, x), (1, front, 100.0))
    act(env)
    assert env.game.state.cars[0].x == pytest.approx(x - 7.2)


def test_a_yellow_car_keeps_a_pixel_behind_another(env):
    """Behind where that one is at this moment: an earlier place has moved already."""
    put_cars(env, (0, YELLOW_CAR, 131.0), (0, BLUE_CAR, 100.0))
    act(env)
    assert env.game.state.cars[0].x == 129
    put_cars(env, (0, BLUE_CAR, 100.0), (0, YELLOW_CAR, 124.0))
    act(env)
    assert [car.x for car in env.game.state.cars[:2]] == [94, 123]


def test_a_yellow_car_minds_only_what_is_all_before_it(env):
    put_cars(env, (0, YELLOW_CAR, 127.0), (0, TRUCK, 100.0), (0, BLUE_CAR, 30.0))
    act(env)
    assert env.game.state.cars[0].x == pytest.approx(127 - 7.2)


@pytest.mark.parametrize("kind", [BLUE_CAR, TRUCK])
def test_a_car_leaves(env, kind):
    put_cars(env, (0, kind, 6.0 - LENGTHS[kind]))
    act(env)
    car = env.game.state.cars[0]
    assert car.lane == 0
    act(env)
    assert car.lane == NO_LANE
    assert 4 <= car.pause <= 10


def test_pauses(env):
    pauses = set()
    for _ in range(300):
        put_cars(env, (0, BLUE_CAR, -25.0))
        act(env)
        pauses.add(env.game.state.cars[0].pause)
    assert pauses == set(range(4, 11))


def test_a_new_car(env):
    lanes, kinds, xs = [], [], []
    for _ in range(400):
        put_cars(env)
        put(env, t=0)
        env.game.state.cars[2].pause = 2
        act(env)
        car = env.game.state.cars[2]
        assert car.lane == NO_LANE and car.pause == 1
        act(env)  # it appears at the end of its pause and does not move in this step
        lanes.append(car.lane)
        kinds.append(car.kind)
        xs.append(car.x)
    assert all(50 < lanes.count(lane) < 110 for lane in range(5))
    assert all(95 < kinds.count(kind) < 175 for kind in range(3))
    assert 244 <= min(xs) < 246 and 282 < max(xs) <= 284


@pytest.mark.parametrize(("other", "short"), [(BLUE_CAR, 46), (TRUCK, 74)])
def test_a_new_car_keeps_its_distance(env, other, short):
    """18 px more than the longer one is long."""
    nearest = {False: math.inf, True: math.inf}
    for _ in range(2000):
        put_cars(env, (0, other, 198.0))
        put(env, t=480)
        new = env.game.state.cars[3]
        new.pause = 0
        act(env)
        if new.lane == 0:
            nearest[new.kind == TRUCK] = min(nearest[new.kind == TRUCK], new.x - 192)
    assert max(short, 52) <= nearest[False] < max(short, 52) + 1.5
    assert 74 <= nearest[True] < 75.5


def test_a_new_car_keeps_its_distance_to_both_sides(env):
    """There is room in two lanes only."""
    for _ in range(100):
        put_cars(env, *[(lane, TRUCK, x) for lane, x in ((0, 240.0), (1, 280.0), (3, 250.0))])
        put(env, t=498)
        new = env.game.state.cars[3]
        new.pause = 0
        act(env)
        assert new.lane in (NO_LANE, 2, 4)


def test_tries_to_find_room(env):
    """Four lanes of five are blocked, so that all eight tries fail with a chance of 0.8^8."""
    failed = 0
    for _ in range(1500):
        # One car more than the game has.
        put(env, t=0, cars=[Car(0)] + [Car(0, lane, TRUCK, 264.0) for lane in range(4)])
        act(env)
        failed += env.game.state.cars[0].lane == NO_LANE
    assert failed / 1500 == pytest.approx(0.8**8, abs=0.02)


@pytest.mark.parametrize(("t", "allowed"), [(0, 1), (166, 1), (167, 2), (332, 2), (333, 3),
                                            (498, 3), (499, 4)])  # fmt: skip
def test_traffic_grows(env, t, allowed):
    """1 + 3 t / 499 cars, t the steps before this one."""
    put_cars(env)
    for car in env.game.state.cars:
        car.pause = 0
    for _ in range(3):
        put(env, t=t)
        act(env)
    assert sum(car.lane != NO_LANE for car in env.game.state.cars) == allowed


def test_only_the_places_before_a_free_one_count(env):
    far = (0, BLUE_CAR, 150.0)
    for cars, filled in (((None, far, far, far), True), ((far, None, far, far), False)):
        put_cars(env, *cars)
        free = env.game.state.cars[cars.index(None)]
        free.pause = 0
        put(env, t=0)  # one car is allowed
        act(env)
        assert (free.lane != NO_LANE) == filled


def test_a_new_car_counts_for_the_places_after_it(env):
    put_cars(env)
    put(env, t=0)
    for car in env.game.state.cars:
        car.pause = 1
    act(env)
    assert [car.lane != NO_LANE for car in env.game.state.cars] == [True, False, False, False]


@pytest.mark.parametrize(
    ("x", "y", "crashes"),
    [(83.0, LANE_2, True), (84.0, LANE_2, False), (29.0, LANE_2, True), (28.0, LANE_2, False),
     (60.0, LANE_2 - 17, True), (60.0, LANE_2 - 18, False), (60.0, LANE_2 + 18, False),
     (60.0, LANE_2 + 17.9, True)],
)  # fmt: skip
def test_crash(env, x, y, crashes):
    """The agent's car spans 50..78, the other one x-6..x+22."""
    put(env, y=y)
    put_cars(env, (2, BLUE_CAR, x))
    reward = act(env)
    assert (reward < -0.9) == crashes
    assert env.game.observe()[4] == crashes


def test_being_dragged(env):
    """The agent's car drives on its own, but stays 27 px behind the other one's left edge."""
    put_cars(env, (2, BLUE_CAR, 83.0), (2, TRUCK, 300.0))
    put(env, vx=0.5)
    s = env.game.state
    assert act(env) < -0.9
    assert (s.x, s.cars[0].x, s.sticky) == (50.5, 77, 0)
    vx = 0.475
    for step in range(1, 5):
        assert act(env, 1.0, 0.1) > -0.1
        vx = 0.95 * (vx + 0.65)
        assert (s.x, s.cars[0].x) == (50 - 6 * step, 77 - 6 * step)
        assert s.vx == pytest.approx(vx)
    assert s.y > LANE_2
    act(env, 1.0, 0.0)
    assert s.x == 20
    assert (s.vx, s.vy) == (0, 0)
    assert s.sticky == -1
    assert (s.cars[0].lane, s.cars[1].lane) == (NO_LANE, 2)
    assert 3 <= s.cars[0].pause <= 9  # the pause of the car that is gone begins in this step
    act(env, 1.0, 0.0)
    assert s.x == pytest.approx(20.65)


def stick(env, *cars, x=50.0, left=5):
    """The agent's car, at rest, has run into the first of some cars before."""
    put(env, x=x, y=LANE_2, vx=0.0, vy=0.0)
    put_cars(env, *cars)
    put(env, sticky=0, sticky_left=left)


def test_a_dragged_car_may_fall_back(env):
    stick(env, (2, BLUE_CAR, 77.0))
    act(env, -1.0)
    assert env.game.state.x == pytest.approx(50 - 0.65 - 6)


def test_a_yellow_car_drags_faster(env):
    stick(env, (2, YELLOW_CAR, 84.0))
    act(env)
    assert env.game.state.x == pytest.approx(50 - 7.2)


def test_a_yellow_car_keeps_a_pixel_behind_another_while_it_drags(env):
    """But the agent's car is put as if it had not."""
    stick(env, (2, YELLOW_CAR, 80.0), (2, BLUE_CAR, 48.0))
    act(env, 1.0)
    assert env.game.state.cars[0].x == 77
    assert env.game.state.x == pytest.approx(50.65 - 6)
    stick(env, (2, YELLOW_CAR, 77.0), (2, BLUE_CAR, 48.0))
    act(env, 1.0)
    assert env.game.state.cars[0].x == 77
    assert env.game.state.x == pytest.approx(77 - 6 - 27)


@pytest.mark.parametrize(("x", "car"), [(5.9, 40.0), (20.0, 32.9)])
def test_dragging_ends_at_the_left_edge(env, x, car):
    """Where one more step would put the agent's car, or a place 27 px behind the other one."""
    stick(env, (2, BLUE_CAR, car), x=x)
    s = env.game.state
    s.vy = 1.0
    act(env)
    assert (s.x, s.sticky, s.cars[0].lane) == (x, -1, NO_LANE)
    assert (s.vx, s.vy) == (0, 0)
    stick(env, (2, BLUE_CAR, 33.0), x=6.0)
    act(env)
    assert (s.x, s.sticky) == (0, 0)


def test_one_crash_at_a_time(env):
    stick(env, (2, TRUCK, 77.0), (2, BLUE_CAR, 70.0))
    assert act(env, steps=4) > -0.5
    s = env.game.state
    s.cars[1].x = s.x
    # The drag ends before the other cars move, so that the next crash is in the same step.
    assert act(env) < -0.9
    assert (s.sticky, s.sticky_left) == (1, 5)


def test_one_crash_a_step(env):
    put_cars(env, (2, TRUCK, 80.0), (2, BLUE_CAR, 60.0))
    assert -1 < act(env) < -0.9
    assert env.game.state.sticky == 0


def test_flash_wears_off(env):
    put_cars(env, (2, BLUE_CAR, 83.0))
    flashes = []
    for _ in range(5):
        act(env)
        flashes.append(env.game.observe()[4])
    np.testing.assert_allclose(flashes, [1, 2 / 3, 1 / 3, 0, 0])


@pytest.mark.parametrize(
    ("y", "ahead", "action", "reward"),
    [
        (LANE_2, None, (0, 0), 0.02),
        (LANE_2 + 9.4, None, (0, 0), 0.01 * math.exp(-0.25) + 0.01),
        (LANE_2 - 18.7, None, (0, 0), 0.01 * math.exp(-((18.7 / 18.8) ** 2)) + 0.01),
        (LANE_2, 78 + 84.0, (0, 0), 0.015),
        (LANE_2, 78 + 42.0, (0, 0), 0.01 - 0.01),
        (LANE_2, 78.0, (0, 0), 0.01 - 0.02),
        (LANE_2 + 18, 77.0, (0, 0), 0.01 * math.exp(-((18 / 18.8) ** 2)) + 0.01),  # beside it
        (LANE_1, 78.0, (0, 0), 0.02),
    ],
)
def test_reward(env, y, ahead, action, reward):
    put(env, y=y)
    if ahead is not None:
        put_cars(env, (2, TRUCK, ahead + 6))
    assert act(env, *action) == pytest.approx(reward)


def test_action_costs(env):
    put(env, y=18.0, x=0.0)  # where the limits hold the car in its place
    free = act(env)
    put(env, vx=0.0, vy=0.0)
    assert act(env, -0.6, -0.8) == pytest.approx(free - 0.0005)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), ax=st.floats(-1, 1), ay=st.floats(-1, 1))
def test_everything_stays_inside(make, seed, ax, ay):
    env = make("highway")
    env.reset(seed=seed)
    s = env.game.state
    for step in range(500):
        reward = act(env, ax, ay * math.cos(step / 15))
        assert 0 <= s.x <= 196 and 18 <= s.y <= 188
        assert -1.02 <= reward <= 0.02
        assert np.abs(np.array(env.game.observe())).max() < 2
        assert sum(car.lane != NO_LANE for car in s.cars) <= 4


def test_observation(env):
    put(env, x=56.0, y=LANE_1 - 4.7, vx=2.0, vy=-3.0, t=11, crashed_at=10)
    put_cars(env, (1, BLUE_CAR, 140.0), (0, TRUCK, 150.0), (2, YELLOW_CAR, 0.0))
    expected = [
        *(0.25, (LANE_1 + 9 - 4.7) / 224, 0.2, -0.3, 2 / 3),
        *(56 / 224, 0, 1, 66 / 224, -1),  # gap ahead, sides clear, gaps at the sides
        *(-0.25, 0.25),
        *(140 / 224, 74.4 / 224, 0),
        *(150 / 224, 36.8 / 224, 1),
        *(0, 112 / 224, 0),
        *(-1, -1, -1),
    ]
    np.testing.assert_allclose(env.game.observe(), expected)


def gap_and_clear(env, x):
    """What is seen of a car in the lane to the left, from the agent's front at 84 px."""
    put(env, x=56.0, y=LANE_1)
    put_cars(env, (0, TRUCK, x))
    observation = env.game.observe()
    return observation[8] * 224, observation[6]


def test_gaps(env):
    """From the agent's front to the rear of cars that are all before it; at most a picture."""
    assert gap_and_clear(env, 83.9) == (-224, 1)
    assert gap_and_clear(env, 84.0) == (0, 0)
    assert gap_and_clear(env, 84.0 + 70) == pytest.approx((70, 0))
    assert gap_and_clear(env, 84.1 + 70) == pytest.approx((70.1, 1))
    assert gap_and_clear(env, 84.0 + 225) == (224, 1)
    assert gap_and_clear(env, -20.0) == (-224, 1)


def test_the_nearest_car_counts(env):
    put_cars(env, (2, BLUE_CAR, 150.0), (2, BLUE_CAR, 110.0), (2, BLUE_CAR, 60.0))
    assert env.game.observe()[5] == pytest.approx(32 / 224)


def test_there_is_no_lane_beside_the_outer_ones(env):
    put(env, y=27.8)
    assert env.game.observe()[6:10] == [0, 1, -1, -1]
    put(env, y=178.2)
    assert env.game.observe()[6:10] == [1, 0, -1, -1]


def test_picture(env, pixel):
    road = pixel(env, 150, 112)
    assert road.max() < 90
    put_cars(env, (0, BLUE_CAR, 100.0), (3, YELLOW_CAR, 100.0), (4, TRUCK, 100.0))
    red = pixel(env, 73, 112)
    blue, yellow, green = pixel(env, 122, 36.8), pixel(env, 122, 149.6), pixel(env, 117, 187.2)
    assert red[0] > red[1] + 80
    assert blue[2] > blue[0] + 80
    assert yellow[0] > 180 and yellow[1] > 140 and yellow[2] < 120
    assert green[1] > green[0] + 50
    put_cars(env)
    for y in (36.8, 149.6, 187.2):
        assert pixel(env, 122, y).max() < 90
    put(env, t=5, crashed_at=5)
    assert (pixel(env, 150, 112) - road)[0] > 20
