"""Does everything that needs a GPU, in one command of some minutes.

    python benchmarks/gpu.py --minutes 8 --out results

In this order, each written to the folder when it is done:

* ``machine.json``: the card, the versions.
* ``correctness.json``: updates and plans on the GPU against the CPU, as CUDA graphs and compiled
  against as written; a run that goes on on the other device, and back.
* ``speed.csv``: update, and plans of 8 and 200 environments, of each size (`agent.py`).
* ``tests.txt``: the tests of newt-agent, baselines and miniarcade.
* ``training.json``, ``curve.csv``: a multitask run on the tasks whose simulators are here, for the
  minutes that are left, and what its agent scores with plans in float32 and in bfloat16.

It needs the packages (installed, or their wheels on the path), PyTorch, and no network. With
``--device cpu --tiny`` it does the same in miniature without a GPU.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections import defaultdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from agent import append, make_agent, make_batch, measure_plan, measure_update, parse, row_of
from rich.console import Console

from mmbench import catalog
from mmbench.domains import unavailable
from newt_agent.learner import Learner, OptimizerConfig
from newt_agent.losses import LossConfig, update_noise
from newt_agent.noise import PlanNoise, UpdateNoise
from newt_agent.planner import PlannerConfig

PARTS = ("machine", "correctness", "speed", "tests", "training")
PACKAGES = ("mmbench", "newt-agent", "mmbench-baselines", "miniarcade", "torch", "numpy",
            "gymnasium", "mujoco", "dm-control", "pygame-ce")  # fmt: skip
ROOT = Path(__file__).parents[1]
TESTED = ("newt-agent", "baselines", "miniarcade")
console = Console(width=140)


class Part:
    """What the parts share: settings, the clock, and the folder."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.device = torch.device(arguments.device)
        self.tiny: bool = arguments.tiny
        self.out: Path = arguments.out
        self.until = time.monotonic() + 60 * arguments.minutes
        self.minutes: float = arguments.minutes
        self.sizes: list[str] = arguments.sizes
        self.ways: list[str] = arguments.execution
        self.out.mkdir(parents=True, exist_ok=True)

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.until - time.monotonic()

    def write(self, name: str, found: Any) -> None:
        """Writes what was found as JSON, and prints it."""
        (self.out / name).write_text(json.dumps(found, indent=1) + "\n")
        console.print(name, found)


