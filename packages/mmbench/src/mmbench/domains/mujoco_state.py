"""Saving and restoring MuJoCo simulations as arrays, shared by the domains built on it."""

from __future__ import annotations

from collections.abc import Iterable

import mujoco
import numpy as np

STATE = mujoco.mjtState.mjSTATE_INTEGRATION
"""All that mj_step depends on: time, positions, velocities, warm start, controls, ..."""

MODEL_FIELDS = (
    "geom_pos",
    "geom_size",
    "geom_rgba",
    "body_pos",
    "body_quat",
    "site_pos",
    "site_size",
    "site_rgba",
    "dof_damping",
)
"""Model arrays that a reset may change (targets are moved by moving geoms or sites)."""


def get_state(
    model: mujoco.MjModel, data: mujoco.MjData, fields: Iterable[str] = MODEL_FIELDS
) -> dict[str, np.ndarray]:
    """Returns ``state`` and ``model/<field>`` as copies."""
    state = np.empty(mujoco.mj_stateSize(model, STATE))
    mujoco.mj_getState(model, data, state, STATE)
    arrays = {f"model/{field}": np.array(getattr(model, field)) for field in fields}
    return {"state": state, **arrays}


def set_state(model: mujoco.MjModel, data: mujoco.MjData, state: dict[str, np.ndarray]) -> None:
    """Restores what :func:`get_state` returned, without recomputing what follows from it.

    Raises:
        KeyError: There is no ``state``.
        ValueError: An array has another size than this model's.
    """
    size = mujoco.mj_stateSize(model, STATE)
    if state["state"].shape != (size,):
        raise ValueError(f"state of shape {state['state'].shape}, expected ({size},)")
    for key, value in state.items():
        kind, _, field = key.partition("/")
        if kind != "model":
            continue
        target = getattr(model, field)
        if target.shape != value.shape:
            raise ValueError(f"{key} of shape {value.shape}, expected {target.shape}")
        target[:] = value
    mujoco.mj_setState(model, data, np.asarray(state["state"], np.float64), STATE)
