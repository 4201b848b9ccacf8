"""ManiSkill's SO100, a desktop arm with a jaw: takes the cube and brings it to the goal, tried out.

Its five joints are set one by one and turn 0.04 rad a step, so that there is time for one way only:
over the cube, down with the fixed finger beside it, close, and on to the goal. A finger that is a
few millimetres off pushes the cube away, or it slips out; each try holds the cube a little
differently.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import lsq_linear

from mmbench.demos.experts import on_grid
from mmbench.demos.experts.tried import TriedOut
from mmbench.env import TaskEnv

# The arm stands in a plane that turns about an upright axis: places are (ahead, up) in it, m.
_AXIS = np.array((-0.68, 0.0, 0.0))
_SHOULDER = np.array((0.031, 0.119))
_UPPER_ARM = np.array((0.029, 0.112))  # from shoulder to elbow, where all joints are at 0
_FOREARM = np.array((0.135, 0.007))  # from elbow to wrist
# The tool is in the middle between the fingers' tips. By the jaw's angle, rad: the tool's place
# from the tip of the finger that does not move, in the hand's frame, m.
_JAW = np.array((-1.1, -0.976, -0.819, -0.662, -0.505, -0.348, -0.191, -0.034))
_ASIDE = np.array((-0.004, -0.008, -0.014, -0.020, -0.025, -0.031, -0.036, -0.041))
_HIGHER = np.array((0.002, 0.0, 0.0, 0.0, 0.001, 0.003, 0.005, 0.009))

_TURN = 0.04  # rad, of a joint in a step with a full action
_JAW_TURN = 0.16
_HALF = 0.0125  # m, half a cube's side
_THERE = 0.006  # m, within which the finger is at its place
_ARRIVED = 0.013  # m, from the cube to the goal, where the arm stops: it has to be at rest
_UPRIGHT = 0.003  # m a rad: how much the hand's tilt counts beside its place
_EFFORT = 1e-3  # m a rad, of the joints' turns


class Hold(NamedTuple):
    """How one try holds the cube.

    Attributes:
        opening: The jaw's angle on the way, rad.
        gap: From the finger to the cube's side, m.
        height: Of the finger's tip, m.
        above: How much higher it moves while it is aside, m.
        aside: How far that is, m.
        turn: How much the hand's turn to the cube's side counts beside its place, m a rad.
        closing: Action of the jaw until it holds the cube.
        squeeze: The same then.
        wait: Steps before it lifts the cube.
        carry: Largest turn of a joint with the cube, rad a step.
    """

    opening: float
    gap: float
    height: float
    above: float
    aside: float
    turn: float
    closing: float
    squeeze: float
    wait: int
    carry: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Hold:
        """Draws one."""
        return cls(
            opening=rng.uniform(-0.6, -0.4),
            gap=rng.uniform(0.005, 0.01),
            height=rng.uniform(0.007, 0.012),
            above=rng.uniform(0.01, 0.02),
            aside=rng.uniform(0.013, 0.03),
            turn=rng.choice((0.0, 0.003, 0.01)),
            closing=rng.choice((-0.3, -0.6)),
            squeeze=rng.choice((0.0, -0.03)),
            wait=int(rng.integers(3)),
            carry=rng.choice((0.03, 0.05)),
        )


class Seen(NamedTuple):
    """What an observation says; places in m.

    Attributes:
        joints: (6,) rad, the jaw's last.
        held: Whether the fingers hold the cube.
        tool, goal, cube: (3,).
        hand: (3, 3), the hand's axes as columns: towards the fixed finger, up, and ahead or back.
        turn: From the hand to the cube's nearest side, about the upright axis, rad.
    """

    joints: np.ndarray
    held: bool
    tool: np.ndarray
    goal: np.ndarray
    cube: np.ndarray
    hand: np.ndarray
    turn: float

    @classmethod
    def read(cls, obs: np.ndarray) -> Seen:
        """Reads an observation, (36,)."""
        obs = obs.astype(float)
        hand, cube = _axes(obs[16:20]), _axes(obs[26:30])
        angle = math.atan2(cube[1, 0], cube[0, 0]) - math.atan2(hand[1, 0], hand[0, 0])
        turn = math.remainder(angle, 0.5 * math.pi)
        return cls(obs[:6], bool(obs[12]), obs[13:16], obs[20:23], obs[23:26], hand, turn)

    @property
    def tip(self) -> np.ndarray:
        """Where the tip of the fixed finger is, (3,)."""
        jaw = self.joints[5]
        from_tip = np.interp(jaw, _JAW, _ASIDE), np.interp(jaw, _JAW, _HIGHER), 0.0
        return self.tool - self.hand @ from_tip

    @property
    def aside(self) -> np.ndarray:
        """The level direction from the jaw to the fixed finger, (3,)."""
        level = self.hand[:, 0] * (1.0, 1.0, 0.0)
        return level / np.linalg.norm(level)


class PickSmall(TriedOut):
    """Takes the cube and brings it to the goal."""

    name = "hand motions, tried out"
    tries = 50

    def _try(
        self, env: TaskEnv, rng: np.random.Generator, attempt: int
    ) -> tuple[list[np.ndarray], bool]:
        hold, obs = Hold.draw(rng), np.empty(env.task.obs_dim, np.float32)
        closing, held = False, 0  # the fingers close; steps since they hold the cube
        actions: list[np.ndarray] = []
        while True:
            env.observe(obs)
            seen = Seen.read(obs)
            way = seen.cube + (_HALF + hold.gap) * seen.aside - seen.tip
            way[2] = hold.height - seen.tip[2]
            closing |= np.abs(way).max() < _THERE
            if held or (closing and seen.held):
                held += 1
                way = seen.goal - seen.cube if held > hold.wait else np.zeros(3)
                arrived = float(np.linalg.norm(seen.goal - seen.cube)) < _ARRIVED
                turns = np.zeros(5) if arrived else _turns(seen, way, 0.0, hold.carry)
                jaw = hold.squeeze
            elif closing:
                turns, jaw = _turns(seen, way * (0.0, 0.0, 1.0), 0.0), hold.closing
            else:
                if np.linalg.norm(way[:2]) > hold.aside:
                    way[2] += hold.above
                turns = _turns(seen, way, hold.turn)
                jaw = (hold.opening - seen.joints[5]) / _JAW_TURN
            turns = turns / max(_TURN, np.abs(turns).max())
            actions.append(on_grid(np.append(turns, jaw)))
            _, terminated, truncated, _, success = env.advance(actions[-1].astype(np.float32))
            if terminated or truncated:
                return actions, success == 1.0


def _turns(seen: Seen, way: np.ndarray, turn: float, most: float = 0.05) -> np.ndarray:
    """How the joints turn to move the tool by ``way``, upright, (5,) rad, each ``most`` at most."""
    tilt = np.cross(seen.hand[:, 1], (0.0, 0.0, 1.0))
    weights = np.array((1.0, 1.0, 1.0, _UPRIGHT, _UPRIGHT, turn))
    wanted = weights * np.concatenate((way, tilt[:2], (seen.turn,)))
    rows = weights[:, None] * _jacobian(seen.joints, seen.tool)
    system = np.concatenate((rows, _EFFORT * np.eye(5)))
    solved = lsq_linear(system, np.concatenate((wanted, np.zeros(5))), (-most, most))
    return np.asarray(solved.x)


def _jacobian(joints: np.ndarray, tool: np.ndarray) -> np.ndarray:
    """How the tool moves and turns with each joint, (6, 5)."""
    pan, shoulder, elbow, wrist = joints[:4]
    ahead = np.array((math.cos(pan), -math.sin(pan), 0.0))
    left, up = np.array((-ahead[1], ahead[0], 0.0)), np.array((0.0, 0.0, 1.0))

    def place(plane: np.ndarray) -> np.ndarray:
        return plane[0] * ahead + plane[1] * up

    bend = _SHOULDER + _bent(shoulder, _UPPER_ARM)
    end = bend + _bent(shoulder + elbow, _FOREARM)
    down = place(_bent(shoulder + elbow + wrist - 0.5 * math.pi, np.array((0.0, -1.0))))
    axes = [-up, left, left, left, -down]
    points = [np.zeros(3), place(_SHOULDER), place(bend), place(end), place(end)]
    moves = [np.cross(axis, tool - _AXIS - point) for axis, point in zip(axes, points, strict=True)]
    return np.concatenate((np.stack(moves, 1), np.stack(axes, 1)))


def _bent(angle: float, part: np.ndarray) -> np.ndarray:
    """A part of the arm, (2,), turned forwards by an angle."""
    ahead, up = part
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array((cos * ahead + sin * up, cos * up - sin * ahead))


def _axes(quaternion: np.ndarray) -> np.ndarray:
    """The axes of a turned frame as columns, (3, 3), from (w, x, y, z)."""
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    return np.array(
        (
            (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
            (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
            (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
        )
    )
