"""Exports demonstrations as LeRobot datasets, format v3.0, without the package ``lerobot``.

Each task becomes a dataset of its own, because all frames of a dataset have the same features, and
here they have the task's own sizes::

    <task>/
    ├── meta/info.json                               features, fps, where the files are
    ├── meta/stats.json                              of each feature: mean, std, quantiles, ...
    ├── meta/tasks.parquet                           the task's instruction
    ├── meta/episodes/chunk-000/file-000.parquet     an episode a row, with its statistics
    ├── data/chunk-000/file-000.parquet              a step a row
    └── videos/observation.image/chunk-000/file-000.mp4, ...    an episode a file

A step has ``observation.state``, the ``action`` taken in it, ``next.reward`` and ``next.done``. The
observation that follows the last step is in no row, as in LeRobot's own recordings.

Source: the format of lerobot 0.4.4 (``lerobot.datasets``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mmbench.catalog import Task
from mmbench.demos.lerobot_video import IMAGE_SHAPE, PIXEL_FORMAT, draw_episodes, image_statistics
from mmbench.runs import RunError, write_json
from mmbench.runs.files import flush, hidden_name, remove
from mmbench.shell import command

if TYPE_CHECKING:
    import minari
    import pyarrow

IMAGE = "observation.image"
QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
CHUNK = 1000
"""Files in a folder."""

_PATH = "chunk-{chunk_index:03d}/file-{file_index:03d}"
_FIRST = _PATH.format(chunk_index=0, file_index=0) + ".parquet"
_COUNTERS = ("frame_index", "episode_index", "index", "task_index")

Show = Callable[[Task, int, int], None]
"""Called with a task, how many of its episodes are drawn, and how many there are."""


class Exported(NamedTuple):
    """A dataset that was written.

    Attributes:
        folder: Where it is.
        episodes: How many.
        frames: Steps of all episodes.
    """

    folder: Path
    episodes: int
    frames: int


class _Episode(NamedTuple):
    """One episode, as it is exported.

    Attributes:
        columns: (T, size) arrays by feature.
        seed: Of the reset, or None.
    """

    columns: dict[str, np.ndarray]
    seed: int | None


def export(
    task: Task,
    dataset: minari.MinariDataset,
    out: Path,
    fps: float,
    video: bool = False,
    workers: int = 0,
    show: Show | None = None,
) -> Exported:
    """Writes a task's demonstrations as a LeRobot dataset, which appears when it is complete.

    Args:
        task: The task.
        dataset: Its demonstrations (:func:`mmbench.demos.load`).
        out: The dataset becomes the folder ``<task>`` in it.
        fps: Steps a second, as :func:`mmbench.demos.clock.steps_per_second` says.
        video: Whether to add frames, (224, 224, 3), drawn while the episodes are played again.
        workers: Processes that draw; 0 draws in the calling process.
        show: See :data:`Show`.

    Raises:
        RunError: An extra is not installed, there is such a folder already, or frames are wanted
            of episodes that cannot be played again.
    """
    target = check_target(task, out)
    episodes = _read(task, dataset, fps)
    if video and any(episode.seed is None for episode in episodes):
        raise RunError(
            f"the demonstrations of {task.versioned_name!r} were imported without seeds, so they "
            "cannot be played again and drawn: leave out --video"
        )
    out.mkdir(parents=True, exist_ok=True)
    temporary = hidden_name(target)
    try:
        temporary.mkdir()
        histograms = None
        if video:
            histograms = _draw(task, episodes, temporary, fps, workers, show)
        frames = _write(task, episodes, histograms, temporary, fps)
        for path in sorted(temporary.rglob("*"), reverse=True):
            flush(path)
        flush(temporary)
        temporary.rename(target)
        flush(out)
    except BaseException:
        remove(temporary)
        raise
    return Exported(target, len(episodes), frames)


def check_target(task: Task, out: Path) -> Path:
    """The folder that :func:`export` makes; checks what can be before the work.

    Raises:
        RunError: The extra is not installed, or there is such a folder already.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise RunError(
            f"LeRobot datasets need the extra `lerobot` ({error}): "
            + command("pip", "install", "mmbench[lerobot]")
        ) from error
    target = out / re.sub("[:/]", "-", task.versioned_name)
    if target.exists():
        raise RunError(f"{target} exists already: remove it, or choose another --out")
    return target


