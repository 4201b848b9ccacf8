"""What do updates and acting cost in each method, and how near are they to the machine's limit?

Every method is built as for a large run on this machine: 200 tasks, and its preset `machine`.
No environment is stepped; observations and rewards are noise. Of one update, and of choosing the
actions of some environments, it prints the matrix arithmetic (counted by PyTorch), the time (the
best of some; processor time where one thread of a CPU computes), which part of the fastest large
matrix product of the same run that is, which part of the time is spent in matrix products at all
(by PyTorch's profiler), and how many operations PyTorch was asked for:

    uv run python benchmarks/methods.py [--device cuda] [--size L] [--methods newt,brc]
"""

import argparse
import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from mmbench import catalog
from newt_agent.method import Method, Step
from newt_agent.methods import find_method
from newt_agent.newt import Newt
from newt_agent.planning_agent import PlanningAgent

REPEATS = 3
FILL = 4
"""Steps of each environment to learn from."""
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "addmv", "mv")
PLANNED = 2
"""Environments that are planned for; 200 would take minutes on a CPU."""


NUM_ENVS = 200
OFF_POLICY = {"seed_steps": FILL * NUM_ENVS, "replay_capacity": 100 * NUM_ENVS}
OWN: dict[str, dict[str, Any]] = {
    "newt": {**OFF_POLICY, "utd": 1 / NUM_ENVS},
    "tdmpc2": {**OFF_POLICY, "utd": 1 / NUM_ENVS},
    "brc": {**OFF_POLICY, "updates_per_step": 1.0},
    "fast_td3": {**OFF_POLICY, "updates_per_step": 2.0},  # one of two trains the actor
    "ppo": {"epochs": 1},
}
"""Settings with which few updates are due, and memory is small."""


class Dispatches(TorchDispatchMode):
    """Counts operations."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Counts one."""
        self.count += 1
        return func(*args, **(kwargs or {}))


@dataclass
class Cost:
    """Of one call."""

    flops: float
    seconds: float
    dispatches: float
    products: float
    """Part of the time that matrix products take."""


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def clock(device: torch.device) -> float:
    """Seconds: of the processor where one thread computes, for other programs lengthen the rest."""
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    return time.process_time() if alone else time.perf_counter()


def cost(prepare: Callable[[], None], call: Callable[[], int], device: torch.device) -> Cost:
    """Measures a call.

    Args:
        prepare: What has to come before each call, and is not measured.
        call: Returns how many times it did its work.
        device: Where it does it.
    """
    seconds = []
    for _ in range(1 + REPEATS):
        prepare()
        synchronise(device)
        start = clock(device)
        times = call()
        synchronise(device)
        seconds.append((clock(device) - start) / times)
    prepare()
    with FlopCounterMode(display=False) as flops, Dispatches() as dispatches:
        times = call()
    counted = flops.get_total_flops() / times, min(seconds[1:]), dispatches.count / times
    prepare()
    with torch.profiler.profile() as profile:
        call()
        synchronise(device)
    return Cost(*counted, products_share(profile, device))


def products_share(profile: torch.profiler.profile, device: torch.device) -> float:
    """The part of the time of all operations that matrix products take."""
    field = "self_cpu_time_total" if device.type == "cpu" else "self_device_time_total"
    times = {event.key: getattr(event, field) for event in profile.key_averages()}
    products = sum(times.get(f"aten::{name}", 0) for name in PRODUCTS)
    return products / sum(time for name, time in times.items() if name.startswith("aten::"))


def matmul_peak(device: torch.device) -> float:
    """Arithmetic of the fastest large product, a second."""
    size = 8192 if device.type == "cuda" else 2048
    a, b = torch.randn(2, size, size, device=device)
    best = 0.0
    for _ in range(10):
        synchronise(device)
        start = clock(device)
        a @ b
        synchronise(device)
        best = max(best, 2 * size**3 / (clock(device) - start))
    return best


class Driver:
    """Feeds noise to a method."""

    def __init__(self, name: str, size: str | None, device: torch.device) -> None:
        self.tasks = catalog.select("all")
        kind = find_method(name)
        config = kind.preset("machine", device.type, len(self.tasks))
        self.config = dataclasses.replace(config, size=size or config.size, **OWN[name])
        agent = kind.create_agent(self.config, self.tasks, device)
        self.rows = torch.arange(len(self.tasks), device=device)
        self.method: Method = kind(self.config, agent, self.rows)
        self.rng = np.random.default_rng(0)
        self.step = 0
        self.method.begin(self.observations())
        self.on_policy = hasattr(config, "rollout")
        if not self.on_policy:
            for _ in range(FILL):
                self.collect()
        if isinstance(self.method, Newt):
            self.method.updates = self.method.due(self.step)  # as if they had been taken

    def observations(self) -> np.ndarray:
        """Noise."""
        return self.rng.normal(size=(len(self.tasks), 128)).astype(np.float32)

    def collect(self) -> None:
        """Acts, by chance where the method begins so, and remembers a step."""
        obs, no = self.observations(), np.zeros(len(self.tasks), bool)
        action = self.method.act(obs, no, self.step)
        reward, later = self.rng.uniform(size=len(obs)), self.observations()
        self.method.remember(Step(obs, action, reward, later, no, no, ~no, later))
        self.step += len(obs)

    def prepare(self) -> None:
        """Lets an update be due."""
        if self.on_policy:
            for _ in range(self.config.rollout):
                self.collect()
        else:
            self.step += len(self.tasks)

    def update(self) -> int:
        """Learns; returns the number of updates."""
        before = self.method.updates
        self.method.learn(self.step)
        return self.method.updates - before

    @property
    def batch(self) -> int:
        """Rows of an update."""
        if self.on_policy:
            return self.config.rollout * len(self.tasks) // self.config.minibatches
        return self.config.batch_size

    @property
    def acting(self) -> int:
        """Environments to act in."""
        return PLANNED if isinstance(self.method.agent, PlanningAgent) else len(self.tasks)

    def act(self) -> int:
        """Chooses actions, once."""
        obs, first = self.observations()[: self.acting], np.ones(self.acting, bool)
        self.method.agent.act_on(obs, self.rows[: self.acting], first, explore=True)
        return 1


def row(name: str, what: str, of: str, cost: Cost, peak: float) -> str:
    share = cost.flops / cost.seconds / peak
    return (
        f"{name:10}{what:8}{of:>18}{cost.flops / 1e9:>12,.1f}{1e3 * cost.seconds:>12,.1f}"
        f"{share:>8.0%}{cost.products:>10.0%}{cost.dispatches:>12,.0f}"
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--size")
    parser.add_argument("--methods", default=",".join(OWN))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_float32_matmul_precision("high")
    device = torch.device(arguments.device)
    peak = matmul_peak(device)
    print(f"largest matrix product {peak / 1e9:,.0f} GFLOP/s, {arguments.threads} threads")
    print(
        f"{'method':10}{'what':8}{'of':>18}{'GFLOP':>12}{'ms':>12}{'peak':>8}{'products':>10}"
        f"{'dispatches':>12}"
    )
    for name in arguments.methods.split(","):
        driver = Driver(name, arguments.size, device)
        update = cost(driver.prepare, driver.update, device)
        of = f"{driver.config.size}, batch {driver.batch:,}"
        print(row(name, "update", of, update, peak), flush=True)
        act = cost(lambda: None, driver.act, device)
        print(row(name, "act", f"{driver.acting} envs", act, peak), flush=True)
        peak = max(peak, matmul_peak(device))


if __name__ == "__main__":
    main()
