"""Rewards of DMControl-Ext against the published formulas, at states constructed by hand.

The formulas are written out here once more, over quantities that are computed by other means than
the tasks': velocities and angular momenta from Jacobians rather than from sensors.
"""

import math

import mujoco
import numpy as np
import pytest

from mmbench.env import TaskEnv

INF = math.inf


def tol(x, low, high, margin, value=0.1, linear=False):
    """1 inside, ``value`` at a margin's distance from the bounds."""
    distance = max(low - x, x - high, 0.0)
    if distance == 0.0:
        return 1.0
    if margin == 0:
        return 0.0
    relative = distance / margin
    return max(1 - (1 - value) * relative, 0.0) if linear else value ** (relative**2)


class Quantities:
    """What the formulas are made of, from a MuJoCo state."""

    def __init__(self, model, data):
        self.model, self.data = model, data

    def z(self, body):
        return self.data.body(body).xpos[2]

    @property
    def upright(self):
        return self.data.body("torso").xmat[8]

    @property
    def vx(self):
        jacobian = np.empty((3, self.model.nv))
        mujoco.mj_jacSubtreeCom(self.model, self.data, jacobian, self.model.body("torso").id)
        return (jacobian @ self.data.qvel)[0]

    @property
    def angular_momentum(self):
        matrix = np.empty((3, self.model.nv))
        mujoco.mj_angmomMat(self.model, self.data, matrix, self.model.body("torso").id)
        return (matrix @ self.data.qvel)[1]


def walk_backward(speed):
    def reward(q):
        stand = (3 * tol(q.z("torso"), 1.2, INF, 0.6) + (1 + q.upright) / 2) / 4
        move = tol(q.vx, -INF, -speed, speed / 2, 0.5, linear=True)
        return stand * (5 * move + 1) / 6

    return reward


def walk(speed):
    def reward(q):
        stand = (3 * tol(q.z("torso"), 1.2, INF, 0.6) + (1 + q.upright) / 2) / 4
        if speed == 0:
            return stand
        return stand * (5 * tol(q.vx, speed, INF, speed / 2, 0.5, linear=True) + 1) / 6

    return reward


def arabesque(q):
    return (
        3 * tol(q.z("torso"), 1, INF, 0.5)
        + tol(q.z("left_foot"), -INF, 0.08, 0.5)
        + tol(q.z("right_foot"), 1, INF, 0.5)
        + (1 - q.upright) / 2
    ) / 6


def thighs(q):
    return (q.z("left_thigh") + q.z("right_thigh")) / 2


def feet(q):
    return (q.z("left_foot") + q.z("right_foot")) / 2


def lie_down(q):
    torso = tol(q.z("torso"), -INF, 0.08, 0.04)
    return (3 * torso + tol(thighs(q), -INF, 0.08, 0.04) + (1 - q.upright) / 2) / 5


def legs_up(q):
    torso = tol(q.z("torso"), -INF, 0.08, 0.04)
    up = tol(feet(q), 1.1, INF, 0.55)
    return (3 * torso + 2 * up + tol(thighs(q), -INF, 0.08, 0.04) + (1 - q.upright) / 2) / 7


def headstand(q):
    return (3 * tol(feet(q), 1.1, INF, 0.55) + 2 * tol(thighs(q), 1, INF, 0.5)) / 5


def cheetah_run_backward(q):
    return tol(q.vx, -INF, -8, 8, 0, linear=True)


def run_on_one_leg(foot):
    def reward(q):
        up = (3 * tol(q.z(foot), 1.2, INF, 0.6) + 2 * tol(q.z("torso"), 1.2, INF, 0.6)) / 5
        return up * (5 * tol(q.vx, 6, INF, 6, 0, linear=True) + 1) / 6

    return reward


def cheetah_jump(q):
    return sum(
        5 * tol((q.z("torso") + q.z(foot)) / 2, 1.2, INF, 0.6)
        + tol(q.vx, -0.5, 0.5, 0.5, 0, linear=True)
        for foot in ("bfoot", "ffoot")
    ) / (2 * 6)


def hop_backward(q):
    height = q.data.body("torso").xipos[2] - q.data.body("foot").xipos[2]
    return tol(height, 0.6, 2, 0) * tol(q.vx, -INF, -1, 0.5, 0.5, linear=True)


def reach(radius):
    def reward(q):
        gap = q.data.geom("finger").xpos[:2] - q.data.geom("target").xpos[:2]
        return float(np.linalg.norm(gap) <= radius + 0.01)

    return reward


def cup_spin(q):
    gap = (q.data.body("ball").xpos - q.data.site("target").xpos)[[0, 2]]
    inside = bool((np.abs(gap) < 0.025).all())
    far = tol(np.linalg.norm(gap), 0.5, INF, 0.25, 0.5, linear=True)
    fast = tol(np.linalg.norm(q.data.qvel[2:]), 6, INF, 3, 0.5, linear=True)
    return (not inside) * (far + 2 * fast) / 3


