"""``mmbench bench``: what a step of each task costs on this machine."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.progress import Progress

from mmbench.catalog import SELECTION, EnvironmentFailure, Task, TaskUnavailableError, select
from mmbench.commands import TaskCommand
from mmbench.runs import RunError, read_json, to_json, write_json
from mmbench.shell import command

_WARM_STEPS = 3


@dataclasses.dataclass(frozen=True)
class Bench(TaskCommand):
    """Measure what a step of each task costs on this machine.

    The vector environment decides by these numbers which process steps what.

    Tasks that are not measured keep their numbers.
    """

    tasks: Annotated[
        str, tyro.conf.arg(metavar="TASKS", help=f"Tasks to measure: {SELECTION}.")
    ] = "all"

    seconds: float = 0.5
    """Time for each task."""

    json: bool = False
    """Print the numbers, in microseconds by task, as JSON."""

    def run(self) -> None:
        """Measures, and keeps what it measured.

        Raises:
            UnknownTaskError: ``tasks`` names none.
            RunError: The time is no number of seconds.
        """
        if not 0 <= self.seconds < math.inf:
            raise RunError(f"--seconds {self.seconds:g}: at least 0")
        selected = select(self.tasks)
        console = Console(stderr=True)
        costs: dict[str, float] = {}
        left_out: list[str] = []
        with Progress(console=console, transient=True) as progress:
            bar = progress.add_task("measuring", total=len(selected))
            for task in selected:
                progress.update(bar, description=task.versioned_name)
                try:
                    costs[task.id] = round(step_cost(task, self.seconds), 1)
                except (TaskUnavailableError, EnvironmentFailure):
                    left_out.append(task.versioned_name)
                progress.advance(bar)
        from mmbench.vector.grouping import measured_costs

        path = measured_costs()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            kept = read_json(path)
        except RunError:
            kept = {}  # there is none yet, or it is damaged
        write_json(path, {**kept, **costs})
        if self.json:
            print(to_json(costs))
        else:
            for name, cost in costs.items():
                print(f"{name:48} {cost:10.1f} us")
        console.print(f"{len(costs)} of {len(selected)} tasks measured, kept in {path}")
        if left_out:
            doctor = command("mmbench", "doctor")
            console.print(f"cannot run here (see {doctor}): {', '.join(left_out)}")


def step_cost(task: Task, seconds: float) -> float:
    """Measures an agent step in a process of its own, with a share of the episode's reset.

    Args:
        task: The task.
        seconds: Time to spend, at most; a few steps are taken in any case.

    Returns:
        Microseconds.

    Raises:
        TaskUnavailableError: The task cannot run here.
        EnvironmentFailure: It failed.
    """
    # Here, so that every other command starts fast.
    import gymnasium as gym
    import numpy as np

    obs = "state" if task.obs_dim else "rgb"
    env: Any = gym.make_vec(
        "mmbench:mmbench/multitask-v0", tasks=[task], num_workers=1, obs=obs
    ).unwrapped
    rng = np.random.default_rng(0)
    try:
        env.reset(seed=0)
        began = time.perf_counter()
        env.reset()
        reset = 1e6 * (time.perf_counter() - began)
        times: list[float] = []
        began = time.perf_counter()
        while len(times) < 2 * _WARM_STEPS or time.perf_counter() - began < seconds:
            actions = rng.uniform(-1, 1, (1, 16)).astype(np.float32)
            before = env.step_seconds[0]
            _, _, terminated, truncated, _ = env.step(actions)
            if not (terminated[0] or truncated[0]):
                times.append(1e6 * (env.step_seconds[0] - before))
    finally:
        env.close()
    return float(np.median(times[_WARM_STEPS:])) + reset / task.max_episode_steps
