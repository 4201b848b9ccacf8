"""Draws the pictures in docs/images: `uv run python docs/contact_sheets.py [domain ...]`.

One sheet a domain with a frame of every task that can run here, taken some steps into an episode of
random actions; then `domains.png` for the README, a frame of each sheet. A domain that cannot be
drawn here (ManiSkill without a Vulkan device) is told, and its sheet left as it is.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

import mmbench
from mmbench.catalog import BENCHMARK, DOMAINS, Task
from mmbench.domains import unavailable
from mmbench.env import TaskEnv
from mmbench.rendering import RendererUnavailableError

FOLDER = Path(__file__).parent / "images"
FRAME = 160  # px, of a frame on a sheet, with the gap to the next
LABEL = 14  # px, of the line below it
STEPS = {"atari": 40}  # agent steps before a frame: a title screen goes, a ball comes
OTHER_STEPS = 12
COLUMNS = 8
OVERVIEW = {
    "dmcontrol": "quadruped-run",
    "dmcontrol-ext": "giraffe-run",
    "metaworld": "mw-assembly",
    "maniskill": "ms-stack-cube",
    "mujoco": "mujoco-ant",
    "box2d": "lunarlander-land",
    "robodesk": "rd-push-red",
    "ogbench": "og-ant-maze",
    "miniarcade": "pygame-cowboy",
    "atari": "atari-alien",
}
"""The task that stands for its domain in the overview."""
OVERVIEW_COLUMNS, OVERVIEW_LABEL = 5, 38  # px


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


def sheet(tasks: Sequence[Task], path: Path) -> None:
    """Draws the tasks in rows, with their names below, into a PNG that lists them too."""
    rows = -(-len(tasks) // COLUMNS)
    picture = Image.new("RGB", (COLUMNS * FRAME, rows * (FRAME + LABEL)), "white")
    pen = ImageDraw.Draw(picture)
    for i, task in enumerate(tasks):
        x, y = _place(i)
        picture.paste(Image.fromarray(frame(task)).resize((FRAME - 2, FRAME - 2)), (x, y))
        pen.text((x + 2, y + FRAME - 1), task.name, fill="black")
    _save(picture, path, [task.name for task in tasks])


def shown(domain: str) -> list[str]:
    """The names of the tasks on the sheet of a domain, in its order."""
    with Image.open(FOLDER / f"{domain}.png") as picture:
        return picture.text["tasks"].split(",")


def overview(path: Path) -> None:
    """Draws a frame of each sheet, with the domain and the number of its tasks below."""
    rows = -(-len(OVERVIEW) // OVERVIEW_COLUMNS)
    size = (OVERVIEW_COLUMNS * FRAME, rows * (FRAME + OVERVIEW_LABEL))
    picture = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(picture)
    large, small = ImageFont.load_default(15), ImageFont.load_default(12)
    for i, domain in enumerate(BENCHMARK):
        name = OVERVIEW[domain.name]
        left, top = _place(shown(domain.name).index(name))
        with Image.open(FOLDER / f"{domain.name}.png") as drawn:
            tile = drawn.convert("RGB").crop((left, top, left + FRAME - 2, top + FRAME - 2))
        x, y = i % OVERVIEW_COLUMNS * FRAME, i // OVERVIEW_COLUMNS * (FRAME + OVERVIEW_LABEL)
        picture.paste(tile, (x, y))
        count = len(mmbench.tasks(domain=domain.name))
        middle = x + FRAME // 2 - 1
        pen.text((middle, y + FRAME + 7), domain.title, "black", large, anchor="mm")
        pen.text((middle, y + FRAME + 24), f"{count} tasks", "dimgrey", small, anchor="mm")
    _save(picture, path, list(OVERVIEW.values()))


def _place(number: int) -> tuple[int, int]:
    """The left upper corner of a frame on a sheet."""
    return number % COLUMNS * FRAME, number // COLUMNS * (FRAME + LABEL)


def _save(picture: Image.Image, path: Path, names: Sequence[str]) -> None:
    about = PngInfo()
    about.add_text("tasks", ",".join(names))
    colours = picture.quantize(256, dither=Image.Dither.FLOYDSTEINBERG)
    colours.save(path, optimize=True, pnginfo=about)
    print(f"{path}: {len(names)} tasks")


def main(domains: Sequence[str]) -> None:
    """Draws the sheets of some domains, or all of them, and then the overview."""
    for domain in domains or DOMAINS:
        everything = (*mmbench.tasks(domain=domain), *mmbench.tasks("extra", domain))
        tasks = [task for task in everything if unavailable(task) is None]
        if not tasks:
            continue
        try:
            sheet(tasks, FOLDER / f"{domain}.png")
        except RendererUnavailableError as error:
            print(f"{domain}: not drawn. {error}")
    overview(FOLDER / "domains.png")


if __name__ == "__main__":
    main(sys.argv[1:])
