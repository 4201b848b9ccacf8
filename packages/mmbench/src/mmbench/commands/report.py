"""``mmbench report``: runs side by side, as tables, pictures and one page."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro

from mmbench.commands import TaskCommand
from mmbench.runs import RunError


@dataclasses.dataclass(frozen=True)
class Report(TaskCommand):
    """Compare runs of any methods: scores, intervals, curves and cost.

    A run is its folder, or a result file from elsewhere (docs/report.md).
    """

    runs: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[RUN ...]")] = ()
    """Folders, also of several runs, and files. NAME=PATH gives a run's method another name."""

    out: Annotated[str, tyro.conf.arg(metavar="DIR")] = "report"
    """Folder for report.html, report.md, CSV and PNG files."""

    check: bool = False
    """Only check that the runs can be read, and write nothing."""

    def run(self) -> None:
        """Reads, compares, writes.

        Raises:
            RunError: A run cannot be read, or two cannot stand in one report.
        """
        from mmbench.evaluation.report import Comparison, read_result, tables, write_report

        if not self.runs:
            raise RunError("no run: give the folders of finished runs, or result files")
        results = [read_result(source) for run in self.runs for source in _runs_in(run)]
        if self.check:
            for result in results:
                told = f"{result.method}, seed {result.seed}, {len(result.tasks)} tasks"
                print(f"{result.source}: {told}, protocol {result.protocol or 'none'}")
            return
        comparison = Comparison(results)
        files = write_report(comparison, Path(self.out).expanduser())
        print(tables(comparison)[0].markdown())
        for note in comparison.notes:
            print(f"* {note}")
        print(f"\n{files[0]} and {len(files) - 1} more files")


def _runs_in(source: str) -> list[str]:
    """Returns the finished runs in a folder of runs; elsewhere what was given."""
    folder = Path(source).expanduser()
    runs = [] if _is_run(folder) else sorted(path.parent for path in folder.glob("*/config.json"))
    for run in runs:
        if not (run / "eval.json").is_file():
            print(f"left out, as it is not finished: {run}", file=sys.stderr)
    return [str(run) for run in runs if (run / "eval.json").is_file()] if runs else [source]


def _is_run(folder: Path) -> bool:
    return (folder / "config.json").is_file()
