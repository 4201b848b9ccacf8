"""The learning curves of a run: ``learning_curve.png``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 4
_PANEL = 3.4, 2.6
"""Width and height of a panel, in inches."""
_ALONE = 6.0, 4.0
_PALE = "#a9cbe6"
_MEANS = 60
"""Most points on the training curve; each is the mean of neighbouring episodes."""

Row = dict[str, str]


def draw_curves(rows: Sequence[Row], path: Path) -> None:
    """Draws what a run's episodes scored against the step, a panel a task.

    Args:
        rows: Of ``metrics.csv``.
        path: The PNG to write.
    """
    curves(rows).savefig(path, dpi=120)


def curves(rows: Sequence[Row]) -> Figure:
    """Returns the figure of :func:`draw_curves`.

    Each panel shows the training episodes and their means, the evaluations, and, as lines across,
    what the random policy and the untrained agent reach. A task without a score shows its return.
    """
    from matplotlib.figure import Figure  # late, and without pyplot: it has a global state

    by_task: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["task"]):
        by_task.setdefault(row["task"], []).append(row)
    count = max(1, len(by_task))
    columns = min(_COLUMNS, count)
    lines = math.ceil(count / columns)
    width, height = _PANEL if count > 1 else _ALONE
    figure = Figure(figsize=(width * columns, height * lines + 0.3), layout="constrained")
    panels = list(figure.subplots(lines, columns, squeeze=False).flat)
    last = max((int(row["step"]) for row in rows), default=1)
    for number, (axes, (task, own)) in enumerate(zip(panels, by_task.items(), strict=False)):
        _draw_task(axes, task, own)
        _draw_axes(axes, last)
        if number + columns >= count:  # nothing below
            axes.set_xlabel("steps (of all tasks)")
    for axes in panels[len(by_task) :]:
        axes.set_visible(False)
    known: dict[str, Artist] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        known |= dict(zip(labels, handles, strict=True))
    handles, labels = list(known.values()), list(known)
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw_axes(axes: Axes, last: int) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axes.set_xlim(0, 1.03 * last)  # so that the last evaluation is seen whole
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 20k, 1.5M
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.grid(alpha=0.3)


def _draw_task(axes: Axes, task: str, rows: Sequence[Row]) -> None:
    shown = "return" if all(math.isnan(float(row["score"])) for row in rows) else "score"
    axes.set_title(task, fontsize="medium")
    axes.set_ylabel(shown)
    if shown == "score":
        axes.set_ylim(-0.03, 1.03)
    steps, values = _points(rows, shown, "train")
    axes.plot(steps, values, ".", color=_PALE, markersize=4, label="training episode")
    axes.plot(*_means(steps, values), color="C0", lw=2, label="mean of training episodes")
    for phase, style, label in (
        ("random", "--", "random policy"),
        ("before", ":", "untrained agent"),
    ):
        _, values = _points(rows, shown, phase)
        if len(values):
            axes.axhline(values.mean(), color="dimgrey", ls=style, label=label)
    for phase, size, label in (("eval", 4, "evaluation"), ("after", 8, "final evaluation")):
        steps, values = _points(rows, shown, phase)
        at = np.unique(steps)
        means = [values[steps == step].mean() for step in at]
        if means:
            look: dict[str, Any] = {"color": "C1", "ms": size, "clip_on": False, "zorder": 3}
            axes.plot(at, means, "D", label=label, **look)


def _points(rows: Sequence[Row], shown: str, phase: str) -> tuple[np.ndarray, np.ndarray]:
    """The steps and the values of the episodes of a phase."""
    own = [row for row in rows if row["phase"] == phase]
    return np.array([int(row["step"]) for row in own]), np.array([float(row[shown]) for row in own])


def _means(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Averages groups of neighbouring episodes; those that end at one step share a group."""
    distinct = np.unique(steps)
    groups = np.array_split(distinct, min(_MEANS, len(distinct)) or 1)
    inside = [np.isin(steps, group) for group in groups if len(group)]
    return (
        np.array([steps[own].mean() for own in inside]),
        np.array([values[own].mean() for own in inside]),
    )
