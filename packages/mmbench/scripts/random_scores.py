"""Measures what uniformly random actions score in every task that can run here.

    uv run packages/mmbench/scripts/random_scores.py [--tasks TASKS]

Plays 20 episodes a task and writes a row of ``demos/random_scores.csv`` after each, so that an
interrupted run goes on where it stopped. All tasks take about half an hour of one core.
"""

import argparse
import sys
import zlib

import numpy as np
from rows import fill

from mmbench.catalog import Task
from mmbench.demos.bars import RANDOM_SCORES
from mmbench.domains import unavailable
from mmbench.env import TaskEnv

EPISODES = 20
FIELDS = ("task", "episodes", "score", "score_std", "return")


def measure(task: Task) -> dict[str, object] | None:
    """Plays the episodes of one task; the seeds and actions are functions of its name."""
    if unavailable(task) is not None:
        print(f"{task.versioned_name}: cannot run here", file=sys.stderr)
        return None
    env = TaskEnv(task, unify=False)
    rng = np.random.default_rng(zlib.crc32(task.versioned_name.encode()))
    scores, returns = [], []
    for _ in range(EPISODES):
        env.reset(seed=int(rng.integers(2**32)))
        over, total, score = False, 0.0, 0.0
        while not over:
            action = rng.uniform(-1.0, 1.0, task.action_dim).astype(np.float32)
            _, reward, terminated, over, info = env.step(action)
            total += reward
            score = info["score"]
        scores.append(score)
        returns.append(total)
    env.close()
    return {
        "task": task.versioned_name,
        "episodes": EPISODES,
        "score": f"{np.mean(scores):.4f}",
        "score_std": f"{np.std(scores, ddof=1):.4f}",
        "return": f"{np.mean(returns):.6g}",
    }


def main() -> None:
    """Measures the tasks that have no row yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", help="by default every task, corrected versions too")
    fill(RANDOM_SCORES, FIELDS, parser.parse_args().tasks, measure)


if __name__ == "__main__":
    main()
