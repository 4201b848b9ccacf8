"""Learning curves: the mean score over tasks along a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Curve = tuple[tuple[float, float, float], ...]
"""Points (step, seconds, mean score over tasks), in the order of steps."""

_POINTS = 25
"""Points of a curve at most."""

_EVALUATIONS = ("before", "eval", "after")


def curve_of(rows: Sequence[dict[str, str]]) -> Curve:
    """Makes a curve of the rows of ``metrics.csv``.

    Training episodes where there are any: at each point the mean over tasks of what a task's
    episodes since the last point scored on average; a task that finished none keeps its value. A
    method that does not act has its evaluations.
    """
    scored = [row for row in rows if row["score"] not in ("", "nan")]
    training = [row for row in scored if row["phase"] == "train"]
    if not training:
        return _evaluations(scored)
    steps = np.array([float(row["step"]) for row in training])
    edges = np.linspace(0, steps.max(), _POINTS + 1)[1:]
    place = np.searchsorted(edges, steps - 1e-9)
    known: dict[str, float] = {}
    tasks = {row["task"] for row in training}
    points = []
    for number in range(_POINTS):
        own = [row for row, at in zip(training, place, strict=True) if at == number]
        scores: dict[str, list[float]] = {}
        for row in own:
            scores.setdefault(row["task"], []).append(float(row["score"]))
        known |= {task: float(np.mean(values)) for task, values in scores.items()}
        if own and len(known) == len(tasks):  # before that, the mean is of the shortest tasks
            seconds = max(float(row["seconds"]) for row in own)
            points.append((float(edges[number]), seconds, float(np.mean(list(known.values())))))
    return tuple(points)


def _evaluations(rows: Sequence[dict[str, str]]) -> Curve:
    # What only pretrains is evaluated twice at step 0, before and after.
    points: dict[tuple[float, int], list[dict[str, str]]] = {}
    for row in rows:
        if row["phase"] in _EVALUATIONS:
            point = (float(row["step"]), _EVALUATIONS.index(row["phase"]))
            points.setdefault(point, []).append(row)
    curve = []
    for (step, _), own in sorted(points.items()):
        scores: dict[str, list[float]] = {}
        for row in own:
            scores.setdefault(row["task"], []).append(float(row["score"]))
        seconds = max(float(row["seconds"]) for row in own)
        curve.append((step, seconds, float(np.mean([np.mean(s) for s in scores.values()]))))
    return tuple(curve)
