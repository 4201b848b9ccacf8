"""Does Newt learn: single tasks, and many tasks by the weights of its replay?

    python benchmarks/newt_learning.py            # what docs/results/newt.csv lacks
    python benchmarks/newt_learning.py --only single --steps 50000 --device cuda --jobs 3
    python benchmarks/newt_learning.py --report   # prints the tables only

Each run is a process of `newt-train`, with one thread. One that ends adds its rows to newt.csv, a
row for each task, and its learning curve to newt_curves.csv; rows that exist are not run again. A
run that is cut (by --minutes, or by Ctrl-C) leaves rows of what it reached, which say so, and goes
on from its checkpoint the next time, where its folder in --runs is still there. The packages have
to be installed, since newt-train finds its method by an entry point; into a folder on PYTHONPATH
will do (`pip install --no-deps --target FOLDER packages/*`).

* single: size S, one environment, 2,500 random steps, then one update a step with batches of 256;
  256 plans, 4 iterations. Each point of a curve is the mean of 1,000 steps' training episodes.
* weights: eight tasks at once, size XS, as the quickstart learns. Tasks count equally in a batch,
  or episodes do, as in the published code. The tasks are the fastest ones of each length of
  episode, 25 to 1000 steps, of seven domains; two have 500, as most of the benchmark has. So by
  episodes the first counts 40 times as much as the last.

Scores: of 3 (single) or 10 (weights) episodes after the run (`score`), of the last tenth of its
training episodes (`training`), and of random actions.
"""

from __future__ import annotations

import argparse
import csv
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from mmbench import catalog
from mmbench.runs import EXIT_INTERRUPTED, RunFolder
from mmbench.runs.files import write_atomically

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results" / "newt.csv"
RUNS = ROOT / "runs" / "newt_learning"
SINGLE = ("cartpole-swingup", "reacher-easy", "walker-stand")
TOGETHER = (
    "ms-reach",
    "mujoco-reacher",
    "mw-reach",
    "pygame-landing",
    "lunarlander-hover",
    "pygame-cowboy",
    "walker-stand",
    "mujoco-halfcheetah",
)
WEIGHTS = ("task", "episode")
TD_MPC2 = {"cartpole-swingup": 0.839, "reacher-easy": 0.937, "walker-stand": 0.981}
"""Published scores of TD-MPC2 (arXiv 2310.16828) after 50,000 agent steps, at size B."""

KEY = ("experiment", "variant", "task", "seed", "steps")
FIELDS = (
    *KEY,
    *("state", "reached", "score", "training", "random", "minutes", "device", "torch"),
)
CURVE_FIELDS = (*KEY, "step", "score", "episodes")
STOP_S = 90
"""Seconds that a run has to write its checkpoint, when it is told to stop."""

