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

    Observations are computed once an agent step rather than once a control step; everything
    else happens in the order of ``dm_control.rl.control.Environment``.

    Args:
        environment: A suite environment with a bounded action space.
        action_repeat: Control steps per agent step.
        camera: Number or name of the camera of the frames.
    """

    def __init__(
        self, environment: control.Environment, action_repeat: int, camera: int | str = 0
    ) -> None:
        self._physics = environment.physics
        self._task = environment.task
        self._sub_steps = environment._n_sub_steps
        self._action_repeat = action_repeat
        self._camera = camera
        self._renderer: MujocoRenderer | None = None
        bounds = environment.action_spec()
        self._action_low = np.asarray(bounds.minimum, np.float64)
        self._action_scale = (np.asarray(bounds.maximum, np.float64) - self._action_low) / 2.0

    def reset(self, rng: np.random.Generator) -> None:
        """Starts an episode with the task's own generator seeded from ``rng``."""
        self._task.random.seed(rng.integers(1 << 32, size=4, dtype=np.uint32))
        with self._physics.reset_context():
            self._task.initialize_episode(self._physics)

    def step(self, action: np.ndarray) -> tuple[float, float]:
        """Takes ``action_repeat`` control steps; success is undefined (NaN)."""
        control_ = self._action_low + self._action_scale * (action.astype(np.float64) + 1.0)
        physics, task = self._physics, self._task
        reward = 0.0
        for _ in range(self._action_repeat):
            task.before_step(control_, physics)
            physics.step(self._sub_steps)
            task.after_step(physics)
            reward += float(task.get_reward(physics))
        return reward, float("nan")

    def observe(self, out: np.ndarray) -> None:
        """Writes the observation entries, flattened, in the task's order."""
        start = 0
        for value in self._task.get_observation(self._physics).values():
            end = start + np.size(value)
            out[start:end] = np.ravel(value)
            start = end

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
        """Frees the renderer and the physics' own OpenGL contexts."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
