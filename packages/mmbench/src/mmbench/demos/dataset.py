"""Minari datasets of demonstrations: written whole or not at all, and read. Needs the extra.

A dataset is what Minari's own functions read (``MINARI_DATASETS_PATH=<root>``): observations
(T+1, 128) float32, actions (T, 16) float32, rewards, terminations and truncations of each episode,
and in an episode's metadata ``seed``, ``score``, ``success``, ``episode_return``, ``approximate``.
Its own metadata say under ``mmbench`` of what tape it was made, and by which versions.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium
import numpy as np

from mmbench.catalog import MAX_ACTION_DIM, MAX_OBS_DIM, Task
from mmbench.demos.places import dataset_folder, dataset_id, root_tape
from mmbench.demos.recording import simulator_versions
from mmbench.runs import RunError, publish_folder, read_json, verify_folder
from mmbench.shell import command
from mmbench.spaces import action_space, observation_space

if TYPE_CHECKING:
    import minari

DATA = "data"
ABOUT = "mmbench"
"""The key of our own metadata."""


class DatasetError(RunError):
    """A dataset is damaged, or is another one; the message names its folder and the reason."""


class Demonstration(NamedTuple):
    """One episode of a dataset, in the task's own sizes.

    Attributes:
        observations: (T + 1, obs_dim) float32.
        actions: (T, action_dim).
        rewards: (T,) float64.
        terminated: Whether it ended by itself (never in the benchmark).
        score: Of the last step; NaN where the task has none.
        success: Of the last step; NaN where the task has none.
        seed: Of the reset; None where nobody knows it.
        approximate: Whether it is not exactly the episode that was recorded.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: bool
    score: float
    success: float
    seed: int | None
    approximate: bool = False


def require_minari() -> Any:
    """Imports Minari and what it needs to store arrays.

    Raises:
        RunError: The extra is not installed.
    """
    try:
        import h5py  # noqa: F401
        import minari
        import PIL  # noqa: F401
    except ImportError as error:
        raise RunError(
            f"datasets of demonstrations need the extra `demos` ({error}): "
            + command("pip", "install", "mmbench[demos]")
        ) from error
    return minari


def write_dataset(
    task: Task,
    episodes: Sequence[Demonstration],
    root: Path | None,
    algorithm: str,
    about: dict[str, Any],
    description: str = "",
    author: str = "The MMBench-and-Newt contributors",
) -> Path:
    """Writes a task's dataset, which appears, or replaces the former one, when it is complete.

    Args:
        task: The task.
        episodes: At least one.
        root: The folder of demonstrations; None is the user's own.
        algorithm: Who acted.
        about: Our own metadata, JSON.
        description: One sentence, for Minari's lists.
        author: Who recorded them.

    Returns:
        The folder, for ``minari.MinariDataset``.

    Raises:
        RunError: The extra is not installed.
    """
    minari = require_minari()
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    folder = dataset_folder(task, root)
    folder.mkdir(parents=True, exist_ok=True)

    def fill(data: Path) -> None:
        storage = MinariStorage.new(
            data,
            observation_space=observation_space("state"),
            action_space=action_space(),
            env_spec=gymnasium.spec(task.id),
        )
        storage.update_metadata(
            {
                "dataset_id": dataset_id(task),
                "minari_version": minari.__version__,
                "algorithm_name": algorithm,
                "description": description,
                "author": {author},
                "requirements": [f"{name}=={v}" for name, v in simulator_versions(task).items()],
                ABOUT: about,
            }
        )
        storage.update_episodes([EpisodeBuffer(**_buffer(episode)) for episode in episodes])
        storage.update_episode_metadata([_metadata(episode) for episode in episodes])

    publish_folder(folder / DATA, fill)
    return folder / DATA


def read_dataset(task: Task, root: Path | None) -> minari.MinariDataset | None:
    """Opens a task's dataset, after comparing its files with their checksums.

    Returns:
        The dataset, or None where there is none.

    Raises:
        RunError: The extra is not installed.
        DatasetError: It is damaged, or of another task.
    """
    minari = require_minari()
    data = dataset_folder(task, root) / DATA
    if not data.is_dir():
        return None
    try:
        verify_folder(data)
        dataset = minari.MinariDataset(data)
    except (RunError, OSError, ValueError, KeyError, AssertionError) as error:
        raise DatasetError(f"the dataset in {data} is damaged: {error}") from error
    if dataset.id != dataset_id(task):
        raise DatasetError(f"{data} holds {dataset.id!r}, expected {dataset_id(task)!r}")
    return dataset


def imported(task: Task, root: Path | None) -> dict[str, Any] | None:
    """The metadata of a task's dataset, if it was imported from a file and not made of a tape.

    Needs no extra. A tape that was collected into ``root`` goes before it, one that the package
    ships does not.
    """
    path = dataset_folder(task, root) / DATA / "metadata.json"
    if not path.is_file() or root_tape(task, root).is_file():
        return None
    try:
        metadata = read_json(path)
    except RunError:
        return None
    own = metadata.get(ABOUT)
    return metadata if isinstance(own, dict) and "imported" in own else None


def about(dataset: minari.MinariDataset) -> dict[str, Any]:
    """Our own metadata of a dataset."""
    return dataset.storage.metadata.get(ABOUT, {})


def _buffer(episode: Demonstration) -> dict[str, Any]:
    steps = len(episode.rewards)
    terminations, truncations = np.zeros(steps, bool), np.zeros(steps, bool)
    (terminations if episode.terminated else truncations)[-1:] = True
    return {
        "seed": episode.seed,
        "observations": padded(episode.observations, MAX_OBS_DIM),
        "actions": padded(episode.actions, MAX_ACTION_DIM),
        "rewards": np.asarray(episode.rewards, np.float64),
        "terminations": terminations,
        "truncations": truncations,
    }


def _metadata(episode: Demonstration) -> dict[str, Any]:
    return {
        "score": episode.score,
        "success": episode.success,
        "episode_return": float(np.sum(episode.rewards)),
        "approximate": episode.approximate,
    }


def padded(values: np.ndarray, size: int) -> np.ndarray:
    """Rows of float32 with zeros up to ``size``."""
    rows = np.zeros((len(values), size), np.float32)
    rows[:, : values.shape[1]] = values
    return rows


def size(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(os.lstat(path).st_size for path in folder.rglob("*"))
