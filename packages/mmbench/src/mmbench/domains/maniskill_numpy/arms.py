"""The arms: their controllers, and what rewards ask of them.

Source: ManiSkill's ``PDEEPosController``, ``PDEEPoseController``, ``PDJointPosController`` and
``PDJointPosMimicController`` with the settings of the robots, and the robots' ``is_grasping`` and
``is_static``. None of the settings in use carries anything from one step to the next.
"""

from __future__ import annotations

import abc
import importlib
import math
from typing import Any

import numpy as np

from mmbench.domains.maniskill_numpy import maths
from mmbench.domains.maniskill_numpy.scene import body, contact_force, link

_MIN_GRASP_FORCE = 0.5  # N, of each finger
_STATIC_SPEED = 0.2  # rad/s, of the fastest joint
_IK_ITERATIONS = 100


class _Drives:
    """The drives of some joints, whose targets are their positions."""

    def __init__(self, controller: Any) -> None:
        self.indices = np.array([int(index) for index in controller.active_joint_indices])
        self._setters = [joint._objs[0].set_drive_target for joint in controller.joints]
        # An action of -1 and 1 in each direction.
        self._middle = controller.action_space_low.numpy() + controller.action_space_high.numpy()
        self._middle = np.float32(0.5) * self._middle
        self._half = controller.action_space_high.numpy() - controller.action_space_low.numpy()
        self._half = np.float32(0.5) * self._half

    def scale(self, action: np.ndarray) -> np.ndarray:
        """Maps actions in [-1, 1] to the controller's range."""
        return self._middle[: action.size] + self._half[: action.size] * action

    def aim(self, targets: Any) -> None:
        """Sets the targets, radians or metres."""
        for set_target, target in zip(self._setters, targets, strict=True):
            set_target(target)


class JointDelta(_Drives):
    """``pd_joint_delta_pos``: actions shift the joints from where they are."""

    def apply(self, qpos: np.ndarray, action: np.ndarray) -> None:
        """Sets the targets from the articulation's positions and an action a joint."""
        self.aim((qpos[self.indices] + self.scale(action)).tolist())


class Gripper(_Drives):
    """Fingers of which one is controlled and the others mimic it.

    Args:
        controller: The package's ``PDJointPosMimicController``.
    """

    def __init__(self, controller: Any) -> None:
        super().__init__(controller)
        self._delta = controller.config.use_delta
        (leader,) = controller.control_joint_indices.tolist()
        self._leader = self.indices[leader]

    def apply(self, qpos: np.ndarray, action: np.ndarray) -> None:
        """Sets the targets from the articulation's positions and one action."""
        target = self.scale(action)[0]
        if self._delta:
            target = qpos[self._leader] + target
        self.aim([float(target)] * len(self._setters))


class Hand(_Drives):
    """``pd_ee_delta_pos`` and ``pd_ee_delta_pose``: actions move the hand from where it is.

    The first three actions shift it along the axes of the robot's base; the next three, if there
    are any, turn it about them: XYZ Euler angles, of the opposite sign to the actions.

    Args:
        controller: The package's ``PDEEPosController``.
    """

    def __init__(self, controller: Any) -> None:
        super().__init__(controller)
        kinematics = controller.kinematics
        self._solve = kinematics.pmodel.compute_inverse_kinematics
        self._link = kinematics.end_link_idx
        self._mask = kinematics.qmask.numpy().astype(np.int32)
        self._inputs = kinematics.pmodel_active_joint_indices.numpy()
        self._outputs = kinematics.pmodel_controlled_joint_indices.numpy()
        self._base = body(controller.root_link)
        self._hand = body(controller.ee_link)
        self._angle = np.float32(getattr(controller.config, "rot_lower", 0.0))
        self._pose = importlib.import_module("sapien").Pose

    def apply(self, qpos: np.ndarray, action: np.ndarray) -> None:
        """Sets the targets from the articulation's positions and 3 or 6 actions."""
        base, hand = self._base.entity_pose, self._hand.entity_pose
        p, q = maths.relative_pose(base.p, base.q, hand.p, hand.q)
        target_p = p + self.scale(action[:3])
        if action.size > 3:
            angles = maths.clipped_to_unit(action[3:]) * self._angle
            q = maths.compose(maths.quaternion_of_small_angles(angles), q)
        targets, solved, _ = self._solve(
            self._link,
            self._pose(target_p, q),
            initial_qpos=qpos[self._inputs],
            active_qmask=self._mask,
            max_iterations=_IK_ITERATIONS,
        )
        if solved:
            self.aim(targets[self._outputs].astype(np.float32).tolist())
        else:
            self.aim(qpos[self.indices].tolist())


