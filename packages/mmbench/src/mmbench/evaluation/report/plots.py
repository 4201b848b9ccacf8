"""The pictures of a report. They need matplotlib, the extra ``report``."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmbench.evaluation.aggregate import LEAST_RUNS
from mmbench.evaluation.protocol import PROTOCOLS
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
_KNOWN = tuple(dict.fromkeys(row for one in PROTOCOLS.values() for row in one.entrants))
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


@dataclass(frozen=True)
class Picture:
    """A picture.

    Attributes:
        caption: What it shows, as a sentence.
        png: The content of its file.
    """

    caption: str
    png: bytes


def pictures(comparison: Comparison) -> dict[str, Picture]:
    """Draws the pictures, by the names that their files shall have."""
    several = any(len(entry.runs) >= LEAST_RUNS for entry in comparison.entries)
    whole = "Mean and interquartile mean"
    whole += f", with 95 % intervals of {LEAST_RUNS} or more runs." if several else "."
    along = (
        " Training episodes of the methods that act while they learn, evaluations of the others."
    )
    if any(len(entry.runs) >= LEAST_RUNS and _has_curves(entry) for entry in comparison.entries):
        along += " A band goes from the least to the best run."
    steps, clock = "agent steps (updates, where none are taken)", "minutes of the clock"
    drawn = {
        "aggregate": (whole, _aggregate(comparison)),
        "curve_steps": (f"Mean score against steps.{along}", _curves(comparison, steps, 0)),
        "curve_time": (f"Mean score against time.{along}", _curves(comparison, clock, 1)),
    }
    return {
        name: Picture(caption, _png(figure))
        for name, (caption, figure) in drawn.items()
        if figure is not None
    }


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
    entries, styles = comparison.entries, _styles(comparison)
    figure, axes = _figure(1.3 + 0.42 * len(entries))
    for shift, name, marker in ((-0.13, "mean", "o"), (0.13, "IQM", "D")):
        for at, entry in enumerate(entries):
            own = entry.mean if name == "mean" else entry.iqm
            colour = styles[entry.method][0]
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
    styles = _styles(comparison)
    for at, entry in drawn:
        colour, dash = styles[entry.method]
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


def _styles(comparison: Comparison) -> dict[str, tuple[str, str]]:
    """Colour and dash of each method."""
    return styles(entry.method for entry in comparison.entries)


def styles(methods: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Returns colour and dash of each method.

    A method of a protocol has its own, in every report; the others share what is left, by name.
    """
    every = [(colour, dash) for dash in _DASHES for colour in _COLOURS]
    names = set(methods)
    own = {name: every[_KNOWN.index(name)] for name in _KNOWN if name in names}
    left = [style for style in every if style not in own.values()]
    others = sorted(names - set(own))
    return own | {name: left[at % len(left)] for at, name in enumerate(others)}
