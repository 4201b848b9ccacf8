"""Pushing a thing onto a target, and pulling a cube, with and without a tool.

Source: ManiSkill's ``PushCube-v1``, ``PullCube-v1`` and ``PullCubeTool-v1``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mmbench.domains.maniskill_numpy.scene import body
from mmbench.domains.maniskill_numpy.tabletop import TabletopTask, Writer, closeness, distance

_REACHED = 0.01  # m, from the tool to where it should push or pull


class _OntoTarget(TabletopTask):
    """A thing to be moved onto a round target on the table."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._thing = body(environment.obj)
        self._target = body(environment.goal_region)
        self._radius = float(environment.goal_radius)
        self._half_size = float(environment.cube_half_size)

    def observe(self, out: np.ndarray) -> None:
        """Joints, tool, target, thing."""
        p, q = self.arm.tool()
        thing = self._thing.entity_pose
        write = Writer(out, self.write_joints(out))
        write.pose(p, q)
        write.vector(self._target.entity_pose.p)
        write.pose(thing.p, thing.q)

    def _distances(self, ahead: float) -> tuple[float, float, float]:
        """Where the thing is.

        Args:
            ahead: How far in x before the thing's centre the tool should be.

        Returns:
            The distance from the tool to there, that from the thing to the target in the plane,
            and the thing's height.
        """
        thing = self._thing.entity_pose.p
        there = thing + np.array([ahead, 0, 0], np.float32)
        to_target = distance(thing[:2], self._target.entity_pose.p[:2])
        return distance(there, self.arm.tool()[0]), to_target, float(thing[2])


class Push(_OntoTarget):
    """``PushCube-v1``, and the project's ``PushYCBEnv`` on it."""

    def evaluate(self) -> tuple[float, float]:
        """Reward and success."""
        to_push, to_target, height = self._distances(-self._half_size - 0.005)
        if to_target < self._radius and height < self._half_size + 5e-3:
            return 1.0, 1.0
        reward = closeness(to_push)
        if to_push < _REACHED:
            reward += closeness(to_target) * (1.0 + closeness(abs(height - self._half_size)))
        return reward / 4.0, 0.0


class Pull(_OntoTarget):
    """``PullCube-v1``."""

    def evaluate(self) -> tuple[float, float]:
        """Reward and success."""
        to_pull, to_target, _ = self._distances(self._half_size + 2 * 0.005)
        if to_target < self._radius:
            return 1.0, 1.0
        reward = closeness(to_pull)
        if to_pull < _REACHED:
            reward += closeness(to_target)
        return reward / 3.0, 0.0


class PullWithTool(TabletopTask):
    """``PullCubeTool-v1``: an L-shaped tool brings the cube within the arm's reach.

    Its reward can be negative, and exceed 1.
    """

    _near = 0.6  # m, from the robot's base to the cube, in the plane
    _positioned = 0.05  # m, from the tool to where it should pull
    _max_grasp_angle = math.radians(20)

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._cube = body(environment.cube)
        self._tool = body(environment.l_shape_tool)
        self._base = self.articulation.links[0]
        reach = float(environment.arm_reach)
        self._behind = -(float(environment.hook_length) + float(environment.cube_half_size))
        self._start = np.array([reach + 0.1, 0, float(environment.cube_size) / 2], np.float32)
        self._far = reach + 0.15

    def evaluate(self) -> tuple[float, float]:
        """Reward and success."""
        cube, tool = self._cube.entity_pose.p, self._tool.entity_pose.p
        base = self._base.entity_pose.p
        grip = tool + np.array([0.02, 0, 0], np.float32)
        reward = 2.0 * closeness(distance(self.arm.tool()[0], grip))
        if self.arm.is_grasping(self._tool, self._max_grasp_angle):
            hook = cube + np.array([self._behind, -0.067, 0], np.float32)
            to_hook = distance(tool, hook)
            reward += 2.0 + 1.5 * closeness(to_hook, 3.0)
            if to_hook < self._positioned:
                workspace = base + np.array([0.05, 0, 0], np.float32)
                whole = distance(self._start, workspace)
                reward += 3.0 * (whole - distance(cube, workspace)) / whole
        if cube[0] > self._far:
            reward -= 2.0
        success = distance(cube[:2], base[:2]) < self._near
        return (reward + 5.0 * success) / 5.0, float(success)

    def observe(self, out: np.ndarray) -> None:
        """Joints, tool centre point, cube, L-shaped tool."""
        p, q = self.arm.tool()
        cube, tool = self._cube.entity_pose, self._tool.entity_pose
        write = Writer(out, self.write_joints(out))
        write.pose(p, q)
        write.pose(cube.p, cube.q)
        write.pose(tool.p, tool.q)
