"""Reports on any set of runs: tables, learning curves, one page.

* :mod:`~mmbench.evaluation.report.results`: one run, from its folder or from a file.
* :mod:`~mmbench.evaluation.report.comparison`: what may stand side by side, and its numbers.
* :mod:`~mmbench.evaluation.report.tables`, ``plots``, ``page``: what is shown.
* :mod:`~mmbench.evaluation.report.folder`: where it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmbench.evaluation.report.comparison import Comparison
from mmbench.evaluation.report.folder import PAGE, make_folder, publish, result_files
from mmbench.evaluation.report.page import page
from mmbench.evaluation.report.plots import Picture, pictures, require_matplotlib
from mmbench.evaluation.report.results import FORMAT, Result, UnfinishedError, read_result
from mmbench.evaluation.report.tables import Table, escaped, tables, total

__all__ = [
    "FORMAT",
    "Comparison",
    "Result",
    "Table",
    "UnfinishedError",
    "read_result",
    "tables",
    "total",
    "write_report",
]


def write_report(comparison: Comparison, out: Path, title: str = "Comparison") -> list[Path]:
    """Writes ``report.html``, ``report.md``, a CSV file a table, a PNG a picture and JSON a run.

    They take the place of what an older report wrote into the folder; other files stay.

    Args:
        comparison: What to show.
        out: The folder; it is made.
        title: Of the page.

    Returns:
        The files, the page first.

    Raises:
        RunError: matplotlib is missing, or the folder cannot be written into.
    """
    require_matplotlib()
    results = [run for entry in comparison.entries for run in entry.runs]
    make_folder(out, results)
    drawn, shown = pictures(comparison), tables(comparison)
    content: dict[str, str | bytes] = {
        PAGE: page(title, comparison.notes, shown, drawn),
        "report.md": _markdown(title, comparison.notes, shown, drawn),
        **{f"{table.name}.csv": table.csv() for table in shown},
        **{f"{name}.png": picture.png for name, picture in drawn.items()},
        **result_files(results),
    }
    publish(out, content)
    return [out / name for name in content]


def _markdown(
    title: str, notes: Sequence[str], shown: Sequence[Table], drawn: dict[str, Picture]
) -> str:
    parts = [f"# {escaped(title)}\n"]
    if notes:
        parts.append("\n".join(f"* {escaped(note)}" for note in notes) + "\n")
    first, *others = (table.markdown() for table in shown)
    links = "".join(
        f"![{name}]({name}.png)\n\n{picture.caption}\n\n" for name, picture in drawn.items()
    )
    return "\n".join([*parts, first, links, *others])
