"""What a training run on all tasks holds in memory, and how fast it is in the end.

    uv run python benchmarks/all_tasks.py                       # half an hour
    uv run python benchmarks/all_tasks.py --minutes 3 --tasks dmcontrol,miniarcade --rows 5000

Starts `newt-train` on every task that can run here, without demonstrations, with a replay that is
full before the first update. Memory is the proportional set size of the run and of all processes
that it starts, in MB (Linux only): shared pages count once. Its slope is the least-squares one over
the last two thirds of the time; the speed is that of the last third.
"""

import argparse
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from vector_memory import proportional

INTERVAL = 20.0  # s between two looks


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", default="all", help="names, patterns and groups, with commas")
    parser.add_argument("--minutes", type=float, default=30.0, help="after the first evaluations")
    parser.add_argument("--rows", type=int, default=200_000, help="of the replay, over all tasks")
    parser.add_argument("--workers", type=int, help="by default one for each core")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.txt"
        flags = {
            "--tasks": arguments.tasks,
            "--replay-capacity": arguments.rows,
            "--seed-steps": arguments.rows,
            "--steps": 10**9,
            "--eval-episodes": 1,
            "--eval-every": 0,
            "--checkpoint-every": 2 * arguments.rows,
            "--demos": "none",
            "--out": Path(folder) / "run",
        }
        if arguments.workers:
            flags["--num-workers"] = arguments.workers
        command = ["newt-train", "--skip-missing", "--no-plan-in-eval"]
        command += [str(word) for pair in flags.items() for word in pair]
        print(" ".join(command))
        with log.open("w") as output:
            run = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            watch(run, log, arguments.minutes)
        finally:
            run.send_signal(signal.SIGINT)
            run.wait()
        print(log.read_text().splitlines()[-1])


def watch(run: subprocess.Popen[bytes], log: Path, minutes: float) -> None:
    """Looks at the run until the time is up, and prints what it saw."""
    begun, times, sizes, steps = None, [], [], []
    largest, at_start = 0.0, time.perf_counter()
    while run.poll() is None:
        time.sleep(INTERVAL)
        now, size = time.perf_counter(), memory(run.pid)
        largest = max(largest, size)
        step, updates = progress(log)
        if not step:
            continue  # the evaluations at the start
        if begun is None:
            begun = now
            print(f"first step after {now - at_start:.0f} s, {largest:.0f} MB at most until then")
        times.append((now - begun) / 60)
        sizes.append(size)
        steps.append(step)
        print(
            f"{times[-1]:6.1f} min {step:10,} steps {updates:8,} updates {size:8.0f} MB", flush=True
        )
        if times[-1] >= minutes:
            break
    late = np.array(times) > minutes / 3
    slope = np.polyfit(np.array(times)[late], np.array(sizes)[late], 1)[0]
    last = np.array(times) > 2 * minutes / 3
    rate = np.polyfit(np.array(times)[last], np.array(steps)[last], 1)[0] / 60
    print(f"{rate:.1f} steps/s; largest {largest:.0f} MB; {slope:+.2f} MB/min")


def progress(log: Path) -> tuple[int, int]:
    """Steps and updates of the last line of progress; zeros before the first."""
    found = re.findall(r"([\d,]+) / [\d,]+ steps .*?([\d,]+) updates", log.read_text())
    if not found:
        return 0, 0
    step, updates = (int(number.replace(",", "")) for number in found[-1])
    return step, updates


def memory(pid: int) -> float:
    """Of a process and of all that descend from it."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [pid for task in tasks for pid in (task / "children").read_text().split()]
        return proportional(pid) + sum(memory(int(child)) for child in children)
    except OSError:  # it has ended meanwhile
        return 0.0


if __name__ == "__main__":
    main()
