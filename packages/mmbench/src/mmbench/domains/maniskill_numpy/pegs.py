"""A peg to stand on its end, and a peg to poke a cube with.

Source: ManiSkill's ``LiftPegUpright-v1`` and ``PokeCube-v1``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mmbench.domains.maniskill_numpy import maths
from mmbench.domains.maniskill_numpy.scene import body
from mmbench.domains.maniskill_numpy.tabletop import (
    TabletopTask,
    Writer,
    closeness,
    distance,
    speed,
)

_UPRIGHT = 0.08  # rad, from the vertical
_TOLERANCE = 0.005  # m
_ALIGNED = 0.05  # rad
_REACHED = 0.01  # m


class LiftPeg(TabletopTask):
    """``LiftPegUpright-v1``."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._peg = body(environment.peg)
        self._half_length = float(environment.peg_half_length)

    def evaluate(self) -> tuple[float, float]:
        """Reward and success."""
        peg = self._peg.entity_pose
        p, q = peg.p, peg.q
        too_high = abs(float(p[2]) - self._half_length)
        tilt = abs(abs(maths.third_euler_angle(q)) - math.pi / 2)
        if tilt < _UPRIGHT and too_high < _TOLERANCE:
            return 1.0, 1.0
        if self.arm.is_grasping(self._peg):
            reaching = 1.0
        else:
            reaching = closeness(distance(p, self.arm.tool()[0]))
        upright = abs(float(maths.x_axis_height(q)))
        return (upright + closeness(too_high) + reaching / 5.0) / 3.0, 0.0

    def observe(self, out: np.ndarray) -> None:
        """Joints, tool, peg."""
        p, q = self.arm.tool()
        peg = self._peg.entity_pose
        write = Writer(out, self.write_joints(out))
        write.pose(p, q)
        write.pose(peg.p, peg.q)


class PokeCube(TabletopTask):
    """``PokeCube-v1``, whose peg has its head always on the side of x, however it is turned."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._peg = body(environment.peg)
        self._cube = body(environment.cube)
        self._target = body(environment.goal_region)
        self._radius = float(environment.goal_radius)
        self._fit = float(environment.cube_half_size) + _TOLERANCE
        self._head = np.array([environment.peg_half_length, 0, 0], np.float32)

    def evaluate(self) -> tuple[float, float]:
        """Reward and success."""
        peg, cube = self._peg.entity_pose, self._cube.entity_pose
        peg_p, cube_p, target = peg.p, cube.p, self._target.entity_pose.p
        placed = distance(cube_p[:2], target[:2]) < self._radius
        if placed and self.arm.is_static():
            return 1.0, 1.0
        to_peg = distance(self.arm.tool()[0], peg_p)
        if to_peg < _REACHED and self.arm.is_grasping(self._peg):
            angle = abs(maths.third_euler_angle(peg.q) - maths.third_euler_angle(cube.q))
            head_to_cube = distance((peg_p + self._head)[:2], cube_p[:2])
            if angle < _ALIGNED and head_to_cube <= self._fit:
                reward = 7.0 + closeness(distance(target, cube_p))
            else:
                reward = 4.0 + closeness(head_to_cube) + closeness(angle)
        else:
            reward = 2.0 * closeness(to_peg)
        if placed:
            reward += closeness(speed(self.articulation.get_qvel()[: self.arm.moving]))
        return reward / 10.0, 0.0

    def observe(self, out: np.ndarray) -> None:
        """Joints, tool, cube, peg, peg again, and the ways from one to the next."""
        p, q = self.arm.tool()
        peg, cube = self._peg.entity_pose, self._cube.entity_pose
        peg_p, cube_p = peg.p, cube.p
        write = Writer(out, self.write_joints(out))
        write.pose(p, q)
        write.pose(cube_p, cube.q)
        write.pose(peg_p, peg.q)
        write.vector(peg_p)
        write.vector(peg_p - p)
        write.vector(cube_p - peg_p)
        write.vector(self._target.entity_pose.p - cube_p)
        write.vector(peg_p + self._head - cube_p)
