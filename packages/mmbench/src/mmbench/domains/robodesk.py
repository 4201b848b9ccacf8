"""RoboDesk: a Franka Panda arm at an office desk, 6 tasks.

Facts (arXiv 2511.19584, appendix A; robodesk 1.0.0): dense rewards in [0, 1], summed over the 10
inner steps of an agent step; an inner step solves the inverse kinematics of the hand once and
holds the joint targets for 10 physics steps of 2 ms; a reset takes one step with a zero action;
success is that of the agent step's last state.

Of the package ``robodesk`` only the model is used. Its class imports the unmaintained ``gym``
(which prints a notice and sets environment variables), draws from NumPy's global generator and
renders in every step. What it computes is written out here, and the tests compare the two bit for
bit.
"""

from __future__ import annotations

import functools
import importlib.util
import math
from pathlib import Path

import mujoco
import numpy as np

from miniarcade.snapshot import Form
from mmbench.catalog import Task
from mmbench.domains import mujoco_state
from mmbench.domains.robodesk_goals import GOALS, Desk, OpenSlide
from mmbench.domains.simulator import Simulator
from mmbench.rendering import MujocoRenderer

_PACKAGE = importlib.util.find_spec("robodesk")  # found, not imported: see above
if _PACKAGE is None or not _PACKAGE.submodule_search_locations:
    raise ModuleNotFoundError("No module named 'robodesk'", name="robodesk")
_ASSETS = Path(_PACKAGE.submodule_search_locations[0]) / "assets"

ROBOT = 9
"""Joints of the robot, first in qpos, qvel and ctrl: six of the arm, the wrist, two fingers."""

_ARM = list(range(6))  # a list, as the memory layout of jac[:, list] decides the last bits
_WRIST = 6
_FINGER = 7
_SINGLE = 8  # objects with one coordinate: drawer, slide, three buttons, three lights
_FREE = 3  # objects with a free joint: ball, upright block, flat block

_HAND_SCALE = 0.01  # metres per inner step at action 1
_WRIST_SCALE = 0.02  # of the joint's range per inner step
_PHYSICS_STEPS = 10  # per inner step

_HOME = np.array([-0.30, -0.4, 0.28, -2.5, 0.13, 1.87, 0.91, 0.01, 0.01])
_HOME_NOISE = 0.15  # of the joints' ranges


def make(task: Task, frames: bool) -> RoboDeskSimulator:
    """Builds the simulator of a task (see :mod:`mmbench.domains`)."""
    return RoboDeskSimulator(task.native, task.action_repeat, corrected=task.version > 0)


@functools.cache
def _model() -> mujoco.MjModel:
    """The model, 40 MB that all environments of a process share; nothing ever changes it."""
    return mujoco.MjModel.from_xml_path(str(_ASSETS / "desk.xml"))


