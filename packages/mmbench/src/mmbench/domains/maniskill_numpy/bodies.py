"""Robots that are their whole task: cartpoles, hopper, ant and the walking ANYmal.

Controllers move joints by an amount per raw step; rewards are the package's normalised dense ones
(mani_skill 3.0.1, ``envs/tasks/control`` and ``quadruped``), in which a soft limit falls to a tenth
at its margin, ``0.1 ** (distance / margin) ** 2``. None but the ANYmal's has a success.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmbench.domains.maniskill_numpy.scene import RawTask, body, link

_UPRIGHT = np.float32(0.85)  # of (cos(angle) + 1) / 2, for the sparse cartpoles

_HOPPER_STANDS = (np.float32(0.6), np.float32(2.0))  # m, of the torso over the heel
_HOPPER_SPEED = 2.0  # m/s
_HOPPER_ROOT_LINKS = 3  # dummies that let it move in its plane

_ANT_STANDS = 0.55
_ANT_STAND_MARGIN = _ANT_STANDS / 4
_ANT_FEET = ("front_left_foot", "front_right_foot", "left_back_foot", "right_back_foot")

_ANYMAL_SHANKS = ("LF_KFE", "RF_KFE", "LH_KFE", "RH_KFE")  # they should not touch the ground
_ANYMAL_TOUCHES = 1.0  # N
_ANYMAL_REACH = np.float32(0.35)  # m, in the plane, from the root to the goal


class _JointDeltas(RawTask):
    """A robot whose actions are the displacements of its joints in a raw step.

    The drives' targets are the positions now plus the action, scaled as the package's controllers
    are configured. Joints that nothing drives have no entry in the action.
    """

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        controllers = [
            controller
            for controller in environment.agent.controller.controllers.values()
            if controller.sets_target_qpos
        ]
        for controller in controllers:
            config = controller.config
            if not config.use_delta or config.use_target or config.interpolate:
                raise NotImplementedError(f"a controller other than of joint deltas: {config}")
        self._indices = np.concatenate([c.active_joint_indices.numpy() for c in controllers])
        low, high = (
            np.concatenate([bound.numpy() for bound in bounds])
            for bounds in zip(
                *((c.action_space_low, c.action_space_high) for c in controllers), strict=True
            )
        )
        self._centre, self._half_range = 0.5 * (high + low), 0.5 * (high - low)
        joints = self.articulation.active_joints
        self._set_targets = [joints[index].set_drive_target for index in self._indices]
        self._action = np.zeros(len(self._indices), np.float32)

    def apply(self, action: np.ndarray) -> None:
        self._action = action
        positions = self.articulation.get_qpos()[self._indices]
        targets = positions + (self._centre + self._half_range * action)
        for set_target, target in zip(self._set_targets, targets.tolist(), strict=True):
            set_target(target)

    def _economy(self) -> float:
        """Of the last action: 1 if it was zero, 0.8 if each of its entries was 1 or -1."""
        squares = sum([entry * entry for entry in self._action.tolist()])
        return (4.0 + max(0.0, 1.0 - squares / len(self._action))) / 5.0


class Cartpole(_JointDeltas):
    """Keep the pole on a cart upright and calm, with the cart at the origin.

    Observation (10): positions of cart (m) and pole (rad) 2 and their velocities 2; the pole's
    linear velocity 3 and angular velocity 3.
    """

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._cart = link(environment, "cart")
        self._pole = link(environment, "pole_1")

    def evaluate(self) -> tuple[float, float]:
        """Uprightness, times three factors from 1/2, 4/5 and 1/2 to 1; no success."""
        angle = float(self.articulation.get_qpos()[1])
        angular_velocity = float(self.articulation.get_qvel()[1])
        position = float(self._cart.entity_pose.p[0])
        upright = (math.cos(angle) + 1) / 2
        centred = (1 + 0.1 ** ((position / 2) ** 2)) / 2
        calm = (1 + 0.1 ** ((angular_velocity / 5) ** 2)) / 2
        return upright * centred * self._economy() * calm, 0.0

    def observe(self, out: np.ndarray) -> None:
        out[:2] = self.articulation.get_qpos()
        out[2:4] = self.articulation.get_qvel()
        out[4:7] = self._pole.linear_velocity
        out[7:] = self._pole.angular_velocity


class CartpoleSparse(Cartpole):
    """Reward 1 while the pole is nearly upright, see :mod:`mmbench.models.maniskill.cartpole`."""

    def evaluate(self) -> tuple[float, float]:
        """1 if (cos angle + 1) / 2 > 0.85, else 0; no success."""
        # In single precision, as a threshold is passed in it.
        upright = (np.cos(self.articulation.get_qpos()[1]) + 1) / 2
        return float(upright > _UPRIGHT), 0.0


class HopperStand(_JointDeltas):
    """Keep the torso of a one-legged robot, in a plane, high above its foot.

    Observation (15): joint positions without the root's x 6, joint velocities 7, and of toe and
    heel the logarithm of 1 + force of contact in newtons.
    """

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._torso = link(environment, "torso")
        self._toe = link(environment, "foot_toe")
        self._heel = link(environment, "foot_heel")

    def evaluate(self) -> tuple[float, float]:
        """1 if the torso is 0.6 m to 2 m higher than the heel, else 0; no success."""
        return float(self._stands()), 0.0

    def observe(self, out: np.ndarray) -> None:
        out[:6] = self.articulation.get_qpos()[1:]
        out[6:13] = self.articulation.get_qvel()
        toe, heel = _net_forces(self.physics, (self._toe, self._heel), self.timestep)
        out[13:] = math.log1p(toe), math.log1p(heel)

    def _stands(self) -> bool:
        height = self._torso.entity_pose.p[2] - self._heel.entity_pose.p[2]
        low, high = _HOPPER_STANDS
        return bool(low <= height <= high)


class HopperHop(HopperStand):
    """Move forwards at 2 m/s while standing; the reward is linear in the speed."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        links = environment.agent.robot.links[_HOPPER_ROOT_LINKS:]
        self._links = [body(struct) for struct in links]
        masses = [float(part.mass) for part in self._links]
        self._weights = [mass / sum(masses) for mass in masses]

    def evaluate(self) -> tuple[float, float]:
        """While it stands, the centre of mass's speed over 2 m/s, in [0, 1]; no success."""
        if not self._stands():
            return 0.0, 0.0
        speed = sum(
            weight * float(part.linear_velocity[0])
            for weight, part in zip(self._weights, self._links, strict=True)
        )
        return min(max(speed / _HOPPER_SPEED, 0.0), 1.0), 0.0