def pendulum_spin(q):
    return tol(abs(q.data.qvel[0]), 9, INF, 4.5, 0.5, linear=True)


def jump(q):
    return tol(q.z("torso"), 1.5, INF, 0.75)


def spin(sense):
    def reward(q):
        spinning = tol(sense * q.angular_momentum, 8, INF, 8, 0, linear=True)
        return (2 * spinning + 3 * tol(sense * q.vx, 8, INF, 8, 0, linear=True)) / 5

    return reward


def giraffe_run(q):
    head = tol(q.z("head"), 0.5, INF, 0.25)
    return head * (3 * tol(q.vx, 10, INF, 10, 0, linear=True) + 1) / 4


def balance_sparse(q):
    cosines = [
        q.data.body(i).xmat[8]
        for i in range(2, q.model.nbody)  # poles come after the cart
    ]
    return float(abs(q.data.qpos[0]) <= 0.25 and min(cosines) >= 0.995)


FORMULAS = {
    "walker-walk-backward": walk_backward(1),
    "walker-run-backward": walk_backward(8),
    "cheetah-run-backward": cheetah_run_backward,
    "cheetah-run-front": run_on_one_leg("bfoot"),
    "cheetah-run-back": run_on_one_leg("ffoot"),
    "cheetah-jump": cheetah_jump,
    "hopper-hop-backward": hop_backward,
    "reacher-three-easy": reach(0.05),
    "reacher-three-hard": reach(0.015),
    "cup-spin": cup_spin,
    "pendulum-spin": pendulum_spin,
    "jumper-jump": jump,
    "spinner-spin": spin(1),
    "spinner-spin-backward": spin(-1),
    "spinner-jump": jump,
    "giraffe-run": giraffe_run,
    "walker-walk-incline": walk(1),
    "cartpole-balance-two-poles-sparse": balance_sparse,
    "spinner-jump-four": jump,
    "cartpole-balance-long-sparse": balance_sparse,
    "walker-stand-incline": walk(0),
    "walker-run-incline": walk(8),
    "walker-arabesque": arabesque,
    "walker-lie-down": lie_down,
    "walker-legs-up": legs_up,
    "walker-headstand": headstand,
    "spinner-spin-four": spin(1),
    "spinner-spin-backward-four": spin(-1),
}

# How far positions and velocities of a random state spread, so that every term moves.
SPREADS = {"cartpole": (0.07, 1.0), "reacher": (0.6, 1.0), "ball_in_cup": (0.15, 4.0)}
STATES = 200


def state_of(name):
    """The simulator's task and physics, and the MuJoCo structures below them."""
    env = TaskEnv(name, unify=False)
    env.reset(seed=0)
    simulator = env._simulator
    physics = simulator._physics
    return env, simulator._task, physics, Quantities(physics.model.ptr, physics.data.ptr)


def random_states(name, rng):
    """Yields (our reward, the formula's) at random states."""
    env, task, physics, q = state_of(name)
    positions, velocities = SPREADS.get(env.task.native.split("/")[0], (0.7, 4.0))
    for _ in range(STATES):
        physics.data.qpos[:] = rng.normal(0, positions, physics.model.nq)
        physics.data.qvel[:] = rng.normal(0, velocities, physics.model.nv)
        mujoco.mj_forward(q.model, q.data)
        if "reacher" in name:  # somewhere around the finger
            target = q.data.geom("finger").xpos[:2] + rng.normal(0, 0.03, 2)
            q.model.geom("target").pos[:2] = target
            mujoco.mj_forward(q.model, q.data)
        yield float(task.get_reward(physics)), FORMULAS[name](q)


@pytest.mark.parametrize("name", FORMULAS)
def test_rewards_are_the_formulas(name):
    ours, expected = np.array(list(random_states(name, np.random.default_rng(1)))).T
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-9)
    assert len(np.unique(expected.round(6))) >= 2, "the states do not tell anything"


# Literal values at poses whose quantities are read off by eye: the walker's joints at zero are a
# walker standing at 1.3 m with its feet at 0.1 m; of the cheetah's kind, qvel[0] is the speed.

