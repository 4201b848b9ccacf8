"""DMControl: the 21 tasks of dm_control's own suite.

Facts: action repeat 2 with rewards summed, actions rescaled from [-1, 1] to the actuators'
ranges, observation entries in the suite's own order (arXiv 2511.19584, appendix A).
"""

from __future__ import annotations

import warnings

import mujoco
import numpy as np

from mmbench.catalog import Task
from mmbench.domains import mujoco_state
from mmbench.domains.simulator import Simulator
from mmbench.rendering import MujocoRenderer, pyopengl_platform

with warnings.catch_warnings(), pyopengl_platform():
    # Without a display dm_control's import tries GLFW first, which warns.
    warnings.simplefilter("ignore")
    from dm_control import suite
    from dm_control.rl import control

_CAMERAS = {"quadruped": 2}  # the camera that follows the body; elsewhere the first one


def make(task: Task, frames: bool) -> DMControlSimulator:
    """Builds the simulator of a stock task (see :mod:`mmbench.domains`)."""
    domain, name = task.native.split("/")
    # The seed given here is replaced at every reset.
    environment = suite.load(domain, name, task_kwargs={"random": 0})
    if domain == "quadruped":
        with warnings.catch_warnings():
            # Its look-up of sensors, which it remembers, calls a deprecated function of NumPy.
            warnings.simplefilter("ignore", DeprecationWarning)
            environment.task.get_observation(environment.physics)
    return DMControlSimulator(environment, task.action_repeat, _CAMERAS.get(domain, 0))


class DMControlSimulator(Simulator):
    """A dm_control environment, stepped without its per-step bookkeeping.

    Physics, rewards and observations are those of ``dm_control.rl.control.Environment`` to the
    last bit. What is left out is what no suite task needs at every control step: wrappers around
    MuJoCo's structures, controls written twice, observations that nobody sees.

    Args:
        environment: A suite environment with a bounded action space, whose task neither changes
            the controls nor does anything after a step.
        action_repeat: Control steps per agent step.
        camera: Number or name of the camera of the frames.
    """

    in_cycles = True

    def __init__(
        self, environment: control.Environment, action_repeat: int, camera: int | str = 0
    ) -> None:
        self._physics = environment.physics
        self._task = environment.task
        self._model = self._physics.model.ptr
        self._data = self._physics.data.ptr
        self._sub_steps = environment._n_sub_steps
        self._runge_kutta = self._model.opt.integrator == mujoco.mjtIntegrator.mjINT_RK4
        self._action_repeat = action_repeat
        self._camera = camera
        self._renderer: MujocoRenderer | None = None
        self._flat: bool | None = None  # known with the first observation
        bounds = environment.action_spec()
        self._action_low = np.asarray(bounds.minimum, np.float64)
        self._action_scale = (np.asarray(bounds.maximum, np.float64) - self._action_low) / 2.0
        self._control = np.empty_like(self._action_low)
        # Views of MuJoCo's memory, as long as the model is not compiled again.
        self._actuators = self._data.ctrl
        self._warnings = self._data.warning.number

    def reset(self, rng: np.random.Generator) -> None:
        """Starts an episode with the task's own generator seeded from ``rng``."""
        self._task.random.seed(rng.integers(1 << 32, size=4, dtype=np.uint32))
        with self._physics.reset_context():
            self._task.initialize_episode(self._physics)

    def step(self, action: np.ndarray) -> tuple[float, float]:
        """Takes ``action_repeat`` control steps; success is undefined (NaN)."""
        own, task, physics = self._control, self._task, self._physics
        own[:] = action
        own += 1.0
        own *= self._action_scale
        own += self._action_low
        self._actuators[:] = own
        before = self._warnings.tobytes()
        reward = 0.0
        for _ in range(self._action_repeat):
            self._advance()
            reward += float(task.get_reward(physics))
        if self._warnings.tobytes() != before:
            self._raise_for_warnings(before)
        return reward, float("nan")

    def _advance(self) -> None:
        """One control step; see ``dm_control.mujoco.engine.Physics.step``."""
        model, data = self._model, self._data
        if self._runge_kutta:
            mujoco.mj_step(model, data, self._sub_steps)
        else:
            mujoco.mj_step2(model, data)
            if self._sub_steps > 1:
                mujoco.mj_step(model, data, self._sub_steps - 1)
        mujoco.mj_step1(model, data)

    def _raise_for_warnings(self, before: bytes) -> None:
        new = self._warnings > np.frombuffer(before, self._warnings.dtype)
        names = [list(mujoco.mjtWarning.__members__)[i] for i in np.flatnonzero(new)]
        raise control.PhysicsError(f"the physics has become invalid: {', '.join(names)}")

    def observe(self, out: np.ndarray) -> None:
        """Writes the observation entries, flattened, in the task's order."""
        values = list(self._task.get_observation(self._physics).values())
        if self._flat is None:
            self._flat = all(np.ndim(value) == 1 for value in values)
        if not self._flat:
            values = [np.ravel(value) for value in values]
        np.concatenate(values, out=out, casting="same_kind")

    def render(self) -> np.ndarray:
        """Draws the scene from the task's camera."""
        if self._renderer is None:
            self._renderer = MujocoRenderer(self._physics.model.ptr, self._camera)
        return self._renderer.render(self._physics.data.ptr)

    def get_state(self) -> dict[str, np.ndarray]:
        """Returns ``state`` and the model arrays that a reset may change."""
        return mujoco_state.get_state(self._physics.model.ptr, self._physics.data.ptr)

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restores a state; the targets of these tasks lie in the model arrays."""
        model, data = self._physics.model.ptr, self._physics.data.ptr
        mujoco_state.set_state(model, data, state)
        # What physics.step leaves behind: all that follows from positions and velocities. The
        # accelerations are left alone, as computing them would move the solver's warm start.
        mujoco.mj_step1(model, data)

    def close(self) -> None:
        """Frees the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