class Arm(abc.ABC):
    """A robot arm.

    Args:
        environment: The package's environment, its scene built.

    Attributes:
        moving: How many of the articulation's joints, from the first, are the arm's.
    """

    moving: int
    _fingers: tuple[str, str]
    _opening_sign = -1.0  # of the second finger's y axis, for the way in which it opens
    _max_angle = math.radians(85)

    def __init__(self, environment: Any) -> None:
        self.articulation = environment.agent.robot._objs[0]
        self._physics = environment.scene.px
        self._timestep = float(self._physics.timestep)
        self._finger1, self._finger2 = (link(environment, name) for name in self._fingers)

    @abc.abstractmethod
    def apply(self, action: np.ndarray) -> None:
        """Sets the drives' targets for a raw step."""

    @abc.abstractmethod
    def tool(self) -> tuple[np.ndarray, np.ndarray]:
        """The tool centre point: position (3) and orientation (4), float32."""

    def is_static(self) -> bool:
        """Whether the arm, fingers aside, hardly moves."""
        return bool(np.abs(self.articulation.get_qvel()[: self.moving]).max() <= _STATIC_SPEED)

    def is_grasping(self, thing: Any, max_angle: float | None = None) -> bool:
        """Whether both fingers press on a body, roughly in the direction in which they close.

        Args:
            thing: A rigid body of the physics.
            max_angle: The largest angle in radians between force and opening direction; the
                robot's own by default.
        """
        limit = self._max_angle if max_angle is None else max_angle
        for finger, sign in ((self._finger1, 1.0), (self._finger2, self._opening_sign)):
            force = contact_force(self._physics, finger, thing, self._timestep)
            if math.hypot(*force) < _MIN_GRASP_FORCE:
                return False
            opening = [sign * float(v) for v in maths.y_axis(finger.entity_pose.q)]
            if maths.angle_between(opening, force) > limit:
                return False
        return True


class Panda(Arm):
    """The Panda with two fingers; also the one with a camera at its wrist."""

    moving = 7
    _fingers = ("panda_leftfinger", "panda_rightfinger")
    _tool = "panda_hand_tcp"

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        controllers = environment.agent.controller.controllers
        self._hand = Hand(controllers["arm"])
        self._gripper = Gripper(controllers[self._gripper_name(controllers)])
        self._tool_body = link(environment, self._tool)

    @staticmethod
    def _gripper_name(controllers: Any) -> str:
        return "gripper" if "gripper" in controllers else "gripper_active"

    def apply(self, action: np.ndarray) -> None:
        """Moves the hand by all actions but the last, which is the gripper's."""
        qpos = self.articulation.get_qpos()
        self._hand.apply(qpos, action[:-1])
        self._gripper.apply(qpos, action[-1:])

    def tool(self) -> tuple[np.ndarray, np.ndarray]:
        """The point between the fingers."""
        pose = self._tool_body.entity_pose
        return pose.p, pose.q


class XArm6(Panda):
    """The xArm with six joints and a Robotiq gripper."""

    moving = 6
    _fingers = ("left_inner_finger_pad", "right_inner_finger_pad")
    _tool = "eef"
    _opening_sign = 1.0


class SO100(Arm):
    """The small desktop arm: five joints and a jaw, all controlled joint by joint."""

    moving = 5
    _fingers = ("Fixed_Jaw", "Moving_Jaw")
    _max_angle = math.radians(110)

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._joints = JointDelta(environment.agent.controller)
        self._tips = [link(environment, f"{name}_tip") for name in self._fingers]

    def apply(self, action: np.ndarray) -> None:
        """Shifts the joints."""
        self._joints.apply(self.articulation.get_qpos(), action)

    def tool(self) -> tuple[np.ndarray, np.ndarray]:
        """The middle between the jaws' tips, with the fixed jaw's orientation."""
        first, second = (tip.entity_pose.p for tip in self._tips)
        return (first + second) / np.float32(2), self._finger1.entity_pose.q


_ARMS = {
    "panda": Panda,
    "panda_wristcam": Panda,
    "xarm6_robotiq": XArm6,
    "so100": SO100,
}


def arm(environment: Any) -> Arm:
    """The arm of one of the package's environments."""
    return _ARMS[environment.agent.uid](environment)