class Ant(_JointDeltas):
    """Walk or run along x on four legs; the reward is linear in the speed.

    Observation (114): joint positions 8 and velocities 8; velocity of the centre of mass 3;
    angular velocities of torso, legs and feet 9 x 3 and linear ones 9 x 3; the torso's "height" 1,
    which is the last entry of its quaternion, as in the package; the links' orientations 4 x 9, all
    w first; and of the feet the logarithm of 1 + force of contact in newtons 4.
    """

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._speed = float(environment.move_speed)
        self._links = [body(struct) for struct in environment.active_links]
        self._torso = link(environment, "torso")
        self._feet = [link(environment, name) for name in _ANT_FEET]
        masses = np.array([part.mass for part in self._links], np.float32)
        self._weights = masses / masses.sum()
        self._camera = body(environment.camera_mount).entity

    def raw_step(self, action: np.ndarray) -> tuple[float, float]:
        """Takes a raw step, and moves the camera along."""
        result = super().raw_step(action)
        # The camera follows the torso, without turning with it. It is part of the state.
        pose = self._torso.entity_pose
        pose.q = (1, 0, 0, 0)
        self._camera.set_pose(pose)
        return result

    def evaluate(self) -> tuple[float, float]:
        """Speed over the task's, in [0, 1], times "standing" and economy; no success."""
        speed = float(self._weights @ [part.linear_velocity[0] for part in self._links])
        moves = min(max(speed / self._speed, 0.0), 1.0)
        lacking = max(_ANT_STANDS - float(self._torso.entity_pose.q[3]), 0.0)
        stands = 0.1 ** ((lacking / _ANT_STAND_MARGIN) ** 2)
        return self._economy() * moves * stands, 0.0

    def observe(self, out: np.ndarray) -> None:
        linear = np.concatenate([part.linear_velocity for part in self._links])
        orientations = np.concatenate([part.entity_pose.q for part in self._links])
        forces = _net_forces(self.physics, self._feet, self.timestep)
        out[:8] = self.articulation.get_qpos()
        out[8:16] = self.articulation.get_qvel()
        out[16:19] = self._weights @ linear.reshape(-1, 3)
        out[19:46] = np.concatenate([part.angular_velocity for part in self._links])
        out[46:73] = linear
        out[73] = self._torso.entity_pose.q[3]
        out[74:110] = orientations.reshape(-1, 4).T.ravel()
        out[110:] = [math.log1p(force) for force in forces]


