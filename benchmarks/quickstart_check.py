"""Does the quickstart learn? Compares finished runs with the random policy.

    for seed in 0 1 2; do uv run newt-train --seed $seed --out runs/quickstart-$seed; done
    uv run python benchmarks/quickstart_check.py runs/quickstart-{0,1,2}

For each task: the score of 100 episodes of the random policy (mean, 95th percentile), and for each
run the mean score of 20 evaluation episodes. A run passes a task if its mean exceeds that
percentile and the random mean by at least 0.2.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from mmbench import catalog
from newt_agent.agent import Agent
from newt_agent.evaluate import evaluate

RANDOM_EPISODES = 100
EPISODES = 20
MARGIN = 0.2


def main() -> None:
    """Prints a Markdown table; exit code 1 if a run fails a task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, help="CPU threads; by default all cores")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    names = json.loads((arguments.runs[0] / "config.json").read_text())["tasks"]
    tasks = catalog.select(names)
    random: dict[str, list[float]] = {name: [] for name in names}
    for episode in evaluate(None, tasks, RANDOM_EPISODES, seed=0):
        random[episode.task].append(episode.score)
    means: dict[str, list[float]] = {name: [] for name in names}
    for run in arguments.runs:
        scores: dict[str, list[float]] = {name: [] for name in names}
        for episode in evaluate(Agent.load(run), tasks, EPISODES, seed=10_000):
            scores[episode.task].append(episode.score)
        for name in names:
            means[name].append(float(np.mean(scores[name])))
        print(f"evaluated {run}", flush=True)
    print(
        "| task | random, mean | random, 95th percentile | "
        + " | ".join(run.name for run in arguments.runs)
        + " | passes |"
    )
    print("| --- |" + " --- |" * (len(arguments.runs) + 3))
    good = True
    for name in names:
        mean, high = float(np.mean(random[name])), float(np.percentile(random[name], 95))
        needed = max(high, mean + MARGIN)
        passes = all(score > needed for score in means[name]) and mean < 0.3
        good &= passes
        cells = [f"{mean:.3f}", f"{high:.3f}", *(f"{score:.3f}" for score in means[name])]
        print(f"| {name} | " + " | ".join(cells) + f" | {'yes' if passes else 'NO'} |")
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
