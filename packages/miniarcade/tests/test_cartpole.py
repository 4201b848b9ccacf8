"""Cart-pole: the rules."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miniarcade.games.cartpole import CartPole


def put(env, **fields):
    for name, value in fields.items():
        setattr(env.game.state, name, value)


def reference_step(state, action):
    """The textbook equations, as the two linear equations that they solve."""
    x, x_dot, theta, theta_dot = state
    cart, pole, half, gravity, dt = 0.9, 0.11, 0.6, 9.81, 0.025
    sin, cos = np.sin(theta), np.cos(theta)
    # A rod of half-length l has its moment of inertia about the hinge at 4/3 m l^2.
    matrix = np.array([[cart + pole, pole * half * cos], [cos, 4 / 3 * half]])
    right = np.array([11 * action + pole * half * theta_dot**2 * sin, gravity * sin])
    x_acc, theta_acc = np.linalg.solve(matrix, right)
    return np.array(
        [x + dt * x_dot, x_dot + dt * x_acc, theta + dt * theta_dot, theta_dot + dt * theta_acc]
    )


real = st.floats(-3, 3)


@settings(max_examples=50)
@given(st.tuples(real, real, st.floats(-10, 10), real), st.floats(-1, 1))
def test_motion(start, action):
    game = CartPole()
    game.reset(np.random.default_rng(0))
    s = game.state
    s.x, s.x_dot, s.theta, s.theta_dot = start
    expected = np.array(start)
    for _ in range(5):
        game.step([action])
        expected = reference_step(expected, action)
    np.testing.assert_allclose(game.observe(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "center"), [("balance", 0.0), ("swingup", math.pi), ("tremor", 0.0)]
)
def test_start(make, name, center):
    env = make(f"cartpole-{name}")
    starts = np.array([env.reset(seed=seed)[0] for seed in range(300)])
    offsets = starts - [0, 0, center, 0]
    assert (np.abs(offsets) <= 0.0651).all()
    assert (offsets.max(axis=0) > 0.06).all()
    assert (offsets.min(axis=0) < -0.06).all()


@pytest.mark.parametrize(
    ("theta", "dense", "sparse"),
    [(0.0, 1.0, 1.0), (-0.149, 1 - 0.149 * 2 / math.pi, 1.0), (0.151, 1 - 0.302 / math.pi, 0.0),
     (math.pi / 4, 0.5, 0.0), (2.0, 0.0, 0.0), (2 * math.pi, 0.0, 0.0)],
)  # fmt: skip
@pytest.mark.parametrize("start", ["balance", "swingup"])
def test_reward(fresh, start, theta, dense, sparse):
    for name, expected in ((f"cartpole-{start}", dense), (f"cartpole-{start}-sparse", sparse)):
        env = fresh(name)
        put(env, x=0.0, theta=theta, theta_dot=0.0)
        assert env.step([0.0])[1] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["balance", "balance-sparse"])
@pytest.mark.parametrize(("x", "earns"), [(2.39, True), (2.41, False), (-2.41, False)])
def test_reward_only_on_the_rail(fresh, name, x, earns):
    env = fresh(f"cartpole-{name}")
    put(env, x=x, x_dot=0.0, theta=0.0, theta_dot=0.0)
    assert (env.step([0.0])[1] > 0) == earns


def test_the_cart_may_leave_the_rail(fresh):
    env = fresh("cartpole-balance")
    for _ in range(200):
        env.step([1.0])
    assert env.game.state.x > 10


def shakes(env):
    """First and last step of every tremor, and its push."""
    found, last = [], 0.0
    for step in range(1, 501):
        before = np.array(env.game.observe())
        env.step([0.0])
        push = (env.game.state.theta_dot - reference_step(before, 0.0)[3]) / 0.025
        if abs(push) > 1e-6:
            if abs(last) > 1e-6:
                assert push == pytest.approx(last, abs=1e-6)
                found[-1][1] = step
            else:
                found.append([step, step, push])
        last = push
    return found


def test_tremor_schedule(make):
    env = make("cartpole-tremor")
    first, lengths, pauses, pushes = [], [], [], []
    for seed in range(60):
        env.reset(seed=seed)
        found = shakes(env)
        first.append(found[0][0])
        ended = [shake for shake in found if shake[1] < 500]
        lengths.extend(end - start + 1 for start, end, _ in ended)
        pauses.extend(b[0] - a[1] - 1 for a, b in zip(found, found[1:], strict=False))
        pushes.extend(push for *_, push in found)
    assert 41 <= min(first) <= 46 and 76 <= max(first) <= 81
    assert set(lengths) == set(range(5, 11))
    assert 50 <= min(pauses) <= 52 and 88 <= max(pauses) <= 90
    strengths = np.abs(pushes)
    assert 1.75 <= strengths.min() < 1.9 and 4.85 < strengths.max() <= 5.0
    assert 0.35 < np.mean(np.array(pushes) > 0) < 0.65


@pytest.mark.parametrize("name", ["balance", "swingup", "balance-sparse", "swingup-sparse"])
def test_no_tremor_elsewhere(fresh, name):
    assert shakes(fresh(f"cartpole-{name}")) == []


def test_observation(fresh):
    env = fresh("cartpole-balance")
    put(env, x=1.0, x_dot=-2.0, theta=9.0, theta_dot=-4.0)
    assert env.game.observe() == [1.0, -2.0, 9.0, -4.0]


def test_picture(fresh, pixel):
    env = fresh("cartpole-balance", render_mode="rgb_array")
    for x, theta in ((0.0, 0.0), (1.2, 0.6), (-1.5, -1.2)):
        put(env, x=x, theta=theta)
        hinge = 112 + 32.5 * x
        tip = pixel(env, hinge + 39 * math.sin(theta), 146 - 39 * math.cos(theta))
        assert tip[1] > tip[0] + 50  # green: the pole earns reward
        wood = pixel(env, hinge + 4, 157)
        assert wood[0] > wood[2] + 40
    put(env, x=0.0, theta=math.pi / 2 + 0.2)
    tip = pixel(env, 112 + 39 * math.sin(math.pi / 2 + 0.2), 146 + 39 * math.sin(0.2))
    assert tip[0] > tip[1] + 50  # orange: it does not
