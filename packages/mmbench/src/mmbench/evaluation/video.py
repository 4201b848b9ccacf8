"""Videos of episodes, with the task and the score in the picture. Needs the extra ``video``."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.catalog import Task
from mmbench.env import TaskEnv
from mmbench.evaluation.scores import Episode
from mmbench.runs import RunError, check_writable
from mmbench.shell import command

FORMATS = ("mp4", "gif")
SIZE = 448
"""Width and height of a frame in a video, in pixels: twice what the environments draw."""

_CAPTION = 32
"""Height of the line below a frame, in pixels."""

Policy = Callable[[Any, bool], np.ndarray]
"""An action (16,) from an observation and whether an episode starts with it."""


class NoVideoError(RunError):
    """This machine cannot draw the frames of a task."""


def video_name(task: Task, kind: str) -> str:
    """What a video of a task is called; ``kind`` is one of :data:`FORMATS`."""
    return f"{re.sub('[:/]', '-', task.versioned_name)}.{kind}"


def told_result(score: float, episode_return: float, digits: int = 3) -> str:
    """The result of an episode: ``score 0.731``, or without a score ``return -120.5``."""
    return f"return {episode_return:.1f}" if np.isnan(score) else f"score {score:.{digits}f}"


def check_video(path: Path) -> None:
    """Makes sure that a video can be written, before anything else is done.

    Raises:
        RunError: The name's ending is not one of :data:`FORMATS`, it cannot be written there, or
            the extra is not installed.
    """
    if path.suffix.lower().removeprefix(".") not in FORMATS:
        raise RunError(f"{path}: a video's name ends in .{' or .'.join(FORMATS)}")
    check_writable(path)
    _check_extra()


def check_folder(folder: Path) -> None:
    """Makes sure that videos can be written into a folder, which may not be there yet.

    Raises:
        RunError: They cannot, or the extra is not installed.
    """
    existing = next(
        each for each in (folder.absolute(), *folder.absolute().parents) if each.exists()
    )
    if not existing.is_dir():
        raise RunError(f"--video {folder}: {existing} is not a folder; choose another")
    check_writable(existing / ".video")
    _check_extra()


def _check_extra() -> None:
    try:
        import imageio_ffmpeg  # noqa: F401
        import PIL  # noqa: F401
    except ImportError as error:
        raise RunError(
            f"videos need the extra `video` ({error}): "
            + command("pip", "install", "mmbench[video]")
        ) from error


def record_episode(
    task: Task,
    policy: Policy,
    path: Path,
    seed: int = 0,
    on_step: Callable[[int], None] | None = None,
    obs: str = "state",
) -> Episode:
    """Plays one episode and writes it as a video.

    Args:
        task: The task.
        policy: Chooses the actions.
        path: The file, ``.mp4`` or ``.gif``; it appears when it is complete.
        seed: Of the episode.
        on_step: Called with the number of each step.
        obs: What the policy sees: ``state``, ``rgb`` or ``state+rgb``. Of a task without a state,
            frames.

    Returns:
        The episode.

    Raises:
        RunError: See :func:`check_video`; or the policy raised it.
        NoVideoError: This machine cannot draw the task.
        TaskUnavailableError: The task cannot run here.
    """
    from mmbench.rendering import RendererUnavailableError  # late: it loads MuJoCo

    check_video(path)
    env = TaskEnv(task, obs=obs if task.obs_dim else "rgb", render_mode="rgb_array")
    name = task.versioned_name
    info: dict[str, Any] = {}
    total, step = 0.0, 0

    def captioned() -> np.ndarray:
        result = told_result(info["score"], total, digits=2)
        return _captioned(_frame(env), name, f"step {step:4d}   {result}")

    def frames() -> Iterator[np.ndarray]:
        nonlocal info, step, total
        obs, info = env.reset(seed=seed)
        yield captioned()
        over = False
        while not over:
            obs, reward, terminated, truncated, info = env.step(policy(obs, step == 0))
            over = terminated or truncated
            total += float(reward)
            step += 1
            yield captioned()
            if on_step is not None:
                on_step(step)

    try:
        write_video(path, frames(), env.metadata["render_fps"])
    except RendererUnavailableError as error:
        raise NoVideoError(f"no video of {name}: {error}") from error
    finally:
        env.close()
    return Episode(name, float(info["score"]), float(info["success"]), total, step)


def random_policy(task: Task, seed: int = 0) -> Policy:
    """Uniform actions in [-1, 1]."""
    rng = np.random.default_rng(seed)
    return lambda obs, first: rng.uniform(-1.0, 1.0, 16).astype(np.float32)


def write_video(path: Path, frames: Iterable[np.ndarray], fps: int) -> None:
    """Writes a video that appears under its name only when it is complete.

    Args:
        path: The file, ``.mp4`` (H.264) or ``.gif``.
        frames: (height, width, 3) uint8 each, all of one even size.
        fps: Frames a second. A GIF shows half of them: browsers slow down faster ones.
    """
    suffix = path.suffix.lower()
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=suffix)
    os.close(descriptor)
    temporary = Path(name)
    try:
        (_write_gif if suffix == ".gif" else _write_mp4)(temporary, frames, fps)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _write_mp4(path: Path, frames: Iterable[np.ndarray], fps: int) -> None:
    import imageio_ffmpeg

    writer: Any = None
    try:
        for frame in frames:
            if writer is None:
                size = (frame.shape[1], frame.shape[0])
                writer = imageio_ffmpeg.write_frames(
                    str(path), size, fps=fps, quality=7, macro_block_size=2
                )
                writer.send(None)
            writer.send(np.ascontiguousarray(frame))
    finally:
        if writer is not None:
            writer.close()


def _write_gif(path: Path, frames: Iterable[np.ndarray], fps: int) -> None:
    from PIL import Image

    # An octree keeps the colours of small things, where PIL's default gives them to the sky.
    first, *others = (
        Image.fromarray(frame).quantize(method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        for i, frame in enumerate(frames)
        if i % 2 == 0
    )
    first.save(path, save_all=True, append_images=others, duration=2000 / fps, loop=0)


def _frame(env: TaskEnv) -> np.ndarray:
    frame = env.render()
    assert isinstance(frame, np.ndarray)
    return frame


def _captioned(frame: np.ndarray, name: str, progress: str) -> np.ndarray:
    """The frame enlarged, over a line with the task's name and how far the episode is."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (SIZE, SIZE + _CAPTION), (24, 24, 27))
    picture.paste(Image.fromarray(frame).resize((SIZE, SIZE), Image.Resampling.NEAREST))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(15)
    middle = SIZE + _CAPTION // 2
    draw.text((10, middle), name, (244, 244, 245), font, anchor="lm")
    draw.text((SIZE - 10, middle), progress, (161, 161, 170), font, anchor="rm")
    return np.asarray(picture)
