"""Tapes: the seeds and actions of a task's demonstrations, from which they are played again.

A tape is one ``.npz`` file without pickles and without compression (a wheel is compressed as a
whole, and what is not packed cannot be a bomb). The arrays hold all E episodes one after the other,
T steps in all, for a task with actions of size A:

=============  ============  ==============================================================
``metadata``   uint8         JSON: format, task, licence, and how the episodes were recorded
``seeds``      uint64 (E,)   ``reset(seed=...)`` starts the episode
``lengths``    int32 (E,)    steps
``returns``    float64 (E,)  summed rewards
``scores``     float64 (E,)  of the last step, NaN where the task has none
``success``    float64 (E,)  of the last step, NaN where the task has none
``actions``    float16 (T, A)
``checksums``  uint32 (T+E,) of the reset and of each step: CRC-32 of the bytes of the observation
                             (float32, the task's own size), then of the reward (float64)
=============  ============  ==============================================================
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmbench.catalog import Task
from mmbench.runs import RunError, write_atomically

FORMAT = 1
LICENCE = "MIT"
MAX_BYTES = 64_000_000
"""A file beyond this is no tape: the largest in use has a few megabytes."""

_DTYPES = {
    "metadata": "|u1",
    "seeds": "<u8",
    "lengths": "<i4",
    "returns": "<f8",
    "scores": "<f8",
    "success": "<f8",
    "actions": "<f2",
    "checksums": "<u4",
}
_NPY = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([|<]\w\d)', 'fortran_order': False, "
    rb"'shape': \((\d+),(?: (\d+))?\), \} *\n",
    re.DOTALL,
)
"""The header of an array with one or two dimensions, as NumPy writes it."""


class TapeError(RunError):
    """A file is no tape of the task; the message names the file and the reason."""


class Episode(NamedTuple):
    """One episode of a tape.

    Attributes:
        seed: ``reset(seed=seed)`` starts it.
        actions: (T, A) float16.
        checksums: (T + 1,) uint32, first that of the reset.
        episode_return: Summed reward.
        score: Of the last step; NaN where the task has none.
        success: Of the last step; NaN where the task has none.
    """

    seed: int
    actions: np.ndarray
    checksums: np.ndarray
    episode_return: float
    score: float
    success: float


@dataclass(frozen=True)
class Recording:
    """How some episodes of a tape were recorded.

    Attributes:
        episodes: How many of the tape's.
        attempts: Episodes that were played for them, with those that were not kept.
        expert: Who played.
        command: What was typed.
        seed: Of the collection.
        versions: Of mmbench, NumPy and the simulator's packages.
        processor: On which it was simulated.
    """

    episodes: int
    attempts: int
    expert: str
    command: str
    seed: int
    versions: dict[str, str]
    processor: str


@dataclass(frozen=True)
class Tape:
    """The demonstrations of one task.

    Attributes:
        task: Its name, with the version where it is not 0.
        episodes: In the order of their recording.
        recordings: How they were recorded; together as many as there are episodes.
        licence: Under which they may be used.
    """

    task: str
    episodes: tuple[Episode, ...]
    recordings: tuple[Recording, ...]
    licence: str = LICENCE

    @property
    def score(self) -> float:
        """Mean score of the episodes."""
        return float(np.mean([episode.score for episode in self.episodes]))

    @property
    def experts(self) -> str:
        """Who played its episodes, for people."""
        played = (recording.expert for recording in self.recordings if recording.episodes)
        return ", ".join(dict.fromkeys(played))


def tape_name(task: Task) -> str:
    """The name of a task's file."""
    return re.sub("[:/]", "-", task.versioned_name) + ".npz"


