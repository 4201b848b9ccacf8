"""MuJoCo: six of Gymnasium's tasks in their version 4, on Gymnasium's own models.

Written here rather than built on Gymnasium's classes: those import a renderer that needs more
packages, and compute forces at every step that no reward or observation reads. Facts: actions are
scaled by the actuators' limit and repeated with rewards summed; no task ends when the body falls
(arXiv 2511.19584, appendix A).
"""

from __future__ import annotations

import abc
from pathlib import Path
from typing import ClassVar

import gymnasium
import mujoco
import numpy as np

from mmbench.catalog import Task
from mmbench.domains.last_step import recover_last_step
from mmbench.domains.mujoco_simulator import MujocoSimulator

# Found beside the package rather than by importing it: `gymnasium.envs.mujoco` imports all of
# its environments.
_ASSETS = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets"


def make(task: Task, frames: bool) -> GymnasiumSimulator:
    """Builds the simulator of a task (see :mod:`mmbench.domains`)."""
    bodies: dict[str, type[GymnasiumSimulator]] = {
        "Ant": Ant,
        "HalfCheetah": HalfCheetah,
        "Hopper": Hopper,
        "InvertedPendulum": InvertedPendulum,
        "Reacher": Reacher,
        "Walker2d": Walker2d,
    }
    return bodies[task.native](task.action_repeat)


class GymnasiumSimulator(MujocoSimulator):
    """One body; subclasses give its reward, observation and starting distribution.

    Args:
        action_repeat: Raw steps (of ``FRAME_SKIP`` physics steps each) per agent step.
    """

    XML: ClassVar[str]
    FRAME_SKIP: ClassVar[int]
    RESET_NOISE: ClassVar[float]

    def __init__(self, action_repeat: int) -> None:
        model = mujoco.MjModel.from_xml_path(str(_ASSETS / self.XML))
        super().__init__(model, self._view(model))
        self._action_repeat = action_repeat
        # Single precision, as the published wrapper scales and as its costs are computed.
        self._action_scale = model.actuator_ctrlrange[:, 1].astype(np.float32)
        self._dt = model.opt.timestep * self.FRAME_SKIP

    @staticmethod
    def _view(model: mujoco.MjModel) -> str | mujoco.MjvCamera:
        return "track"

    def reset(self, rng: np.random.Generator) -> None:
        """Starts near the initial pose: uniform noise on positions, normal on velocities."""
        noise = self.RESET_NOISE
        qpos = self.model.qpos0 + rng.uniform(-noise, noise, self.model.nq)
        self.place(qpos, noise * rng.standard_normal(self.model.nv))

    def step(self, action: np.ndarray) -> tuple[float, float]:
        """Takes ``action_repeat`` raw steps; success is undefined (NaN)."""
        control = self._action_scale * action
        reward = 0.0
        for _ in range(self._action_repeat):
            reward += self._raw_step(control)
        return reward, float("nan")

    @abc.abstractmethod
    def _raw_step(self, control: np.ndarray) -> float:
        """Takes one raw step and returns its reward."""

    def _simulate(self, control: np.ndarray) -> None:
        self.data.ctrl[:] = control
        mujoco.mj_step(self.model, self.data, nstep=self.FRAME_SKIP)


