"""What a person sees of a run: progress, tables, the learning curves."""

from __future__ import annotations

import errno
import itertools
import math
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from mmbench.evaluation import Episode
from mmbench.shell import plural
from newt_agent import ranks
from newt_agent.system import HANG_UP

_REFRESH_SECONDS = 0.5
_PLAIN_SECONDS = 15.0
_BUILDING_SECONDS = 5.0
_SHOWN_TASKS = 12
_SHOWN_TIMES = 3
_RECENT = 3

_PHASES = {
    "random": "random policy",
    "before": "untrained agent",
    "eval": "agent",
    "after": "trained agent",
}


class _Output:
    """Standard output that asks the run to stop once nobody reads it any more.

    When the terminal closes or the program behind the pipe ends, the next print acts like SIGHUP:
    the run saves and ends, instead of dying of the print.
    """

    def __init__(self) -> None:
        self._stream = sys.stdout
        self._gone = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        return self._heed_loss(lambda: self._stream.write(text)) or 0

    def flush(self) -> None:
        self._heed_loss(self._stream.flush)

    def _heed_loss(self, act: Callable[[], int | None]) -> int | None:
        if self._gone:
            return None
        try:
            return act()
        except OSError as error:
            # A handler is there while a run can be stopped.
            heeded = HANG_UP is not None and callable(signal.getsignal(HANG_UP))
            if error.errno not in (errno.EIO, errno.EPIPE) or not heeded:
                raise
            self._gone = True
            signal.raise_signal(HANG_UP)
            return None


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raises the error again: the command line ends quietly, where rich would exit with 1."""
        raise


class RecentScores:
    """Means over each task's latest episodes, in constant memory."""

    def __init__(self) -> None:
        self._latest: dict[str, deque[Episode]] = {}

    def add(self, episode: Episode) -> None:
        """Takes in an episode that has ended."""
        self._latest.setdefault(episode.task, deque(maxlen=_RECENT)).append(episode)

    def mean(self, task: str, scored: bool = True) -> float:
        """The mean score of a task's last episodes, or their return; NaN before the first one."""
        latest = self._latest.get(task)
        if not latest:
            return math.nan
        return sum(e.score if scored else e.episode_return for e in latest) / len(latest)


class RunProgress(NamedTuple):
    """How far a run is.

    Attributes:
        step: Agent steps so far; updates, of an offline method.
        steps: Length of the run.
        unit: What both are.
        stride: How many of them come at a time.
        updates: Gradient updates so far.
        phase: What goes on before the first step, and how many of how many updates of it are
            done; or None.
        random: Per task, the evaluation of the random policy as in ``eval.json``.
        recent: Of the latest training episodes.
        time: The part of the time that each kind of work took. On a GPU acting waits for the
            updates before it.
    """

    step: int
    steps: int
    unit: str
    stride: int
    updates: int
    phase: tuple[str, int, int] | None
    random: dict[str, Any]
    recent: RecentScores
    time: dict[str, float]


