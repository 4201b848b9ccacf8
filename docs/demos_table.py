"""Writes the tables of docs/results/demos.md: `uv run python docs/demos_table.py`.

A row for every tape that the package ships, from the tape itself.
"""

from pathlib import Path

from mmbench.catalog import TASKS
from mmbench.demos import bars
from mmbench.demos.places import shipped_tape
from mmbench.demos.tape import read_tape

PAGE = Path(__file__).parent / "results" / "demos.md"
START, END = "<!-- from here: docs/demos_table.py -->\n", "<!-- to here -->\n"


def table() -> str:
    """Returns what stands between the marks."""
    lines = [
        "| task | expert | episodes | played | score | random | bar | kB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    scores, size = [], 0
    for task in TASKS:
        path = shipped_tape(task)
        if not path.is_file():
            continue
        tape, bytes_ = read_tape(path, task), path.stat().st_size
        played = sum(recording.attempts for recording in tape.recordings)
        lines.append(
            f"| {task.versioned_name} | {tape.experts} | {len(tape.episodes)} | {played} "
            f"| {tape.score:.3f} | {bars.random_score(task):.3f} | {bars.bar(task):.3f} "
            f"| {bytes_ / 1e3:.0f} |"
        )
        scores.append(tape.score)
        size += bytes_
    mean = sum(scores) / len(scores)
    total = f"{len(scores)} tasks, mean score {mean:.3f}, {size / 1e6:.1f} MB.\n\n"
    return total + "\n".join(lines) + "\n"


def render(page: str) -> str:
    """Returns the page with the table as it is now."""
    before, _, rest = page.partition(START)
    return before + START + "\n" + table() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text()))
