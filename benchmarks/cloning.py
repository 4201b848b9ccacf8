"""How much of the demonstrations' score does behaviour cloning reach, on every task that has some?

    uv run python benchmarks/cloning.py          # seeds that docs/results/cloning.csv lacks
    uv run python benchmarks/cloning.py --report # prints the table only

One multitask agent for each seed, trained by `baselines-train bc` on the demonstrations that
mmbench brings, with one thread, and evaluated on episodes that are none of the demonstrations'. A
run that was cut off leaves no rows, and is done again. The table has a row for each domain: the
mean scores of random actions, of the demonstrations and of the clone, and of how many tasks the
clone reaches at least half of what the demonstrations score.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from mmbench import catalog
from mmbench.demos.listing import rows

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "cloning.csv"
COLUMNS = ("seed", "updates", "size", "task", "episodes", "random", "demonstrations", "score")
SEEDS = (0, 1, 2)


def demonstrations() -> dict[str, tuple[int, float, float]]:
    """Per task: how many demonstrations there are, their mean score and that of random actions."""
    found = {}
    for row in rows(None):
        if not row.problem and row.random is not None:
            found[row.task] = (row.episodes, row.score, row.random)
    return {name: found[name] for name in found if catalog.get(name).split == "train"}


def clone(seed: int, known: dict[str, tuple[int, float, float]], updates: int, size: str) -> None:
    """Trains and evaluates one agent, and adds its rows."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        flags = {
            "--tasks": ",".join(known),
            "--updates": updates,
            "--size": size,
            "--seed": seed,
            "--batch-size": 256,
            "--eval-every": 0,
            "--eval-episodes": 5,
            "--checkpoint-every": updates,
            "--threads": 1,
            "--num-workers": 1,
            "--out": run,
        }
        start = [sys.executable, "-c", "from mmbench_baselines.cli import train_main; train_main()"]
        words = [str(word) for flag in flags.items() for word in flag]
        began = time.monotonic()
        subprocess.run([*start, "bc", *words], check=True)
        result = json.loads((run / "eval.json").read_text())
    new = [
        (seed, updates, size, name, episodes, f"{random:.4f}", f"{score:.4f}",
         f"{result['tasks'][name]['score']:.4f}")
        for name, (episodes, score, random) in known.items()
    ]  # fmt: skip
    fresh = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([COLUMNS, *new] if fresh else new)
    print(f"seed {seed}: {time.monotonic() - began:.0f} s")


def report() -> None:
    """Prints a table for each length of the runs."""
    with RESULTS.open() as file:
        found = list(csv.DictReader(file))
    for updates in dict.fromkeys(row["updates"] for row in found):
        _report(int(updates), [row for row in found if row["updates"] == updates])


def _report(updates: int, found: list[dict[str, str]]) -> None:
    seeds = len({row["seed"] for row in found})
    table = Table(title=f"Mean scores, {updates:,} updates, {seeds} seeds")
    for column in ("domain", "tasks", "random", "demonstrations", "clone", "reach half"):
        table.add_column(column, justify="left" if column == "domain" else "right")
    domains: dict[str, list[dict[str, str]]] = {}
    for row in found:
        domains.setdefault(catalog.get(row["task"]).domain, []).append(row)
    for name, own in (*domains.items(), ("all", found)):
        tasks = dict.fromkeys(row["task"] for row in own)
        means = {
            column: np.array(
                [np.mean([float(r[column]) for r in own if r["task"] == task]) for task in tasks]
            )
            for column in ("random", "demonstrations", "score")
        }
        half = (means["score"] >= 0.5 * means["demonstrations"]).sum()
        numbers = [f"{values.mean():.2f}" for values in means.values()]
        table.add_row(name, str(len(tasks)), *numbers, f"{half} of {len(tasks)}")
    Console().print(table)


def main() -> None:
    """Does what is missing, and reports."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--report", action="store_true", help="only print what is there")
    parser.add_argument("--updates", type=int, default=30_000)
    parser.add_argument("--size", default="S")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    arguments = parser.parse_args()
    if not arguments.report:
        known = demonstrations()
        done = set()
        if RESULTS.exists():
            with RESULTS.open() as file:
                done = {(int(row["seed"]), int(row["updates"])) for row in csv.DictReader(file)}
        for seed in arguments.seeds:
            if (seed, arguments.updates) not in done:
                clone(seed, known, arguments.updates, arguments.size)
    report()


if __name__ == "__main__":
    main()
