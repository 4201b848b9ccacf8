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


def infos_of(values: Mapping[str, np.ndarray], mask: np.ndarray) -> dict[str, Any]:
    """Infos about the environments of a mask (N,), from arrays (N, ...); all are the caller's."""
    infos: dict[str, Any] = {}
    everywhere = mask.all()
    for name, array in values.items():
        if everywhere:
            infos[name] = array.copy()
        else:
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