class RoboDeskSimulator(Simulator):
    """One task at the desk.

    Args:
        goal: The package's name of the task, such as ``open_slide``.
        action_repeat: Inner steps per agent step.
        corrected: Version 1: the observation's ``qpos_objects`` holds the objects' positions
            (the package fills it with their velocities), and ``open_slide`` rewards objects that
            stayed where the reset put them (the package compares each with itself).
    """

    def __init__(self, goal: str, action_repeat: int, corrected: bool) -> None:
        self._model = _model()
        self.data = mujoco.MjData(self._model)
        self._desk = Desk(self._model, self.data)
        self._goal = GOALS[goal](self._desk)
        if corrected and isinstance(self._goal, OpenSlide):
            self._goal.compare_with_start = True
        self._corrected = corrected
        self._action_repeat = action_repeat
        self._kinematics = _HandKinematics(self._model, self.data)
        self._targets = np.zeros(ROBOT)
        bounds = self._model.actuator_ctrlrange[:ROBOT]
        self._low, self._high = bounds[:, 0].copy(), bounds[:, 1].copy()
        self._range = self._high - self._low
        self._bias = self.data.qfrc_bias[:ROBOT]
        self._applied = self.data.qfrc_applied[:ROBOT]
        self._warnings = self.data.warning.number
        self._rotation = np.empty(3)
        self._renderer: MujocoRenderer | None = None

    def reset(self, rng: np.random.Generator) -> None:
        """Places objects and arm at random, then takes one step with a zero action."""
        model, data = self._model, self.data
        mujoco.mj_resetData(model, data)
        # In the order in which the package draws.
        data.joint("drawer_joint").qpos -= 0.10 * rng.random()
        data.joint("slide_joint").qpos += 0.20 * rng.random()
        for block, (x, y, shift) in _PLACEMENT.items():
            position = data.joint(block).qpos
            position[0] += x * rng.random() + shift
            position[1] += y * rng.random()
        data.qpos[:ROBOT] = _HOME + _HOME_NOISE * rng.uniform(self._low, self._high)
        mujoco.mj_forward(model, data)
        self._desk.remember_blocks()
        self.step(np.zeros(5, np.float32))

    def step(self, action: np.ndarray) -> tuple[float, float]:
        """Takes ``action_repeat`` inner steps.

        Args:
            action: Hand displacement (3), wrist, gripper, each in [-1, 1].

        Returns:
            The sum of the inner steps' rewards, each in [0, 1], and the success of the last.

        Raises:
            RuntimeError: The physics became unstable.
        """
        model, data, targets = self._model, self.data, self._targets
        wrist = _WRIST_SCALE * self._of_range(action[3], _WRIST)
        targets[_FINGER:] = self._of_range(action[4], _FINGER)
        reward = 0.0
        for _ in range(self._action_repeat):
            targets[_ARM] = self._kinematics.solve(action[:3] * _HAND_SCALE)
            targets[_WRIST] = min(
                max(wrist + data.qpos[_WRIST], self._low[_WRIST]), self._high[_WRIST]
            )
            data.ctrl[:ROBOT] = targets
            for _ in range(_PHYSICS_STEPS):
                self._applied[:] = self._bias  # gravity compensation
                mujoco.mj_step2(model, data)
                mujoco.mj_step1(model, data)
            reward += max(0.0, min(1.0, self._goal.reward()))
        if self._warnings.any():
            names = [name for name, n in zip(_WARNINGS, self._warnings, strict=False) if n]
            raise RuntimeError(f"RoboDesk: the physics became unstable: {', '.join(names)}")
        return reward, float(self._goal.success())

    def observe(self, out: np.ndarray) -> None:
        """Writes hand 3, ``qpos_objects`` 26, robot 9, and velocities of objects 26, robot 9."""
        data = self.data
        out[:3] = self._desk.hand
        if self._corrected:
            self._write_object_positions(out[3:29])
        else:
            out[3:29] = data.qvel[ROBOT:]
        out[29:38] = data.qpos[:ROBOT]
        out[38:64] = data.qvel[ROBOT:]
        out[64:73] = data.qvel[:ROBOT]

    def render(self) -> np.ndarray:
        """Draws the scene from above and in front of the desk."""
        if self._renderer is None:
            self._renderer = MujocoRenderer(self._model, _camera())
        return self._renderer.render(self.data)

    def get_state(self) -> dict[str, np.ndarray]:
        """Returns ``state``, and in version 1 ``task/original_pos`` (flat, upright, ball)."""
        state = mujoco_state.get_state(self._model, self.data, fields=())
        if self._corrected:
            state["task/original_pos"] = self._desk.original_pos.copy()
        return state

    def state_forms(self) -> dict[str, Form]:
        """Adds the model arrays that recordings hold."""
        return {**super().state_forms(), **mujoco_state.forms(self._model, self.data)}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restores a state; no reset changes the model, so model arrays are not read.

        Without ``task/original_pos`` the blocks count as unmoved where they now are.
        """
        mujoco_state.set_state(self._model, self.data, state, fields=())
        self._warnings[:] = 0
        mujoco.mj_step1(self._model, self.data)  # as at the end of a step
        self._desk.remember_blocks()
        if "task/original_pos" in state:
            self._desk.original_pos[:] = state["task/original_pos"]

    def close(self) -> None:
        """Frees the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _of_range(self, value: np.float32, joint: int) -> np.float64:
        """Maps [-1, 1] to a joint's range. In the package's order, so that no bit differs."""
        return (value + 1) * self._range[joint] / 2 + self._low[joint]

    def _write_object_positions(self, out: np.ndarray) -> None:
        """Writes one number for drawer to lights, position and rotation vector for the blocks.

        Rotation vectors (axis times angle, radians) rather than quaternions, so that the objects'
        positions have as many entries as their velocities, in the same order.
        """
        positions = self.data.qpos[ROBOT:]
        out[:_SINGLE] = positions[:_SINGLE]
        for block in range(_FREE):
            pose = positions[_SINGLE + 7 * block :][:7]
            mujoco.mju_quat2Vel(self._rotation, pose[3:], 1.0)
            entry = out[_SINGLE + 6 * block :][:6]
            entry[:3] = pose[:3]
            entry[3:] = self._rotation


