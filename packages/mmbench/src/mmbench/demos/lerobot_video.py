"""Draws demonstrations: plays their actions again and writes a video of each episode."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.catalog import Task
from mmbench.demos.workers import Job, run_jobs
from mmbench.env import TaskEnv
from mmbench.runs import RunError
from mmbench.shell import command

IMAGE_SHAPE = (224, 224, 3)
PIXEL_FORMAT = "yuv420p"
QUALITY = 20
"""x264's constant rate factor: 0 loses nothing, 51 is worst. LeRobot's own default is 30."""

Wanted = tuple[int | None, np.ndarray, np.ndarray, Path]
"""An episode's seed, its actions (T, action_dim), its observations (T, obs_dim), and the file."""


def draw_episodes(
    task: Task,
    wanted: Sequence[Wanted],
    fps: float,
    workers: int,
    show: Callable[[int], None] = lambda drawn: None,
) -> list[np.ndarray]:
    """Writes the videos of episodes.

    Args:
        task: Their task.
        wanted: See :data:`Wanted`.
        fps: Frames a second.
        workers: Processes; 0 draws in the calling process.
        show: Called with the number of videos that are complete.

    Returns:
        Of each episode a histogram (3, 256): how many pixels have each value, by channel.

    Raises:
        RunError: The extra is not installed, the task cannot be drawn here, or an episode does not
            come out again as it is in the dataset.
    """
    try:
        import imageio_ffmpeg  # noqa: F401
    except ImportError as error:
        raise RunError(
            f"frames need the extra `video` ({error}): "
            + command("pip", "install", "mmbench[video]")
        ) from error
    waiting = [Job(task, i, draw_episode, (*each, fps)) for i, each in enumerate(wanted)]
    histograms: dict[int, np.ndarray] = {}
    for done in run_jobs(lambda loaded: waiting.pop(0) if waiting else None, workers):
        if done.error:
            raise RunError(
                f"episode {done.job.number} of {task.versioned_name} cannot be drawn: {done.error}"
            )
        histograms[done.job.number] = done.value
        show(len(histograms))
    return [histograms[i] for i in range(len(wanted))]


def draw_episode(job: Job) -> np.ndarray:
    """Writes the video of one episode, in whatever process; returns its histogram."""
    seed, actions, observations, path, fps = job.arguments
    histogram = np.zeros((3, 256), np.int64)
    env = TaskEnv(job.task, unify=False, render_mode="rgb_array")
    try:
        _write_video(path, _frames(env, seed, actions, observations, histogram), fps)
    finally:
        env.close()
    return histogram


def _frames(
    env: TaskEnv, seed: int, actions: np.ndarray, observations: np.ndarray, histogram: np.ndarray
) -> Iterator[np.ndarray]:
    """The frame that each action was chosen at; counts its pixels."""
    obs, _ = env.reset(seed=seed)
    for step, (action, expected) in enumerate(zip(actions, observations, strict=True)):
        if not np.array_equal(obs, expected):
            raise RunError(
                f"its observation {step} is another one than in the dataset, which other versions "
                f"of the simulator wrote: {command('mmbench', 'demos', 'replay')} makes it anew"
            )
        frame = env.render()
        assert isinstance(frame, np.ndarray) and frame.shape == IMAGE_SHAPE
        for channel in range(3):
            histogram[channel] += np.bincount(frame[:, :, channel].reshape(-1), minlength=256)
        yield frame
        obs, *_ = env.step(action)


def _write_video(path: Path, frames: Iterator[np.ndarray], fps: float) -> None:
    import imageio_ffmpeg

    writer: Any = imageio_ffmpeg.write_frames(
        str(path),
        IMAGE_SHAPE[1::-1],
        fps=fps,
        codec="libx264",
        pix_fmt_out=PIXEL_FORMAT,
        macro_block_size=2,
        # A key frame every second frame, as LeRobot has it: training reads frames in any order.
        output_params=["-crf", str(QUALITY), "-g", "2", "-bf", "0"],
    )
    try:
        writer.send(None)
        for frame in frames:
            writer.send(np.ascontiguousarray(frame))
    finally:
        writer.close()


def image_statistics(histogram: np.ndarray, quantiles: dict[str, float]) -> dict[str, list]:
    """LeRobot's statistics of frames: of each channel, in [0, 1], in the shape (3, 1, 1).

    Args:
        histogram: (3, 256), see :func:`draw_episodes`.
        quantiles: Their names and shares.
    """
    values, pixels = np.arange(256) / 255.0, histogram.sum(axis=1)
    mean = histogram @ values / pixels
    found = {
        "min": values[(histogram > 0).argmax(axis=1)],
        "max": values[255 - (histogram[:, ::-1] > 0).argmax(axis=1)],
        "mean": mean,
        "std": np.sqrt(np.maximum(histogram @ values**2 / pixels - mean**2, 0.0)),
    }
    below = np.cumsum(histogram, axis=1) / pixels[:, None]
    found |= {name: values[(below >= q).argmax(axis=1)] for name, q in quantiles.items()}
    stats = {name: value.reshape(3, 1, 1).tolist() for name, value in found.items()}
    return {**stats, "count": [int(pixels[0]) // (IMAGE_SHAPE[0] * IMAGE_SHAPE[1])]}
