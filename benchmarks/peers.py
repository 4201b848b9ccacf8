"""Do PPO and TD3 learn as much as Stable-Baselines3's, and as fast, on the same environments?

    uv run python benchmarks/peers.py

Runs what docs/results/peers.csv lacks, each run in a process of its own and `--jobs` of them at
once, adds a row for each, and prints a summary; `--report` only prints. A run that was cut off
leaves no row, and is done again.

Both libraries train on `gymnasium.make` of one task, here the padded form and there the task's own
sizes, with the task's discount, one thread and no GPU, and are then scored by one function on the
same 20 episodes. Theirs has its own defaults. In particular:

* PPO: 16 environments, 128 steps of each between updates.
* TD3: ours is FastTD3 with its additions switched off. Both have one environment, one update a
  step from step 1,000, batches of 256, a learning rate of 1e-3, noise of 0.1, tau 0.005.

Speed is in agent steps per second of CPU time, of training alone, environments included: on a busy
machine the wall clock would compare the neighbours.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import itertools
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from rich.console import Console

from mmbench import catalog
from mmbench.runs import RunFolder
from mmbench_baselines.fast_td3 import FastTD3, FastTD3Config
from mmbench_baselines.ppo import PPO
from newt_agent.config import RunConfig
from newt_agent.display import Display
from newt_agent.method import Method
from newt_agent.train import Trainer

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "peers.csv"
EPISODES = 20
EVAL_SEED = 1_000_000
PPO_ENVS = 16
LIBRARIES = ("ours", "stable-baselines3")


class Comparison(NamedTuple):
    """One method on some tasks."""

    tasks: tuple[str, ...]
    steps: int
    seeds: int


COMPARISONS = {
    "ppo": Comparison(("pygame-cowboy", "pygame-coconut-dodge"), 100_000, 5),
    "td3": Comparison(("pygame-cowboy", "pygame-coconut-dodge"), 30_000, 3),
}


class Run(NamedTuple):
    """What a row of the results is of."""

    method: str
    library: str
    task: str
    seed: int
    steps: int


class Outcome(NamedTuple):
    """What a run gave."""

    score: float
    steps_per_cpu_second: float


FIELDS = (*Run._fields, *Outcome._fields, "torch", "stable_baselines3")
Policy = Callable[[np.ndarray], np.ndarray]


def planned(scale: float) -> Iterator[Run]:
    """All runs, their steps scaled: seed by seed, so that a part of them tells something too."""
    for seed in range(max(comparison.seeds for comparison in COMPARISONS.values())):
        for method, (tasks, steps, seeds) in COMPARISONS.items():
            if seed < seeds:
                for task, library in itertools.product(tasks, LIBRARIES):
                    yield Run(method, library, task, seed, round(scale * steps))


def do_all(runs: list[Run], jobs: int) -> Iterator[tuple[Run, Outcome]]:
    """Does runs, some at once, each in a new process; yields each that ends well, when it does."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, spawn, max_tasks_per_child=1) as pool:
        ending = {pool.submit(do, run): run for run in runs}
        for future in as_completed(ending):
            run, error = ending[future], future.exception()
            if error is None:
                yield run, future.result()
            else:
                print(*run, f"failed: {error!r}", flush=True)


def do(run: Run) -> Outcome:
    """Trains and scores, with one thread."""
    torch.set_num_threads(1)
    return (train_ours if run.library == "ours" else train_theirs)(run)


def score(env: gym.Env, policy: Policy) -> float:
    """The mean score of whole episodes, the same for every policy."""
    scores = []
    for episode in range(EPISODES):
        obs, info = env.reset(seed=EVAL_SEED + episode)
        ended = False
        while not ended:
            obs, _, terminated, truncated, info = env.step(policy(obs))
            ended = terminated or truncated
        scores.append(info["score"])
    return float(np.mean(scores))


def our_settings(run: Run) -> tuple[type[Method], RunConfig]:
    """The method that the run trains, and its settings."""
    common: dict[str, Any] = dict(
        tasks=run.task,
        steps=run.steps,
        seed=run.seed,
        eval_every=0,
        eval_episodes=1,
        checkpoint_every=10**9,
        num_workers=0,
        threads=1,
    )
    if run.method == "ppo":
        return PPO, replace(PPO.preset("machine", "cpu", 1), **common, envs_per_task=PPO_ENVS)
    plain = FastTD3Config(
        size="XS",
        batch_size=256,
        updates_per_step=1.0,
        seed_steps=1000,
        replay_capacity=1_000_000,
        n_step=1,
        num_atoms=1,
        noise_min=0.1,
        noise_max=0.1,
        target_noise=0.2,
        tau=0.005,
        lr=1e-3,
        weight_decay=0.0,
        normalise=False,
    )
    return FastTD3, replace(plain, **common)


class Stopwatch(Display):
    """Shows nothing, and knows when evaluations started and ended, in CPU time."""

    starts: list[float]
    ends: list[float]

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.starts, self.ends = [], []

    @contextlib.contextmanager
    def evaluating(self, *args: Any) -> Iterator[Any]:  # noqa: D102 - as of Display
        self.starts.append(time.process_time())
        with super().evaluating(*args) as on_episode:
            yield on_episode
        self.ends.append(time.process_time())


def train_ours(run: Run) -> Outcome:
    """Trains by the run loop that the command line uses."""
    method, config = our_settings(run)
    with tempfile.TemporaryDirectory() as path:
        watch = Stopwatch(Console(file=io.StringIO()))
        folder = RunFolder.create(Path(path) / "run", "peers")
        trainer = Trainer(method, config, folder, "cpu", watch)
        trainer.run()
        trainer.close()
    agent, training = trainer.agent, watch.starts[-1] - watch.ends[-2]
    policy = agent.policy(run.task)
    return Outcome(score(make(run.task), lambda obs: policy(obs, False)), trainer.step / training)


