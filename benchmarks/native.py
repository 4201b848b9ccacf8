"""The packages' own environments and the bare physics, as `step_speed.py` measures them.

Each environment is the package's own class with the settings of the published task, and its step is
called `action_repeat` times per agent step, with all the observations and rewards that it computes.
Done beforehand, hence not part of its time: scaling actions to the package's range. Left to the
user of the package, hence not part of it either: flattening and padding the observation.
"""

import contextlib
import importlib
import io
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import mujoco
import numpy as np
from gymnasium.utils import seeding

from mmbench.catalog import Task
from mmbench.domains import mujoco_state
from mmbench.env import TaskEnv


@dataclass
class Native:
    """A package's environment, stepped as its users do.

    Attributes:
        step: Takes one agent step; its argument is a row of what `scale` returns.
        reset: Starts an episode from a seed.
        scale: Maps actions in [-1, 1], (n, action_dim), to the package's own.
        model: Its compiled model; None if it has none, or is another than ours.
        data: The state of its simulation, likewise.
        restored: Called after another state was written into `data`.
        follow: Puts its simulation into the state of ours, where it has no `model`.
        state: Tells the state of a simulation without a `model`.
        physics: Takes the physics steps of an agent step of ours, in a simulation apart, and tells
            the seconds of CPU time, where it has no `model`.
        note: What distinguishes it from what the package ships, or which stand-in it is.
    """

    step: Callable[[Any], Any]
    reset: Callable[[int], Any]
    scale: Callable[[np.ndarray], Any] = np.asarray
    model: mujoco.MjModel | None = None
    data: mujoco.MjData | None = None
    restored: Callable[[], None] = lambda: None
    follow: Callable[[TaskEnv], None] | None = None
    state: Callable[[], np.ndarray] | None = None
    physics: Callable[[TaskEnv], float] | None = None
    note: str = ""


def make(task: Task) -> Native:
    """Builds the environment of the task's package.

    Raises:
        ImportError: The package's own classes need something that is not installed.
        NotImplementedError: There is no comparison for the domain.
    """
    if task.domain not in _BUILDERS:
        raise NotImplementedError(f"no comparison for {task.domain}")
    return _BUILDERS[task.domain](task)


def start_episode(env: TaskEnv, native: Native | None, seed: int) -> None:
    """Resets both, and puts the package's simulation into the state of ours."""
    env.reset(seed=seed)
    if native is None:
        return
    native.reset(seed)
    if native.model is not None:
        mujoco_state.set_state(native.model, native.data, mujoco_state.get_state(*simulation(env)))
        mujoco.mj_step1(native.model, native.data)
        native.restored()
    elif native.follow is not None:
        native.follow(env)


def together(env: TaskEnv, native: Native | None) -> bool:
    """Whether both have taken the same way since the episode's start, as far as can be told."""
    if native is None:
        return True
    if native.state is not None:
        return np.allclose(env.get_state()["state"], native.state(), atol=1e-4)
    if native.model is None:
        return True
    return np.allclose(simulation(env)[1].qpos, native.data.qpos, atol=1e-6)


def physics(env: TaskEnv, native: Native | None) -> Callable[[], float] | None:
    """What times the physics steps inside an agent step, alone; None where nothing can."""
    if native is not None and native.physics is not None:
        return partial(native.physics, env)
    if native is None or env.task.domain in _WITHOUT_PHYSICS:
        return None
    return Physics(env).time


def simulation(env: TaskEnv) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """MuJoCo's model and data inside one of our environments.

    Raises:
        AttributeError: It is not built on MuJoCo.
    """
    simulator: Any = env._simulator
    if hasattr(simulator, "_physics"):
        return simulator._physics.model.ptr, simulator._physics.data.ptr
    if hasattr(simulator, "model"):
        return simulator.model, simulator.data
    return simulator._model, simulator._data


class Physics:
    """The physics steps inside an agent step, alone.

    Args:
        env: An environment on MuJoCo in an episode of which a step is left; takes that step.
    """

    def __init__(self, env: TaskEnv) -> None:
        self.model, self.data = simulation(env)
        self._scratch = mujoco.MjData(self.model)
        self._state = np.empty(mujoco.mj_stateSize(self.model, mujoco_state.STATE))
        before = self.data.time
        env.step(np.zeros(env.action_space.shape, np.float32))
        self._steps = round((self.data.time - before) / self.model.opt.timestep)

    def time(self) -> float:
        """Steps a copy of the simulation with the present controls: seconds of CPU time."""
        mujoco.mj_getState(self.model, self.data, self._state, mujoco_state.STATE)
        mujoco.mj_setState(self.model, self._scratch, self._state, mujoco_state.STATE)
        start = time.process_time()
        mujoco.mj_step(self.model, self._scratch, nstep=self._steps)
        return time.process_time() - start


