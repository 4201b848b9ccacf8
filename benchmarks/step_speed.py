"""What a step of every task costs: ours, the package's own, and the bare physics in both.

    uv run python benchmarks/step_speed.py                               # all tasks, ~5 minutes
    uv run python benchmarks/step_speed.py --tasks metaworld,og-ant --steps 500 --json speed.json

One row a task that can run here (training, held-out and extra ones), one process a domain:

* `ours`: an agent step, `TaskEnv.step` with the padded state observation, in microseconds.
* `package`: the package's own environment at the same action repeat, with its observation and
  reward; a note says where a stand-in is measured (`native.py` builds them).
* `ratio`: ours over the package's. Both run in turn, in short blocks with the same actions, from
  the same state where the models are the same; the ratio is the median of the blocks' ratios.
  Resets are not counted. Times are CPU time, which other processes disturb least, and medians.
* `physics`: mj_step alone, as many as in an agent step, from states of the episode, with the
  controls that led there held.
* `make`: seconds to construct a task's first environment in the process, imports aside (the
  domain's total tells those, and what the first environment of the process takes with them), and
  `again`: to construct another.
* `MB`: what a further environment of the task adds to the process's memory (proportional set
  size) once it has taken some steps. Linux only.

Blocks are measured until `--steps` agent steps are or SECONDS have passed. Totals, of a domain and
overall, are sums of `ours`, `package` and `physics` (one step of every task) and medians of the
other columns. At the end come the tasks whose ratio exceeds 1.10 or whose construction takes more
than 0.6 s, the project's limits.
"""

import argparse
import ctypes
import gc
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from mmbench import catalog
from mmbench.catalog import MAX_ACTION_DIM, Task

MAX_RATIO = 1.10
MAX_CONSTRUCTION = 0.6  # s
SECONDS = 1.2  # of measuring steps, per task
BLOCK_SECONDS = 2e-3  # of our steps, about
BLOCK_STEPS = (3, 50)  # the least and the most in a block
MIN_BLOCKS = 8
FURTHER = 2  # environments whose memory is measured
WARM_STEPS = 5  # that they take first
FAILED = "not all of its tasks were measured: its process failed, see above"

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--tasks", default="train,test,extra", help="names, patterns and groups, with commas"
    )
    parser.add_argument("--steps", type=int, default=1000, help="most agent steps per task")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all numbers there")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    try:
        tasks = catalog.select(arguments.tasks)
    except catalog.UnknownTaskError as error:
        parser.error(str(error))
    if arguments.worker:
        measure_domain(tasks, arguments.steps)
        return
    domains: dict[str, list[Task]] = {}
    for task in tasks:
        domains.setdefault(task.domain, []).append(task)
    report: dict[str, Any] = {"tasks": [], "domains": [], "not_measured": {}}
    failed = False
    print(
        f"{'task':32} {'ours/us':>9} {'package':>9} {'ratio':>6} {'physics':>9} {'make/s':>7} "
        f"{'again':>7} {'MB':>6}",
        flush=True,
    )
    for name, members in domains.items():
        rows, first, problem = run_worker(members, arguments.steps)
        failed = failed or problem == FAILED
        if problem:
            report["not_measured"][name] = problem
            print(f"  {name}: {problem}\n", flush=True)
        if rows:
            report["tasks"] += rows
            total = summary(name, rows)
            report["domains"].append({**total, "first_environment": first})
            print_total(total, first)
    if report["tasks"]:
        report["overall"] = summary("overall", report["tasks"])
        print_total(report["overall"])
        print_limits(report["tasks"])
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    if failed:
        sys.exit(1)


