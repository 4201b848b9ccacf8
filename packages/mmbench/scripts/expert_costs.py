"""Measures what an episode of each shipped tape costs its expert, in seconds of one core.

    OMP_NUM_THREADS=1 uv run packages/mmbench/scripts/expert_costs.py [--tasks TASKS]

Lets the expert play the first episode of the tape again, and compares. Writes a row of
``docs/results/demo_costs.csv`` after each, so that an interrupted run goes on where it stopped.
Tasks that have a row are left out; remove the row of an expert that has changed.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from rows import fill

from mmbench.catalog import Task
from mmbench.demos.collection import attempt
from mmbench.demos.experts import find_expert
from mmbench.demos.jobs import Job, environments
from mmbench.demos.places import shipped_tape
from mmbench.demos.recording import processor
from mmbench.demos.tape import read_tape

COSTS = Path(__file__).parents[3] / "docs" / "results" / "demo_costs.csv"
FIELDS = ("task", "core_seconds", "as_recorded", "processor")


def measure(task: Task) -> dict[str, object] | None:
    """Plays the first episode of a task's tape, and once more its actions, as `collect` does."""
    if not shipped_tape(task).exists():
        return None
    recorded = read_tape(shipped_tape(task), task).episodes[0]
    for env in environments(task, 2):
        env.reset(seed=0)  # what loads once is not the episode's
    began = time.process_time()
    found, _, _ = attempt(Job(task, 0, attempt, (find_expert(task.versioned_name), recorded.seed)))
    return {
        "task": task.versioned_name,
        "core_seconds": f"{time.process_time() - began:.3g}",
        "as_recorded": "yes" if np.array_equal(found.checksums, recorded.checksums) else "no",
        "processor": processor(),
    }


def main() -> None:
    """Measures the tapes that have no row yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", help="by default every task that has a tape")
    fill(COSTS, FIELDS, parser.parse_args().tasks, measure)


if __name__ == "__main__":
    main()
