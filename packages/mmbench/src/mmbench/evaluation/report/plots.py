"""The pictures of a report. They need matplotlib, the extra ``report``."""

from __future__ import annotations

import io
import math
import warnings
from typing import TYPE_CHECKING

import numpy as np

from mmbench.evaluation.aggregate import LEAST_RUNS
from mmbench.evaluation.report.comparison import Comparison, Entry
from mmbench.evaluation.report.curve import Curve
from mmbench.runs import RunError
from mmbench.shell import command

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"),
    *("#000000", "#8c6d31", "#7f7f7f"),
)
"""Okabe and Ito's, which the colour-blind can tell apart, and two more."""
_DASHES = ("-", "--", ":")
_SIZE = (7.2, 4.2)
_POINTS = 60
_LONGEST = 28
"""Characters of a method's name; the tables have all of it."""


def require_matplotlib() -> None:
    """Checks that pictures can be drawn.

    Raises:
        RunError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        install = command("pip", "install", "mmbench[report]")
        raise RunError(f"the pictures need matplotlib: {install}") from error


def pictures(comparison: Comparison) -> dict[str, bytes]:
    """Draws the pictures: PNG files, by the names that they shall have."""
    drawn: dict[str, Figure | None] = {
        "aggregate": _aggregate(comparison),
        "curve_steps": _curves(comparison, "agent steps (updates, where none are taken)", 0),
        "curve_time": _curves(comparison, "minutes of the clock", 1),
    }
    return {name: _png(figure) for name, figure in drawn.items() if figure is not None}


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A sign that the font lacks is a box; the tables have the name.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def _figure(height: float = _SIZE[1]) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure  # without pyplot: it has a global state

    figure = Figure(figsize=(_SIZE[0], height), layout="constrained")
    axes = figure.subplots()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _aggregate(comparison: Comparison) -> Figure:
    """Mean and interquartile mean of each method, with intervals where there are any."""
    entries = comparison.entries
    figure, axes = _figure(1.3 + 0.42 * len(entries))
    for shift, name, marker in ((-0.13, "mean", "o"), (0.13, "IQM", "D")):
        for at, entry in enumerate(entries):
            own = entry.mean if name == "mean" else entry.iqm
            colour = _style(at)[0]
            if not math.isnan(own.interval[0]):
                axes.plot(own.interval, [at + shift] * 2, color=colour, linewidth=2.5, alpha=0.5)
            axes.plot(own.value, at + shift, marker, color=colour, markersize=6)
        axes.plot([], [], marker, color="#555555", linestyle="none", label=name)
    names = [_short(entry.method) for entry in entries]
    axes.set_yticks(range(len(entries)), names, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("score over all runs and tasks")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower right", frameon=False, ncols=2)
    return figure


def _curves(comparison: Comparison, label: str, column: int) -> Figure | None:
    """The methods' mean scores along their runs; a band where there are three runs."""
    drawn = [(at, entry) for at, entry in enumerate(comparison.entries) if _has_curves(entry)]
    if not drawn:
        return None
    figure, axes = _figure()
    for at, entry in drawn:
        colour, dash = _style(at)
        x, values = _on_grid([run.curve for run in entry.runs], column)
        scale = 1 / 60 if column else 1
        axes.plot(
            x * scale,
            values.mean(axis=0),
            color=colour,
            linestyle=dash,
            marker="o" if len(x) == 1 else "",
            label=str(at),  # its name comes below: matplotlib leaves out those that begin with _
        )
        if len(values) >= LEAST_RUNS:
            low, high = values.min(axis=0), values.max(axis=0)
            axes.fill_between(x * scale, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_xlabel(label)
    axes.set_ylabel("mean score over tasks")
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    legend = axes.legend(frameon=False, fontsize="small", ncols=2)
    for text, (_, entry) in zip(legend.get_texts(), drawn, strict=True):
        text.set(text=_short(entry.method), parse_math=False)
    return figure


def _short(name: str) -> str:
    """A name that leaves room for the picture."""
    half = (_LONGEST - 1) // 2
    return name if len(name) <= _LONGEST else f"{name[:half]}…{name[-half:]}"


def _has_curves(entry: Entry) -> bool:
    return all(run.curve for run in entry.runs)


def _on_grid(curves: list[Curve], column: int) -> tuple[np.ndarray, np.ndarray]:
    """Brings curves to common places, within what all of them cover."""
    low = max(curve[0][column] for curve in curves)
    high = min(curve[-1][column] for curve in curves)
    x = np.linspace(low, high, _POINTS) if high > low else np.array([high])
    values = [
        np.interp(x, [point[column] for point in curve], [point[2] for point in curve])
        for curve in curves
    ]
    return x, np.array(values)


def _style(at: int) -> tuple[str, str]:
    return _COLOURS[at % len(_COLOURS)], _DASHES[at // len(_COLOURS) % len(_DASHES)]
