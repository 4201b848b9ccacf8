"""Saving and restoring MuJoCo simulations as arrays, shared by the domains built on it."""

from __future__ import annotations

from collections.abc import Iterable

import mujoco
import numpy as np

from miniarcade.snapshot import Form

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


def forms(model: mujoco.MjModel, data: mujoco.MjData, also: Iterable[str] = ()) -> dict[str, Form]:
    """The forms of ``state``, ``model/<field>`` and whatever model arrays a recording may hold."""
    arrays = get_state(model, data, (*MODEL_FIELDS, *also))
    return {key: (array.shape, array.dtype) for key, array in arrays.items()}


def set_state(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    state: dict[str, np.ndarray],
    fields: Iterable[str] = MODEL_FIELDS,
) -> None:
    """Restores what :func:`get_state` returned, without recomputing what follows from it.

    Args:
        model: The model.
        data: Its data.
        state: Checked by :func:`forms`.
        fields: The model arrays that a reset may change. Others are left alone: they are the
            task's geometry, whatever a state says.

    Raises:
        ValueError: A number is larger than MuJoCo accepts.
    """
    if np.abs(state["state"]).max() > mujoco.mjMAXVAL:
        raise ValueError(
            f"'state' holds numbers beyond {mujoco.mjMAXVAL:g}: MuJoCo would start anew"
        )
    for field in fields:
        if f"model/{field}" in state:
            getattr(model, field)[:] = state[f"model/{field}"]
    mujoco.mj_setState(model, data, state["state"], STATE)
