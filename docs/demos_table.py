"""Writes the tables of docs/results/demos.md: `uv run python docs/demos_table.py`.

A row for every tape that the package ships, from the tape itself; what an episode costs is measured
by packages/mmbench/scripts/expert_costs.py.
"""

import csv
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mmbench.catalog import TASKS, Task
from mmbench.demos import bars
from mmbench.demos.places import is_held_out, shipped_tape
from mmbench.demos.tape import read_tape

PAGE = Path(__file__).parent / "results" / "demos.md"
COSTS = PAGE.with_name("demo_costs.csv")
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
    return f"### Training tasks\n\n{_table(training)}\n### Held-out tasks\n\n{_table(held_out)}"


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
