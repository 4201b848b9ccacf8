"""Draws docs/images/quickstart.gif: `uv run python docs/quickstart_gif.py RUN`.

RUN is the folder of a run of `newt-train` without arguments. The picture shows the agent at its end
in an episode of each task, side by side, with the episode's score.
"""

import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from mmbench.catalog import select
from mmbench.evaluation.video import SIZE, record_episode
from newt_agent import Agent

PATH = Path(__file__).parent / "images" / "quickstart.gif"
FRAME = 200  # px, of a task's frame, with the gap to the next
LABEL = 36  # px, of the lines below it
EVERY = 3  # of the frames of `mmbench video`, which has every second one
COLOURS = 48
FPS = 8


def frames(path: Path) -> list[Image.Image]:
    """Every few frames of a video that `record_episode` wrote, without its caption."""
    with Image.open(path) as video:
        result = []
        for number in range(0, video.n_frames, EVERY):
            video.seek(number)
            frame = video.convert("RGB").crop((0, 0, SIZE, SIZE))
            result.append(frame.resize((FRAME - 4, FRAME - 4), Image.Resampling.LANCZOS))
        return result


def main(run: str) -> None:
    """Plays the episodes and draws the picture."""
    agent = Agent.load(run)
    tasks = select("quickstart")
    columns, titles = [], []
    with tempfile.TemporaryDirectory() as folder:
        for task in tasks:
            path = Path(folder) / f"{task.name}.gif"
            score = record_episode(task, agent.policy(task.name), path).score
            print(f"{task.name}: {score:.2f}")
            columns.append(frames(path))
            titles.append((task.name, f"score {score:.2f}"))
    length = max(map(len, columns))
    pictures = [
        _picture([column[i % len(column)] for column in columns], titles) for i in range(length)
    ]
    palette = _palette(pictures)
    first, *others = [p.quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures]
    first.save(PATH, save_all=True, append_images=others, duration=1000 // FPS, loop=0)
    print(f"{PATH}: {length} frames, {PATH.stat().st_size / 1e6:.2f} MB")


def _picture(row: list[Image.Image], titles: list[tuple[str, str]]) -> Image.Image:
    picture = Image.new("RGB", (FRAME * len(row) - 4, FRAME + LABEL), "white")
    pen = ImageDraw.Draw(picture)
    for i, (frame, (name, score)) in enumerate(zip(row, titles, strict=True)):
        picture.paste(frame, (i * FRAME, 0))
        middle = i * FRAME + FRAME // 2 - 2
        pen.text((middle, FRAME + 6), name, "black", ImageFont.load_default(14), anchor="mm")
        pen.text((middle, FRAME + 24), score, "dimgrey", ImageFont.load_default(12), anchor="mm")
    return picture


def _palette(pictures: list[Image.Image]) -> Image.Image:
    """One palette for all frames: what does not move costs nothing then."""
    some = pictures[:: max(1, len(pictures) // 8)]
    width, height = some[0].size
    all_of_them = Image.new("RGB", (width, height * len(some)))
    for i, picture in enumerate(some):
        all_of_them.paste(picture, (0, i * height))
    return all_of_them.quantize(COLOURS)


if __name__ == "__main__":
    main(sys.argv[1])