CASES = [
    ("walker-walk-backward", {}, {"rootx": -1.0}, 1.0),
    ("walker-walk-backward", {}, {"rootx": -0.5}, (5 * 0.5 + 1) / 6),
    ("walker-walk-backward", {}, {"rootx": 1.0}, 1 / 6),
    ("walker-run-backward", {}, {"rootx": -8.0}, 1.0),
    ("walker-run-backward", {}, {"rootx": -4.0}, (5 * 0.5 + 1) / 6),
    ("walker-run-backward", {"rootz": -0.7}, {"rootx": -8.0}, (3 * 0.1 + 1) / 4),
    ("cheetah-run-backward", {}, {"rootx": -4.0}, 0.5),
    ("cheetah-run-backward", {}, {"rootx": 8.0}, 0.0),
    ("cheetah-run-front", {"rootz": 2.0}, {"rootx": 3.0}, (5 * 0.5 + 1) / 6),
    ("cheetah-run-front", {"rootz": 2.0}, {"rootx": -3.0}, 1 / 6),
    # The torso at 1.2 m is high enough, and the feet lie 0.63 and 0.6 m lower.
    ("cheetah-run-front", {"rootz": 0.5}, {"rootx": 6.0}, 0.4 + 0.6 * 0.1 ** (0.39 / 0.6) ** 2),
    ("cheetah-run-back", {"rootz": 0.5}, {"rootx": 6.0}, 0.4 + 0.6 * 0.1 ** (0.42 / 0.6) ** 2),
    ("cheetah-jump", {"rootz": 2.0}, {"rootx": 0.5}, 1.0),
    ("cheetah-jump", {"rootz": 2.0}, {"rootx": -0.75}, (5 + 0.5) / 6),
    ("hopper-hop-backward", {"knee": 0.0}, {"rootx": -1.0}, 1.0),
    ("hopper-hop-backward", {"knee": 0.0}, {"rootx": -0.5}, 0.5),
    ("hopper-hop-backward", {"knee": 0.0}, {"rootx": 1.0}, 0.0),
    ("hopper-hop-backward", {"hip": 2.6}, {"rootx": -1.0}, 0.0),
    ("pendulum-spin", {}, {"hinge": -9.0}, 1.0),
    ("pendulum-spin", {}, {"hinge": 4.5}, 0.5),
    ("pendulum-spin", {}, {}, 0.0),
    ("jumper-jump", {"rootz": 0.6}, {}, 1.0),
    ("jumper-jump", {"rootz": -0.15}, {}, 0.1),
    ("spinner-jump", {"rootz": 0.6}, {}, 1.0),
    ("spinner-jump-four", {"rootz": -0.15}, {}, 0.1),
    ("spinner-spin", {}, {"rootx": 4.0}, 0.3),
    ("spinner-spin", {}, {"rootx": -100.0, "rooty": 1000.0}, 0.4),
    ("spinner-spin", {}, {"rootx": -8.0, "rooty": -1000.0}, 0.0),
    ("spinner-spin-backward", {}, {"rootx": -8.0, "rooty": -1000.0}, 1.0),
    ("giraffe-run", {}, {"rootx": 10.0}, 1.0),
    ("giraffe-run", {}, {"rootx": 5.0}, (3 * 0.5 + 1) / 4),
    ("giraffe-run", {"rootz": -1.11}, {"rootx": 10.0}, 0.1),  # the head at 0.25 m
    ("cup-spin", {"ball_z": 0.35}, {"ball_x": 6.0}, 0.0),  # inside
    ("cup-spin", {"ball_z": -0.15}, {"ball_x": 6.0}, 1.0),
    ("cup-spin", {"ball_z": 0.1}, {"ball_z": -3.0}, (0.5 + 2 * 0.5) / 3),
    ("cartpole-balance-two-poles-sparse", {"slider": 0.25}, {}, 1.0),
    ("cartpole-balance-two-poles-sparse", {"hinge_2": 0.11}, {}, 0.0),
    ("cartpole-balance-long-sparse", {"slider": 0.26}, {}, 0.0),
    ("cartpole-balance-long-sparse", {"hinge_1": 0.09}, {}, 1.0),
    ("walker-stand-incline", {}, {}, 1.0),
    ("walker-headstand", {"rootz": 1.5}, {}, 1.0),
    # Upside down, with the torso at 0.37 m: hips at 0.67 m, feet at 1.62 m.
    ("walker-headstand", {"rootz": -0.93, "rooty": math.pi}, {}, 0.6 + 0.4 * 0.1**0.4356),
]


@pytest.mark.parametrize(("name", "qpos", "qvel", "expected"), CASES)
def test_rewards_at_poses(name, qpos, qvel, expected):
    _, task, physics, _ = state_of(name)
    physics.reset()
    for joint, value in qpos.items():
        physics.named.data.qpos[joint] = value
    for joint, value in qvel.items():
        physics.named.data.qvel[joint] = value
    physics.forward()
    assert float(task.get_reward(physics)) == pytest.approx(expected, abs=1e-6)


def test_an_agent_step_sums_the_rewards_of_its_control_steps():
    env, task, physics, _ = state_of("pendulum-spin")
    physics.reset()
    physics.named.data.qvel["hinge"] = 20.0
    physics.forward()
    assert env.step(np.zeros(1, np.float32))[1] == 2.0
