"""Highway: the rules."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miniarcade.games.highway import BLUE_CAR, LENGTHS, NO_LANE, TRUCK, YELLOW_CAR, Car

LANE_1, LANE_2 = 74.4, 112.0  # px, middles of the second and the third lane
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
    """Cars as (lane, kind, x); the other places stay free."""
    places = [Car(0, *car) for car in cars]
    put(env, cars=places + [Car(NEVER) for _ in range(4 - len(places))])


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
    assert lanes == {74.4, 112.0, 149.6}
    assert len(kinds) == 15
    assert pauses == set(range(7))


def test_driving(env):
    act(env, 1.0, -0.5)
    s = env.game.state
    assert (s.x, s.y) == pytest.approx((50.65, 111.675))
    assert (s.vx, s.vy) == pytest.approx((0.6175, -0.30875))


@pytest.mark.parametrize("way", [-1, 1])
def test_the_road_is_the_limit(env, way):
    act(env, way, way, steps=60)
    assert (env.game.state.x, env.game.state.y) == ((0, 27) if way < 0 else (196, 197))


@pytest.mark.parametrize(("kind", "speed"), [(BLUE_CAR, 6), (YELLOW_CAR, 7.2), (TRUCK, 6)])
def test_speeds(env, kind, speed):
    put_cars(env, (0, kind, 200.0))
    act(env)
    assert env.game.state.cars[0].x == pytest.approx(200 - speed)


@pytest.mark.parametrize(
    ("front", "x", "speed"),
    [(BLUE_CAR, 155.5, 6), (BLUE_CAR, 156.5, 7.2), (TRUCK, 183.5, 6), (TRUCK, 184.5, 7.2)],
)
def test_a_yellow_car_slows_down_behind_another(env, front, x, speed):
    """One car length, 28 px, behind a car whose right edge is at 128 (156 for a truck)."""
    put_cars(env, (0, YELLOW_CAR, x), (0, front, 100.0))
    act(env)
    assert env.game.state.cars[0].x == pytest.approx(x - speed)
    put_cars(env, (0, YELLOW_CAR, x), (1, front, 100.0))
    act(env)
    assert env.game.state.cars[0].x == pytest.approx(x - 7.2)


@pytest.mark.parametrize("kind", [BLUE_CAR, TRUCK])
def test_a_car_leaves(env, kind):
    put_cars(env, (0, kind, 6.0 - LENGTHS[kind]))
    act(env)
    car = env.game.state.cars[0]
    assert car.lane == 0
    act(env)
    assert car.lane == NO_LANE
    assert 3 <= car.pause <= 10  # the step of leaving is counted already


def test_pauses(env):
    pauses = set()
    for _ in range(300):
        put_cars(env, (0, BLUE_CAR, -25.0))
        act(env)
        pauses.add(env.game.state.cars[0].pause)
    assert pauses == set(range(3, 10))  # 4 to 10, less the step itself


def test_a_new_car(env):
    lanes, kinds, xs = [], [], []
    for _ in range(400):
        put_cars(env)
        put(env, t=0)
        env.game.state.cars[2].pause = 1
        act(env)
        car = env.game.state.cars[2]
        assert car.lane == NO_LANE and car.pause == 0
        act(env)
        lanes.append(car.lane)
        kinds.append(car.kind)
        xs.append(car.x)
    assert all(50 < lanes.count(lane) < 110 for lane in range(5))
    assert all(95 < kinds.count(kind) < 175 for kind in range(3))
    assert 244 <= min(xs) < 246 and 282 < max(xs) <= 284


def test_a_new_car_keeps_its_distance(env):
    """There is room in one lane only."""
    cars = [(lane, TRUCK, 240.0) for lane in (0, 1, 3)]
    for _ in range(100):
        put_cars(env, *cars)
        put(env, t=480)
        env.game.state.cars[3].pause = 0
        act(env)
        new = env.game.state.cars[3]
        assert new.lane in (NO_LANE, 2, 4)
    nearest = math.inf
    for _ in range(1500):
        put_cars(env, (0, BLUE_CAR, 198.0))
        put(env, t=480)
        env.game.state.cars[3].pause = 0
        act(env)
        new = env.game.state.cars[3]
        if new.lane == 0:
            nearest = min(nearest, new.x)
    assert 192 + 56 + 18 <= nearest < 192 + 56 + 18 + 1


def test_tries_to_find_room(env):
    """Four lanes of five are blocked, so that all eight tries fail with a chance of 0.8^8."""
    failed = 0
    for _ in range(1500):
        # One car more than the game has, and late enough that one more is allowed.
        put(env, t=700, cars=[Car(0)] + [Car(0, lane, TRUCK, 240.0) for lane in range(4)])
        act(env)
        failed += env.game.state.cars[0].lane == NO_LANE
    assert failed / 1500 == pytest.approx(0.8**8, abs=0.02)


@pytest.mark.parametrize(("t", "allowed"), [(0, 1), (166, 1), (167, 2), (332, 2), (333, 3),
                                            (498, 3), (499, 4)])  # fmt: skip
def test_traffic_grows(env, t, allowed):
    """1 + 3 t / 499 cars."""
    put(env, t=t)
    for car in env.game.state.cars:
        car.pause = 0
    for _ in range(3):
        act(env)
        put(env, t=t)
    assert sum(car.lane != NO_LANE for car in env.game.state.cars) == allowed


@pytest.mark.parametrize(
    ("x", "y", "crashes"),
    [(83.0, LANE_2, True), (84.0, LANE_2, False), (29.0, LANE_2, True), (28.0, LANE_2, False),
     (60.0, LANE_2 - 17, True), (60.0, LANE_2 - 18, False)],
)  # fmt: skip
def test_crash(env, x, y, crashes):
    """The agent's car spans 50..78, the other one x-6..x+22."""
    put(env, y=y)
    put_cars(env, (2, BLUE_CAR, x))
    reward = act(env)
    assert (reward < -0.9) == crashes
    assert env.game.observe()[4] == crashes