def _repeat(step: Callable[[Any], Any], times: int) -> Callable[[Any], Any]:
    if times == 1:
        return step

    def agent_step(action: Any) -> Any:
        for _ in range(times - 1):
            step(action)
        return step(action)

    return agent_step


def _dm_control(environment: Any, task: Task, note: str = "") -> Native:
    bounds = environment.action_spec()
    low, span = bounds.minimum, bounds.maximum - bounds.minimum
    return Native(
        step=_repeat(environment.step, task.action_repeat),
        reset=lambda seed: environment.reset(),
        scale=lambda actions: low + span * (actions.astype(np.float64) + 1.0) / 2.0,
        model=environment.physics.model.ptr,
        data=environment.physics.data.ptr,
        note=note,
    )


def _dmcontrol(task: Task) -> Native:
    # Imports dm_control without the warnings of its search for a display.
    suite = importlib.import_module("mmbench.domains.dmcontrol").suite
    domain, name = task.native.split("/")
    return _dm_control(suite.load(domain, name, task_kwargs={"random": 0}), task)


def _dmcontrol_ext(task: Task) -> Native:
    importlib.import_module("mmbench.domains.dmcontrol")
    embodiment, goal = task.native.split("/")
    module = importlib.import_module(f"mmbench.models.{embodiment}")
    return _dm_control(getattr(module, goal)(random=0), task, "dm_control's loop, our task in it")


def _metaworld(task: Task) -> Native:
    classes = importlib.import_module("metaworld.env_dict").ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE
    environment = classes[f"{task.native}-v3-goal-observable"](seed=0)
    environment._freeze_rand_vec = False
    environment.seeded_rand_vec = True
    environment.model.eq_data[:, -1] = 3.75  # the published torque scale of the weld

    def reset(seed: int) -> None:
        environment.np_random = seeding.np_random(seed)[0]
        environment.reset()

    return Native(
        step=_repeat(environment.step, task.action_repeat),
        reset=reset,
        model=environment.model,
        data=environment.data,
    )


_GYMNASIUM_MODULES = {
    "Ant": "ant_v4",
    "HalfCheetah": "half_cheetah_v4",
    "Hopper": "hopper_v4",
    "InvertedPendulum": "inverted_pendulum_v4",
    "Reacher": "reacher_v4",
    "Walker2d": "walker2d_v4",
}


def _mujoco(task: Task) -> Native:
    module = importlib.import_module(f"gymnasium.envs.mujoco.{_GYMNASIUM_MODULES[task.native]}")
    falls = task.native in ("Ant", "Hopper", "Walker2d")
    kwargs = {"terminate_when_unhealthy": False} if falls else {}
    environment = getattr(module, f"{task.native}Env")(**kwargs)
    return Native(
        step=_repeat(environment.step, task.action_repeat),
        reset=lambda seed: environment.reset(seed=seed),
        scale=partial(np.multiply, environment.action_space.high),
        model=environment.model,
        data=environment.data,
    )


def _robodesk(task: Task) -> Native:
    with contextlib.redirect_stderr(io.StringIO()):  # the notice of the unmaintained gym
        package = importlib.import_module("robodesk")

    class Unseen(package.RoboDesk):
        """Its observation holds a frame, drawn at every step."""

        def render(self, mode: str = "rgb_array", resize: bool = True) -> np.ndarray:
            return np.zeros((1, 1, 3), np.uint8)

    environment = Unseen(task=task.native, reward="dense", action_repeat=task.action_repeat)

    def reset(seed: int) -> None:
        np.random.seed(seed)  # it draws from the global generator
        environment.reset()

    def restored() -> None:  # its inverse kinematics start from a copy
        environment.physics_copy.data.qpos[:] = environment.physics.data.qpos

    return Native(
        step=environment.step,
        reset=reset,
        model=environment.physics.model.ptr,
        data=environment.physics.data.ptr,
        restored=restored,
        note="without its rendering",
    )


def _ogbench(task: Task) -> Native:
    kind, _, maze = task.native.partition("/")
    note = ""
    if kind == "online-ant-v0":
        environment = importlib.import_module("ogbench.online_locomotion.ant").AntEnv()
    elif kind == "online-antball-v0":
        environment = _antball()
    else:
        if maze not in ("arena", "medium"):
            maze, note = "medium", "stand-in: its maze medium (it has not this one)"
        build = importlib.import_module("ogbench.locomaze.maze").make_maze_env
        environment = build(kind.removesuffix("maze"), "maze", maze_type=maze).unwrapped
    return Native(
        step=_repeat(environment.step, task.action_repeat),
        reset=lambda seed: environment.reset(seed=seed),
        model=None if note else environment.model,
        data=None if note else environment.data,
        note=note,
    )


