"""The observation and action spaces of the benchmark."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium import spaces

from mmbench.catalog import MAX_ACTION_DIM, MAX_OBS_DIM, Task

FRAME_SHAPE = (224, 224, 3)
OBS_MODES = ("state", "rgb", "state+rgb")


def check_obs(obs: str, tasks: Sequence[Task]) -> None:
    """Checks an observation mode, and that the tasks have what it shows.

    Raises:
        ValueError: There is no such mode, or a task has frames only.
    """
    if obs not in OBS_MODES:
        raise ValueError(f"unknown observation mode {obs!r}: one of {', '.join(OBS_MODES)}")
    stateless = [task.name for task in tasks if task.obs_dim == 0]
    if stateless and obs != "rgb":
        raise ValueError(f'the observations of {stateless[0]} are images: pass obs="rgb"')


def action_space(size: int = MAX_ACTION_DIM) -> spaces.Box:
    """The actions of a task with ``size`` entries, by default padded."""
    return spaces.Box(-1.0, 1.0, (size,), np.float32)


def observation_space(obs: str, size: int = MAX_OBS_DIM) -> spaces.Space:
    """The observations of a mode with ``size`` entries in the state, by default padded."""
    state = spaces.Box(-np.inf, np.inf, (size,), np.float32)
    rgb = spaces.Box(0, 255, FRAME_SHAPE, np.uint8)
    if obs == "state":
        return state
    return rgb if obs == "rgb" else spaces.Dict({"state": state, "rgb": rgb})
