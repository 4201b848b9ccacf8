"""Placing a thing on another and letting go: cube on cube, sphere in a bin.

Source: ManiSkill's ``StackCube-v1`` and ``PlaceSphere-v1``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mmbench.domains.maniskill_numpy.scene import body
from mmbench.domains.maniskill_numpy.tabletop import (
    TabletopTask,
    Writer,
    closeness,
    distance,
    speed,
)

_STILL = 1e-2  # m/s
_UNTURNING = 0.5  # rad/s
_TOLERANCE = 0.005  # m


class _Place(TabletopTask):
    """A thing to be placed on top of another.

    Args:
        environment: The package's.
        thing: What is placed.
        place: What it is placed on.
        height: How much higher the thing's centre is than that of the place, in metres.
    """

    def __init__(self, environment: Any, thing: Any, place: Any, height: float) -> None:
        super().__init__(environment)
        self._thing = body(thing)
        self._place = body(place)
        self._height = height
        self._width = 2.0 * float(self.articulation.get_qlimits()[-1, 1])  # of the open gripper
        self._grasped = False

    def _speeds(self) -> tuple[float, float]:
        """Of the thing, linear and angular."""
        thing = self._thing
        return speed(thing.linear_velocity), speed(thing.angular_velocity)

    def _reward_of_approach(self, thing: np.ndarray, place: np.ndarray) -> float:
        """The reward before the thing is placed: for reaching it, then for carrying it."""
        if self._grasped:
            top = place + np.array([0, 0, self._height], np.float32)
            return 4.0 + closeness(distance(top, thing))
        return 2.0 * closeness(distance(self.arm.tool()[0], thing))

    def _opening(self) -> float:
        """How wide the gripper is open: 1 at its widest."""
        return float(self.articulation.get_qpos()[-2:].sum()) / self._width


class StackCube(_Place):
    """``StackCube-v1``: the red cube on the green one."""

    def __init__(self, environment: Any) -> None:
        half_size = float(environment.cube_half_size[0])
        super().__init__(environment, environment.cubeA, environment.cubeB, 2.0 * half_size)
        self._beside = math.hypot(half_size, half_size) + _TOLERANCE

    def evaluate(self) -> tuple[float, float]:
        """Reward and success."""
        cube, place = self._thing.entity_pose.p, self._place.entity_pose.p
        self._grasped = self.arm.is_grasping(self._thing)
        beside = distance(cube[:2], place[:2]) <= self._beside
        if not beside or abs(float(cube[2] - place[2]) - self._height) > _TOLERANCE:
            return self._reward_of_approach(cube, place) / 8.0, 0.0
        linear, angular = self._speeds()
        if linear <= _STILL and angular <= _UNTURNING and not self._grasped:
            return 1.0, 1.0
        opening = self._opening() if self._grasped else 1.0
        return (6.0 + (opening + closeness(10.0 * linear + angular, 1.0)) / 2.0) / 8.0, 0.0

    def observe(self, out: np.ndarray) -> None:
        """Joints, tool, both cubes, tool to each, and from the first to the second."""
        p, q = self.arm.tool()
        cube, place = self._thing.entity_pose, self._place.entity_pose
        cube_p, place_p = cube.p, place.p
        write = Writer(out, self.write_joints(out))
        write.pose(p, q)
        write.pose(cube_p, cube.q)
        write.pose(place_p, place.q)
        write.vector(cube_p - p)
        write.vector(place_p - p)
        write.vector(place_p - cube_p)


class PlaceSphere(_Place):
    """``PlaceSphere-v1``: the sphere in the shallow bin."""

    def __init__(self, environment: Any) -> None:
        height = float(environment.block_half_size[0]) + float(environment.radius)
        super().__init__(environment, environment.obj, environment.bin, height)

    def evaluate(self) -> tuple[float, float]:
        """Reward and success."""
        ball, place = self._thing.entity_pose.p, self._place.entity_pose.p
        self._grasped = self.arm.is_grasping(self._thing)
        beside = distance(ball[:2], place[:2]) <= _TOLERANCE
        if not beside or abs(float(ball[2] - place[2]) - self._height) > _TOLERANCE:
            return self._reward_of_approach(ball, place) / 13.0, 0.0
        linear, angular = self._speeds()
        if linear <= _STILL and angular <= _UNTURNING and not self._grasped:
            return 1.0, 1.0
        opening = self._opening() if self._grasped else 16.0
        still = closeness(10.0 * linear + angular, 1.0)
        return (6.0 + (opening + still + self.arm.is_static()) / 3.0) / 13.0, 0.0

    def observe(self, out: np.ndarray) -> None:
        """Joints, grasp, tool, bin, sphere, and from the tool to the sphere."""
        p, q = self.arm.tool()
        ball = self._thing.entity_pose
        ball_p = ball.p
        write = Writer(out, self.write_joints(out))
        write.number(self._grasped)
        write.pose(p, q)
        write.vector(self._place.entity_pose.p)
        write.pose(ball_p, ball.q)
        write.vector(ball_p - p)