def run_worker(tasks: list[Task], steps: int) -> tuple[list[Row], Row | None, str]:
    """Measures the tasks of one domain in a process of their own, printing rows as they come.

    Returns:
        The rows, the costs of the process's first environment, and why not all were measured.
    """
    names = ",".join(task.id for task in tasks)
    command = [sys.executable, __file__, "--worker", "--tasks", names, "--steps", str(steps)]
    rows: list[Row] = []
    first = None
    problem = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            result = json.loads(line)
            if "unavailable" in result:
                problem = result["unavailable"]
            elif "first" in result:
                first = result
            else:
                rows.append(result)
                print_row(result)
    return rows, first, FAILED if process.returncode else problem


# In the worker.


def measure_domain(tasks: tuple[Task, ...], steps: int) -> None:
    """Prints a JSON line for the domain and one for every task."""
    from mmbench import domains

    before = memory()
    start = time.perf_counter()
    import mmbench.env  # noqa: F401 - counts as ours

    runnable, missing = [], []
    for task in tasks:
        try:
            domains.adapter(task)
        except catalog.TaskUnavailableError as error:
            missing.append(str(error))
        else:
            runnable.append(task)
    imports = time.perf_counter() - start
    if missing:
        tell({"unavailable": f"{len(missing)} of {len(tasks)} cannot run here: {missing[0]}"})
    if not runnable:
        return
    tasks = tuple(runnable)
    # All before the packages' own classes, whose imports and memory would blur ours.
    first, with_first = construction(tasks[0])
    rows = [first, *(construction(task)[0] for task in tasks[1:])]
    megabytes = None if before is None or with_first is None else with_first - before
    tell({"first": imports + first["make"], "imports": imports, "megabytes": megabytes})
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder  # OGBench leaves a file there for every maze
        for task, row in zip(tasks, rows, strict=True):
            tell({**row, **stepping(task, steps)})


def construction(task: Task) -> tuple[Row, float | None]:
    """Construction time and memory, and the process's memory after the first environment."""
    from mmbench.env import TaskEnv

    seconds, megabytes, kept = [], [], []
    for i in range(1 + FURTHER):
        start = time.perf_counter()
        env = TaskEnv(task)
        seconds.append(time.perf_counter() - start)
        kept.append(env)
        env.reset(seed=i)
        for action in random_actions(WARM_STEPS, seed=i):
            env.step(action)
        if i in (0, FURTHER):
            megabytes.append(memory())
    first, last = megabytes
    row = {
        "task": task.versioned_name,
        "domain": task.domain,
        "make": seconds[0],
        "again": median(seconds[1:]),
        "megabytes": None if first is None or last is None else (last - first) / FURTHER,
    }
    return row, first


def memory() -> float | None:
    """The process's proportional set size, in MB; None where the system does not tell."""
    if sys.platform != "linux":
        return None
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc
        trim(0)  # else an environment would reuse, at no visible cost, what another has freed
    text = Path("/proc/self/smaps_rollup").read_text()
    line = next(line for line in text.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) * 1024 / 1e6


def stepping(task: Task, steps: int) -> Row:
    """Times of our step, the package's and the physics', in microseconds."""
    import native  # only now: it imports MuJoCo, which is part of our own construction above

    from mmbench.env import TaskEnv

    env = TaskEnv(task)
    theirs, note = None, ""
    try:
        theirs = native.make(task)
        note = theirs.note
    except (ImportError, NotImplementedError) as error:
        note = f"the package's own cannot be built: {error}"
    env.reset(seed=0)
    block = block_steps(env)
    physics = native.physics(env, theirs)

    times: dict[str, list[float]] = {"ours": [], "package": [], "physics": []}
    elapsed = task.max_episode_steps
    apart = False
    count = 0
    began = time.perf_counter()
    while count < MIN_BLOCKS or (count * block < steps and time.perf_counter() - began < SECONDS):
        if elapsed + block > task.max_episode_steps:
            native.start_episode(env, theirs, seed=count)
            elapsed = 0
        actions = random_actions(block, seed=count)
        turns = {"ours": (env.step, actions)}
        if theirs:
            turns["package"] = (theirs.step, theirs.scale(actions[:, : task.action_dim]))
        for who in turns if count % 2 else reversed(turns):
            times[who].append(time_block(*turns[who]))
        if physics:
            times["physics"].append(physics())
        apart = apart or not native.together(env, theirs)
        elapsed += block
        count += 1
    env.close()
    # The first two blocks, one in each order, are for warming up.
    arrays = {who: np.array(seconds[2:]) for who, seconds in times.items() if seconds}
    ratio = float(median(arrays["ours"] / arrays["package"])) if theirs else None
    medians = {who: float(median(arrays[who])) * 1e6 if who in arrays else None for who in times}
    size = {"blocks": count - 2, "block_steps": block}
    if apart:
        note = f"{note}; the two episodes came apart".removeprefix("; ")
    return {**medians, "ratio": ratio, **size, "note": note}