def write_tape(path: Path, tape: Tape) -> None:
    """Writes a tape: a reader sees the old file or all of the new one.

    The same tape always gives the same bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, to_bytes(tape))


def to_bytes(tape: Tape) -> bytes:
    """The content of a tape's file."""
    metadata = {
        "format": FORMAT,
        "task": tape.task,
        "licence": tape.licence,
        "recordings": [asdict(recording) for recording in tape.recordings],
    }
    episodes = tape.episodes
    arrays = {
        "metadata": np.frombuffer(json.dumps(metadata, sort_keys=True).encode(), np.uint8),
        "seeds": [episode.seed for episode in episodes],
        "lengths": [len(episode.actions) for episode in episodes],
        "returns": [episode.episode_return for episode in episodes],
        "scores": [episode.score for episode in episodes],
        "success": [episode.success for episode in episodes],
        "actions": np.concatenate([episode.actions for episode in episodes]),
        "checksums": np.concatenate([episode.checksums for episode in episodes]),
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name, dtype in _DTYPES.items():
            array = io.BytesIO()
            np.save(array, np.ascontiguousarray(arrays[name], dtype), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, array.getvalue())
    return content.getvalue()


def read_tape(path: Path, task: Task) -> Tape:
    """Reads a task's tape. Nothing in the file is executed or unpacked.

    Raises:
        TapeError: It cannot be read, is damaged, or is of another task.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise TapeError(f"{path} is no tape: {size} bytes, at most {MAX_BYTES}")
        content = path.read_bytes()
    except OSError as error:
        raise TapeError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return from_bytes(content, task)
    except TapeError as error:
        raise TapeError(f"{path} is no tape of {task.versioned_name}: {error}") from error


def from_bytes(content: bytes, task: Task) -> Tape:
    """Reads the content of a tape's file.

    Raises:
        TapeError: It is none of this task; the message says why.
    """
    arrays = _arrays(content)
    metadata = _metadata(arrays["metadata"])
    if metadata["task"] != task.versioned_name:
        raise TapeError(f"it is of {metadata['task']!r}")
    lengths = arrays["lengths"]
    count, steps = len(lengths), int(lengths.sum(dtype=np.int64))
    shapes = {
        **dict.fromkeys(("seeds", "lengths", "returns", "scores", "success"), (count,)),
        "actions": (steps, task.action_dim),
        "checksums": (steps + count,),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise TapeError(f"{name} has the shape {arrays[name].shape}, expected {shape}")
    _check_values(arrays, task)
    recorded = sum(recording.episodes for recording in metadata["recordings"])
    if recorded != count:
        raise TapeError(f"the metadata speak of {recorded} episodes, the arrays hold {count}")
    ends = np.cumsum(lengths)
    starts = ends - lengths
    episodes = tuple(
        Episode(
            int(arrays["seeds"][i]),
            arrays["actions"][starts[i] : ends[i]],
            arrays["checksums"][starts[i] + i : ends[i] + i + 1],
            float(arrays["returns"][i]),
            float(arrays["scores"][i]),
            float(arrays["success"][i]),
        )
        for i in range(count)
    )
    return Tape(metadata["task"], episodes, metadata["recordings"], metadata["licence"])


def _arrays(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of an archive, in the types that a tape has."""
    members = [f"{name}.npy" for name in _DTYPES]
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        entries = archive.infolist()
    except Exception as error:  # zipfile raises half a dozen types on hostile bytes
        raise TapeError(f"it is no archive, or truncated ({error})") from error
    if [entry.filename for entry in entries] != members:
        names = ", ".join(repr(entry.filename) for entry in entries[: len(members) + 1])
        raise TapeError(f"it holds {names[:200]}, expected {', '.join(members)}")
    arrays = {}
    for (name, dtype), entry in zip(_DTYPES.items(), entries, strict=True):
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > len(content):
            raise TapeError(f"{name} is packed, or larger than the file")
        try:
            data = archive.read(entry)
        except Exception as error:
            raise TapeError(f"{name} is damaged ({error})") from error
        arrays[name] = _array(name, dtype, data)
    return arrays


def _array(name: str, dtype: str, data: bytes) -> np.ndarray:
    """Reads one array without NumPy's reader, which would evaluate its header."""
    header = _NPY.match(data)
    if header is None:
        raise TapeError(f"{name} has no header of an array")
    if header[1].decode() != dtype:
        raise TapeError(f"{name} holds {header[1].decode()}, expected {dtype}")
    shape = tuple(int(size) for size in header.groups()[1:] if size is not None)
    if len(data) - header.end() != math.prod(shape) * np.dtype(dtype).itemsize:
        raise TapeError(f"{name} has another size than its shape {shape} says")
    return np.frombuffer(data, dtype, offset=header.end()).reshape(shape)


def _metadata(data: np.ndarray) -> dict[str, Any]:
    try:
        metadata = json.loads(data.tobytes().decode())
        known = metadata["format"], str(metadata["task"]), str(metadata["licence"])
        recordings = tuple(Recording(**recording) for recording in metadata["recordings"])
        bad = [recording for recording in recordings if not _is_sane(recording)]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise TapeError(f"its metadata are damaged ({type(error).__name__}: {error})") from error
    if known[0] != FORMAT:
        raise TapeError(
            f"it has the format {known[0]!r}, and this version of mmbench reads {FORMAT}: "
            "update mmbench"
        )
    if bad:
        raise TapeError(f"its metadata are damaged: {str(bad[0])[:300]}")
    return {"task": known[1], "licence": known[2], "recordings": recordings}


def _is_sane(recording: Recording) -> bool:
    numbers = recording.episodes, recording.attempts, recording.seed
    words: Iterable[Any] = (recording.expert, recording.command, recording.processor)
    versions = recording.versions
    return (
        all(type(number) is int and number >= 0 for number in numbers)
        and all(isinstance(word, str) for word in words)
        and isinstance(versions, dict)
        and all(isinstance(version, str) for version in versions.values())
    )


def _check_values(arrays: dict[str, np.ndarray], task: Task) -> None:
    lengths, scores, success = arrays["lengths"], arrays["scores"], arrays["success"]
    whole = (1 <= lengths) & (lengths <= task.max_episode_steps)
    if not task.terminates:
        whole = lengths == task.max_episode_steps
    good_success = (success == 0) | (success == 1) if task.has_success else np.isnan(success)
    good_score = np.isfinite(scores) if task.has_score else np.isnan(scores)
    checks = {
        "it holds no episode": len(lengths) > 0,
        f"an episode has not {task.max_episode_steps} steps": whole.all(),
        "an action is beyond [-1, 1]": (np.abs(arrays["actions"]) <= 1).all(),
        "a return is not finite": np.isfinite(arrays["returns"]).all(),
        "a score is not what the task's can be": good_score.all(),
        "a success is not what the task's can be": good_success.all(),
    }
    for problem, good in checks.items():
        if not good:
            raise TapeError(problem)
