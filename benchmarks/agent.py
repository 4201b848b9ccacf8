"""How fast are Newt's update and plan, beside a plain formulation and the machine's limit?

    uv run python benchmarks/agent.py                              # sizes XS and S on one thread
    uv run python benchmarks/agent.py --device cuda --sizes S L --envs 8 200 --batch 1024

Both get the same weights, batches and draws; the greatest difference of their losses (relative) or
mean plans is in the table (with TF32 and bfloat16 it says little). Times are the least of some
runs in turn (processor time where one thread of a CPU computes, so that other programs do not
count). The floor is the matrix arithmetic (counted by PyTorch) at the rate of the fastest large
product of the same run. With ``--out`` the rows are added to a CSV file.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from plain_newt import PlainNewt
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from mmbench import catalog
from newt_agent.config import Execution, Precision
from newt_agent.learner import Learner, OptimizerConfig
from newt_agent.losses import Batch, LossConfig, update_noise
from newt_agent.planner import PlannerConfig
from newt_agent.planning_agent import PlanningAgent

COLUMNS = (
    *("device", "threads", "what", "size", "rows", "execution", "precision"),
    *("ms", "plain_ms", "ratio", "floor_ms", "of_peak", "difference", "first_call_s"),
)
TASKS = "dmcontrol,miniarcade"


def make_agent(size: str, device: torch.device, planner: PlannerConfig) -> PlanningAgent:
    """An agent none of whose layers is zero."""
    g = torch.Generator().manual_seed(0)
    agent = PlanningAgent.create(catalog.select(TASKS), size, "minilm", planner, g)
    with torch.no_grad():
        for parameter in agent.model.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=g))
    agent.model.to(device)
    agent.discount = agent.discount.to(device)
    return agent


def make_batch(agent: PlanningAgent, rows: int, horizon: int) -> Batch:
    """Noise in the place of experience."""
    g = torch.Generator().manual_seed(1)
    action = torch.rand(horizon, rows, 16, generator=g) * 2 - 1
    return Batch(
        obs=torch.randn(horizon + 1, rows, 128, generator=g).to(agent.device),
        action=action.to(agent.device),
        reward=torch.rand(horizon, rows, generator=g).to(agent.device),
        task=torch.randint(len(agent.tasks), (rows,), generator=g).to(agent.device),
    )


def clock(device: torch.device) -> float:
    """Seconds, after all that was asked for is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def best_of(calls: list[Callable[[], Any]], device: torch.device, seconds: float) -> list[float]:
    """Times calls in turn, for some seconds in all; the least of each, in seconds."""
    for call in calls:
        call()
    least = [float("inf")] * len(calls)
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or float("inf") in least:
        for i, call in enumerate(calls):
            start = clock(device)
            call()
            least[i] = min(least[i], clock(device) - start)
    return least


def peak(device: torch.device, precision: Precision) -> float:
    """Operations a second of a large product of matrices."""
    size = 8192 if device.type == "cuda" else 2048
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2 * size**3 / best_of([lambda: a @ b], device, 1.0)[0]


def flops(call: Callable[[], Any]) -> int:
    """Counts the arithmetic of matrix products."""
    with FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())


def measure_update(
    size: str, rows: int, execution: Execution, device: torch.device, seconds: float
) -> dict[str, Any]:
    """Compares updates."""
    agent = make_agent(size, device, PlannerConfig())
    loss, optimizer = LossConfig(bc_coef=1.0), OptimizerConfig()
    plain = PlainNewt(agent, loss, optimizer)
    learner = Learner(agent, loss, optimizer, execution)
    batch, g = make_batch(agent, rows, 3), torch.Generator(device).manual_seed(2)
    count = flops(lambda: Learner(make_agent(size, device, PlannerConfig()), loss, optimizer)
                  .update(batch, torch.Generator(device).manual_seed(2)))  # fmt: skip
    start = time.perf_counter()
    difference = 0.0
    for i in range(5):  # the first ones allocate, compile and record
        noise = update_noise(agent.model, batch).draw(torch.Generator(device).manual_seed(i))
        ours = learner.update(batch, torch.Generator(device).manual_seed(i))
        theirs = plain.update(batch, noise)
        for name, value in theirs.items():
            gap = (ours[name] - value).abs() / value.abs().clamp(min=1.0)
            difference = max(difference, gap.item())
    first = time.perf_counter() - start
    noise = update_noise(agent.model, batch).draw(g)
    ours_s, plain_s = best_of(
        [lambda: learner.update(batch, g), lambda: plain.update(batch, noise.draw(g))],
        device,
        seconds,
    )
    return numbers("update", ours_s, plain_s, count, difference, first)