def _read(task: Task, dataset: minari.MinariDataset, fps: float) -> list[_Episode]:
    """The episodes in the task's own sizes, with LeRobot's counters."""
    episodes, index = [], 0
    metadata = dataset.storage.get_episode_metadata(range(dataset.total_episodes))
    for number, (episode, about) in enumerate(
        zip(dataset.iterate_episodes(), metadata, strict=True)
    ):
        steps = len(episode.rewards)
        frame = np.arange(steps, dtype=np.int64)
        seed = about.get("seed")
        columns = {
            "observation.state": episode.observations[:-1, : task.obs_dim].astype(np.float32),
            "action": episode.actions[:, : task.action_dim].astype(np.float32),
            "next.reward": episode.rewards.astype(np.float32),
            "next.done": np.logical_or(episode.terminations, episode.truncations),
            "timestamp": (frame / fps).astype(np.float32),
            "frame_index": frame,
            "episode_index": np.full(steps, number, np.int64),
            "index": index + frame,
            "task_index": np.zeros(steps, np.int64),
        }
        index += steps
        columns = {name: values.reshape(steps, -1) for name, values in columns.items()}
        episodes.append(_Episode(columns, None if seed is None else int(seed)))
    return episodes


def _draw(
    task: Task, episodes: list[_Episode], folder: Path, fps: float, workers: int, show: Show | None
) -> list[np.ndarray]:
    """Writes the videos, and returns the histogram of each."""
    paths = []
    for i in range(len(episodes)):
        name = _PATH.format(chunk_index=i // CHUNK, file_index=i % CHUNK)
        path = folder / "videos" / IMAGE / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        paths.append(path)
    wanted = [
        (episode.seed, episode.columns["action"], episode.columns["observation.state"], path)
        for episode, path in zip(episodes, paths, strict=True)
    ]
    return draw_episodes(
        task, wanted, fps, workers, lambda n: show(task, n, len(episodes)) if show else None
    )


def _write(
    task: Task,
    episodes: list[_Episode],
    histograms: list[np.ndarray] | None,
    folder: Path,
    fps: float,
) -> int:
    """Writes everything but the videos, and returns the number of frames."""
    import pyarrow as pa

    names = list(episodes[0].columns)
    every = {name: np.concatenate([e.columns[name] for e in episodes]) for name in names}
    frames = len(every["index"])
    stats = {name: statistics(values) for name, values in every.items()}
    if histograms is not None:
        stats[IMAGE] = image_statistics(np.sum(histograms, axis=0), QUANTILES)

    data = pa.table({name: _column(values) for name, values in every.items()})
    _write_parquet(data, folder / "data" / _FIRST)
    rows = [
        _episode_row(task, i, episode, None if histograms is None else histograms[i], fps)
        for i, episode in enumerate(episodes)
    ]
    _write_parquet(pa.Table.from_pylist(rows), folder / "meta" / "episodes" / _FIRST)
    _write_parquet(_task_table(task.instruction), folder / "meta" / "tasks.parquet")
    write_json(folder / "meta" / "stats.json", stats)
    write_json(
        folder / "meta" / "info.json",
        {
            "codebase_version": "v3.0",
            "robot_type": task.domain,
            "total_episodes": len(episodes),
            "total_frames": frames,
            "total_tasks": 1,
            "chunks_size": CHUNK,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 200,
            "fps": _number(fps),
            "splits": {"train": f"0:{len(episodes)}"},
            "data_path": f"data/{_PATH}.parquet",
            "video_path": f"videos/{{video_key}}/{_PATH}.mp4" if histograms else None,
            "features": _features(task, fps, histograms is not None),
        },
    )
    return frames


def _features(task: Task, fps: float, video: bool) -> dict[str, Any]:
    def feature(dtype: str, size: int = 1, name: str = "") -> dict[str, Any]:
        names = [f"{name}_{i}" for i in range(size)] if name else None
        return {"dtype": dtype, "shape": [size], "names": names}

    features = {
        "observation.state": feature("float32", task.obs_dim, "obs"),
        "action": feature("float32", task.action_dim, "action"),
        "next.reward": feature("float32"),
        "next.done": feature("bool"),
        "timestamp": feature("float32"),
        **{name: feature("int64") for name in _COUNTERS},
    }
    if video:
        height, width, channels = IMAGE_SHAPE
        features[IMAGE] = {
            "dtype": "video",
            "shape": list(IMAGE_SHAPE),
            "names": ["height", "width", "channels"],
            "info": {
                "video.height": height,
                "video.width": width,
                "video.codec": "h264",
                "video.pix_fmt": PIXEL_FORMAT,
                "video.is_depth_map": False,
                "video.fps": _number(fps),
                "video.channels": channels,
                "has_audio": False,
            },
        }
    return features


def _episode_row(
    task: Task, number: int, episode: _Episode, histogram: np.ndarray | None, fps: float
) -> dict[str, Any]:
    index = episode.columns["index"][:, 0]
    row: dict[str, Any] = {
        "episode_index": number,
        "tasks": [task.instruction],
        "length": len(index),
        "data/chunk_index": 0,
        "data/file_index": 0,
        "dataset_from_index": int(index[0]),
        "dataset_to_index": int(index[-1]) + 1,
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
    }
    stats = {name: statistics(values) for name, values in episode.columns.items()}
    if histogram is not None:
        stats[IMAGE] = image_statistics(histogram, QUANTILES)
        row |= {
            f"videos/{IMAGE}/chunk_index": number // CHUNK,
            f"videos/{IMAGE}/file_index": number % CHUNK,
            f"videos/{IMAGE}/from_timestamp": 0.0,
            f"videos/{IMAGE}/to_timestamp": len(index) / fps,
        }
    for name, values in stats.items():
        row |= {f"stats/{name}/{key}": value for key, value in values.items()}
    return row


def statistics(values: np.ndarray) -> dict[str, list]:
    """LeRobot's statistics of a feature, each a list with one number for each of its entries.

    Args:
        values: (T, size).
    """
    numbers = values.astype(np.float64)
    found = {
        "min": values.min(axis=0),
        "max": values.max(axis=0),
        "mean": numbers.mean(axis=0),
        "std": numbers.std(axis=0),
        "count": np.array([len(values)]),
    }
    found |= {name: np.quantile(numbers, q, axis=0) for name, q in QUANTILES.items()}
    return {name: value.tolist() for name, value in found.items()}


def _column(values: np.ndarray) -> pyarrow.Array:
    """A column of vectors, or of numbers where there is one a row (as LeRobot stores those)."""
    import pyarrow as pa

    flat, size = pa.array(np.ascontiguousarray(values).reshape(-1)), values.shape[1]
    return flat if size == 1 else pa.FixedSizeListArray.from_arrays(flat, size)


def _task_table(instruction: str) -> pyarrow.Table:
    """The instruction as the index of a table of pandas, which is how LeRobot looks it up."""
    import pyarrow as pa

    index = "__index_level_0__"
    about = {
        "index_columns": [index],
        "column_indexes": [],
        "columns": [
            _pandas_column("task_index", "task_index", "int64", "int64"),
            _pandas_column(None, index, "unicode", "object"),
        ],
        "pandas_version": "2.0.0",
    }
    table = pa.table({"task_index": pa.array([0], pa.int64()), index: [instruction]})
    return table.replace_schema_metadata({"pandas": json.dumps(about)})


def _pandas_column(name: str | None, field: str, kind: str, dtype: str) -> dict[str, Any]:
    return {
        "name": name,
        "field_name": field,
        "pandas_type": kind,
        "numpy_type": dtype,
        "metadata": None,
    }


def _write_parquet(table: pyarrow.Table, path: Path) -> None:
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table, path, compression="snappy")


def _number(fps: float) -> float | int:
    """An integer where it is one, as LeRobot's own datasets have it."""
    return int(fps) if fps == int(fps) else fps
