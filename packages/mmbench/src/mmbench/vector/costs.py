"""What a step of each task costs, which is what decides who steps what."""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Sequence
from pathlib import Path

from mmbench.catalog import Task, domain
from mmbench.language.cache import cache_dir

_FRAME_MICROSECONDS = 20_000.0
"""Drawing a frame, without a GPU."""


def measured_costs() -> Path:
    """Where ``mmbench bench`` keeps what it measured on this machine."""
    return cache_dir() / "step_costs.json"


def step_costs(tasks: Sequence[Task], obs: str) -> list[float]:
    """Estimates the time of an agent step, in microseconds.

    Args:
        tasks: Tasks, one an environment.
        obs: ``state``, ``rgb`` or ``state+rgb``.

    Returns:
        A number for each, from the table of this machine (``mmbench bench``), else from the one
        that comes with the package, else that of the domain. Only their proportions matter.
    """
    table = {**_shipped(), **_of_this_machine()}
    frame = _FRAME_MICROSECONDS if "rgb" in obs else 0.0
    return [table.get(task.id, domain(task.domain).step_microseconds) + frame for task in tasks]


@functools.cache
def _shipped() -> dict[str, float]:
    text = importlib.resources.files("mmbench.vector").joinpath("step_costs.json").read_text()
    return json.loads(text)


def _of_this_machine() -> dict[str, float]:
    try:
        table = json.loads(measured_costs().read_text())
        return {str(task): float(cost) for task, cost in table.items() if cost > 0}
    except (OSError, ValueError, TypeError, AttributeError):
        # It decides about speed only, and `mmbench bench` writes it anew.
        return {}
