"""Box2D: grounds, starts and rewards, from the formulas; what version 1 reaches."""

import itertools
import math

import numpy as np
import pytest

import mmbench
from mmbench.domains import box2d_terrain
from mmbench.domains.box2d_terrain import HEIGHT, LENGTH, START_PAD, STEP
from mmbench.env import TaskEnv

GROUNDS = tuple(box2d_terrain.GENERATORS)
VIEW = 400 / 30  # metres, the lander's
PAD = VIEW / 4
REST = PAD + 0.6


def made(name: str, seed: int = 0) -> TaskEnv:
    env = TaskEnv(name, unify=False)
    env.reset(seed=seed)
    return env


# The walker


def terrain(ground: str, seed: int) -> box2d_terrain.Terrain:
    return box2d_terrain.GENERATORS[ground](np.random.default_rng(seed))


@pytest.mark.parametrize("ground", GROUNDS)
def test_ground_stays_within_its_bounds(ground):
    low = {"obstacles": 1.5 - 3 * STEP}.get(ground, 1.0)
    for seed in range(20):
        heights, boxes = terrain(ground, seed)
        assert len(heights) == LENGTH
        assert low <= min(heights) and max(heights) <= 5.5
        assert bool(boxes) == (ground == "obstacles")
        if ground != "hills":
            assert heights[: START_PAD + 1] == [HEIGHT] * (START_PAD + 1)
            assert (len(set(heights)) == 1) == (ground == "flat")


@pytest.mark.parametrize(
    "ground, damping, pull, noise",
    [("uneven", 0.8, 0.011, 1 / 15), ("rugged", 0.75, 0.015, 2.25 / 15)],
)
def test_bumps_follow_the_formula(ground, damping, pull, noise):
    """What is left of each slope, once damping and pull are taken off, is uniform noise."""
    left = []
    for seed in range(30):
        heights = terrain(ground, seed).heights
        slope = 0.0
        for i, (y, following) in enumerate(itertools.pairwise(heights), start=1):
            if not 1.0 < following < 5.5:
                break  # clipped: the slope is no longer seen
            push = following - y - damping * slope - pull * np.sign(HEIGHT - y)
            slope = following - y
            assert abs(push) <= noise + 1e-9
            if i > START_PAD:
                left.append(push)
            else:
                assert abs(push) < 1e-12
    assert np.mean(left) == pytest.approx(0, abs=0.05 * noise)
    assert np.std(left) == pytest.approx(noise / math.sqrt(3), rel=0.05)


def test_hills_are_one_sine_an_episode():
    x = np.arange(LENGTH) * STEP
    for seed in range(10):
        heights = np.array(terrain("hills", seed).heights)
        middle = heights[0] - HEIGHT
        assert -1.0 <= middle <= -0.8
        wave = heights - heights[0]
        assert 0.4 * 0.95 <= wave.max() <= 0.8
        rising = np.nonzero((wave[:-1] < 0) & (wave[1:] >= 0))[0]
        assert 7 - STEP <= np.diff(x[rising]).mean() <= 14 + STEP


def test_obstacles_alternate_with_ground():
    stumps, pits, gaps = [], [], []
    for seed in range(40):
        heights, boxes = terrain("obstacles", seed)
        end = START_PAD * STEP
        boxes = [box for box in boxes if box[1][0] < (LENGTH - 1) * STEP]
        while boxes:
            (x, y), (right, _), (_, top), _ = boxes.pop(0)
            gaps.append((x - end) / STEP)
            if top > y:
                stumps.append(((right - x) / STEP, (top - y) / STEP))
                end = right
                continue
            if not boxes:
                break
            (other, other_y), *_ = boxes.pop(0)
            assert other_y == y and top == pytest.approx(y - 3 * STEP)
            pits.append((other - x) / STEP)
            first, last = round(x / STEP) + 1, round(other / STEP)
            assert heights[first : last + 1] == [pytest.approx(top)] * (last + 1 - first)
            assert heights[first - 1] == heights[last + 1] == y
            end = other + STEP * 2
    assert {(round(w), round(h, 6)) for w, h in stumps} == {(2, 1.5), (3, 2.25)}
    assert set(np.round(pits)) == {2, 3}
    walkable = [round(gap) for gap in gaps if gap > 0.5]
    assert set(walkable) == {5, 6, 7, 8, 9}
    assert 0.35 < len(stumps) / (len(stumps) + len(pits)) < 0.65


