"""What the simulators built directly on MuJoCo share: saving, restoring and drawing."""

from __future__ import annotations

import mujoco
import numpy as np

from miniarcade.snapshot import Form
from mmbench.domains import mujoco_state
from mmbench.domains.simulator import Simulator
from mmbench.rendering import MujocoRenderer


class MujocoSimulator(Simulator):
    """A compiled model and its data; subclasses add reset, step and observe.

    Args:
        model: The compiled model, this simulator's own if ``fields`` are given.
        camera: Of the frames: name or number of a fixed camera, or an ``mjvCamera``.
        fields: Names of the model arrays that a reset changes.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        camera: int | str | mujoco.MjvCamera,
        fields: tuple[str, ...] = (),
    ) -> None:
        self.model = model
        self.data = mujoco.MjData(model)
        self._camera = camera
        self._fields = fields
        self._renderer: MujocoRenderer | None = None
        self._picture: mujoco.MjData | None = None

    def place(self, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """Starts an episode at these positions (nq,) and velocities (nv,)."""
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:] = qpos
        self.data.qvel[:] = qvel
        mujoco.mj_forward(self.model, self.data)

    def render(self) -> np.ndarray:
        """Draws the scene at the current positions."""
        if self._renderer is None or self._picture is None:
            self._renderer = MujocoRenderer(self.model, self._camera)
            self._picture = mujoco.MjData(self.model)
        # After a Runge-Kutta step the poses in ``data`` are those of its last stage, and tasks
        # may read them. So the current ones are computed in data of their own.
        self._picture.qpos[:] = self.data.qpos
        mujoco.mj_kinematics(self.model, self._picture)
        mujoco.mj_comPos(self.model, self._picture)
        mujoco.mj_camlight(self.model, self._picture)
        return self._renderer.render(self._picture)

    def get_state(self) -> dict[str, np.ndarray]:
        """Returns ``state`` and the model arrays that a reset changes."""
        return mujoco_state.get_state(self.model, self.data, self._fields)

    def state_forms(self) -> dict[str, Form]:
        """Adds the model arrays that recordings hold."""
        return {**super().state_forms(), **mujoco_state.forms(self.model, self.data)}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restores ``state`` and the model arrays, and computes the bodies' poses."""
        mujoco_state.set_state(self.model, self.data, state, self._fields)
        # All that anyone reads before the next step, which computes the rest itself.
        mujoco.mj_kinematics(self.model, self.data)

    def close(self) -> None:
        """Frees the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
