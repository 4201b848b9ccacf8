"""``mmbench report``: runs side by side, as tables, pictures and one page."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro

from mmbench.commands import TaskCommand, user_path
from mmbench.runs import RunError
from mmbench.shell import plural


@dataclasses.dataclass(frozen=True)
class Report(TaskCommand):
    """Compare runs of any methods: scores, intervals, curves and cost.

    A run is its folder, or a result file from elsewhere (docs/report.md).
    """

    runs: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[RUN ...]")] = ()
    """Folders, also of several runs or files, and files. NAME=PATH gives a method another name."""

    out: Annotated[str, tyro.conf.arg(metavar="DIR")] = "report"
    """Folder for report.html, report.md, CSV, PNG and result files, in place of an older report."""

    check: bool = False
    """Only check that the runs can be read, and write nothing."""

    def run(self) -> None:
        """Reads, compares, writes.

        Raises:
            RunError: A run cannot be read, or two cannot stand in one report.
        """
        from mmbench.evaluation.report import Comparison, read_result, total, write_report

        if not self.runs:
            raise RunError("no run: give the folders of finished runs, or result files")
        out = user_path(self.out, "--out")
        results = [read_result(source) for run in self.runs for source in _sources(run)]
        if self.check:
            for result in results:
                told = f"{result.method}, seed {result.seed}, {len(result.tasks)} tasks"
                print(f"{result.source}: {told}, protocol {result.protocol or 'none'}")
            return
        methods = plural(len({result.method for result in results}), "method")
        print(f"comparing {plural(len(results), 'run')} of {methods} ...", file=sys.stderr)
        comparison = Comparison(results)
        files = write_report(comparison, out)
        print(total(comparison).markdown())
        for note in comparison.notes:
            print(f"* {note}")
        print(f"\n{files[0]} and {len(files) - 1} more files")


def _sources(given: str) -> list[str]:
    """Returns what is meant by a path, or by NAME=PATH: all runs that lie there."""
    from mmbench.evaluation.report.results import split_name

    name, path = split_name(given)
    runs = _runs_in(user_path(path, "the path of a run"))
    return [f"{name}={run}" if name else str(run) for run in runs]


def _runs_in(place: Path) -> list[Path]:
    """Returns the finished runs, or the result files, in a folder; elsewhere what was given."""
    if (place / "config.json").is_file():
        return [place]
    runs = sorted(path.parent for path in place.glob("*/config.json"))
    if not runs:
        return sorted(place.glob("[!.]*.json")) or [place]
    for run in runs:
        if not (run / "eval.json").is_file():
            print(f"left out, as it is not finished: {run}", file=sys.stderr)
    return [run for run in runs if (run / "eval.json").is_file()]
