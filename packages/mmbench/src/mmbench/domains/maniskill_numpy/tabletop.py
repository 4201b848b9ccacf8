"""What the tasks of arms at a table share, and reaching and picking.

Rewards and successes are ManiSkill's, at the version that is installed; distances are in metres.
An ``info`` of the package that one task's formulas read twice (is the object grasped?) is found
once a raw step and kept for the observation.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mmbench.domains.maniskill_numpy.arms import arm
from mmbench.domains.maniskill_numpy.scene import RawTask, body


def closeness(distance: float, rate: float = 5.0) -> float:
    """1 at a distance of zero, falling to 0."""
    return 1.0 - math.tanh(rate * distance)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """The distance between two points, in as many dimensions as they have."""
    return math.dist(a.tolist(), b.tolist())


def speed(qvel: np.ndarray) -> float:
    """The length of a vector of velocities."""
    return math.hypot(*qvel.tolist())


class TabletopTask(RawTask):
    """An arm at a table.

    Attributes:
        arm: The arm.
    """

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.arm = arm(environment)
        self._joints = self.articulation.dof

    def apply(self, action: np.ndarray) -> None:
        """Sets the drives' targets, see the arm's."""
        self.arm.apply(action)

    def write_joints(self, out: np.ndarray) -> int:
        """Writes the joints' positions and velocities first, and returns how many they are."""
        joints = self._joints
        out[:joints] = self.articulation.get_qpos()
        out[joints : 2 * joints] = self.articulation.get_qvel()
        return 2 * joints


class Writer:
    """Fills an observation from the left."""

    def __init__(self, out: np.ndarray, at: int) -> None:
        self._out = out
        self._at = at

    def number(self, value: float) -> None:
        """Appends a number."""
        self._out[self._at] = value
        self._at += 1

    def vector(self, values: np.ndarray) -> None:
        """Appends an array of three: a position or a difference of two."""
        self._out[self._at : self._at + 3] = values
        self._at += 3

    def pose(self, p: np.ndarray, q: np.ndarray) -> None:
        """Appends a position and an orientation."""
        self._out[self._at : self._at + 3] = p
        self._out[self._at + 3 : self._at + 7] = q
        self._at += 7


class Reach(TabletopTask):
    """The project's own ``ReachEnv``."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._goal = body(environment.goal_site)

    def evaluate(self) -> tuple[float, float]:
        """Reward and success."""
        away = distance(self.arm.tool()[0], self._goal.entity_pose.p)
        success = away <= _REACH_GOAL_RADIUS
        return 5.0 * (1.0 + success - math.tanh(5.0 * away)) / 5.0, float(success)

    def observe(self, out: np.ndarray) -> None:
        """Joints, tool, goal, and from the tool to the goal."""
        p, q = self.arm.tool()
        goal = self._goal.entity_pose.p
        write = Writer(out, self.write_joints(out))
        write.pose(p, q)
        write.vector(goal)
        write.vector(goal - p)


_REACH_GOAL_RADIUS = 0.025


class _Pick(TabletopTask):
    """Pick a thing up and hold it still at a goal."""

    def __init__(self, environment: Any, thing: Any) -> None:
        super().__init__(environment)
        self._thing = body(thing)
        self._goal = body(environment.goal_site)
        self._threshold = float(environment.goal_thresh)
        self._grasped = False

    def _distances(self) -> tuple[float, float]:
        """From the tool to the thing, and from the thing to the goal."""
        thing = self._thing.entity_pose.p
        return (
            distance(self.arm.tool()[0], thing),
            distance(thing, self._goal.entity_pose.p),
        )


class PickCube(_Pick):
    """``PickCube-v1``, ``PickCubeSO100-v1``, and PickCube with the xArm."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment, environment.cube)
        # The package leaves fingers out, but not those of the xArm.
        self._counted = self._joints if self.arm.moving == 6 else self.arm.moving

    def evaluate(self) -> tuple[float, float]:
        """Reward and success."""
        to_thing, to_goal = self._distances()
        placed = to_goal <= self._threshold
        self._grasped = self.arm.is_grasping(self._thing)
        if placed and self.arm.is_static():
            return 1.0, 1.0
        reward = closeness(to_thing)
        if self._grasped:
            reward += 1.0 + closeness(to_goal)
        if placed:
            reward += closeness(speed(self.articulation.get_qvel()[: self._counted]))
        return reward / 5.0, 0.0

    def observe(self, out: np.ndarray) -> None:
        """Joints, grasp, tool, goal, cube, tool to cube, cube to goal."""
        p, q = self.arm.tool()
        goal, thing = self._goal.entity_pose.p, self._thing.entity_pose
        thing_p = thing.p
        write = Writer(out, self.write_joints(out))
        write.number(self._grasped)
        write.pose(p, q)
        write.vector(goal)
        write.pose(thing_p, thing.q)
        write.vector(thing_p - p)
        write.vector(goal - thing_p)


class PickYCB(_Pick):
    """``PickSingleYCB-v1``."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment, environment.obj)

    def evaluate(self) -> tuple[float, float]:
        """Reward and success."""
        to_thing, to_goal = self._distances()
        placed = to_goal <= self._threshold
        self._grasped = self.arm.is_grasping(self._thing)
        if placed and self.arm.is_static():
            return 1.0, 1.0
        reward = closeness(to_thing)
        if self._grasped:
            reward += 1.0 + closeness(to_goal)
            if placed:
                qvel = self.articulation.get_qvel()
                reward += 1.0 + closeness(speed(qvel[: self.arm.moving]))
        return reward / 6.0, 0.0

    def observe(self, out: np.ndarray) -> None:
        """Joints, tool, goal, grasp, tool to goal, thing, tool to thing, thing to goal."""
        p, q = self.arm.tool()
        goal, thing = self._goal.entity_pose.p, self._thing.entity_pose
        thing_p = thing.p
        write = Writer(out, self.write_joints(out))
        write.pose(p, q)
        write.vector(goal)
        write.number(self._grasped)
        write.vector(goal - p)
        write.pose(thing_p, thing.q)
        write.vector(thing_p - p)
        write.vector(goal - thing_p)