class AnymalReach(_JointDeltas):
    """Walk a robot dog to a goal on the ground. Success: it is there, and on its feet.

    Observation (35): joint positions 12 and velocities 12; linear and angular velocity of the root
    3 + 3; success 1; goal's x and y 2; from the root to it 2.
    """

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._root = self.articulation.root
        self._base = (link(environment, "base"),)
        self._shanks = tuple(link(environment, name) for name in _ANYMAL_SHANKS)
        self._goal = body(environment.goal)
        self._rest = environment.default_qpos.numpy()

    def evaluate(self) -> tuple[float, float]:
        """In thirds, 1 + nearness in [0, 2] - penalties, or 0 when fallen; and success."""
        if self._touches(self._base):
            return 0.0, 0.0
        distance = self._distance()
        linear = self._root.linear_velocity
        angular = self._root.angular_velocity
        bend = self.articulation.get_qpos() - self._rest
        penalties = (
            2 * float(linear[2]) ** 2
            + 0.05 * (float(angular[0]) ** 2 + float(angular[1]) ** 2)
            + float(self._touches(self._shanks))
            + 0.05 * math.sqrt(bend @ bend)
        )
        reward = 1 + 2 * (1 - math.tanh(distance)) - penalties
        return reward / 3, float(distance < _ANYMAL_REACH)

    def observe(self, out: np.ndarray) -> None:
        out[:12] = self.articulation.get_qpos()
        out[12:24] = self.articulation.get_qvel()
        out[24:27] = self._root.linear_velocity
        out[27:30] = self._root.angular_velocity
        out[30] = self._distance() < _ANYMAL_REACH and not self._touches(self._base)
        goal = self._goal.entity_pose.p[:2]
        out[31:33] = goal
        out[33:] = goal - self._root.entity_pose.p[:2]

    def _distance(self) -> np.float32:
        x, y = self._goal.entity_pose.p[:2] - self._root.entity_pose.p[:2]
        return np.sqrt(x * x + y * y)

    def _touches(self, parts: tuple[Any, ...]) -> bool:
        return max(_net_forces(self.physics, parts, self.timestep)) > _ANYMAL_TOUCHES


def _net_forces(physics: Any, bodies: Sequence[Any], timestep: float) -> list[float]:
    """The sizes of the net forces of contact on bodies, in the last physics step.

    Args:
        physics: The physics of the scene.
        bodies: Rigid bodies of the simulator's.
        timestep: Seconds of a physics step.

    Returns:
        Newtons, one per body.
    """
    sums = {part: [0.0, 0.0, 0.0] for part in bodies}
    for contact in physics.get_contacts():
        for part, sign in zip(contact.bodies, (1.0, -1.0), strict=True):
            if part not in sums:
                continue
            impulse = sums[part]
            for point in contact.points:
                # Plain numbers: arrays of three cost several times as much.
                x, y, z = point.impulse.tolist()
                impulse[0] += sign * x
                impulse[1] += sign * y
                impulse[2] += sign * z
    return [math.hypot(*impulse) / timestep for impulse in sums.values()]
