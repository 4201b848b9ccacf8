"""Reading the recorded data of the published implementation, and comparing with it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

SHIPPED = Path(__file__).parents[1] / "reference"
FULL_VARIABLE = "MMBENCH_REFERENCE"


def full_recording() -> Path:
    """The folder of the full recording; skips the test where there is none."""
    folder = os.environ.get(FULL_VARIABLE)
    if not folder:
        pytest.skip(f"{FULL_VARIABLE} does not name the folder of the full recording")
    return Path(folder)


def recorded(domain: str, ending: str) -> list[str]:
    """The names of a domain's tasks of which a file with this ending is shipped."""
    return sorted(path.stem for path in (SHIPPED / domain).glob(f"*{ending}"))


class Transition(NamedTuple):
    """One recorded agent step.

    Attributes:
        state: What ``set_state`` takes: ``state``, ``model/...``, ``task/...``.
        action: In [-1, 1].
        reward: Of the agent step.
        next_obs: After it.
        extra: Every other recorded array, by name.
    """

    state: dict[str, np.ndarray]
    action: np.ndarray
    reward: float
    next_obs: np.ndarray
    extra: dict[str, np.ndarray]


def transitions(path: Path) -> Iterator[Transition]:
    """Yields the transitions of one file.

    Model arrays that are equal in all of them are left out: they are the published geometry,
    which our own model has to have by itself.
    """
    with np.load(path) as data:
        arrays = {key: data[key] for key in data.files}
    count = int(arrays["n"])
    rows: list[dict[str, np.ndarray]] = [{} for _ in range(count)]
    for key, value in arrays.items():
        index, _, name = key.partition("/")
        if name and index.isdigit():
            rows[int(index)][name] = value
    varying = {
        name
        for name in rows[0]
        if not name.startswith("model/")
        or any(not np.array_equal(rows[0][name], row[name]) for row in rows)
    }
    for row in rows:
        state = {
            name: value
            for name, value in row.items()
            if name in varying and (name == "state" or name.startswith(("model/", "task/")))
        }
        known = ("state", "action", "reward", "next_obs")
        extra = {
            name: value
            for name, value in row.items()
            if name not in known and not name.startswith(("model/", "task/"))
        }
        yield Transition(state, row["action"], float(row["reward"]), row["next_obs"], extra)


def relative_error(ours: np.ndarray | float, theirs: np.ndarray | float) -> float:
    """The largest |ours - theirs| / max(1, |theirs|)."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return float(np.max(np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs)), initial=0.0))


def fingerprint(path: Path) -> dict[str, Any]:
    """The recorded statistics of one task, by policy."""
    return json.loads(path.read_text())["fingerprint"]
