"""Writes the tables of docs/results/demos.md: `uv run python docs/demos_table.py`.

A row for every tape that the package ships, from the tape itself; what an episode costs is measured
by packages/mmbench/scripts/expert_costs.py. A row for every task without a tape, from
docs/results/demo_attempts.csv, which is written by hand: what was tried, and what it scored.
"""

import csv
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mmbench.assets.known import required_asset
from mmbench.catalog import TASKS, Task, tasks
from mmbench.demos import bars
from mmbench.demos.places import is_held_out, shipped_tape
from mmbench.demos.tape import read_tape

PAGE = Path(__file__).parent / "results" / "demos.md"
COSTS = PAGE.with_name("demo_costs.csv")
ATTEMPTS = PAGE.with_name("demo_attempts.csv")
START, END = "<!-- from here: docs/demos_table.py -->\n", "<!-- to here -->\n"


def costs() -> dict[str, float]:
    """Returns what an episode costs its expert, in seconds of one core, where it was measured."""
    if not COSTS.exists():
        return {}
    with COSTS.open() as file:
        return {row["task"]: float(row["core_seconds"]) for row in csv.DictReader(file)}


def tables() -> str:
    """Returns what stands between the marks."""
    taped = [task for task in TASKS if shipped_tape(task).is_file()]
    training = [task for task in taped if not is_held_out(task)]
    held_out = [task for task in taped if is_held_out(task)]
    return (
        f"{_summary()}\n### Training tasks\n\n{_table(training)}\n"
        f"### Held-out tasks\n\n{_table(held_out)}\n### Below the bar\n\n{_attempts()}"
    )


def attempts() -> dict[str, list[tuple[str, float]]]:
    """Returns what was tried of the tasks without a tape: experts, and what they scored."""
    found: dict[str, list[tuple[str, float]]] = {}
    with ATTEMPTS.open() as file:
        for row in csv.DictReader(file):
            found.setdefault(row["task"], []).append((row["expert"], float(row["score"])))
    return found


def runnable() -> list[Task]:
    """Returns the published benchmark's tasks that need no downloaded asset."""
    return [task for task in tasks() if required_asset(task) is None]


def _summary() -> str:
    tried, scores = attempts(), []
    for task in runnable():
        if shipped_tape(task).is_file():
            scores.append(read_tape(shipped_tape(task), task).score)
        else:
            scores.append(max((score for _, score in tried.get(task.name, [])), default=0.0))
    count = sum(shipped_tape(task).is_file() for task in runnable())
    return (
        f"{count} of the {len(scores)} tasks of the published benchmark that run without downloads "
        "are above their bars; lunarlander-land-v1, which is corrected, is not among them. The "
        f"mean score of all {len(scores)} is {np.mean(scores):.2f}, each of the others counted "
        "with the best that was tried.\n"
    )


def _attempts() -> str:
    lines = ["| task | bar | tried, and its score |", "| --- | ---: | --- |"]
    tried = attempts()
    for task in runnable():
        if not shipped_tape(task).is_file():
            texts = [f"{expert}: {score:.3f}" for expert, score in tried.get(task.name, ())]
            told = "; ".join(texts) or "nothing yet"
            lines.append(f"| {task.name} | {bars.bar(task):.3f} | {told} |")
    return "\n".join(lines) + "\n"


def _table(tasks: Iterable[Task]) -> str:
    lines = [
        "| task | expert | episodes | of played | score | success | random | bar | core-s | kB |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    seconds, scores, hours, size = costs(), [], [], 0
    for task in tasks:
        tape, bytes_ = read_tape(shipped_tape(task), task), shipped_tape(task).stat().st_size
        played = sum(recording.attempts for recording in tape.recordings)
        success = float(np.mean([episode.success for episode in tape.episodes]))
        spent = seconds.get(task.versioned_name, math.nan) * played
        lines.append(
            f"| {task.versioned_name} | {tape.experts} | {len(tape.episodes)} | {played} "
            f"| {tape.score:.3f} | {_number(success, '.2f')} "
            f"| {bars.random_score(task):.3f} | {bars.bar(task):.3f} "
            f"| {_number(spent / len(tape.episodes), '.2g')} "
            f"| {bytes_ / 1e3:.0f} |"
        )
        scores.append(tape.score)
        size += bytes_
        hours.append(spent / 3600)
    return (
        f"{len(scores)} tasks, mean score {np.mean(scores):.3f}, {size / 1e6:.1f} MB, "
        f"{np.nansum(hours):.2f} core-hours.\n\n" + "\n".join(lines) + "\n"
    )


def _number(value: float, how: str) -> str:
    return "" if math.isnan(value) else format(value, how)


def render(page: str) -> str:
    """Returns the page with the tables as they are now."""
    before, _, rest = page.partition(START)
    return before + START + "\n" + tables() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text()))