def train_theirs(run: Run) -> Outcome:
    """Trains by Stable-Baselines3."""
    import stable_baselines3 as sb3
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.noise import NormalActionNoise

    task = catalog.get(run.task)
    env = make_vec_env(
        lambda: make(run.task, unify=False),
        n_envs=PPO_ENVS if run.method == "ppo" else 1,
        seed=run.seed,
    )
    common: dict[str, Any] = dict(gamma=task.discount, seed=run.seed, device="cpu")
    if run.method == "ppo":
        model: Any = sb3.PPO("MlpPolicy", env, n_steps=128, **common)
    else:
        zeros = np.zeros(task.action_dim)
        model = sb3.TD3(
            "MlpPolicy",
            env,
            learning_starts=1000,
            action_noise=NormalActionNoise(zeros, zeros + 0.1),
            **common,
        )
    start = time.process_time()
    model.learn(run.steps)
    speed = model.num_timesteps / (time.process_time() - start)
    policy: Policy = lambda obs: model.predict(obs, deterministic=True)[0]  # noqa: E731
    return Outcome(score(make(run.task, unify=False), policy), speed)


def make(task: str, **kwargs: Any) -> gym.Env:
    """Makes one environment."""
    return gym.make(f"mmbench/{task}-v0", **kwargs)


def read(path: Path) -> dict[Run, Outcome]:
    """Reads results."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {
            Run(row["method"], row["library"], row["task"], int(row["seed"]), int(row["steps"])): (
                Outcome(float(row["score"]), float(row["steps_per_cpu_second"]))
            )
            for row in csv.DictReader(file)
        }


def add(path: Path, run: Run, outcome: Outcome) -> None:
    """Adds a row."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(FIELDS)
        versions = version("torch").split("+")[0], version("stable-baselines3")
        numbers = f"{outcome.score:.4f}", f"{outcome.steps_per_cpu_second:.1f}"
        writer.writerow([*run, *numbers, *versions])


def iqm(values: np.ndarray) -> np.ndarray:
    """The mean of the middle half along the last axis (arXiv 2108.13264), by weights."""
    count = values.shape[-1]
    inside = np.clip(np.arange(1, count + 1) - count / 4, 0, 1)
    weights = np.minimum(inside, inside[::-1])
    return np.sort(values, axis=-1) @ weights / weights.sum()


def report(results: dict[Run, Outcome], scale: float) -> None:
    """Prints a table, and for each method the ratio of ours to theirs.

    Of the runs whose steps were scaled so. The ratio's interval is of 10,000 bootstrap samples over
    the seeds of each task.
    """
    print("| method | task | seeds | ours | theirs | ours, steps/s | theirs, steps/s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    summary = []
    for method, (tasks, _, _) in COMPARISONS.items():
        scores, speeds = collect(results, method, scale)
        seeds = scores.shape[2]
        if not seeds:
            continue
        means, medians = scores.mean(2), np.median(speeds, 2)
        for j, task in enumerate(tasks):
            cells = *(f"{x:.3f}" for x in means[:, j]), *(f"{x:,.0f}" for x in medians[:, j])
            print("|", *(f"{cell} |" for cell in (method, task, seeds, *cells)))
        rng = np.random.default_rng(0)
        chosen = rng.integers(seeds, size=(2, 10_000, len(tasks), seeds))
        drawn = np.take_along_axis(scores[:, None], chosen, -1).reshape(2, 10_000, -1)
        with np.errstate(divide="ignore", invalid="ignore"):  # theirs may score 0
            ratios = np.divide(*iqm(drawn))
            low, high = np.percentile(ratios, [2.5, 97.5])
            ours, theirs = iqm(scores.reshape(2, -1))
            ratio = ours / theirs
        # By pairs, which ran on one machine: rows of several machines may be in the file.
        speed = np.exp(np.log(np.median(speeds[0] / speeds[1], 1)).mean())
        summary.append(
            f"{method}: IQM {ours:.3f}, theirs {theirs:.3f}; ratio {ratio:.2f} "
            f"(95 % interval {low:.2f} to {high:.2f}); {speed:.2f} times their steps/s"
        )
    print("", *summary, sep="\n")


def collect(
    results: dict[Run, Outcome], method: str, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Scores and speeds [library, task, seed] of a method, of the seeds that all have."""
    tasks, steps, seeds = COMPARISONS[method]
    steps = round(scale * steps)
    cells = [
        [
            [results.get(Run(method, library, task, seed, steps)) for seed in range(seeds)]
            for task in tasks
        ]
        for library in LIBRARIES
    ]
    table = np.array([[[c or (np.nan, np.nan) for c in row] for row in rows] for rows in cells])
    table = table[:, :, ~np.isnan(table).any((0, 1, 3))]
    return table[..., 0], table[..., 1]


def main() -> None:
    """Runs what is missing and prints a summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--report", action="store_true", help="print, and run nothing")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the CSV file")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once")
    parser.add_argument("--steps-scale", type=float, default=1.0, help="0.05 for a quick look")
    arguments = parser.parse_args()
    results, scale = read(arguments.results), arguments.steps_scale
    missing = [run for run in planned(scale) if run not in results and not arguments.report]
    for run, outcome in do_all(missing, arguments.jobs):
        results[run] = outcome
        add(arguments.results, run, outcome)
        print(*run, *outcome, flush=True)
    report(results, scale)
    if any(run not in results for run in missing):
        sys.exit(1)


if __name__ == "__main__":
    main()
