"""How long all tasks take to start together, and what they hold in memory as they step.

    uv run python benchmarks/vector_memory.py                     # half an hour
    uv run python benchmarks/vector_memory.py --minutes 3 --tasks dmcontrol,metaworld

Makes one environment of every task that can run here, in worker processes, and steps them with
random actions. Memory is the proportional set size of this process and of all workers together, in
MB (Linux only): shared pages count once. The slope is the least-squares one over the last two
thirds of the time.
"""

import argparse
import os
import time
from pathlib import Path

import gymnasium as gym
import numpy as np

import mmbench  # noqa: F401 - registers the tasks

MULTITASK = "mmbench/multitask-v0"
INTERVAL = 30.0  # s between two looks at the memory


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", default="all", help="names, patterns and groups, with commas")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--workers", type=int, help="by default one for each core")
    arguments = parser.parse_args()
    start = time.perf_counter()
    env = gym.make_vec(
        MULTITASK, tasks=arguments.tasks, skip_missing=True, num_workers=arguments.workers
    ).unwrapped
    built = time.perf_counter()
    env.reset(seed=0)
    ready = time.perf_counter()
    print(
        f"{env.num_envs} environments ({len(env.missing)} tasks cannot run here), "
        f"{env.num_workers} workers: made in {built - start:.1f} s, reset in {ready - built:.1f} s"
    )
    rng = np.random.default_rng(0)
    minutes, sizes, steps = [], [], 0
    while (elapsed := time.perf_counter() - ready) < 60 * arguments.minutes:
        if elapsed >= INTERVAL * len(minutes):
            minutes.append(elapsed / 60)
            sizes.append(memory(env))
            print(
                f"{minutes[-1]:6.1f} min  {steps:8} vector steps  {sizes[-1]:8.0f} MB", flush=True
            )
        env.step(rng.uniform(-1, 1, env.action_space.shape).astype(np.float32))
        steps += 1
    late = np.array(minutes) > arguments.minutes / 3
    slope = np.polyfit(np.array(minutes)[late], np.array(sizes)[late], 1)[0]
    rate = steps * env.num_envs / (time.perf_counter() - ready)
    print(f"{rate:,.0f} environment steps/s; largest {max(sizes):.0f} MB; {slope:+.2f} MB/min")
    env.close()


def memory(env: gym.vector.VectorEnv) -> float:
    processes = [os.getpid(), *(worker.pid for worker in env.pool.workers)]
    return sum(proportional(pid) for pid in set(processes))


def proportional(pid: int) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    line = next(line for line in text.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    main()