class Moved:
    """Stands in for the physics: puts the hull somewhere."""

    def __init__(self, env: TaskEnv) -> None:
        self.simulator = env._simulator
        self.simulator._advance = lambda: None

    def to(self, x: float, angle: float, action=(0.0,) * 4) -> float:
        self.simulator._hull.position = (x, 5.0)
        self.simulator._hull.angle = angle
        return self.simulator._native_step(list(action))


def test_walking_pays_130_fifteenths_a_metre_less_tilt_and_effort():
    move = Moved(made("bipedal-walker-flat"))
    move.to(10.0, 0.0)
    assert move.to(10.5, 0.0) == pytest.approx(130 * 0.5 / 15, rel=1e-5)
    assert move.to(10.5, 0.1) == pytest.approx(-0.5, rel=1e-5)
    assert move.to(10.5, -0.1) == pytest.approx(0.0, abs=1e-5)
    effort = 0.00035 * 80 * 1.75
    assert move.to(10.5, -0.1, (1, -0.5, 0, 0.25)) == pytest.approx(-effort, rel=1e-4)


def test_a_step_of_walking_is_clipped_and_a_fall_costs_one():
    move = Moved(made("bipedal-walker-flat"))
    move.to(10.0, 0.0)
    assert move.to(20.0, 0.0) == 10.0
    assert move.to(10.0, 0.0) == -1.0
    move.simulator._touch.crashed = True
    assert move.to(11.0, 0.0) == -1.0
    move = Moved(made("bipedal-walker-flat"))
    move.to(0.1, 0.0)
    assert move.to(-0.1, 0.0) == -1.0
    assert move.to(0.5, 0.0) > 0, "left of the start is no fall that lasts"


# The lander


@pytest.mark.parametrize("name", ["lunarlander-land", "lunarlander-hover", "lunarlander-takeoff"])
def test_moons_and_starts(name):
    env = TaskEnv(name, unify=False)
    points, places, goals = set(), [], []
    for seed in range(60):
        obs, _ = env.reset(seed=seed)
        simulator = env._simulator
        points.add(len(simulator._ground))
        middle = len(simulator._ground) // 2
        pad = [y for _, y in simulator._ground[middle - 1 : middle + 2]]
        assert pad == [pytest.approx(0.99 * PAD)] * 3
        assert all(0 <= y < 0.99 * VIEW / 2 for _, y in simulator._ground)
        places.append(obs[:2] * VIEW / 2 + [VIEW / 2, REST])
        if simulator._goal is not None:
            goals.append(simulator._goal)
            np.testing.assert_allclose(
                obs[8:], (np.array(simulator._goal) - places[-1]) / (VIEW / 2), atol=1e-5
            )
    assert points == {7, 9}
    x, y = np.transpose(places)
    if name == "lunarlander-takeoff":
        assert np.abs(y - REST).max() < 0.4
        assert np.abs(x - VIEW / 2).max() < 1.4
        low, high = (0.2 * VIEW, 0.6 * VIEW), (0.8 * VIEW, 0.8 * VIEW)
    else:
        assert 0.94 < (x / (VIEW / 2)).min() and (x / (VIEW / 2)).max() < 1.06
        assert 0.74 * VIEW < y.min() and y.max() < 0.86 * VIEW
        low, high = (VIEW / 2 - 1, 2 * PAD - 1), (VIEW / 2 + 1, 2 * PAD + 1)
    for goal in goals:
        assert (np.array(low) <= goal).all() and (goal <= np.array(high)).all()
    if goals:
        assert (np.ptp(goals, axis=0) > 0.85 * np.subtract(high, low)).all()


@pytest.mark.parametrize(
    "name, low, high",
    [
        ("lunarlander-land", (-600, -600), (600, 600)),
        ("lunarlander-hover", (-600, -600), (600, 600)),
        ("lunarlander-takeoff", (-300, -1200), (300, -1200)),
    ],
)
def test_the_first_push(name, low, high):
    simulator, rng = made(name)._simulator, np.random.default_rng(0)
    forces = np.array([simulator._start(rng)[1] for _ in range(100)])
    assert (forces >= low).all() and (forces <= high).all()
    assert (np.ptp(forces, axis=0) >= 0.9 * np.subtract(high, low)).all()


def put(env: TaskEnv, x: float, y: float, velocity=(0.0, 0.0), angle: float = 0.0) -> None:
    lander = env._simulator._lander
    lander.position, lander.linearVelocity, lander.angle = (x, y), velocity, angle


