"""How much of the machine the multitask vector environment turns into steps.

    uv run python benchmarks/vector_speed.py                      # everything, ~10 minutes
    uv run python benchmarks/vector_speed.py --only efficiency,async --json speed.json

Every row is a ratio of two things measured in turn, in blocks, in one run; times are wall-clock
medians over the blocks. Run it on a machine that does nothing else.

* `efficiency`: (sum of the single environments' step times) / cores, over our time per vector
  step. The single times are taken with every core busy: as many processes as we have workers step
  the same environments, each its share; `alone` one environment for a while and then the next, `in
  turn` a step of each, as a vector environment has to. Resets count everywhere.
* `after`: what a step costs when another environment has just taken one, over what it costs alone.
* `async`: `gymnasium.vector.AsyncVectorEnv` over the same environments (one process each, shared
  memory), over ours.
* `overhead`: 200 environments that do nothing, `TaskEnv` included: our time per environment step
  over that of a bare Python loop.
* `halves`: a learner that waits as long as the environments step: lock-step over `send`/`recv`.
* `together`: many environments of one arcade task in one process, one by one over as arrays.
* `growth`: environment steps a second by workers and environments.
* `frames`: RGB frames a second, and bytes copied for each.
"""

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import gymnasium as gym
import numpy as np
from null_environment import null_attributes, null_environments

import mmbench  # noqa: F401 - registers the tasks
from mmbench import catalog
from mmbench.domains import unavailable
from mmbench.vector import together

MULTITASK = "mmbench/multitask-v0"
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

MIX = (
    "walker-walk,cheetah-run,reacher-easy,cartpole-swingup,spinner-spin,jumper-jump,giraffe-run,"
    "walker-walk-incline,mw-assembly,mw-door-open,mw-hammer,mw-push,mw-reach,mujoco-ant,"
    "mujoco-hopper,mujoco-walker,og-point-maze,og-ant-maze,og-antball,og-point-arena,pygame-pong,"
    "pygame-cowboy,pygame-landing,pygame-highway"
)
"""24 tasks of six domains."""

LIGHT = (
    "cheetah-run,reacher-easy,reacher-hard,acrobot-swingup,pendulum-swingup,cartpole-swingup-sparse,"
    "pendulum-spin,mujoco-reacher,mujoco-inverted-pendulum,pygame-cowboy,pygame-coinrun,"
    "pygame-spaceship,pygame-pong,pygame-bird-attack,pygame-highway,pygame-landing,"
    "pygame-air-hockey,pygame-rocket-collect,pygame-chase-evade,pygame-coconut-dodge,"
    "pygame-cartpole-balance,pygame-point-maze-var1,pygame-reacher-hard,pygame-cartpole-swingup"
)
"""24 tasks whose own step takes less than 100 microseconds."""

BLOCKS = 15
BLOCK_SECONDS = 0.5

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(QUESTIONS), help="questions, with commas")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all numbers there")
    arguments = parser.parse_args()
    rows: list[Row] = []
    print(f"{CORES} cores")
    print(f"{'question':12} {'what':42} {'ours':>12} {'other':>12} {'ratio':>7}")
    for name in arguments.only.split(","):
        for row in QUESTIONS[name]():
            rows.append({"question": name, **row})
            print(
                f"{name:12} {row['what']:42} {row['ours']:>12} {row['other']:>12} "
                f"{row.get('ratio', ''):>7}",
                flush=True,
            )
            if arguments.json:
                arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


def make(tasks: Any, **kwargs: Any) -> Any:
    env = gym.make_vec(MULTITASK, tasks=tasks, **kwargs).unwrapped
    env.reset(seed=0)
    return env


def runnable(tasks: str) -> list[catalog.Task]:
    return [task for task in catalog.select(tasks) if unavailable(task) is None]


def random_actions(count: int, steps: int = 50) -> np.ndarray:
    shape = (steps, count, catalog.MAX_ACTION_DIM)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def stepping(env: Any) -> Callable[[int], Any]:
    """A step of an environment with random actions."""
    actions = random_actions(env.num_envs)
    return lambda i: env.step(actions[i % len(actions)])


def seconds(step: Callable[[int], Any], steps: int) -> float:
    """Mean time of a step in a block."""
    start = time.perf_counter()
    for i in range(steps):
        step(i)
    return (time.perf_counter() - start) / steps