class Display:
    """Shows a run in a terminal, or as plain lines where there is none.

    Args:
        console: Where to write.
    """

    def __init__(self, console: Console | None = None) -> None:
        # The first process of a run shows it for all.
        self.console = console or _Console(file=_Output(), quiet=not ranks.is_first())  # type: ignore[arg-type]
        self._live: Live | None = None
        self._shown = 0.0
        self._start: tuple[str, float, int] | None = None

    def say(self, text: str) -> None:
        """Prints a line. The terminal folds it, so that paths and commands can be copied whole."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Prints a warning."""
        self.console.print(Text.assemble(("warning:", "yellow"), " ", text), soft_wrap=True)

    @contextmanager
    def building(self) -> Iterator[Callable[[int, int], None]]:
        """Shows how many environments are ready; yields a callback for each one built.

        In a terminal it is one line, which disappears in the end.
        """
        told = time.perf_counter()
        terminal = self.console.is_terminal
        seconds = _REFRESH_SECONDS if terminal else _BUILDING_SECONDS

        def on_progress(built: int, total: int) -> None:
            nonlocal told
            now = time.perf_counter()
            if now - told < seconds:
                return
            told = now
            text = f"{built} of {total} environments are ready"
            if terminal:
                line.update(text, refresh=True)
            else:
                self.say(text)

        with Live(console=self.console, auto_refresh=False, transient=True) as line:
            yield on_progress

    @contextmanager
    def running(self) -> Iterator[None]:
        """Shows progress while a run goes on."""
        if not self.console.is_terminal:
            yield
            return
        with Live(console=self.console, auto_refresh=False, transient=True) as self._live:
            yield
        self._live = None

    def advance(self, run: RunProgress) -> None:
        """Called after every step of the loop; draws now and then."""
        now = time.perf_counter()
        title, done, total = run.phase or ("training", run.step, run.steps)
        if self._start is None or self._start[0] != title:
            # The first line waits for a rate worth telling.
            stride = 0 if run.phase else run.stride
            self._start, self._shown = (title, now, done - stride), now
        interval = _REFRESH_SECONDS if self._live else _PLAIN_SECONDS
        if now - self._shown < interval and done < total:
            return
        self._shown = now
        _, since, before = self._start
        unit = "updates" if run.phase else run.unit
        rate = (done - before) / max(now - since, 1e-9)
        head = f"{done:,} / {total:,} {unit}   {rate:,.0f} {unit}/s   "
        if run.phase:
            head = f"{title}: {head}"
        elif unit != "updates":
            head += f"{run.updates:,} updates   "
        head += f"{duration((total - done) / max(rate, 1e-9))} left"
        if not run.phase:
            most = list(run.time.items())[:_SHOWN_TIMES]
            head += "".join(f"   {what} {share:.0%}" for what, share in most)
        if self._live:
            table = _scores(run)
            bar = Progress(TextColumn(title), BarColumn(bar_width=40), MofNCompleteColumn())
            bar.add_task("", total=total, completed=done)
            self._live.update(Group(bar, head, table), refresh=True)
        else:
            scores = ", ".join(
                f"{name} {_number(row[1])} (random {_number(row[0])})"
                for name, row in list(_recent_scores(run).items())[:_SHOWN_TASKS]
            )
            self.say(head if run.phase else f"{head}   {scores}")

    @contextmanager
    def evaluating(self, phase: str, total: int) -> Iterator[Callable[[Episode], None]]:
        """Shows how far an evaluation is; yields a callback for each episode."""
        title = f"evaluating the {_PHASES.get(phase, phase)}"
        if self._live is None:
            self.say(f"{title} ({plural(total, 'episode')})")
        count = itertools.count(1)
        with self.bar(title, total) as show:
            yield lambda episode: show(next(count))

    @contextmanager
    def bar(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """Shows a bar in a terminal; yields a callback for how much of the total is done."""
        shown = 0.0

        def show(done: int) -> None:
            nonlocal shown
            now = time.perf_counter()
            if live and (now - shown >= _REFRESH_SECONDS or done == total):
                shown = now
                columns = TextColumn("{task.description}", markup=False), BarColumn(bar_width=40)
                bar = Progress(*columns, MofNCompleteColumn())
                bar.add_task(title, total=total, completed=done)
                live.update(bar, refresh=True)

        live = self._live
        if live or not self.console.is_terminal:
            yield show
            return
        with Live(console=self.console, auto_refresh=False, transient=True) as live:
            show(0)
            yield show

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Shows that a checkpoint is being written."""
        if self._live:
            self._live.update("saving a checkpoint", refresh=True)
        yield

    def results(self, results: dict[str, Any]) -> None:
        """Prints the table of scores: random, before, after. Returns, where there is no score."""
        episodes = max(
            (row["episodes"] or 0 for row in results["after"]["tasks"].values()), default=0
        )
        table = Table(title=f"Mean score of {plural(episodes, 'episode')} (0 to 1)")
        table.add_column("task", overflow="fold")
        for column in ("random", "before", "after"):
            table.add_column(column, justify="right")
        for name, row in results["after"]["tasks"].items():
            key = "score" if is_scored(row) else "return"
            values = [results[c]["tasks"][name][key] for c in ("random", "before", "after")]
            label = name if key == "score" else f"{name} (return)"
            table.add_row(label, *(_number(value) for value in values))
        if results["after"]["total"]["tasks"]:
            totals = [results[c]["total"]["score"] for c in ("random", "before", "after")]
            table.add_section()
            table.add_row(_mean_label(results["after"]), *(_number(value) for value in totals))
        self.console.print(table)

    def evaluation(self, result: dict[str, Any], random: dict[str, Any] | None) -> None:
        """Prints one evaluation, beside the random policy's if there is one."""
        episodes = max((row["episodes"] for row in result["tasks"].values()), default=0)
        of = plural(episodes, "episode")
        table = Table(title=f"Mean scores (0 to 1) of {of}, with their 95 % intervals")
        table.add_column("task", overflow="fold")
        for column in ("score", "success", "return", *(["random"] if random else [])):
            table.add_column(column, justify="right")
        for name, row in result["tasks"].items():
            key = "score" if is_scored(row) else "return"
            beside = [_number(random["tasks"][name][key])] if random else []
            numbers = {name: _number(row[name]) for name in ("score", "success", "return")}
            numbers[key] = _with_interval(row, key)
            table.add_row(name, *numbers.values(), *beside)
        means = {_mean_label(result): (result["total"], random and random["total"])}
        if len(result["domains"]) > 1:
            domains = {
                f"{name} ({row['tasks']})": (row, random and random["domains"][name])
                for name, row in result["domains"].items()
                if row["tasks"]
            }
            means = domains | means
        if result["total"]["tasks"]:
            table.add_section()
            for label, (row, by_chance) in means.items():
                beside = [_number(by_chance["score"])] if by_chance else []
                success = _number(row["success"])
                table.add_row(label, _with_interval(row, "score"), success, "", *beside)
        self.console.print(table)
        self._missing(result)

    def open_loop(self, result: dict[str, Any]) -> None:
        """Prints how plans that are executed whole compare with planning at each step."""
        horizon = result["horizon"]
        table = Table(
            title=f"Return of {horizon} steps planned at once, as a fraction of planning at each"
        )
        table.add_column("task", overflow="fold")
        columns = [f"{step} steps" for step in result["steps"]]
        for column in ("at each", "at once", *columns):
            table.add_column(column, justify="right")
        for name, row in result["tasks"].items():
            whole = [_number(row[kind][-1]) for kind in ("closed_loop", "open_loop")]
            table.add_row(name, *whole, *map(_number, row["fraction"]))
        if len(result["tasks"]) > 1:
            table.add_section()
            table.add_row("mean", "", "", *map(_number, result["fraction"]))
        self.console.print(table)
        self._missing(result)

    def transfer(self, result: dict[str, Any]) -> None:
        """Prints what an agent can do in new tasks before and after it learns them."""
        kinds = ("zero_shot", "finetuned", "untrained", "scratch")
        steps = result["settings"]["steps"]
        table = Table(title=f"Mean scores (0 to 1) over seeds, after {steps:,} steps")
        table.add_column("task", overflow="fold")
        for column in ("seeds", "zero-shot", "finetuned", "untrained", "from scratch"):
            table.add_column(column, justify="right")
        for name, row in result["tasks"].items():
            table.add_row(name, str(row["seeds"]), *(_number(row[kind]) for kind in kinds))
        table.add_section()
        total = result["total"]
        table.add_row("mean", "", *(_with_interval(total, kind) for kind in kinds))
        self.console.print(table)
        self._missing(result)

    def _missing(self, result: dict[str, Any]) -> None:
        if result["missing"]:
            self.warn(f"left out, as they cannot run here: {', '.join(result['missing'])}")


def _recent_scores(run: RunProgress) -> dict[str, tuple[float, float]]:
    """Per task, the random policy's score and the mean of the latest training episodes.

    Returns, where the task has no score.
    """
    rows = {}
    for name, row in run.random.items():
        scored = is_scored(row)
        rows[name] = (row["score" if scored else "return"], run.recent.mean(name, scored))
    return rows


def _scores(run: RunProgress) -> Table:
    table = Table()
    table.add_column("task", overflow="fold")
    table.add_column("random", justify="right")
    table.add_column(f"last {_RECENT} episodes", justify="right")
    rows = _recent_scores(run)
    for name, (random, recent) in list(rows.items())[:_SHOWN_TASKS]:
        table.add_row(name, _number(random), _number(recent))
    if len(rows) > _SHOWN_TASKS:
        table.add_row(f"and {len(rows) - _SHOWN_TASKS} more", "", "")
    return table


def is_scored(row: dict[str, Any]) -> bool:
    """Whether the task of a row has a score; without one its return is shown."""
    return row["score"] is not None and not math.isnan(row["score"])


def _with_interval(row: dict[str, Any], key: str) -> str:
    low, high = (_number(end) for end in row[f"{key}_ci"])
    return _number(row[key]) if low == "-" else f"{_number(row[key])} ({low} to {high})"


def _mean_label(result: dict[str, Any]) -> str:
    """The label of a mean, which says over how many tasks it is if not over all."""
    count, missing = result["total"]["tasks"], len(result["missing"])
    scored = "" if count == len(result["tasks"]) else " with a score"
    if missing:
        return f"mean of {count} of {len(result['tasks']) + missing} tasks{scored}"
    return f"mean of {count}{scored}" if scored else "mean"


def _number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.2f}"


def duration(seconds: float) -> str:
    """Formats a time span, such as ``2 min 05 s``."""
    if not math.isfinite(seconds):
        return "unknown"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
