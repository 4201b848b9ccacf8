"""Reads the demonstrations that were published with the paper: one ``<task>.pt`` file a task.

A file is a TensorDict as ``torch.save`` writes it. With N rows, T + 1 of them for an episode of T
steps, whose first row is the reset (its action and its reward belong to no step):

==============  ========  ========================================================
``obs``         (N, 128)  padded with zeros
``action``      (N, 16)   entries past the task's own mean nothing
``reward``      (N,)
``value``       (N,)      the expert's own estimate; not read
``terminated``  (N,)
``episode``     (N,)      number of the episode
``feat``        (N, 768)  of frames, in some files; not read
==============  ========  ========================================================

Nothing in a file is executed: PyTorch's restricted unpickler reads it (``weights_only=True``), and
the two names of the package ``tensordict`` that it needs stand for an empty class and a function
that returns its argument. The package itself is not used.

Source: arXiv 2511.19584.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmbench.catalog import MAX_ACTION_DIM, MAX_OBS_DIM, TASKS, Task
from mmbench.demos.dataset import (
    DATA,
    Demonstration,
    imported,
    require_minari,
    write_dataset,
)
from mmbench.demos.places import dataset_folder, root_folder, root_tape
from mmbench.runs import RunError
from mmbench.runs.files import remove_leftovers
from mmbench.runs.lock import FolderLock
from mmbench.shell import command

SUFFIX = ".pt"

UNKNOWN = float("nan")
"""The success of an episode, which no file holds, and with it the score of tasks that score it."""

_SHAPES = {
    "obs": (MAX_OBS_DIM,),
    "action": (MAX_ACTION_DIM,),
    "reward": (),
    "terminated": (),
    "episode": (),
}
"""What is read of a file: names, and the shape of a row."""


class PublishedError(RunError):
    """A file is none of the published ones; the message names the file and the reason."""


def published_task(path: Path) -> Task:
    """The task that a file is named after.

    Raises:
        PublishedError: There is no such task.
    """
    task = next((task for task in TASKS if task.versioned_name == path.stem), None)
    if task is None or path.suffix != SUFFIX or task.version:
        raise PublishedError(
            f"{path} is not named after a task of the benchmark: expected <task>{SUFFIX}, "
            f"such as {TASKS[0].name}{SUFFIX}"
        )
    return task


class Imported(NamedTuple):
    """A file that was imported.

    Attributes:
        task: Its task.
        episodes: How many.
        folder: The dataset.
    """

    task: Task
    episodes: int
    folder: Path


def import_published(path: Path, root: Path | None, overwrite: bool = False) -> Imported:
    """Turns a file into the Minari dataset of its task, without a tape.

    Nobody knows the seeds of its episodes, so they cannot be simulated again: the dataset's
    metadata (``mmbench.demos.dataset.about``) say ``imported``, with the file's name and SHA-256.

    Args:
        path: The file, named after its task.
        root: The folder of demonstrations; None is the user's own.
        overwrite: Whether to replace a dataset that was imported before.

    Raises:
        PublishedError: See :func:`read_published`.
        RunError: An extra is not installed, the root has other demonstrations of the task, or
            another process writes them.
    """
    task = published_task(path)
    require_minari()
    if root_tape(task, root).is_file():
        raise RunError(
            f"{path} is not imported: {root_folder(root)} has a tape of {task.versioned_name}, "
            "which was collected; choose another --root"
        )
    episodes = read_published(path, task)
    folder = dataset_folder(task, root)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(folder)
    try:
        remove_leftovers(folder / DATA)
        if not overwrite and imported(task, root):
            raise RunError(
                f"{path} is not imported: {folder} was imported before; --overwrite replaces it"
            )
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        data = write_dataset(
            task,
            episodes,
            root,
            algorithm="published with arXiv 2511.19584",
            author="the authors of arXiv 2511.19584",
            about={
                "imported": path.name,
                "sha256": digest,
                "licence": "that of the published files",
                "score": _mean_score(episodes),
            },
            description=(
                f"Published demonstrations of mmbench's {task.versioned_name}, without seeds: "
                "they cannot be simulated again"
            ),
        )
    finally:
        lock.close()
    return Imported(task, len(episodes), data)


def require_readers() -> None:
    """Checks that what an import needs is installed.

    Raises:
        RunError: It is not; the message names the extra.
    """
    _require_torch()
    require_minari()


def _require_torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise RunError(
            f"published demonstrations need the extra `published` ({error}): "
            + command("pip", "install", "mmbench[demos,published]")
        ) from error
    return torch


def _mean_score(episodes: Sequence[Demonstration]) -> float | None:
    score = float(np.mean([episode.score for episode in episodes]))
    return None if np.isnan(score) else score


def read_published(path: Path, task: Task) -> list[Demonstration]:
    """Reads a file without executing anything in it.

    Args:
        path: The file.
        task: The task that it should be of.

    Returns:
        Its episodes, in their order.

    Raises:
        PublishedError: It cannot be read, holds anything else than tensors, is truncated, or its
            tensors cannot be demonstrations of the task.
        RunError: PyTorch is not installed.
    """
    try:
        return _episodes(_arrays(_load(path)), task)
    except _BadFileError as error:
        raise PublishedError(
            f"{path} holds no published demonstrations of {task.versioned_name}: {error}"
        ) from None


class _BadFileError(Exception):
    """Why a file is refused."""


class _TensorDict:
    """Stands for ``tensordict.TensorDict`` in a file."""


def _take_state(cls: Any, state: Any) -> Any:
    """Stands for the function that makes a TensorDict: returns the tensors as a dict."""
    return state["_tensordict"]


_STAND_INS = [
    (_TensorDict, "tensordict._td.TensorDict"),
    (_take_state, "tensordict._reductions._make_td"),
]
"""What `torch.save` names for a TensorDict in tensordict 0.6 to 0.14."""


def _load(path: Path) -> dict[Any, Any]:
    torch = _require_torch()
    _check_archive(path)
    try:
        with torch.serialization.safe_globals(list(_STAND_INS)):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # it raises nearly anything on a foreign file
        if found := re.search(r"GLOBAL (\S+)", str(error)):
            raise _BadFileError(
                f"it wants {found[1]}, which could run code and is not loaded"
            ) from None
        raise _BadFileError("it is damaged, or no file of torch.save") from None
    if not isinstance(content, dict):
        raise _BadFileError(f"it holds a {type(content).__name__}, expected a TensorDict")
    return content


def _check_archive(path: Path) -> None:
    """Checks that a file is an archive as `torch.save` writes it: not packed, so no bomb."""
    try:
        size = path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except OSError as error:
        raise _BadFileError(error.strerror or str(error)) from None
    except Exception:  # zipfile raises half a dozen types on hostile bytes
        raise _BadFileError("it is truncated, or no file of torch.save") from None
    packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    if packed or sum(entry.file_size for entry in entries) > size:
        raise _BadFileError("its archive is packed, which torch.save never does")


def _arrays(content: dict[Any, Any]) -> dict[str, np.ndarray]:
    """The tensors that are read, as arrays of one length and finite where they have to be."""
    import torch

    missing = [name for name in _SHAPES if name not in content]
    if missing:
        raise _BadFileError(f"it lacks {', '.join(missing)}")
    numbers = (torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.bool)
    arrays: dict[str, np.ndarray] = {}
    rows = _rows(content["episode"])
    for name, row in _SHAPES.items():
        tensor = content[name]
        if type(tensor) is not torch.Tensor or tensor.dtype not in numbers:
            raise _BadFileError(f"{name} is no tensor of real numbers")
        if tuple(tensor.shape) != (rows, *row):
            raise _BadFileError(
                f"{name} has the shape {tuple(tensor.shape)}, expected {(rows, *row)}"
            )
        if not tensor.is_contiguous():  # or a row could stand for a million
            raise _BadFileError(f"{name} does not lie row by row in the file")
        arrays[name] = tensor.detach().numpy()
    return arrays


def _rows(episode: Any) -> int:
    shape = tuple(getattr(episode, "shape", ()))
    if len(shape) != 1 or not shape[0]:
        raise _BadFileError(f"episode has the shape {shape}, expected a number for each row")
    return shape[0]


def _episodes(arrays: dict[str, np.ndarray], task: Task) -> list[Demonstration]:
    number = arrays["episode"]
    starts = np.flatnonzero(np.r_[True, number[1:] != number[:-1]])
    if len(np.unique(number)) != len(starts):
        raise _BadFileError("the rows of an episode are not together")
    ends = [*starts[1:], len(number)]
    return [
        _episode({name: array[start:end] for name, array in arrays.items()}, task, f"episode {i}")
        for i, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def _episode(rows: dict[str, np.ndarray], task: Task, name: str) -> Demonstration:
    steps = len(rows["obs"]) - 1
    if steps != task.max_episode_steps:  # in the benchmark no episode ends early
        raise _BadFileError(f"{name} has {steps} steps, expected {task.max_episode_steps}")
    observations = rows["obs"].astype(np.float32)
    actions = rows["action"][1:, : task.action_dim].astype(np.float32)
    rewards = rows["reward"][1:].astype(np.float64)
    for what, array in (("obs", observations), ("action", actions), ("reward", rewards)):
        if not np.isfinite(array).all():
            raise _BadFileError(f"{name} has NaN or infinity in {what}")
    if np.abs(actions).max() > 1.0:
        raise _BadFileError(f"{name} has an action beyond [-1, 1]")
    if observations[:, task.obs_dim :].any():
        raise _BadFileError(
            f"{name} has more than the task's {task.obs_dim} numbers in an observation: it is of "
            "another task"
        )
    return Demonstration(
        observations[:, : task.obs_dim],
        actions,
        rewards,
        terminated=bool(rows["terminated"][-1] == 1),
        score=task.score(float(rewards.sum()), UNKNOWN),
        success=UNKNOWN,
        seed=None,
    )