def in_turn(*steps: Callable[[int], Any]) -> list[float]:
    """Times several ways to step in turn; returns the median of each one's blocks."""
    lengths = []
    for step in steps:
        once = seconds(step, 3)
        lengths.append(max(3, round(BLOCK_SECONDS / once)))
    times: list[list[float]] = [[] for _ in steps]
    for _ in range(BLOCKS):
        for own, step, length in zip(times, steps, lengths, strict=True):
            own.append(seconds(step, length))
    return [median(own) for own in times]


# Efficiency


def single_times(tasks: list[Any], barrier: Any, results: Any) -> None:
    """Process: steps its environments by themselves, and in turn, and reports both sums."""
    from mmbench.env import TaskEnv

    envs = [TaskEnv(task) for task in tasks]
    actions = random_actions(1)[:, 0]
    for i, env in enumerate(envs):
        env.reset(seed=i)

    def step(env: Any, i: int) -> None:
        if env.step(actions[i % len(actions)])[3]:
            env.reset()

    while barrier.wait() or True:
        alone = 0.0
        for env in envs:
            start = time.perf_counter()
            steps = 0
            while steps < 5 or time.perf_counter() - start < BLOCK_SECONDS / len(envs):
                step(env, steps)
                steps += 1
            alone += (time.perf_counter() - start) / steps
        barrier.wait()
        start = time.perf_counter()
        rounds = 0
        while rounds < 3 or time.perf_counter() - start < BLOCK_SECONDS:
            for env in envs:
                step(env, rounds)
            rounds += 1
        results.put((alone, (time.perf_counter() - start) / rounds))


def efficiency() -> Any:
    for what, tasks in (("24 tasks of six domains", runnable(MIX)), ("all here", runnable("all"))):
        env = make(tasks)
        owner = env.owner
        context = multiprocessing.get_context("spawn")
        barrier, results = context.Barrier(env.num_workers + 1), context.Queue()
        processes = [
            context.Process(
                target=single_times,
                args=([env.tasks[i] for i in np.flatnonzero(owner == w)], barrier, results),
                daemon=True,
            )
            for w in range(env.num_workers)
        ]
        for process in processes:
            process.start()
        ours: list[float] = []
        bare: list[Any] = []
        for _ in range(BLOCKS):
            barrier.wait()
            barrier.wait()
            told = np.array([results.get() for _ in processes])
            bare.append(told.sum(0) / env.num_workers)
            ours.append(seconds(stepping(env), max(3, round(0.7 / told.sum(0)[0]))))
        for process in processes:
            process.kill()
        env.close()
        for name, ideal in zip(("alone", "in turn"), np.transpose(bare), strict=True):
            ratios = [fastest / own for fastest, own in zip(ideal, ours, strict=True)]
            yield {
                "what": f"{what}, {name} ({len(tasks)})",
                "ours": f"{1e3 * median(ours):.2f} ms",
                "other": f"{1e3 * median(ideal):.2f} ms",
                "ratio": round(median(ratios), 3),
            }


def after() -> Any:
    from mmbench.env import TaskEnv

    actions = random_actions(1)[:, 0]
    first = TaskEnv("reacher-easy")
    others = {"alone": None} | {
        name: TaskEnv(name) for name in ("reacher-hard", "pygame-pong", "cheetah-run", "mw-reach")
    }
    times: dict[str, list[float]] = {name: [] for name in others}
    for block in range(BLOCKS):
        for name, other in others.items():
            first.reset(seed=block)
            if other:
                other.reset(seed=block)
            for i in range(90):  # shorter than any of their episodes
                start = time.perf_counter()
                first.step(actions[i % len(actions)])
                times[name].append(time.perf_counter() - start)
                if other:
                    other.step(actions[i % len(actions)])
    alone = median(times.pop("alone"))
    for name, own in times.items():
        yield {
            "what": f"reacher-easy after {name}",
            "ours": f"{1e6 * median(own):.0f} us",
            "other": f"{1e6 * alone:.0f} us",
            "ratio": round(median(own) / alone, 2),
        }


# Against Gymnasium's


def against_async() -> Any:
    for what, names in (("24 tasks of six domains", MIX), ("24 tasks under 100 us", LIGHT)):
        tasks = runnable(names)
        ours = make(tasks)
        theirs = gym.vector.AsyncVectorEnv(
            [lambda task=task: gym.make(task.id) for task in tasks],
            context="spawn",
        )
        theirs.reset(seed=0)
        own, other = in_turn(stepping(ours), stepping(theirs))
        ours.close()
        theirs.close()
        yield {
            "what": f"{what} ({len(tasks)})",
            "ours": f"{1e6 * own:.0f} us",
            "other": f"{1e6 * other:.0f} us",
            "ratio": round(other / own, 2),
        }