def test_landing_pays_differences_of_a_potential():
    env = made("lunarlander-land")
    reward = env._simulator._reward
    half = VIEW / 2
    put(env, half, REST + half)  # one unit above the pad: the potential is -100
    reward(0.0, 0.0)
    put(env, half, REST + 0.97 * half)
    assert reward(0.0, 0.0) == pytest.approx(3 / 20, abs=1e-4)
    put(env, half + 0.02 * half, REST + 0.97 * half, velocity=(0.0, -0.075), angle=0.01)
    expected = 97 - 100 * math.hypot(0.02, 0.97) - 1 - 1 - 0.3 * 0.8 - 0.03 * 0.6
    assert reward(0.8, 0.6) == pytest.approx(expected / 20, abs=1e-4)
    env._simulator._touch.legs[2] = 1.0
    assert reward(0.0, 0.0) == pytest.approx(10 / 20, abs=1e-4)
    env._simulator._touch.legs[2] = 0.0
    assert reward(0.0, 0.0) == -5 / 20  # clipped, from -10


def test_crashing_or_leaving_costs_and_resting_pays_in_every_step():
    env = made("lunarlander-land")
    simulator = env._simulator
    put(env, 1.01 * VIEW, REST + 1)
    assert [simulator._reward(0, 0) for _ in range(2)] == [-0.25] * 2
    put(env, VIEW / 2, REST)
    simulator._touch.crashed = True
    assert [simulator._reward(0, 0) for _ in range(2)] == [-0.25] * 2
    simulator._lander.awake = False
    assert [simulator._reward(0, 0) for _ in range(2)] == [0.5] * 2


@pytest.mark.parametrize("name", ["lunarlander-hover", "lunarlander-takeoff"])
def test_being_near_the_goal_pays(name):
    env = made(name)
    reward = env._simulator._reward
    env._simulator._goal = x, y = (6.0, 9.0)
    put(env, x, y)
    assert reward(0.0, 0.0) == pytest.approx(1.0)
    assert reward(1.0, 1.0) == pytest.approx(1 - 0.033)
    put(env, x + 1.8, y - 2.4)
    assert reward(0.5, 0.0) == pytest.approx(1 - 3 / 6 - 0.015, abs=1e-6)
    put(env, x + 6.1, y)
    assert reward(0.0, 0.0) == 0.0
    env._simulator._goal = (x, REST)
    put(env, x, REST + 1e-3)
    assert reward(0.0, 0.0) > 0.99
    put(env, x, REST - 1e-3)
    assert reward(0.0, 0.0) == 0.0


@pytest.mark.parametrize(
    "action, power", [((0, 0.5), (0, 0)), ((0.2, 0), (0.6, 0)), ((-1, -0.7), (0, 0.7))]
)
def test_engines_fire_beyond_their_thresholds(action, power):
    simulator = made("lunarlander-hover")._simulator
    lander = simulator._lander
    before = lander.linearVelocity.copy(), lander.angularVelocity
    assert simulator._fire(*map(float, action)) == pytest.approx(power)
    main, side = power
    pushed = lander.linearVelocity - before[0]
    assert (pushed.y > 0.05) == (main > 0)
    assert (lander.angularVelocity != before[1]) == (main > 0 or side > 0)
    if side:
        assert pushed.x < -0.01  # a negative action fires the right engine


def test_version_1_of_landing_scores_what_version_0_cannot():
    """A lander that falls onto the pad and rests: the same episodes and rewards, other scores."""
    best = {0: 0.0, 1: 0.0}
    for seed in range(6):
        totals = {}
        for version in best:
            env = made(f"lunarlander-land-v{version}", seed=seed)
            rewards, scores = [], []
            for _ in range(250):
                _, reward, *_, info = env.step(np.zeros(2))
                rewards.append(reward)
            totals[version] = sum(rewards)
            scores.append(info["score"])
            best[version] = max(best[version], *scores)
        assert totals[0] == totals[1]
    assert best[0] < 0.5 < best[1] <= 1
    assert best[1] == pytest.approx(2 * best[0])


def test_no_landing_of_version_0_can_score_more_than_half():
    task, corrected = (mmbench.catalog.get(f"lunarlander-land-v{version}") for version in (0, 1))
    highest = 0.5 * task.action_repeat * task.max_episode_steps  # every native step at its cap
    assert task.score(highest, math.nan) == 0.5
    assert corrected.score(highest, math.nan) == 1.0
    assert "0.5" in corrected.differs and not task.differs