def block_steps(env: Any) -> int:
    """How many steps make a block."""
    least, most = BLOCK_STEPS
    actions = random_actions(least, seed=0)
    time_block(env.step, actions)  # warms up
    return int(np.clip(BLOCK_SECONDS / time_block(env.step, actions), least, most))


def time_block(step: Any, actions: Any) -> float:
    """Seconds of CPU time per step."""
    start = time.process_time()
    for action in actions:
        step(action)
    return (time.process_time() - start) / len(actions)


def random_actions(count: int, seed: int) -> np.ndarray:
    shape = (count, MAX_ACTION_DIM)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def tell(result: Row) -> None:
    print(json.dumps(result), flush=True)


# Of the reports.


def summary(name: str, rows: list[Row]) -> Row:
    """One step of every task, and the spread of the ratios."""
    both = [row for row in rows if row["ratio"] is not None]
    ratios = [row["ratio"] for row in both]
    total: Row = {"name": name, "tasks": len(rows)}
    for who in ("ours", "package"):
        total[who] = sum(row[who] for row in both) if both else None
    physical = [row["physics"] for row in rows if row["physics"] is not None]
    total["physics"] = sum(physical) if physical else None
    total["ratio"] = median(ratios) if ratios else None
    total["ratio_range"] = [min(ratios), max(ratios)] if ratios else None
    for column in ("make", "again", "megabytes"):
        values = [row[column] for row in rows if row[column] is not None]
        total[column] = median(values) if values else None
    return total


def print_row(row: Row) -> None:
    times = " ".join(number(row[who], 9, 1) for who in ("ours", "package"))
    print(
        f"{row.get('task') or row['name']:32} {times} {number(row['ratio'], 6, 2)} "
        f"{number(row['physics'], 9, 1)} {number(row['make'], 7, 3)} {number(row['again'], 7, 3)} "
        f"{number(row['megabytes'], 6, 2)}  {row.get('note', '')}".rstrip(),
        flush=True,
    )


def number(value: float | None, width: int, digits: int) -> str:
    return " " * width if value is None else f"{value:{width}.{digits}f}"


def print_total(total: Row, first: Row | None = None) -> None:
    """Prints sums of the steps' times and medians of everything else."""
    note = f"tasks: {total['tasks']}"
    if total["ratio_range"]:
        note += ", ratios {:.2f} to {:.2f}".format(*total["ratio_range"])
    print_row({**total, "name": f"= {total['name']}", "note": note})
    if first:
        print(
            f"  the process's first environment: {first['first']:.2f} s, of which imports "
            f"{first['imports']:.2f} s; {number(first['megabytes'], 0, 0)} MB with them"
        )
    print(flush=True)


def print_limits(rows: list[Row]) -> None:
    """Names the tasks beyond the project's limits."""
    for title, column, limit in (
        ("ratio", "ratio", MAX_RATIO),
        ("seconds of construction", "make", MAX_CONSTRUCTION),
    ):
        beyond = [row for row in rows if row[column] is not None and row[column] > limit]
        names = ", ".join(f"{row['task']} ({row[column]:.2f})" for row in beyond) or "none"
        print(f"{title} above {limit:.2f}: {names}")


if __name__ == "__main__":
    main()
