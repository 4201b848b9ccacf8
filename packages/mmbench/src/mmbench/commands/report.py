"""``mmbench report``: runs side by side, as tables, pictures and one page."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import tyro

from mmbench.commands import TaskCommand, user_path
from mmbench.runs import RunError
from mmbench.shell import plural

if TYPE_CHECKING:
    from mmbench.evaluation.report import Result


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
        from mmbench.evaluation.report import Comparison, total, write_report

        if not self.runs:
            raise RunError("no run: give the folders of finished runs, or result files")
        out = user_path(self.out, "--out")
        results = list(_read(self.runs, self.check))
        if self.check:
            return
        methods = plural(len({result.method for result in results}), "method")
        print(f"comparing {plural(len(results), 'run')} of {methods} ...", file=sys.stderr)
        comparison = Comparison(results)
        files = write_report(comparison, out)
        print(total(comparison).markdown())
        for note in comparison.notes:
            print(f"* {note}")
        print(f"\n{files[0]} and {len(files) - 1} more files")


def _read(given: Sequence[str], check: bool) -> Iterator[Result]:
    """Reads all runs; to check, also past those that cannot be read, and says what each is.

    Raises:
        RunError: A run cannot be read; to check, how many cannot, once all were tried.
    """
    from mmbench.evaluation.report import UnfinishedError, read_result

    problems = count = 0
    for run in given:
        sources = _sources(run)
        for source in sources:
            count += 1
            try:
                result = read_result(source)
            except RunError as error:
                # Unfinished runs beside others stop nothing; nobody asked for each of them.
                left_out = isinstance(error, UnfinishedError) and source != run
                if not (check or left_out):
                    raise
                print(f"left out: {error}" if left_out else error, file=sys.stderr)
                problems += not left_out
                continue
            if check:
                told = f"{result.method}, seed {result.seed}, {plural(len(result.tasks), 'task')}"
                print(f"{result.source}: {told}, protocol {result.protocol or 'none'}")
            yield result
    if problems:
        raise RunError(f"{problems} of {plural(count, 'run')} cannot be read")


def _sources(given: str) -> list[str]:
    """Returns what is meant by a path, or by NAME=PATH: all runs that lie there."""
    from mmbench.evaluation.report.results import split_name

    name, path = split_name(given)
    place = user_path(path, "the path of a run")
    if (place / "config.json").is_file():
        return [given]
    runs = sorted(path.parent for path in place.glob("*/config.json"))
    runs = runs or sorted(place.glob("[!.]*.json"))
    return [f"{name}={run}" if name else str(run) for run in runs] or [given]