# Overhead


def overhead() -> Any:
    count = 200
    bare = null_environments(count)
    actions = random_actions(count)
    for i, env in enumerate(bare):
        env.reset(seed=i)

    def loop(step: int) -> None:
        for env, action in zip(bare, actions[step % 50], strict=True):
            if env.step(action)[3]:
                env.reset()

    for workers in (0, 1, CORES):
        ours = make("pygame-pong", envs_per_task=count, num_workers=workers)
        for name, value in null_attributes().items():
            ours.set_attr(name, value)
        own, other = in_turn(stepping(ours), loop)
        ours.close()
        yield {
            "what": f"{count} empty environments, {workers} workers",
            "ours": f"{1e6 * own / count:.2f} us",
            "other": f"{1e6 * other / count:.2f} us",
            "ratio": round(own / other, 2),
        }


# Halves


def halves() -> Any:
    env = make(runnable(MIX))
    actions = random_actions(env.num_envs)
    wait = seconds(stepping(env), 50)

    def lock_step(i: int) -> None:
        env.step(actions[i % 50])
        time.sleep(wait)

    def in_halves(i: int) -> None:
        for half in (0, 1):
            env.recv(half)
            time.sleep(wait / 2)
            env.send(actions[i % 50, half::2], half)

    times: list[list[float]] = [[], []]
    for _ in range(BLOCKS):
        times[0].append(seconds(lock_step, max(3, round(BLOCK_SECONDS / wait))))
        for half in (0, 1):
            env.send(actions[0, half::2], half)
        times[1].append(seconds(in_halves, max(3, round(BLOCK_SECONDS / wait))))
        for half in (0, 1):
            env.recv(half)
    env.close()
    yield {
        "what": f"{env.num_envs} environments, learner {1e3 * wait:.1f} ms",
        "ours": f"{1e3 * median(times[1]):.2f} ms",
        "other": f"{1e3 * median(times[0]):.2f} ms",
        "ratio": round(median(times[0]) / median(times[1]), 2),
    }


# Arrays


def as_arrays() -> Any:
    least = together.LEAST
    for name in ("pygame-cowboy", "pygame-spaceship"):
        for count in (4, 8, 16, 256):
            envs = []
            for together.LEAST in (1, 10**6):
                envs.append(make(name, envs_per_task=count, num_workers=0))
                stepping(envs[-1])(0)  # the choice is made at the first step
            own, other = in_turn(*map(stepping, envs))
            for env in envs:
                env.close()
            yield {
                "what": f"{count} of {name}",
                "ours": f"{1e6 * own / count:.2f} us",
                "other": f"{1e6 * other / count:.2f} us",
                "ratio": round(other / own, 2),
            }
    together.LEAST = least


# Growth and frames


def growth() -> Any:
    everything = runnable("all")
    steps = range(0, len(everything), max(1, len(everything) // 24))
    for tasks in ([everything[i] for i in steps][:24], everything):
        rates = {}
        for workers in range(1, CORES + 1):
            env = make(tasks, num_workers=workers)
            (own,) = in_turn(stepping(env))
            env.close()
            rates[workers] = env.num_envs / own
            yield {
                "what": f"{env.num_envs} environments, {workers} workers",
                "ours": f"{rates[workers]:,.0f} /s",
                "other": f"{rates[1]:,.0f} /s",
                "ratio": round(rates[workers] / rates[1], 2),
            }


def frames() -> Any:
    for names in ("pygame-pong,pygame-cowboy,pygame-landing,pygame-highway", "walker-*"):
        env = make(runnable(names), obs="rgb")
        (own,) = in_turn(stepping(env))
        env.close()
        size = int(np.prod(env.single_observation_space.shape))
        yield {
            "what": f"{names[:20]}... ({env.num_envs})",
            "ours": f"{env.num_envs / own:,.0f} /s",
            "other": f"{2 * size / 1e3:.0f} kB",
        }


QUESTIONS: dict[str, Callable[[], Any]] = {
    "efficiency": efficiency,
    "after": after,
    "async": against_async,
    "overhead": overhead,
    "halves": halves,
    "together": as_arrays,
    "growth": growth,
    "frames": frames,
}


if __name__ == "__main__":
    main()