def measure_plan(
    size: str,
    envs: int,
    execution: Execution,
    precision: Precision,
    planner: PlannerConfig,
    device: torch.device,
    seconds: float,
) -> dict[str, Any]:
    """Compares plans."""
    agent = make_agent(size, device, planner)
    plain = PlainNewt(agent, LossConfig(), OptimizerConfig())
    g = torch.Generator(device).manual_seed(2)
    obs = torch.randn(envs, 128, generator=torch.Generator().manual_seed(3)).to(device)
    task = (torch.arange(envs) % len(agent.tasks)).to(device)
    first, later = (torch.full((envs,), on, device=device) for on in (True, False))
    zeros = agent.planner.initial(envs)
    count = flops(lambda: agent.act_on(obs, task, first, True, g))
    agent.run_by(execution, precision)
    start = time.perf_counter()
    for i in range(5):
        agent.memory = None
        agent.act_on(obs, task, first, True, torch.Generator(device).manual_seed(i))
        noise = agent.planner.noise(envs).draw(torch.Generator(device).manual_seed(i))
        _, mean = plain.plan(obs, task, zeros, planner, noise)
    assert agent.memory is not None
    # Two candidates that are nearly as good may be exchanged, so the median.
    difference = (agent.memory - mean).abs().flatten(1).amax(1).median().item()
    took = time.perf_counter() - start
    ours_s, plain_s = best_of(
        [
            lambda: agent.act_on(obs, task, later, True, g),
            lambda: plain.plan(obs, task, zeros, planner, noise.draw(g))[0].cpu(),
        ],
        device,
        seconds,
    )
    return numbers("plan", ours_s, plain_s, count, difference, took)


def numbers(
    what: str, ours: float, plain: float, count: int, difference: float, first: float
) -> dict[str, Any]:
    return {
        "what": what,
        "ms": 1e3 * ours,
        "plain_ms": 1e3 * plain,
        "ratio": plain / ours,
        "flops": count,
        "difference": difference,
        "first_call_s": first,
    }


def row_of(
    found: dict[str, Any],
    device: torch.device,
    size: str,
    count: int,
    execution: str,
    precision: Precision | None,
    rates: dict[Precision, float],
) -> dict[str, Any]:
    """A row of the table; ``rates`` keeps the machine's, once they are measured."""
    precision = precision or "float32"
    if precision not in rates:
        rates[precision] = peak(device, precision)
    floor = 1e3 * found["flops"] / rates[precision]
    whole = found | {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "size": size,
        "rows": count,
        "execution": execution,
        "precision": precision,
        "floor_ms": floor,
        "of_peak": floor / found["ms"],
    }
    return {name: whole[name] for name in COLUMNS}


def measure(arguments: argparse.Namespace, console: Console) -> list[dict[str, Any]]:
    """Measures everything that was asked for, and prints each row when it is there."""
    device = torch.device(arguments.device)
    planner = PlannerConfig(num_samples=arguments.samples, iterations=arguments.iterations)
    rates: dict[Precision, float] = {}
    rows = []
    for size in arguments.sizes:
        for execution in arguments.execution:
            jobs: list[tuple[int, Precision | None]] = [(arguments.batch, None)]
            jobs += [(envs, one) for envs in arguments.envs for one in arguments.precision]
            for count, precision in jobs:
                if precision is None:
                    found = measure_update(size, count, execution, device, arguments.seconds)
                else:
                    found = measure_plan(
                        size, count, execution, precision, planner, device, arguments.seconds
                    )
                row = row_of(found, device, size, count, execution, precision, rates)
                rows.append(row)
                console.print(
                    " ".join(
                        f"{name}={value:.3g}" if isinstance(value, float) else f"{value}"
                        for name, value in row.items()
                    )
                )
                if arguments.out:
                    append(arguments.out, row)
    return rows


def append(path: Path, found: dict[str, Any]) -> None:
    """Adds a row to a CSV file."""
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if fresh:
            writer.writeheader()
        writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in found.items()})


def show(rows: list[dict[str, Any]], console: Console) -> None:
    """Prints a table."""
    table = Table(title="Newt's update and plan beside a plain formulation")
    shown = ("what", "size", "rows", "execution", "precision", "ms", "plain_ms", "ratio",
             "floor_ms", "of_peak", "difference")  # fmt: skip
    for name in shown:
        table.add_column(name, justify="right")
    for one in rows:
        table.add_row(
            *(f"{one[n]:.3g}" if isinstance(one[n], float) else str(one[n]) for n in shown)
        )
    console.print(table)


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sizes", nargs="+", default=["XS", "S"])
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--envs", type=int, nargs="+", default=[8])
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--iterations", type=int, default=6)
    parser.add_argument("--execution", nargs="+", default=["eager"])
    parser.add_argument("--precision", nargs="+", default=["float32"])
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    return parser.parse_args(words)


def main() -> None:
    """Measures and prints."""
    arguments, console = parse(), Console(width=140)
    torch.set_num_threads(arguments.threads)
    torch.set_float32_matmul_precision("high")
    show(measure(arguments, console), console)


if __name__ == "__main__":
    main()
