"""Recovering the physics step that led to a MuJoCo state.

A Runge-Kutta step leaves the poses of its last stage in ``data``, slightly off those of the state
it arrives at, and some published rewards read them. They are not part of MuJoCo's state, but they
follow from the step before, and that follows from the state: a step is a nearly invertible map.
"""

from __future__ import annotations

import mujoco
import numpy as np

_TOLERANCE = 1e-10  # of positions and velocities after the recovered step
_ITERATIONS = 25  # of Newton's method; 3 to 5 are usual
_DIFFERENCE = 1e-7  # of the finite differences
_LARGEST_STEP = 1e3  # of a position or velocity; the search has lost its way
_STARTS = 20  # of the search, before it gives up; the first suffices nine times in ten
_ACCELERATION = 1e-5  # relative and absolute tolerance of the last stage's accelerations
_SMALLEST_PART = 1e-3  # of a Newton step, before the search gives up


def recover_last_step(model: mujoco.MjModel, data: mujoco.MjData) -> mujoco.MjData | None:
    """Takes the physics step again that led to ``data``'s state, under its controls.

    Args:
        model: The model.
        data: A state with its controls and warm start. It is only read.

    Returns:
        Data as that step left it, poses of its last stage included, or None where there was no
        step or none was found (for an ant, one state in twenty or so, at the instant of an
        impact; the search then takes up to a second, where a few milliseconds are usual).
    """
    if data.time == 0.0:
        return None
    return _Search(model, data).run()


class _Search:
    """Newton's method on the state (qpos, qvel) before the step, from several starts."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._model = model
        self._goal = data
        self._trial = mujoco.MjData(model)
        self._trial.ctrl[:] = data.ctrl

    def run(self) -> mujoco.MjData | None:
        goal, step = self._goal, self._model.opt.timestep
        rng = np.random.default_rng(0)
        for attempt in range(_STARTS):
            # The accelerations of the step's last stage, in parts, undo its change of velocity.
            part = rng.uniform(0.0, 1.0, self._model.nv) if attempt else 0.0
            qvel = goal.qvel - step * part * goal.qacc_warmstart
            qpos = goal.qpos.copy()
            mujoco.mj_integratePos(self._model, qpos, qvel, -step)
            if self._descend(qpos, qvel) and self._same_accelerations():
                return self._trial
        return None

    def _same_accelerations(self) -> bool:
        """Whether this is the step that was taken: at impacts, several lead to one state."""
        ours, theirs = self._trial.qacc_warmstart, self._goal.qacc_warmstart
        return bool(np.allclose(ours, theirs, rtol=_ACCELERATION, atol=_ACCELERATION))

    def _descend(self, qpos: np.ndarray, qvel: np.ndarray) -> bool:
        residual = self._residual(qpos, qvel)
        for _ in range(_ITERATIONS):
            error = np.abs(residual).max()
            if error < _TOLERANCE:
                return True
            slope = self._slope(qpos, qvel, residual)
            if not np.isfinite(slope).all():  # of speeds at which the physics breaks down
                return False
            step = np.linalg.lstsq(slope, -residual, rcond=None)[0]
            if np.abs(step).max() > _LARGEST_STEP:
                return False
            part = 1.0
            while part > _SMALLEST_PART:
                moved = self._moved(qpos, qvel, part * step)
                residual = self._residual(*moved)
                if np.abs(residual).max() < error:
                    break
                part /= 2.0
            else:
                return False
            qpos, qvel = moved
        return False

    def _residual(self, qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
        """How far (2 nv,) a step from here ends from the goal."""
        trial, goal, nv = self._trial, self._goal, self._model.nv
        trial.qpos[:], trial.qvel[:] = qpos, qvel
        trial.qacc_warmstart[:] = goal.qacc_warmstart
        mujoco.mj_step(self._model, trial)
        residual = np.empty(2 * nv)
        mujoco.mj_differentiatePos(self._model, residual[:nv], 1.0, goal.qpos, trial.qpos)
        residual[nv:] = trial.qvel - goal.qvel
        return residual

    def _moved(
        self, qpos: np.ndarray, qvel: np.ndarray, by: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        moved = qpos.copy()
        mujoco.mj_integratePos(self._model, moved, by[: self._model.nv], 1.0)
        return moved, qvel + by[self._model.nv :]

    def _slope(self, qpos: np.ndarray, qvel: np.ndarray, residual: np.ndarray) -> np.ndarray:
        slope = np.empty((residual.size, residual.size))
        for column, direction in enumerate(np.eye(residual.size)):
            moved = self._moved(qpos, qvel, _DIFFERENCE * direction)
            slope[:, column] = (self._residual(*moved) - residual) / _DIFFERENCE
        return slope