def machine(part: Part) -> None:
    """What this machine is."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    card = torch.cuda.get_device_name() if part.device.type == "cuda" else None
    found = {"card": card, "cores": os.cpu_count(), "python": platform.python_version()}
    part.write("machine.json", found | {"packages": versions, "tasks": len(tasks_here())})


def tasks_here() -> list[str]:
    """The training tasks whose simulators are here."""
    return [task.name for task in catalog.select("all") if not unavailable(task)]


# Correctness


def correctness(part: Part) -> None:
    """Compares devices and ways to run."""
    torch.set_float32_matmul_precision("highest")
    found: dict[str, Any] = {}
    size = "XS" if part.tiny else "S"
    host = torch.device("cpu")
    reference = losses_and_plan(size, host, "eager", part)
    for execution in part.ways:
        start = time.monotonic()
        try:
            other = losses_and_plan(size, part.device, execution, part)
        except Exception as error:
            found[execution] = f"{type(error).__name__}: {error}"[:2000]
            continue
        gaps = {
            name: float((other[name] - value).abs().max() / value.abs().max())
            for name, value in reference.items()
        }
        found[execution] = gaps | {"seconds": time.monotonic() - start}
        part.write("correctness.json", found)
    torch.set_float32_matmul_precision("high")
    found["there and back"] = there_and_back(part)
    part.write("correctness.json", found)


def losses_and_plan(
    size: str, device: torch.device, execution: Any, part: Part
) -> dict[str, torch.Tensor]:
    """Losses of some updates, the weights after them, and plans, from draws made on the CPU."""
    planner = PlannerConfig(num_samples=64, iterations=2) if part.tiny else PlannerConfig()
    agent = make_agent(size, device, planner)
    # Plans come first: near-ties between candidates grow with the differences of the weights.
    agent.run_by(execution)
    rows, envs = 64, 16
    obs = torch.randn(envs, 128, generator=torch.Generator().manual_seed(3)).to(device)
    task, first = torch.arange(envs, device=device), torch.ones(envs, dtype=bool, device=device)
    means, metrics = [], []
    for seed in range(6):
        noise = agent.planner.noise(envs)
        drawn = PlanNoise(*(t.cpu() for t in noise)).draw(torch.Generator().manual_seed(seed))
        moved = PlanNoise(*(t.to(device) for t in drawn))
        memory = agent.planner.initial(envs)
        means.append(agent.plan_by(obs, task, first, memory, None, moved, explore=True)[1].cpu())
    learner = Learner(agent, LossConfig(bc_coef=1.0), OptimizerConfig(), execution)
    batch = make_batch(agent, rows, 3)
    for seed in range(6):
        drawn = UpdateNoise(
            *(None if t is None else t.cpu() for t in update_noise(agent.model, batch))
        ).draw(torch.Generator().manual_seed(seed))
        moved = UpdateNoise(*(None if t is None else t.to(device) for t in drawn))
        metrics.append(torch.stack(list(learner.step(batch, moved).values())).cpu())
    weights = torch.cat([p.detach().flatten().cpu() for p in agent.model.parameters()])
    # Two candidates that are nearly as good may change places: the middle environment of each.
    plans = torch.stack(means).flatten(2)
    return {"metrics": torch.stack(metrics), "weights": weights, "plans": plans.median(1).values}


def command(*words: object) -> list[str]:
    """The command line of newt-train or newt-eval (the first word)."""
    module, function = {"train": ("cli", "train_main"), "eval": ("cli_eval", "eval_main")}[
        str(words[0])
    ]
    start = f"from newt_agent.{module} import {function}; {function}()"
    return [sys.executable, "-c", start, *map(str, words[1:])]


def there_and_back(part: Part) -> dict[str, Any]:
    """A run on the GPU that goes on on the CPU, and again on the GPU."""
    run = part.out / "moved"
    common = ("--threads", 1, "--num-workers", 1)
    first = ("train", "--tasks", "pygame-cowboy,pygame-pong", "--demos", "none", "--size", "XS",
             "--batch-size", 64, "--seed-steps", 400, "--steps", 800, "--utd", 0.1,
             "--eval-episodes", 1, "--checkpoint-every", 800, "--replay-capacity", 10_000,
             "--planner.num-samples", 32, "--planner.num-elites", 8, "--planner.iterations", 2,
             "--planner.num-pi-trajs", 8, "--out", run, *common)  # fmt: skip
    legs = {
        "begins": (*first, "--device", part.device.type),
        "goes on on the CPU": ("train", "--resume", run, "--steps", 1200, "--device", "cpu"),
        "and again": ("train", "--resume", run, "--steps", 1600, "--device", part.device.type),
    }
    found = {}
    for name, words in legs.items():
        result = subprocess.run(command(*words), capture_output=True, text=True, timeout=300)
        found[name] = "ok" if result.returncode == 0 else (result.stdout + result.stderr)[-1500:]
    return found


# Speed, tests


def speed(part: Part) -> None:
    """Times updates and plans of each size."""
    planner = PlannerConfig(num_samples=64, iterations=2) if part.tiny else PlannerConfig()
    seconds = 0.2 if part.tiny else 1.0
    batch = 64 if part.tiny else 1024
    words = ["--device", part.device.type, "--out", str(part.out / "speed.csv")]
    settings = parse(words)
    rates: dict[str, float] = {}
    began = part.left
    for execution in part.ways:
        for size in part.sizes:
            jobs: list[tuple[int, Any]] = [(batch, None)]
            for envs in (8, 200):
                jobs += [(envs, one) for one in ("float32", "bfloat16")]
            if part.tiny:
                jobs = jobs[:2]
            for count, precision in jobs:
                if execution == "compile" and began - part.left > 0.35 * 60 * part.minutes:
                    console.print(f"no time for {size}, {count} compiled")
                    continue
                try:
                    if precision is None:
                        found = measure_update(size, count, execution, part.device, seconds)
                    else:
                        found = measure_plan(
                            size, count, execution, precision, planner, part.device, seconds
                        )
                except Exception as error:
                    console.print(
                        f"{execution} {size} {count}: {type(error).__name__}: {error}"[:900]
                    )
                    continue
                row = row_of(found, part.device, size, count, execution, precision, rates)
                append(settings.out, row)
                console.print(
                    " ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values())
                )


def tests(part: Part) -> None:
    """Runs the tests of the packages, for 5 minutes at most."""
    folders = [f"packages/{name}/tests" for name in TESTED]
    if part.tiny:
        folders = ["packages/newt-agent/tests/test_maths.py"]
    words = [sys.executable, "-m", "pytest", "-q", "-x" if part.tiny else "--maxfail=40", *folders]
    words += ["-n", str(min(14, os.cpu_count() or 1)), "-p", "no:cacheprovider"]
    with (part.out / "tests.txt").open("w") as file:
        child = subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT)
        try:
            child.wait(timeout=min(300.0, max(10.0, part.left)))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGINT)
            try:
                child.wait(timeout=30)
            except subprocess.TimeoutExpired:
                child.kill()
    tail = (part.out / "tests.txt").read_text()[-3000:]
    console.print(tail, markup=False)


# Training


def training(part: Part) -> None:
    """Trains on all tasks that are here, for the time that is left, and evaluates."""
    run, cores = part.out / "run", os.cpu_count() or 1
    here = tasks_here()
    names = ["pygame-cowboy", "pygame-pong"] if part.tiny else here
    reserve = 5.0 if part.tiny else 75.0  # seconds, for two evaluations
    size = "XS" if part.tiny else "B"
    words = ("train", "--tasks", ",".join(names), "--demos", "none", "--preset", "machine",
             "--size", size, "--device", part.device.type, "--num-workers", min(14, cores),
             "--steps", 10**8, "--eval-every", 0, "--eval-episodes", 1, "--out", run,
             "--seed-steps", 250 * len(names), "--checkpoint-every", 10**6,
             "--replay-capacity", 50_000 if part.tiny else 2_000_000)  # fmt: skip
    with (part.out / "training.txt").open("w") as file:
        child = subprocess.Popen(command(*words), stdout=file, stderr=subprocess.STDOUT)
        try:
            child.wait(timeout=max(20.0, part.left - reserve))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGTERM)
            child.wait(timeout=120)
    found: dict[str, Any] = {"tasks": len(names), "size": size, "seconds": curve(part, run)}
    part.write("training.json", found)
    for precision in ("float32", "bfloat16"):
        result = part.out / f"eval_{precision}.json"
        words = ("--episodes", 1, "--json", result, "--device", part.device.type)
        evaluated = command("eval", "--checkpoint", run, *words, "--plan-precision", precision)
        try:
            subprocess.run(evaluated, timeout=max(30.0, part.left), check=True, capture_output=True)
            found[precision] = json.loads(result.read_text())["score"]
        except (subprocess.SubprocessError, OSError) as error:
            output = getattr(error, "stderr", b"") or b""
            found[precision] = f"{error}"[:200] + output.decode()[-500:]
        part.write("training.json", found)


def curve(part: Part, run: Path) -> float:
    """Writes mean scores of the training episodes against steps; returns the seconds it took."""
    scores: dict[int, list[float]] = defaultdict(list)
    seconds = 0.0
    with (run / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["phase"] == "train"]
    last = max((int(row["step"]) for row in rows), default=0)
    for row in rows:
        scores[20 * int(row["step"]) // (last + 1)].append(float(row["score"]))
        seconds = max(seconds, float(row["seconds"]))
    with (part.out / "curve.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("until_step", "episodes", "mean_score"))
        for bucket, own in sorted(scores.items()):
            mean = sum(own) / len(own)
            writer.writerow(((bucket + 1) * last // 20, len(own), f"{mean:.4f}"))
    console.print((part.out / "curve.csv").read_text())
    return seconds


def main() -> None:
    """Does the parts in order; one that fails is said, and the next one begins."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--sizes", nargs="+", default=["S", "B", "L", "XL"])
    parser.add_argument("--execution", nargs="+", default=["eager", "graph", "compile"])
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--tiny", action="store_true", help="in miniature, to try the script")
    arguments = parser.parse_args()
    if arguments.tiny:
        arguments.sizes = ["XS"]
    if arguments.device == "cpu":
        arguments.execution = ["eager"]
    torch.set_float32_matmul_precision("high")
    part = Part(arguments)
    for name in arguments.parts:
        console.rule(f"{name}, {part.left:.0f} s left")
        try:
            globals()[name](part)
        except Exception as error:
            console.print(f"{name} failed: {type(error).__name__}: {error}"[:3000], markup=False)


if __name__ == "__main__":
    main()