def _antball() -> Any:
    base = importlib.import_module("ogbench.online_locomotion.ant_ball").AntBallEnv

    class Unseen(base):
        """Its constructor draws a frame, only to reach the camera."""

        def render(self) -> None:
            self.mujoco_renderer.viewer = type("Viewer", (), {"cam": mujoco.MjvCamera()})()

    return Unseen()


def _miniarcade(task: Task) -> Native:
    miniarcade = importlib.import_module("miniarcade")
    environment = importlib.import_module("miniarcade.arcade").ArcadeEnv(
        miniarcade.get_task(task.native)
    )
    return Native(
        step=_repeat(environment.step, task.action_repeat),
        reset=lambda seed: environment.reset(seed=seed),
        scale=np.ascontiguousarray,
        note="our own package; no physics engine",
    )


def _maniskill(task: Task) -> Native:
    maniskill = importlib.import_module("mmbench.domains.maniskill")
    adapters = importlib.import_module("mmbench.domains.maniskill_simulator")

    def build() -> Any:
        # Of the adapter that takes the package's step, only what sets states is used.
        environment = maniskill.build(task, frames=False)
        return adapters.ManiSkillSimulator(environment, task.action_repeat, frames=False)

    theirs, spare = build(), build()

    def follow(env: TaskEnv) -> None:
        # A state that was set is not to the last bit the one that it was read from.
        state = env.get_state()
        env.set_state(state)
        theirs._stepped = True  # by the package itself; its scene is to be built again
        theirs.set_state(state)

    def physics(env: TaskEnv) -> float:
        spare._stepped = True
        spare.set_state(env.get_state())
        simulators: list[Any] = [env._simulator, spare]
        ours, apart = (
            simulator._environment.agent.robot._objs[0].active_joints for simulator in simulators
        )
        for our_joint, joint in zip(ours, apart, strict=True):
            joint.set_drive_target(float(our_joint.drive_target[0]))
        environment = spare._environment
        step = environment.scene.px.step
        count = task.action_repeat * environment._sim_steps_per_control
        for _ in range(count):  # a scene's first steps take longer
            step()
        start = time.process_time()
        for _ in range(count):
            step()
        return time.process_time() - start

    return Native(
        step=_repeat(theirs._environment.step, task.action_repeat),
        reset=lambda seed: None,
        scale=np.ascontiguousarray,
        follow=follow,
        state=lambda: theirs.get_state()["state"],
        physics=physics,
    )


def _atari(task: Task) -> Native:
    with warnings.catch_warnings():  # the package changes the user's filters when it is imported
        environments = importlib.import_module("ale_py.env")
    game = importlib.import_module("mmbench.domains.atari")._rom(task.native)
    environment = environments.AtariEnv(
        game,
        obs_type="ram",
        frameskip=task.action_repeat,
        repeat_action_probability=0.0,
        continuous=True,
    )

    def follow(env: TaskEnv) -> None:
        simulator: Any = env._simulator
        environment.ale.restoreState(simulator._clone())

    def scale(actions: np.ndarray) -> np.ndarray:
        push, direction, button = np.moveaxis(actions, -1, 0)
        return np.stack([(push + 1) / 2, np.pi * direction, (button + 1) / 2], axis=-1)

    return Native(
        step=environment.step,
        reset=lambda seed: environment.reset(seed=seed),
        scale=scale,
        follow=follow,
    )


def _box2d(task: Task) -> Native:
    package = importlib.import_module("gymnasium.envs.box2d")
    robot, variant = task.native.split("/")
    environment = (
        package.LunarLander(continuous=True)
        if robot == "lunarlander"
        else package.BipedalWalker(hardcore="obstacle" in variant)
    )
    return Native(
        step=_repeat(environment.step, task.action_repeat),
        reset=lambda seed: environment.reset(seed=seed),
        scale=np.ascontiguousarray,
        note="an episode of its own, on the package's ground",
    )


_WITHOUT_PHYSICS = ("miniarcade", "atari", "box2d")

_BUILDERS: dict[str, Callable[[Task], Native]] = {
    "dmcontrol": _dmcontrol,
    "dmcontrol-ext": _dmcontrol_ext,
    "metaworld": _metaworld,
    "mujoco": _mujoco,
    "robodesk": _robodesk,
    "ogbench": _ogbench,
    "miniarcade": _miniarcade,
    "maniskill": _maniskill,
    "atari": _atari,
    "box2d": _box2d,
}