def test_being_dragged(env):
    put_cars(env, (2, BLUE_CAR, 83.0), (2, TRUCK, 300.0))
    put(env, vx=0.5, vy=0.0)
    s = env.game.state
    assert act(env) < -0.9
    assert (s.x, s.cars[0].x) == (50.5, 77)
    for step in range(1, 5):
        assert act(env, 1.0, 1.0) > -0.1
        assert (s.x, s.y) == pytest.approx((50.5 - 6 * step, LANE_2))
        assert s.cars[0].x == 77 - 6 * step
    act(env)
    assert s.x == 20.5
    assert (s.vx, s.vy) == (0, 0)
    assert (s.cars[0].lane, s.cars[1].lane) == (NO_LANE, 2)
    act(env, 1.0, 0.0)
    assert s.x == pytest.approx(21.15)


def test_a_yellow_car_drags_faster(env):
    put_cars(env, (2, YELLOW_CAR, 84.0))
    act(env, steps=2)
    assert env.game.state.x == pytest.approx(50 - 7.2)


def test_dragging_ends_at_the_left_edge(env):
    put(env, x=8.0)
    put_cars(env, (2, BLUE_CAR, 40.0))
    s = env.game.state
    act(env, steps=2)
    assert (s.x, s.sticky) == (2, 0)
    act(env)
    assert (s.x, s.sticky, s.cars[0].lane) == (0, -1, NO_LANE)


def test_one_crash_at_a_time(env):
    put(env, y=LANE_2 - 18.8 + 5)
    put_cars(env, (2, TRUCK, 80.0), (2, BLUE_CAR, 200.0))
    assert act(env) < -0.9
    env.game.state.cars[1].x = 70.0
    assert act(env, steps=5) > -0.5
    assert act(env) < -0.9  # it has become free, and that car is in the way


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
        (LANE_1, 78.0, (0, 0), 0.02),
    ],
)
def test_reward(env, y, ahead, action, reward):
    put(env, y=y)
    if ahead is not None:
        put_cars(env, (2, TRUCK, ahead + 6))
    assert act(env, *action) == pytest.approx(reward)


def test_action_costs(env):
    put(env, y=27.0, x=0.0)  # where the limits hold the car in its place
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
        assert 0 <= s.x <= 196 and 27 <= s.y <= 197
        assert -1.02 <= reward <= 0.02
        assert np.abs(np.array(env.game.observe())).max() < 1.5
        cars = sorted((car.lane, car.x, car.kind) for car in s.cars if car.lane != NO_LANE)
        for (lane, x, kind), (other, other_x, _) in zip(cars, cars[1:], strict=False):
            assert lane != other or other_x >= x + LENGTHS[kind] + 1


def test_observation(env):
    put(env, x=56.0, y=LANE_1 - 4.7, vx=2.0, vy=-3.0, t=11, crashed_at=10)
    put_cars(env, (1, BLUE_CAR, 140.0), (0, TRUCK, 150.0), (2, YELLOW_CAR, 0.0))
    s = env.game.state
    expected = [
        *(0.25, (LANE_1 - 4.7) / 224, 0.2, -0.3, 2 / 3),
        *(56 / 224, 0, 0, 66 / 224, -1),  # gap ahead, sides clear, gaps at the sides
        *(-0.25, 0.25),
        *(140 / 224, LANE_1 / 224, 0),
        *(150 / 224, 36.8 / 224, 1),
        *(0, 112 / 224, 0),
        *(-1, -1, -1),
    ]
    np.testing.assert_allclose(env.game.observe(), expected)
    s.cars[0].x = 84.0
    s.cars[1].x = 84.0
    assert env.game.observe()[5] == env.game.observe()[8] == 0
    s.cars[1].lane = 2
    assert env.game.observe()[9] == 0
    s.cars[1].lane = 0
    s.cars[1].x = 84 + 70.0
    s.cars[2].x = 56 - 70 - 28.0
    assert env.game.observe()[6:8] == [1, 1]
    s.y = 36.8
    s.cars[0].x = 84 + 70.0
    assert env.game.observe()[6:8] == [0, 1]  # there is no lane to the left
    s.y = 187.2
    assert env.game.observe()[6:8] == [1, 0]


def test_picture(env, pixel):
    road = pixel(env, 150, LANE_2)
    assert road.max() < 90
    put_cars(env, (0, BLUE_CAR, 100.0), (3, YELLOW_CAR, 100.0), (4, TRUCK, 100.0))
    red = pixel(env, 73, LANE_2)
    blue, yellow, green = pixel(env, 122, 36.8), pixel(env, 122, 149.6), pixel(env, 117, 187.2)
    assert red[0] > red[1] + 80
    assert blue[2] > blue[0] + 80
    assert yellow[0] > 180 and yellow[1] > 140 and yellow[2] < 120
    assert green[1] > green[0] + 50
    put_cars(env)
    for y in (36.8, 149.6, 187.2):
        assert pixel(env, 122, y).max() < 90
    put(env, t=5, crashed_at=5)
    assert (pixel(env, 150, LANE_2) - road)[0] > 20
