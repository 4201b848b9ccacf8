"""OGBench: a point and an ant in mazes, an ant that follows directions, an ant with a ball.

Written here on OGBench's own bodies rather than on its classes: those draw from NumPy's global
generator, leave a temporary file behind for every environment, and know two of the seven mazes.
Facts: arXiv 2511.19584, appendix A; the mazes are in :mod:`mmbench.domains.ogbench_mazes`.
"""

from __future__ import annotations

import abc
import importlib.util
import math
from pathlib import Path
from typing import ClassVar

import mujoco
import numpy as np

from mmbench.catalog import Task
from mmbench.domains import ogbench_mazes as mazes
from mmbench.domains.mujoco_simulator import MujocoSimulator

# Located without importing the package, which would register its 200 environments.
_PACKAGE = importlib.util.find_spec("ogbench")
if _PACKAGE is None or _PACKAGE.origin is None:
    raise ImportError("No module named 'ogbench'")
_ROOT = Path(_PACKAGE.origin).parent

FRAME_SKIP = 5  # physics steps of 0.02 s per raw step
RESET_NOISE = 0.1  # of an ant's start: uniform on positions, normal on velocities


def make(task: Task, frames: bool) -> MujocoSimulator:
    """Builds the simulator of a task (see :mod:`mmbench.domains`)."""
    kind, _, maze = task.native.partition("/")
    if maze:
        bodies: dict[str, type[Maze]] = {"pointmaze": PointMaze, "antmaze": AntMaze}
        return bodies[kind](maze, task.action_repeat)
    return {"online-ant-v0": DirectedAnt, "online-antball-v0": AntBall}[kind]()


class Maze(MujocoSimulator):
    """A maze with a goal; subclasses add the body.

    The reward of an agent step is ``success - (0.5 L1 + 0.5 L2 + speed cost) / 20``, with the L1
    and L2 distances to the goal. Reward and success are computed once, at the end of the step.

    Args:
        maze: One of :data:`mmbench.domains.ogbench_mazes.MAPS`.
        action_repeat: Raw steps per agent step.
    """

    SCALE: ClassVar[float] = 20.0  # of observations and costs
    JITTER: ClassVar[float] = 1.0  # of starts and goals around the centres of their cells, m
    XML: ClassVar[str]
    OBS_DIM: ClassVar[int]
    GOAL_RADIUS: ClassVar[float]  # m

    def __init__(self, maze: str, action_repeat: int) -> None:
        spec = mujoco.MjSpec.from_file(str(_ROOT / "locomaze" / "assets" / self.XML))
        _add_maze(spec, maze)
        super().__init__(spec.compile(), _view_of_maze(maze), fields=("geom_pos",))
        self._pairs = mazes.PAIRS[maze]
        self._action_repeat = action_repeat
        self._unscaled = np.empty(self.OBS_DIM)
        self._goal = self.model.geom_pos[self.model.geom("target").id, :2]  # a view: it moves

    def reset(self, rng: np.random.Generator) -> None:
        """Draws a start and a goal cell, a place in each, and the body's pose."""
        start, goal = self._pairs[rng.integers(len(self._pairs))]
        start_xy = mazes.centre(start) + rng.uniform(-self.JITTER, self.JITTER, 2)
        self._goal[:] = mazes.centre(goal) + rng.uniform(-self.JITTER, self.JITTER, 2)
        self._start(start_xy, rng)

    @abc.abstractmethod
    def _start(self, xy: np.ndarray, rng: np.random.Generator) -> None:
        """Places the body there, near rest."""

    @abc.abstractmethod
    def _raw_step(self, action: np.ndarray) -> None:
        """Takes one raw step."""

    @abc.abstractmethod
    def _speed_cost(self) -> float:
        """The cost of the body's present speed."""

    def step(self, action: np.ndarray) -> tuple[float, float]:
        """Takes ``action_repeat`` raw steps; success means at the goal after the last."""
        for _ in range(self._action_repeat):
            self._raw_step(action)
        x, y = (self.data.qpos[:2] - self._goal).tolist()
        distance = math.hypot(x, y)
        success = float(distance <= self.GOAL_RADIUS)
        cost = 0.5 * (abs(x) + abs(y)) + 0.5 * distance + self._speed_cost()
        return success - cost / self.SCALE, success

    def observe(self, out: np.ndarray) -> None:
        """Writes the body's entries, goal (2), way from it (2) and distance (1), over 20."""
        obs = self._unscaled
        offset = self.data.qpos[:2] - self._goal
        self._observe_body(obs[:-5])
        obs[-5:-3] = self._goal
        obs[-3:-1] = offset
        obs[-1] = math.hypot(*offset)
        np.divide(obs, self.SCALE, out=out, casting="same_kind")

    @abc.abstractmethod
    def _observe_body(self, out: np.ndarray) -> None:
        """Writes the body's entries, unscaled."""


