"""Reports on any set of runs: tables, learning curves, one page.

* :mod:`~mmbench.evaluation.report.results`: one run, from its folder or from a file.
* :mod:`~mmbench.evaluation.report.comparison`: what may stand side by side, and its numbers.
* :mod:`~mmbench.evaluation.report.tables`, ``plots``, ``page``: what is shown.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from mmbench.evaluation.report.comparison import Comparison
from mmbench.evaluation.report.page import page
from mmbench.evaluation.report.plots import figures, require_matplotlib
from mmbench.evaluation.report.results import FORMAT, Result, read_result
from mmbench.evaluation.report.tables import Table, tables
from mmbench.runs import RunError, to_json, write_atomically

__all__ = ["FORMAT", "Comparison", "Result", "Table", "read_result", "tables", "write_report"]


def write_report(comparison: Comparison, out: Path, title: str = "Comparison") -> list[Path]:
    """Writes ``report.html``, ``report.md``, a CSV file a table, a PNG a picture and JSON a run.

    Args:
        comparison: What to show.
        out: The folder; it is made, and files of these names in it are replaced.
        title: Of the page.

    Returns:
        The files, the page first.

    Raises:
        RunError: matplotlib is missing, or the folder cannot be made.
    """
    require_matplotlib()
    try:
        (out / "results").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"--out {out}: no folder can be made there ({error.strerror})") from error
    pictures: dict[str, bytes] = {}
    for name, figure in figures(comparison).items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=130)
        pictures[name] = buffer.getvalue()
    shown = tables(comparison)
    content: dict[str, str | bytes] = {
        "report.html": page(title, comparison.notes, shown, pictures),
        "report.md": _markdown(title, comparison.notes, shown, pictures),
        **{f"{table.name}.csv": table.csv() for table in shown},
        **{f"{name}.png": picture for name, picture in pictures.items()},
        **{
            # As one name, whatever the method is called.
            f"results/{quote(run.method, safe='')}-{run.seed}.json": to_json(run.to_dict()) + "\n"
            for entry in comparison.entries
            for run in entry.runs
        },
    }
    for name, data in content.items():
        write_atomically(out / name, data)
    return [out / name for name in content]


def _markdown(
    title: str, notes: Sequence[str], shown: Sequence[Table], pictures: dict[str, bytes]
) -> str:
    parts = [f"# {title}\n"]
    if notes:
        parts.append("\n".join(f"* {note}" for note in notes) + "\n")
    first, *others = (table.markdown() for table in shown)
    drawn = "\n".join(f"![{name}]({name}.png)" for name in pictures) + "\n"
    return "\n".join([*parts, first, drawn, *others])