_PLACEMENT = {
    # metres: width in x, width in y, and a shift in x
    "flat_block": (0.3, 0.07, 0.0),
    "ball": (0.48, 0.08, 0.0),
    "upright_block": (0.3, 0.05, 0.05),
}

_WARNINGS = tuple(mujoco.mjtWarning.__members__)


def _camera() -> mujoco.MjvCamera:
    """The package's free camera, at the published distance."""
    camera = mujoco.MjvCamera()
    camera.type = mujoco.mjtCamera.mjCAMERA_FREE
    camera.distance = 1.4
    camera.azimuth = 90
    camera.elevation = -60
    camera.lookat[:] = (0, 0.535, 1.1)
    return camera


class _HandKinematics:
    """Inverse kinematics of the hand by the six joints of the arm.

    What ``dm_control.utils.inverse_kinematics.qpos_from_site_pose`` returns for a position, to
    the last bit, without the collisions, inertias and constraints that it computes on the way.

    Source: Buss (2004), as implemented in dm_control.
    """

    _TOLERANCE = 1e-14  # metres
    _FAR = 0.1  # metres from the target beyond which steps are regularised
    _REGULARIZATION = 3e-2
    _MAX_STEP = 2.0  # radians, norm over the joints
    _STALLED = 20.0  # metres of error per radian of step
    _MAX_STEPS = 100

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._model = model
        self.data = data
        self._scratch = mujoco.MjData(model)
        self._site = model.site("end_effector").id
        self._jacobian = np.zeros((3, model.nv))

    def solve(self, displacement: np.ndarray) -> np.ndarray:
        """Finds joint angles which move the hand from where it is.

        Args:
            displacement: (3,) metres. The simulation's kinematics must be up to date.

        Returns:
            (6,) joint angles in radians, the caller's until the next call.
        """
        model, scratch = self._model, self._scratch
        data = self.data  # the first iterate is the simulation's own state
        hand = data.site_xpos[self._site]
        target = hand + displacement
        scratch.qpos[:ROBOT] = data.qpos[:ROBOT]
        joints = scratch.qpos[: len(_ARM)]
        for _ in range(self._MAX_STEPS):
            error = target - hand
            distance = math.sqrt(error.dot(error))
            if distance < self._TOLERANCE:
                break
            mujoco.mj_jacSite(model, data, self._jacobian, None, self._site)
            step = self._joint_step(self._jacobian[:, _ARM], error, distance)
            length = math.sqrt(step.dot(step))
            if distance > self._STALLED * length:
                break
            if length > self._MAX_STEP:
                step *= self._MAX_STEP / length
            joints += step
            mujoco.mj_kinematics(model, scratch)
            mujoco.mj_comPos(model, scratch)  # what the Jacobian is made of
            data = scratch
            hand = data.site_xpos[self._site]
        return joints

    def _joint_step(self, jacobian: np.ndarray, error: np.ndarray, distance: float) -> np.ndarray:
        # The normal equations of three targets in six unknowns are singular. What the package's
        # cut-off leaves of the null space is rounding noise, so that its joint angles (not the
        # hand's position) depend on the BLAS kernels by up to a few hundredths of a radian.
        # Solving with a pseudo-inverse would remove the noise, and with it the agreement with
        # the package to the last bit.
        hessian = jacobian.T.dot(jacobian)
        gradient = jacobian.T.dot(error)
        if distance > self._FAR:
            hessian += np.eye(len(hessian)) * self._REGULARIZATION
            return np.linalg.solve(hessian, gradient)
        return np.linalg.lstsq(hessian, gradient, rcond=-1)[0]
