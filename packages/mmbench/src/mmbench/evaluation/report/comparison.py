"""Results side by side: which of them may stand in one table, and the table's numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmbench.evaluation.aggregate import (
    LEAST_RUNS,
    bootstrap,
    interquartile_mean,
    mean,
    probability_of_improvement,
)
from mmbench.evaluation.intervals import Interval
from mmbench.evaluation.report.results import Result
from mmbench.runs import RunError


@dataclass(frozen=True)
class Statistic:
    """A number, with its interval; NaN at both ends where there are too few runs."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class Entry:
    """One method, all its runs.

    Attributes:
        method: Its name.
        runs: By seed.
        tasks: Those that all its runs ran, in the report's order.
        scores: ``[runs, tasks]``.
    """

    method: str
    runs: tuple[Result, ...]
    tasks: tuple[str, ...]
    scores: np.ndarray

    @functools.cached_property
    def mean(self) -> Statistic:
        """Mean over runs and tasks."""
        return self._statistic(mean, self.scores)

    @functools.cached_property
    def iqm(self) -> Statistic:
        """Interquartile mean over runs and tasks."""
        return self._statistic(interquartile_mean, self.scores)

    def mean_of(self, tasks: Iterable[str]) -> Statistic | None:
        """Mean over runs and some tasks; None where it ran none of them."""
        chosen = [self.tasks.index(task) for task in tasks if task in self.tasks]
        return self._statistic(mean, self.scores[:, chosen]) if chosen else None

    def score(self, task: str) -> float:
        """Mean of one task over runs; NaN where it did not run."""
        if task not in self.tasks:
            return np.nan
        return float(self.scores[:, self.tasks.index(task)].mean())

    @property
    def seconds(self) -> float:
        """Mean of the runs' time; NaN where one of them is not known."""
        return float(np.mean([run.seconds for run in self.runs]))

    @property
    def steps(self) -> float:
        """Mean length of the runs."""
        return float(np.mean([run.steps for run in self.runs]))

    @property
    def protocol(self) -> str:
        """What the runs say of a protocol."""
        return "; ".join(dict.fromkeys(str(run.protocol or "none") for run in self.runs))

    @staticmethod
    def _statistic(function: Callable[..., np.ndarray], scores: np.ndarray) -> Statistic:
        return Statistic(float(function(scores)), bootstrap(function, scores))


class Comparison:
    """The methods of some results.

    Args:
        results: In any order.

    Attributes:
        entries: By the total's mean, the best first.
        tasks: Domain of every task that any method was asked to run and has run.
        asked: How many tasks the methods were asked to run, together.
        notes: What a reader has to know before comparing, as sentences.

    Raises:
        RunError: Two results cannot stand in one report.
    """

    def __init__(self, results: Sequence[Result]) -> None:
        if not results:
            raise RunError("no result: give the folders of finished runs, or result files")
        _check_protocols(results)
        of_method: dict[str, list[Result]] = {}
        for result in results:
            of_method.setdefault(result.method, []).append(result)
        for method, runs in of_method.items():
            _check_runs(method, runs)
        self.tasks: Mapping[str, str] = {
            name: row.domain for result in results for name, row in result.tasks.items()
        }
        missing = {name for result in results for name in result.missing}
        self.asked = len(set(self.tasks) | missing)
        self.entries = sorted(
            (self._entry(method, runs) for method, runs in of_method.items()),
            key=lambda entry: -entry.mean.value,
        )
        self.notes = [*self._notes(results)]

    def _entry(self, method: str, runs: Sequence[Result]) -> Entry:
        ordered = tuple(sorted(runs, key=lambda run: run.seed))
        tasks = tuple(name for name in self.tasks if all(name in run.tasks for run in ordered))
        if not tasks:
            raise RunError(f"{method}: its runs have no task in common; give them names, NAME=PATH")
        scores = np.array([[run.tasks[name].score for name in tasks] for run in ordered])
        return Entry(method, ordered, tasks, scores)

    @property
    def domains(self) -> dict[str, list[str]]:
        """The tasks of each domain."""
        domains: dict[str, list[str]] = {}
        for name, domain in self.tasks.items():
            domains.setdefault(domain, []).append(name)
        return domains

    def improvement(self, ours: Entry, theirs: Entry) -> Statistic | None:
        """How likely ours is better, on the tasks that both ran; None where there is none."""
        both = [name for name in ours.tasks if name in theirs.tasks]
        if not both:
            return None
        scores = [entry.scores[:, [entry.tasks.index(n) for n in both]] for entry in (ours, theirs)]
        return Statistic(
            float(probability_of_improvement(*scores)),
            bootstrap(probability_of_improvement, *scores),
        )

    def _notes(self, results: Sequence[Result]) -> Iterable[str]:
        partial: dict[tuple[str, ...], list[str]] = {}
        for entry in self.entries:
            if len(entry.tasks) < self.asked:
                partial.setdefault(entry.tasks, []).append(entry.method)
        for tasks, methods in partial.items():
            others = [name for name in self.tasks if name not in tasks]
            but = f" (not {_some(others)})" if others else ""
            yield (
                f"Scores of {len(tasks)} of {self.asked} tasks{but}, over which their means are: "
                f"{', '.join(methods)}."
            )
        if len({entry.tasks for entry in self.entries}) > 1:
            yield "Methods differ in their tasks; improvement is over those that both have."
        few = [entry for entry in self.entries if len(entry.runs) < LEAST_RUNS]
        if few:
            counts = ", ".join(f"{entry.method} {len(entry.runs)}" for entry in few)
            yield f"Fewer than {LEAST_RUNS} runs, so no interval: {counts}."
        seeds = {result.seed for result in results}
        for entry in self.entries:
            absent = sorted(seeds - {run.seed for run in entry.runs})
            if absent:
                yield f"{entry.method} has no run of seed {', '.join(map(str, absent))}."
        for entry in self.entries:
            if any(run.protocol and not run.protocol.kept for run in entry.runs):
                yield f"{entry.method} is {entry.protocol}."
        protocols = {result.protocol is None for result in results}
        if len(protocols) == 2:
            without = [entry.method for entry in self.entries if entry.protocol == "none"]
            yield f"Of no protocol: {', '.join(without)}."
        yield from _mixed_versions(results)


