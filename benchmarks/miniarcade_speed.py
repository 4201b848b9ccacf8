"""How fast the MiniArcade games step and draw, beside Gymnasium's CartPole in the same process.

    uv run python benchmarks/miniarcade_speed.py                  # a table of all tasks
    uv run python benchmarks/miniarcade_speed.py pong cowboy --json

`step` counts calls of `env.unwrapped.step`, resets at the ends of episodes included; `draw` counts
frames of the render mode `rgb_array`; `vector` counts environment steps of the native vector
environment with 256 environments. Each is the best of several rounds in CPU time, which other
processes on the machine disturb least. Memory is what one environment, and 256 as a vector,
allocate.
"""

import argparse
import json
import time
import tracemalloc
from collections.abc import Callable

import gymnasium as gym
import numpy as np

import miniarcade

NUM_ENVS = 256
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tasks", nargs="*", help="names of tasks (default: all)")
    parser.add_argument("--seconds", type=float, default=0.1, help="of a round (default: 0.1)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    tasks = [miniarcade.get_task(name) for name in arguments.tasks] or miniarcade.tasks()
    yardstick = cartpole_steps(arguments.seconds)
    rows = [measure(task, yardstick, arguments.seconds) for task in tasks]
    if arguments.json:
        print(json.dumps({"cartpole_v1_steps_per_second": yardstick, "tasks": rows}, indent=2))
    else:
        print_table(yardstick, rows)


def measure(task: miniarcade.Task, yardstick: float, seconds: float) -> dict[str, object]:
    """All numbers of one task; those of the vector environment are None where it has none."""
    steps = single_steps(task, seconds)
    vector = vector_steps(task, seconds) if task.vector else None
    return {
        "task": task.name,
        "steps_per_second": steps,
        "times_cartpole_v1": steps / yardstick,
        "frames_per_second": frames(task, seconds),
        "vector_steps_per_second": vector,
        "times_single": vector / steps if vector else None,
        "kilobytes": kilobytes(lambda: gym.make(task.id)),
        "vector_kilobytes": kilobytes(lambda: gym.make_vec(task.id, NUM_ENVS))
        if task.vector
        else None,
    }


def best_rate(run: Callable[[], int], seconds: float) -> float:
    """Most events a CPU second of some rounds; `run` makes some and returns how many."""
    run()
    best = 0.0
    for _ in range(ROUNDS):
        count, start = 0, time.process_time()
        while (spent := time.process_time() - start) < seconds:
            count += run()
        best = max(best, count / spent)
    return best


def cartpole_steps(seconds: float) -> float:
    """Gymnasium's CartPole-v1 with random actions."""
    env = gym.make("CartPole-v1").unwrapped
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, 2, 1000).tolist()

    def run() -> int:
        for action in actions:
            if env.step(action)[2]:
                env.reset()
        return len(actions)

    return best_rate(run, seconds)


def single_steps(task: miniarcade.Task, seconds: float) -> float:
    env = gym.make(task.id).unwrapped
    env.reset(seed=0)
    actions = list(random_actions(env.action_space, 1000))

    def run() -> int:
        for action in actions:
            if env.step(action)[3]:
                env.reset()
        return len(actions)

    return best_rate(run, seconds)


def vector_steps(task: miniarcade.Task, seconds: float) -> float:
    env = gym.make_vec(task.id, NUM_ENVS, vectorization_mode="vector_entry_point").unwrapped
    env.reset(seed=0)
    actions = list(random_actions(env.action_space, 50))
    mask = np.arange(NUM_ENVS) % 2 == 0
    for action in actions:  # so that not all episodes end in the same step
        env.step(action)
    env.reset(options={"reset_mask": mask})

    def run() -> int:
        for action in actions:
            env.step(action)
        return NUM_ENVS * len(actions)

    return best_rate(run, seconds)


def frames(task: miniarcade.Task, seconds: float) -> float:
    env = gym.make(task.id, render_mode="rgb_array").unwrapped
    env.reset(seed=0)
    actions = list(random_actions(env.action_space, 10))

    def run() -> int:
        for action in actions:
            if env.step(action)[3]:
                env.reset()
            env.render()
        return len(actions)

    return best_rate(run, seconds)


def random_actions(space: gym.spaces.Box, count: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (count, *space.shape)).astype(np.float32)


def kilobytes(make: Callable[[], gym.Env]) -> float:
    """Memory that an environment holds after some steps."""
    make()  # imports are not its own
    tracemalloc.start()
    env = make()
    env.reset(seed=0)
    for _ in range(20):
        env.step(env.action_space.sample())
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / 1000


def print_table(yardstick: float, rows: list[dict]) -> None:
    print(f"Gymnasium CartPole-v1: {yardstick:,.0f} steps/s\n")
    print(
        f"| {'task':23} | {'step/s':>9} | x CartPole-v1 | {'draw/s':>6} | vector step/s "
        f"| x single | {'kB':>4} | vector kB |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        vector = row["vector_steps_per_second"]
        print(
            f"| {row['task']:23} | {row['steps_per_second']:9,.0f} "
            f"| {row['times_cartpole_v1']:13.2f} | {row['frames_per_second']:6,.0f} "
            f"| {format(vector, '13,.0f') if vector else '':13} "
            f"| {format(row['times_single'], '8.1f') if vector else '':8} "
            f"| {row['kilobytes']:4.0f} "
            f"| {format(row['vector_kilobytes'], '9.0f') if vector else '':9} |"
        )


if __name__ == "__main__":
    main()
