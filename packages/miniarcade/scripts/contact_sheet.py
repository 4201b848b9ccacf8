"""Draws the picture of all tasks, `docs/tasks.png`: `uv run python scripts/contact_sheet.py`."""

import argparse
from pathlib import Path

import gymnasium as gym
import numpy as np
import pygame

import miniarcade

COLUMNS = 6
TILE = 196  # px, side of a frame
GAP = 8  # px
LABEL = 20  # px, height of a name
MARGIN = 12  # px
BACKGROUND, INK = (250, 250, 247), (50, 52, 60)
DEFAULT_STEPS = 70  # of random play before the frame

# Where another moment says more: seed, steps, and the action held meanwhile (None: random ones).
MOMENTS: dict[str, tuple[int, int, list[float] | None]] = {
    "cowboy": (3, 27, [0.9]),
    "coinrun": (3, 20, [0.8]),
    "spaceship": (5, 19, [0.1, 0.1]),
    "pong": (3, 30, None),
    "bird-attack": (3, 60, None),
    "landing": (3, 50, None),
    "cartpole-balance": (3, 25, None),
    "cartpole-balance-sparse": (3, 18, None),
    "cartpole-swingup": (3, 40, None),
    "cartpole-swingup-sparse": (4, 30, None),
    "cartpole-tremor": (17, 55, [0.0]),
    "reacher-easy": (6, 10, None),
    "reacher-hard": (3, 10, None),
}


def main() -> None:
    """Writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).parents[1] / "docs" / "tasks.png"
    parser.add_argument("--output", type=Path, default=here, help="the PNG to write")
    arguments = parser.parse_args()
    tasks = miniarcade.tasks()
    rows = -(-len(tasks) // COLUMNS)
    across, down = TILE + GAP, TILE + LABEL + GAP
    sheet = pygame.Surface((2 * MARGIN + COLUMNS * across - GAP, 2 * MARGIN + rows * down - GAP))
    sheet.fill(BACKGROUND)
    pygame.font.init()
    font = pygame.font.Font(None, LABEL)
    for i, task in enumerate(tasks):
        x, y = MARGIN + i % COLUMNS * across, MARGIN + i // COLUMNS * down
        tile = pygame.surfarray.make_surface(frame(task).swapaxes(0, 1))
        sheet.blit(pygame.transform.smoothscale(tile, (TILE, TILE)), (x, y))
        name = font.render(task.name, True, INK)
        sheet.blit(name, name.get_rect(midtop=(x + TILE // 2, y + TILE + 3)))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    pygame.image.save(sheet, arguments.output)
    print(f"{arguments.output}: {len(tasks)} tasks, {arguments.output.stat().st_size / 1e3:.0f} kB")


def frame(task: miniarcade.Task) -> np.ndarray:
    """A frame of the task, (224, 224, 3)."""
    env = gym.make(task.id, render_mode="rgb_array")
    seed, steps, held = MOMENTS.get(task.name, (3, DEFAULT_STEPS, None))
    env.reset(seed=seed)
    rng = np.random.default_rng(0)
    for step in range(steps):
        if held is not None:
            action = np.array(held)
        elif step % 8 == 0:
            action = rng.uniform(-1, 1, env.action_space.shape)
        env.step(action)
    return env.render()


if __name__ == "__main__":
    main()