class PointMaze(Maze):
    """A point whose action is a displacement, by up to 0.2 m a raw step and axis."""

    XML = "point.xml"
    OBS_DIM = 9
    GOAL_RADIUS = 1.0
    STRIDE = 0.2  # m
    SPEED_COST = 0.025

    def __init__(self, maze: str, action_repeat: int) -> None:
        super().__init__(maze, action_repeat)
        self._prev_qpos = np.zeros(2)

    def _start(self, xy: np.ndarray, rng: np.random.Generator) -> None:
        self.place(xy, RESET_NOISE * rng.standard_normal(2))
        self._prev_qpos[:] = xy

    def _raw_step(self, action: np.ndarray) -> None:
        self._prev_qpos[:] = self.data.qpos
        self.data.qpos += self.STRIDE * action
        self.data.qvel[:] = 0.0
        mujoco.mj_step(self.model, self.data, nstep=FRAME_SKIP)

    def _speed_cost(self) -> float:
        return self.SPEED_COST * math.hypot(*(self.data.qpos - self._prev_qpos))

    def _observe_body(self, out: np.ndarray) -> None:
        """Writes the place (2) and the move of the last raw step (2)."""
        out[:2] = self.data.qpos
        out[2:] = self.data.qpos - self._prev_qpos

    def get_state(self) -> dict[str, np.ndarray]:
        """Returns the state and ``task/prev_qpos``: the place one raw step ago."""
        return {**super().get_state(), "task/prev_qpos": self._prev_qpos.copy()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restores a state; without ``task/prev_qpos`` the point has not moved."""
        super().set_state(state)
        self._prev_qpos[:] = state.get("task/prev_qpos", self.data.qpos)


class AntMaze(Maze):
    """OGBench's ant."""

    XML = "ant.xml"
    OBS_DIM = 36
    GOAL_RADIUS = 0.5
    SPEED_COST = 0.001

    def _start(self, xy: np.ndarray, rng: np.random.Generator) -> None:
        qpos, qvel = _near_rest(self.model, rng)
        qpos[:2] = xy
        self.place(qpos, qvel)

    def _raw_step(self, action: np.ndarray) -> None:
        self.data.ctrl[:] = action
        mujoco.mj_step(self.model, self.data, nstep=FRAME_SKIP)

    def _speed_cost(self) -> float:
        return self.SPEED_COST * float(np.linalg.norm(self.data.qvel))

    def _observe_body(self, out: np.ndarray) -> None:
        """Writes positions (15), velocities (14) and the place (2) again."""
        out[:15] = self.data.qpos
        out[15:29] = self.data.qvel
        out[29:] = self.data.qpos[:2]


class DirectedAnt(MujocoSimulator):
    """An ant on open ground, rewarded for moving along a direction that changes."""

    INTERVAL = 100  # steps between changes

    def __init__(self) -> None:
        model = mujoco.MjModel.from_xml_path(str(_ROOT / "online_locomotion/assets/ant.xml"))
        super().__init__(model, "track")
        self._z = np.zeros(2)
        self._num_steps = 0
        self._rng: np.random.Generator | None = None

    def reset(self, rng: np.random.Generator) -> None:
        """Starts near rest, in a random direction."""
        self._rng = rng
        self.place(*_near_rest(self.model, rng))
        self._num_steps = 0
        self._turn()

    def _turn(self) -> None:
        assert self._rng is not None
        self._z[:] = self._rng.standard_normal(2)
        self._z /= np.linalg.norm(self._z)

    def step(self, action: np.ndarray) -> tuple[float, float]:
        """Takes one raw step; the reward is the distance moved along the direction, in metres."""
        before = self.data.qpos[:2].copy()
        self.data.ctrl[:] = action
        mujoco.mj_step(self.model, self.data, nstep=FRAME_SKIP)
        reward = float((self.data.qpos[:2] - before).dot(self._z))
        self._num_steps += 1
        if self._num_steps % self.INTERVAL == 0:
            self._turn()
        return reward, float("nan")

    def observe(self, out: np.ndarray) -> None:
        """Writes positions without the horizontal ones (13), velocities (14), direction (2)."""
        out[:13] = self.data.qpos[2:]
        out[13:27] = self.data.qvel
        out[27:] = self._z

    def get_state(self) -> dict[str, np.ndarray]:
        """Returns the state, ``task/z`` (the direction) and ``task/num_steps``."""
        task = {"task/z": self._z.copy(), "task/num_steps": np.asarray(self._num_steps)}
        return {**super().get_state(), **task}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restores a state; without its direction, the present one stays."""
        super().set_state(state)
        self._z[:] = state.get("task/z", self._z)
        steps = round(self.data.time / (FRAME_SKIP * self.model.opt.timestep))
        self._num_steps = int(state.get("task/num_steps", steps))


class AntBall(MujocoSimulator):
    """An ant on open ground, rewarded for bringing a ball to a goal."""

    AGENT_RANGE = 1.0  # of the starts, each way and axis, m
    BALL_RANGE = 2.0
    GOAL_RANGE = 3.0  # OGBench's own is 12
    GOAL_RADIUS = 0.5  # m
    REWARD_SCALE = 10.0
    BALL_WEIGHT = 2.5

    def __init__(self) -> None:
        spec = mujoco.MjSpec.from_file(str(_ROOT / "online_locomotion/assets/ant.xml"))
        _add_ball(spec)
        camera = _view_from_above(x=0.0, y=0.0, height=30.0)
        super().__init__(spec.compile(), camera, fields=("geom_pos",))
        self._goal = self.model.geom_pos[self.model.geom("target").id, :2]  # a view: it moves

    def reset(self, rng: np.random.Generator) -> None:
        """Starts ant, ball and goal at random; the ball falls from 3 m."""
        qpos, qvel = _near_rest(self.model, rng)
        qpos[:2] = rng.uniform(-self.AGENT_RANGE, self.AGENT_RANGE, 2)
        qpos[-7:-5] = rng.uniform(-self.BALL_RANGE, self.BALL_RANGE, 2)
        self._goal[:] = rng.uniform(-self.GOAL_RANGE, self.GOAL_RANGE, 2)
        self.place(qpos, qvel)

    def _distances(self) -> tuple[float, float]:
        """From the ball to the goal, and from the ant to the ball."""
        ball = self.data.qpos[-7:-5]
        to_goal, to_ball = ball - self._goal, self.data.qpos[:2] - ball
        return math.hypot(*to_goal), math.hypot(*to_ball)

    def step(self, action: np.ndarray) -> tuple[float, float]:
        """Takes one raw step; the reward is ten times the decrease of both distances."""
        goal_before, ball_before = self._distances()
        self.data.ctrl[:] = action
        mujoco.mj_step(self.model, self.data, nstep=FRAME_SKIP)
        goal, ball = self._distances()
        decrease = self.BALL_WEIGHT * (goal_before - goal) + (ball_before - ball)
        return self.REWARD_SCALE * decrease, float(goal <= self.GOAL_RADIUS)

    def observe(self, out: np.ndarray) -> None:
        """Writes poses without places (13 + 5), velocities (20), ant to ball (2), to goal (2)."""
        qpos = self.data.qpos
        out[:13] = qpos[2:-7]
        out[13:18] = qpos[-5:]
        out[18:38] = self.data.qvel
        out[38:40] = qpos[-7:-5] - qpos[:2]
        out[40:] = self._goal - qpos[-7:-5]


def _near_rest(model: mujoco.MjModel, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws positions (nq,) and velocities (nv,) of a body near its initial pose."""
    qpos = model.qpos0 + rng.uniform(-RESET_NOISE, RESET_NOISE, model.nq)
    return qpos, RESET_NOISE * rng.standard_normal(model.nv)


def _add_maze(spec: mujoco.MjSpec, maze: str) -> None:
    """Adds walls, in the order of OGBench's own models, and the goal's disc."""
    rows, columns = mazes.size(maze)
    half = mazes.UNIT / 2.0
    for cell in mazes.walls(maze):
        x, y = mazes.centre(cell)
        spec.worldbody.add_geom(
            name="block_{}_{}".format(*cell),
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=[x, y, half / 2.0],
            size=[half, half, half / 2.0],
            contype=1,
            conaffinity=1,
            material="wall",
        )
    floor = spec.geom("floor")
    floor.pos = [half * (columns - 3), half * (rows - 3), 0.0]
    floor.size = [half * columns, half * rows, 0.2]
    _add_target(spec, radius=0.5)


def _add_target(spec: mujoco.MjSpec, radius: float) -> None:
    spec.worldbody.add_geom(
        name="target",
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        pos=[0.0, 0.0, 0.05],
        size=[radius, 0.05, 0.0],
        contype=0,
        conaffinity=0,
        material="target",
    )


def _add_ball(spec: mujoco.MjSpec) -> None:
    _add_target(spec, radius=0.4)
    ball = spec.worldbody.add_body(name="ball", pos=[0.0, 0.0, 3.0])
    ball.add_freejoint(name="ball_root")
    ball.add_geom(
        name="ball", size=[0.25, 0.0, 0.0], material="ball", priority=1, conaffinity=1, condim=6
    )
    ball.add_light(
        name="ball_light", pos=[0.0, 0.0, 4.0], mode=mujoco.mjtCamLight.mjCAMLIGHT_TRACKCOM
    )


def _view_of_maze(maze: str) -> mujoco.MjvCamera:
    """OGBench's own view: the whole maze from above."""
    rows, columns = mazes.size(maze)
    return _view_from_above(x=2.0 * (columns - 3), y=2.0 * (rows - 3), height=5.0 * (columns - 2))


def _view_from_above(x: float, y: float, height: float) -> mujoco.MjvCamera:
    camera = mujoco.MjvCamera()
    camera.lookat[:2] = x, y
    camera.distance = height
    camera.elevation = -90.0
    return camera