class Posed(GymnasiumSimulator):
    """A body whose reward reads poses, which lag behind a step's end (see ``last_step``)."""

    def get_state(self) -> dict[str, np.ndarray]:
        """Returns the state and ``task/xpos``: the bodies' positions (nbody, 3)."""
        return {**super().get_state(), "task/xpos": self.data.xpos.copy()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restores a state; ``task/xpos`` is derived where it is missing."""
        super().set_state(state)
        if "task/xpos" in state:
            self.data.xpos[:] = state["task/xpos"]
            return
        last = recover_last_step(self.model, self.data)
        if last is not None:
            self.data.xpos[:] = last.xpos


class Ant(Posed):
    """Four-legged ant: forward speed, a bonus for its height, a cost for its torques."""

    XML = "ant.xml"
    FRAME_SKIP = 5
    RESET_NOISE = 0.1
    HEIGHT = (0.2, 1.0)  # of a healthy torso, m
    CONTROL_COST = 0.5
    TORSO = 1  # number of its body

    def _raw_step(self, control: np.ndarray) -> float:
        before = self.data.xpos[self.TORSO, 0]
        self._simulate(control)
        speed = (self.data.xpos[self.TORSO, 0] - before) / self._dt
        healthy = self.HEIGHT[0] <= self.data.qpos[2] <= self.HEIGHT[1]
        return float(speed + healthy - self.CONTROL_COST * control.dot(control))

    def observe(self, out: np.ndarray) -> None:
        """Writes positions without the horizontal ones (13), then velocities (14)."""
        out[:13] = self.data.qpos[2:]
        out[13:] = self.data.qvel


class Planar(GymnasiumSimulator):
    """A body in a vertical plane, rewarded for its forward speed."""

    CONTROL_COST: ClassVar[float]

    def _run(self, control: np.ndarray) -> float:
        before = self.data.qpos[0]
        self._simulate(control)
        speed = (self.data.qpos[0] - before) / self._dt
        return float(speed - self.CONTROL_COST * control.dot(control))


class HalfCheetah(Planar):
    """Half cheetah. Its reward ignores falls."""

    XML = "half_cheetah.xml"
    FRAME_SKIP = 5
    RESET_NOISE = 0.1
    CONTROL_COST = 0.1

    def _raw_step(self, control: np.ndarray) -> float:
        return self._run(control)

    def observe(self, out: np.ndarray) -> None:
        """Writes positions without the horizontal one (8), then velocities (9)."""
        out[:8] = self.data.qpos[1:]
        out[8:] = self.data.qvel


class Faller(Planar):
    """A body that should not fall: speed + 1 while healthy, never negative; else -1.

    The published benchmark changed Gymnasium's reward, because episodes go on after a fall.
    """

    CONTROL_COST = 1e-3
    RESET_NOISE = 5e-3
    FRAME_SKIP = 4
    MAX_SPEED = 10.0  # of an observed velocity

    def reset(self, rng: np.random.Generator) -> None:
        """Starts near the initial pose: uniform noise on positions and velocities."""
        noise = self.RESET_NOISE
        qpos = self.model.qpos0 + rng.uniform(-noise, noise, self.model.nq)
        self.place(qpos, rng.uniform(-noise, noise, self.model.nv))

    def _raw_step(self, control: np.ndarray) -> float:
        reward = 1.0 + self._run(control)
        return max(0.0, reward) if self._healthy() else -1.0

    @abc.abstractmethod
    def _healthy(self) -> bool:
        """Whether it stands, after a raw step."""

    def observe(self, out: np.ndarray) -> None:
        """Writes positions without the horizontal one, then velocities clipped to +-10."""
        split = self.model.nq - 1
        out[:split] = self.data.qpos[1:]
        np.clip(self.data.qvel, -self.MAX_SPEED, self.MAX_SPEED, out=out[split:], casting="unsafe")


class Hopper(Faller):
    """One-legged hopper."""

    XML = "hopper.xml"
    HEIGHT = 0.7  # m, above which it is healthy
    ANGLE = 0.2  # rad, its largest tilt
    LIMIT = 100.0  # of everything but its horizontal position and height

    def _healthy(self) -> bool:
        _, height, angle = self.data.qpos[:3]
        return bool(
            height > self.HEIGHT
            and abs(angle) < self.ANGLE
            and np.abs(self.data.qvel).max() < self.LIMIT
            and np.abs(self.data.qpos[3:]).max() < self.LIMIT
        )


class Walker2d(Faller):
    """Two-legged walker."""

    XML = "walker2d.xml"
    HEIGHT = (0.8, 2.0)  # m, between which it is healthy
    ANGLE = 1.0  # rad, its largest tilt

    def _healthy(self) -> bool:
        _, height, angle = self.data.qpos[:3]
        return bool(self.HEIGHT[0] < height < self.HEIGHT[1] and abs(angle) < self.ANGLE)


class InvertedPendulum(GymnasiumSimulator):
    """Pole on a cart: reward 1 a raw step until it tilts too far, then 0 for good."""

    XML = "inverted_pendulum.xml"
    FRAME_SKIP = 2
    RESET_NOISE = 0.01
    ANGLE = 0.2  # rad, the largest tilt

    def __init__(self, action_repeat: int) -> None:
        super().__init__(action_repeat)
        self._terminated = False

    @staticmethod
    def _view(model: mujoco.MjModel) -> mujoco.MjvCamera:
        return free_view(model, distance=2.04)

    def reset(self, rng: np.random.Generator) -> None:
        """Starts upright up to uniform noise on positions and velocities."""
        noise = self.RESET_NOISE
        qpos = self.model.qpos0 + rng.uniform(-noise, noise, self.model.nq)
        self.place(qpos, rng.uniform(-noise, noise, self.model.nv))
        self._terminated = False

    def _raw_step(self, control: np.ndarray) -> float:
        self._simulate(control)
        self._terminated = self._terminated or self._tilted()
        return 0.0 if self._terminated else 1.0

    def _tilted(self) -> bool:
        return not abs(self.data.qpos[1]) <= self.ANGLE  # NaN counts as tilted

    def observe(self, out: np.ndarray) -> None:
        """Writes cart position, pole angle and their velocities."""
        out[:2] = self.data.qpos
        out[2:] = self.data.qvel

    def get_state(self) -> dict[str, np.ndarray]:
        """Returns the state and ``task/terminated``: whether the pole has tilted too far."""
        return {**super().get_state(), "task/terminated": np.asarray(self._terminated)}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restores a state; without ``task/terminated``, the present tilt decides."""
        super().set_state(state)
        self._terminated = bool(state.get("task/terminated", self._tilted()))


class Reacher(Posed):
    """Planar two-link arm: distance to the target and torques cost."""

    XML = "reacher.xml"
    FRAME_SKIP = 2
    RESET_NOISE = 0.1
    SPEED_NOISE = 0.005
    REACH = 0.2  # m, radius of the disc of targets

    def __init__(self, action_repeat: int) -> None:
        super().__init__(action_repeat)
        self._fingertip = self.model.body("fingertip").id
        self._target = self.model.body("target").id

    @staticmethod
    def _view(model: mujoco.MjModel) -> mujoco.MjvCamera:
        return free_view(model, distance=model.stat.extent)

    def reset(self, rng: np.random.Generator) -> None:
        """Starts the arm near its straight pose, the target uniformly in the disc."""
        qpos = rng.uniform(-self.RESET_NOISE, self.RESET_NOISE, self.model.nq) + self.model.qpos0
        while True:
            target = rng.uniform(-self.REACH, self.REACH, 2)
            if np.linalg.norm(target) < self.REACH:
                break
        qpos[-2:] = target
        qvel = rng.uniform(-self.SPEED_NOISE, self.SPEED_NOISE, self.model.nv)
        qvel[-2:] = 0.0
        self.place(qpos, qvel)

    def _offset(self) -> np.ndarray:
        return self.data.xpos[self._fingertip] - self.data.xpos[self._target]

    def _raw_step(self, control: np.ndarray) -> float:
        # Gymnasium's version 4 pays for the distance before the step.
        reward = -np.linalg.norm(self._offset()) - control.dot(control)
        self._simulate(control)
        return float(reward)

    def observe(self, out: np.ndarray) -> None:
        """Writes cosines, sines (2 each), target (2), joint speeds (2), finger - target (3)."""
        angles = self.data.qpos[:2]
        np.cos(angles, out=out[:2], casting="same_kind")
        np.sin(angles, out=out[2:4], casting="same_kind")
        out[4:6] = self.data.qpos[2:]
        out[6:8] = self.data.qvel[:2]
        out[8:] = self._offset()


def free_view(model: mujoco.MjModel, distance: float) -> mujoco.MjvCamera:
    """Returns Gymnasium's default view: at the median of the geoms, from above and behind."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    camera = mujoco.MjvCamera()
    camera.type = mujoco.mjtCamera.mjCAMERA_FREE
    camera.lookat[:] = np.median(data.geom_xpos, axis=0)
    camera.distance = distance
    return camera