def _check_protocols(results: Sequence[Result]) -> None:
    seen: dict[tuple[str, int], Result] = {}
    for result in results:
        if result.protocol is not None:
            seen[result.protocol.name, result.protocol.version] = result
    if len(seen) > 1:
        (one, first), (other, second) = list(seen.items())[:2]
        raise RunError(
            f"{first.source} follows {one[0]} {one[1]}, and {second.source} {other[0]} {other[1]}: "
            "their numbers cannot be compared. Report them apart"
        )


def _check_runs(method: str, runs: Sequence[Result]) -> None:
    of_seed: dict[int, Result] = {}
    for run in runs:
        twice = of_seed.setdefault(run.seed, run)
        if twice is not run:
            raise RunError(
                f"{twice.source} and {run.source} are both {method} with seed {run.seed}: leave "
                "one out, or give it another name, NAME=PATH"
            )
    # Only folders tell their settings; the length is always told.
    known = [run for run in runs if run.settings]
    pairs = [(known[0], run) for run in known[1:]] + [(runs[0], run) for run in runs[1:]]
    for first, run in pairs:
        told = [{**one.settings, "steps": one.steps} for one in (first, run)]
        if not (first.settings and run.settings):
            told = [{"steps": one.steps} for one in (first, run)]
        ours, theirs = told
        differ = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
        if differ:
            one, other = ours.get(differ[0]), theirs.get(differ[0])
            raise RunError(
                f"{first.source} and {run.source} are both {method}, with {differ[0]} {one!r} and "
                f"{other!r}: they are no seeds of one method. Give one another name, NAME=PATH"
            )


def _mixed_versions(results: Sequence[Result]) -> Iterable[str]:
    """Says which packages differ, and between which results."""
    packages = dict.fromkeys(name for result in results for name in result.versions)
    for package in packages:
        of: dict[str, list[str]] = {}
        for result in results:
            if package in result.versions:
                of.setdefault(result.versions[package], []).append(result.source)
        if len(of) > 1:
            parts = ", ".join(f"{version} ({_some(own)})" for version, own in of.items())
            yield f"Versions of {package} differ: {parts}."
    commits: dict[str, list[str]] = {}
    for result in results:
        if result.commit:
            commits.setdefault(result.commit[:10], []).append(result.source)
    if len(commits) > 1:
        parts = ", ".join(f"{commit} ({_some(own)})" for commit, own in commits.items())
        yield f"Commits differ: {parts}."


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more
