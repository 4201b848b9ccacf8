"""Draws the contact sheets in docs/images: `uv run python docs/contact_sheets.py [domain ...]`.

One sheet a domain with a frame of every task that can run here, and one picture of a few tasks
of each for the README. A frame is taken some steps into an episode of random actions. A domain
that cannot be drawn here (ManiSkill without a Vulkan device) is told, and its sheet left as it is.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import mmbench
from mmbench.catalog import DOMAINS, Task
from mmbench.domains import unavailable
from mmbench.env import TaskEnv
from mmbench.rendering import RendererUnavailableError

FOLDER = Path(__file__).parent / "images"
FRAME = 160  # px, of a frame on a sheet
LABEL = 14  # px, of the line below it
STEPS = {"atari": 40}  # agent steps before a frame: a title screen goes, a ball comes
OTHER_STEPS = 12
COLUMNS = 8
OVERVIEW = (
    "quadruped-run,walker-run,giraffe-run,spinner-jump,cup-catch,finger-spin,fish-swim,"
    "jumper-jump,mw-assembly,mw-basketball,mw-door-open,mw-coffee-push,rd-push-red,og-ant-maze,"
    "og-point-circle,mujoco-ant,pygame-cowboy,pygame-coinrun,pygame-spaceship,pygame-highway,"
    "pygame-landing,pygame-chase-evade,pygame-coconut-dodge,pygame-reacher-easy"
)


def frame(task: Task) -> np.ndarray:
    """Returns a frame of the task, (224, 224, 3) uint8."""
    env = TaskEnv(task, render_mode="rgb_array")
    env.reset(seed=1)
    rng = np.random.default_rng(0)
    for _ in range(STEPS.get(task.domain, OTHER_STEPS)):
        env.step(rng.uniform(-1, 1, 16).astype(np.float32))
    image = env.render()
    env.close()
    assert image is not None
    return image


def sheet(tasks: Sequence[Task], path: Path, columns: int = COLUMNS, label: bool = True) -> None:
    """Draws the tasks in rows, with their names below, into a PNG of 256 colours."""
    line = LABEL if label else 0
    rows = -(-len(tasks) // columns)
    size = (columns * FRAME, rows * (FRAME + line))
    picture = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(picture)
    for i, task in enumerate(tasks):
        x, y = (i % columns) * FRAME, (i // columns) * (FRAME + line)
        picture.paste(Image.fromarray(frame(task)).resize((FRAME - 2, FRAME - 2)), (x, y))
        if label:
            pen.text((x + 2, y + FRAME - 1), task.name, fill="black")
    picture.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
    print(f"{path}: {len(tasks)} tasks")


def main(domains: Sequence[str]) -> None:
    """Draws the sheets of some domains, or all of them and the overview."""
    FOLDER.mkdir(exist_ok=True)
    for domain in domains or DOMAINS:
        everything = (*mmbench.tasks(domain=domain), *mmbench.tasks("extra", domain))
        tasks = [task for task in everything if unavailable(task) is None]
        if not tasks:
            continue
        try:
            sheet(tasks, FOLDER / f"{domain}.png")
        except RendererUnavailableError as error:
            print(f"{domain}: not drawn. {error}")
    if not domains:
        sheet(mmbench.catalog.select(OVERVIEW), FOLDER / "tasks.png", label=False)


if __name__ == "__main__":
    main(sys.argv[1:])