Row = dict[str, str]
Key = tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """One run of `newt-train`.

    Attributes:
        experiment: ``single`` or ``weights``.
        variant: What is compared; ``newt`` where nothing is.
        tasks: What it trains on.
        seed: Its seed.
        steps: Its length.
        envs: Environments in all.
    """

    experiment: str
    variant: str
    tasks: tuple[str, ...]
    seed: int
    steps: int
    envs: int

    @property
    def name(self) -> str:
        """Of its folder."""
        what = self.tasks[0] if self.experiment == "single" else self.variant
        return f"{self.experiment}-{what}-{self.seed}-{self.steps}"

    @property
    def keys(self) -> list[Key]:
        """Of its rows."""
        rest = (str(self.seed), str(self.steps))
        return [(self.experiment, self.variant, task, *rest) for task in self.tasks]

    @property
    def episodes(self) -> int:
        """Of an evaluation: few where plans are costly."""
        return 3 if self.experiment == "single" else 10

    @property
    def flags(self) -> dict[str, object]:
        """Of a new run."""
        common = {
            "--tasks": ",".join(self.tasks),
            "--steps": self.steps,
            "--seed": self.seed,
            "--demos": "none",
            "--replay-capacity": max(self.steps, 1_000) + 100 * self.envs,  # it keeps all
            "--checkpoint-every": max(1, self.steps // 5),
            "--eval-every": 0,
            "--eval-episodes": self.episodes,
            "--threads": 1,
            "--num-workers": 0,
        }
        if self.experiment == "single":
            return common | {
                "--preset": "paper",
                "--size": "S",
                "--batch-size": 256,
                "--utd": 1,
                "--seed-steps": min(2_500, self.steps // 2),
                "--planner.num-samples": 256,
                "--planner.iterations": 4,
            }
        return common | {
            "--preset": "quickstart",
            "--envs-per-task": self.envs // len(self.tasks),
            "--utd": 0.2,
            "--seed-steps": min(8_000, self.steps // 2),
            "--sampling": self.variant,
        }


def planned(arguments: argparse.Namespace) -> Iterator[Run]:
    """The runs that are asked for: seed by seed, so that a part of them tells something too."""
    for seed in arguments.seed or (0,):
        for task in arguments.task or SINGLE if arguments.only != "weights" else ():
            yield Run("single", "newt", (task,), seed, arguments.steps or 15_000, 1)
    for seed in arguments.seed or (0, 1):
        for weight in WEIGHTS if arguments.only != "single" and not arguments.task else ():
            steps = arguments.steps or 160_000
            yield Run("weights", weight, TOGETHER, seed, steps, 2 * len(TOGETHER))


# Running


@dataclass
class Child:
    """A run that is on."""

    run: Run
    folder: Path
    process: subprocess.Popen[bytes]
    log: IO[bytes]


def start(run: Run, runs: Path, device: str) -> Child:
    """Starts a run, or goes on with it where its folder is there."""
    runs.mkdir(parents=True, exist_ok=True)
    folder = runs / run.name
    if (folder / "config.json").exists():
        flags: dict[str, object] = {"--resume": folder, "--device": device}
    else:
        flags = {**run.flags, "--out": folder, "--device": device}
    main = "from newt_agent.cli import train_main; train_main()"
    words = [str(word) for flag in flags.items() for word in flag]
    log = (runs / f"{run.name}.log").open("ab")
    process = subprocess.Popen(
        [sys.executable, "-c", main, *words],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C reaches this process alone, which stops the others
    )
    print(f"{run.name}: started", flush=True)
    return Child(run, folder, process, log)


def do(todo: Iterable[Run], arguments: argparse.Namespace, results: Results) -> int:
    """Runs what is to be done, some at once; returns how many failed."""
    end = time.monotonic() + 60 * arguments.minutes
    waiting, on, failed = list(todo), list[Child](), 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    try:
        while on or (waiting and time.monotonic() < end):
            while waiting and len(on) < arguments.jobs and time.monotonic() < end:
                on.append(start(waiting.pop(0), arguments.runs, arguments.device))
            for child in [child for child in on if child.process.poll() is not None]:
                on.remove(child)
                failed += not finish(child, results)
            if time.monotonic() >= end:
                break
            time.sleep(0.2)
    except KeyboardInterrupt:
        print("stopping", flush=True)
    for number in (signal.SIGINT, signal.SIGTERM):  # it ends within STOP_S
        signal.signal(number, signal.SIG_IGN)
    for child in on:
        child.process.terminate()
    deadline = time.monotonic() + STOP_S
    for child in on:
        try:
            child.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
        failed += not finish(child, results)
    return failed


def finish(child: Child, results: Results) -> bool:
    """Adds the rows of a run that ended; returns whether it ended as it should."""
    child.log.close()
    code, run = child.process.returncode, child.run
    cut = code in (EXIT_INTERRUPTED, -signal.SIGTERM, -signal.SIGKILL)
    if code and not cut:
        print(f"{run.name}: failed ({code}), see {child.log.name}", flush=True)
        return False
    if not (child.folder / "config.json").exists():
        print(f"{run.name}: cut before it began", flush=True)
        return True
    results.add(*read_run(run, child.folder, "cut" if cut else "finished"))
    print(f"{run.name}: {'cut' if cut else 'finished'}", flush=True)
    return True


def read_run(run: Run, folder: Path, state: str) -> tuple[list[Row], list[Row]]:
    """Returns the rows of a run, and those of its learning curve."""
    opened = RunFolder.open(folder)
    config: dict[str, Any] = opened.read_config()
    episodes = opened.metrics.rows()
    every = 1_000 * run.envs
    rows, curve = [], []
    for key in run.keys:
        own = [row for row in episodes if row["task"] == catalog.get(key[2]).versioned_name]
        start: Row = dict(zip(KEY, key, strict=True))
        training = [row for row in own if row["phase"] == "train"]
        rows.append(
            start
            | {
                "state": state,
                "reached": str(max((int(row["step"]) for row in own), default=0)),
                "score": mean([row for row in own if row["phase"] == "after"]),
                "training": mean(training[-max(2, len(training) // 10) :]),
                "random": mean([row for row in own if row["phase"] == "random"]),
                "minutes": f"{max((float(r['seconds']) for r in own), default=0) / 60:.1f}",
                "device": config["device"],
                "torch": config["versions"]["torch"],
            }
        )
        for step in range(every, run.steps + every, every):
            part = [row for row in training if step - every < int(row["step"]) <= step]
            if part:
                point = {
                    "step": str(min(step, run.steps)),
                    "score": mean(part),
                    "episodes": str(len(part)),
                }
                curve.append(start | point)
    return rows, curve


def mean(episodes: list[Row]) -> str:
    """The mean score of episodes, as a cell; empty where there are none."""
    return f"{np.mean([float(row['score']) for row in episodes]):.4f}" if episodes else ""


class Results:
    """The two CSV files.

    Args:
        path: Of the rows; the curves lie beside them.
    """

    def __init__(self, path: Path) -> None:
        self._paths = path, path.with_name(f"{path.stem}_curves{path.suffix}")
        self.rows, self.curves = map(read, self._paths)

    @property
    def finished(self) -> set[Key]:
        """The keys of finished rows."""
        return {key_of(row) for row in self.rows if row["state"] == "finished"}

    def add(self, rows: list[Row], curve: list[Row]) -> None:
        """Adds the rows of a run, in place of those that an earlier part of it left."""
        new = {key_of(row) for row in rows}
        self.rows = [row for row in self.rows if key_of(row) not in new] + rows
        self.curves = [row for row in self.curves if key_of(row) not in new] + curve
        write(self._paths[0], FIELDS, self.rows)
        write(self._paths[1], CURVE_FIELDS, self.curves)


def key_of(row: Row) -> Key:
    """What a row is of."""
    return tuple(row[name] for name in KEY)


def read(path: Path) -> list[Row]:
    """Reads a CSV file; one that is missing has no rows."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, fields: tuple[str, ...], rows: list[Row]) -> None:
    """Writes a CSV file."""
    lines = [fields, *([row[name] for name in fields] for row in rows)]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, "".join(",".join(line) + "\n" for line in lines).encode())


# Reporting


def report(results: Results) -> None:
    """Prints a table for each experiment and length of its runs."""
    for experiment, print_table in (("single", report_single), ("weights", report_weights)):
        own = [row for row in results.rows if row["experiment"] == experiment]
        for steps in sorted({int(row["steps"]) for row in own}):
            print_table(steps, [row for row in own if int(row["steps"]) == steps], results.curves)


def report_single(steps: int, rows: list[Row], curves: list[Row]) -> None:
    """Prints the learning curves of single tasks."""
    print(f"\nSingle tasks, {steps:,} steps; TD-MPC2: published, after 50,000 steps\n")
    points = [round(steps * part / 5) for part in range(1, 6)]
    heads = [f"{step:,}" for step in points]
    head("task", "seed", "random", *heads, "after", "minutes", "TD-MPC2")
    for row in rows:
        curve = {int(p["step"]): p["score"] for p in curves if key_of(p) == key_of(row)}
        reached = int(row["reached"])
        training = [last_before(curve, step) if step <= reached else "" for step in points]
        after = row["score"] or f"cut at {int(row['reached']):,}"
        published = TD_MPC2.get(row["task"], "")
        line(row["task"], row["seed"], row["random"], *training, after, row["minutes"], published)


def report_weights(steps: int, rows: list[Row], curves: list[Row]) -> None:
    """Prints the scores of the tasks by weight and seed; without those of runs that were cut."""
    print(f"\nEight tasks at once, {steps:,} steps; what counts equally in a batch\n")
    columns = sorted({(row["variant"], row["seed"]) for row in rows}, reverse=True)
    head("task", "length", "random", *(f"{weight}, seed {seed}" for weight, seed in columns))
    table = np.full((len(TOGETHER), len(columns)), np.nan)
    random = np.full_like(table, np.nan)
    for row in rows:
        cell = TOGETHER.index(row["task"]), columns.index((row["variant"], row["seed"]))
        table[cell], random[cell] = (float(row[name] or "nan") for name in ("score", "random"))
    for task, chance, scores in zip(TOGETHER, random, table, strict=True):
        length = catalog.get(task).max_episode_steps
        line(task, length, *(f"{x:.3f}" for x in (np.nanmean(chance), *scores)))
    line("mean", "", *(f"{x:.3f}" for x in (np.nanmean(random), *table.mean(0))))


def last_before(curve: dict[int, str], step: int) -> str:
    """The last point of a curve up to a step."""
    return curve[max(at for at in curve if at <= step)] if curve and min(curve) <= step else ""


def head(*cells: object) -> None:
    """Prints the head of a table."""
    line(*cells)
    line(*("---" for _ in cells))


def line(*cells: object) -> None:
    """Prints a line of a table."""
    print("| " + " | ".join(map(str, cells)) + " |")


def main() -> None:
    """Runs what is missing, and reports."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--report", action="store_true", help="only print what is there")
    parser.add_argument("--only", choices=("single", "weights"), help="one of the experiments")
    parser.add_argument("--task", nargs="+", help="single tasks only, these")
    parser.add_argument("--seed", type=int, nargs="+", help="instead of 0, and 0 and 1 (weights)")
    parser.add_argument("--steps", type=int, help="instead of 15,000, and 160,000 (weights)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once")
    parser.add_argument("--minutes", type=float, default=np.inf, help="then what runs is cut")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the CSV file")
    parser.add_argument("--runs", type=Path, default=RUNS, help="the folder of the runs' folders")
    arguments = parser.parse_args()
    results, failed = Results(arguments.out), 0
    if not arguments.report:
        done = results.finished
        todo = [run for run in planned(arguments) if not done.issuperset(run.keys)]
        failed = do(todo, arguments, results)
    report(results)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
