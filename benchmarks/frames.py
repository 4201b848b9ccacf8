"""What it costs that frames of MuJoCo scenes are drawn in a thread of their own.

    uv run python benchmarks/frames.py
    MUJOCO_GL=osmesa uv run python benchmarks/frames.py --tasks mujoco-hopper --frames 200

One row a task: frames that are handed over one by one and waited for, as `render` does; the same
frames drawn by a loop inside the thread; their ratio. Both run in turn, in short blocks; times are
medians of the blocks' means. `hand-over`: what a function that does nothing costs.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import mmbench
from mmbench import rendering
from mmbench.domains.mujoco_simulator import MujocoSimulator
from mmbench.env import TaskEnv

BLOCK = 10  # frames
TASKS = "mujoco-inverted-pendulum,mujoco-ant"


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compare(env: TaskEnv, frames: int) -> tuple[float, float, float]:
    """Microseconds a frame, handed over and inside the thread, and the ratio."""
    simulator = env._simulator
    assert isinstance(simulator, MujocoSimulator)
    env.render()
    renderer, picture = simulator._renderer, simulator._picture

    def handed_over() -> None:
        for _ in range(BLOCK):
            renderer.render(picture)

    def inside(canvas: rendering._Canvas) -> None:
        for _ in range(BLOCK):
            canvas.draw(renderer, picture)

    pairs = [
        (seconds(handed_over), seconds(lambda: rendering._thread.run(inside)))
        for _ in range(max(3, frames // BLOCK))
    ]
    ours, other = (median(column) / BLOCK * 1e6 for column in zip(*pairs, strict=True))
    return ours, other, median(a / b for a, b in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", default=TASKS, help="of the domains MuJoCo and OGBench")
    parser.add_argument("--frames", type=int, default=400, help="of each task and way")
    arguments = parser.parse_args()
    print(f"{'task':28}{'handed over':>12}{'inside':>12}{'ratio':>8}   {rendering.backend()}")
    for task in mmbench.catalog.select(arguments.tasks):
        env = TaskEnv(task, render_mode="rgb_array")
        env.reset(seed=0)
        ours, other, ratio = compare(env, arguments.frames)
        print(f"{task.name:28}{ours:9.0f} us{other:9.0f} us{ratio:8.3f}")
        env.close()
    nothing = median(
        seconds(lambda: rendering._thread.run(lambda canvas: None)) for _ in range(2000)
    )
    print(f"hand-over: {1e6 * nothing:.0f} us")


if __name__ == "__main__":
    main()
