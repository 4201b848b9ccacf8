"""What Gymnasium's own vector environments say about resets, for others to say the same.

An info about some of N environments is an array (N, ...) with zeros elsewhere, or None among
objects. Beside it, under its name after an underscore, is the mask (N,) of those it is about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode


def checked_autoreset_mode(mode: str | AutoresetMode) -> AutoresetMode:
    """The mode, which may be given by Gymnasium's name for it.

    Raises:
        ValueError: If there is no such mode.
    """
    try:
        return AutoresetMode(mode)
    except ValueError:
        known = ", ".join(one.value for one in AutoresetMode)
        raise ValueError(f"autoreset_mode={mode!r}: one of {known}") from None


def infos_of_all(values: Mapping[str, np.ndarray], everywhere: np.ndarray) -> dict[str, Any]:
    """Infos about all environments: the arrays (N, ...) themselves, with copies of the mask."""
    return {**values, **{f"_{name}": everywhere.copy() for name in values}}


def infos_of(values: Mapping[str, np.ndarray], mask: np.ndarray) -> dict[str, Any]:
    """Infos about the environments of a mask (N,), copied from arrays (N, ...)."""
    infos: dict[str, Any] = {}
    for name, array in values.items():
        infos[name] = np.full(array.shape, 0 if array.dtype != object else None, array.dtype)
        infos[name][mask] = array[mask]
        infos[f"_{name}"] = mask.copy()
    return infos


def final_infos(
    observations: Sequence[Any], final: Mapping[str, np.ndarray], ended: np.ndarray
) -> dict[str, Any]:
    """What infos hold of episodes that are followed by others in the same step.

    Args:
        observations: The last one of each environment that has ended, in order.
        final: The last infos, arrays (N, ...).
        ended: (N,), where an episode has ended.
    """
    final_obs = np.full(len(ended), None, object)
    for i, observation in zip(np.flatnonzero(ended), observations, strict=True):
        final_obs[i] = observation
    return {
        "final_obs": final_obs,
        "_final_obs": ended.copy(),
        "final_info": infos_of(final, ended),
        "_final_info": ended.copy(),
    }
