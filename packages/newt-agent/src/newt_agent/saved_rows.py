"""A replay on the disk, in files that are written once.

A checkpoint holds the rows of its replay in ``replay-<number>.safetensors``. Each file has some
rows of every environment, in the order in which they were taken, and ``begin`` and ``end`` ``[N]``:
which ones, counted from each environment's first ever. The next checkpoint has the same files, as
hard links (or copies, where the file system has no links), and new ones of the rows that came
since. Files whose rows are all overwritten are left out. So a save writes what is new, in pieces;
and every checkpoint is complete without the others, which may be removed. Where a run has several
processes, each has files of its own, whose names begin with its rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from mmbench.runs import RunError, read_json
from mmbench.runs.files import MANIFEST, link_file
from newt_agent import ranks
from newt_agent.tensors import load_tensors, save_tensors

FILE_BYTES = 2**26
"""Size of a file, about: so much memory a save takes."""


class LoadedRows(Protocol):
    """What is loaded so: rows of each of N environments."""

    @property
    def held(self) -> tuple[np.ndarray, np.ndarray]:
        """``[N]`` each, int64: the oldest row that is held, and how many were ever written."""

    def put_rows(self, begin: np.ndarray, end: np.ndarray, rows: dict[str, Tensor]) -> None:
        """Puts rows ``[begin, end)`` of each environment; ``end`` is then how many were written."""


class Rows(LoadedRows, Protocol):
    """What is saved and loaded so: a ring buffer of rows for each of N environments."""

    @property
    def row_bytes(self) -> int:
        """Memory that a row takes."""

    def rows(self, begin: np.ndarray, end: np.ndarray) -> dict[str, Tensor]:
        """Returns copies of the rows ``[begin, end)`` of each environment, on the CPU."""


@dataclass
class SavedRows:
    """Files of an earlier checkpoint that the next one can have too.

    Attributes:
        end: ``[N]``, up to which row they go.
        files: Their checksums, by path.
    """

    end: np.ndarray
    files: dict[Path, str] = field(default_factory=dict)

    @property
    def checksums(self) -> dict[str, str]:
        """The same by name."""
        return {path.name: checksum for path, checksum in self.files.items()}


def part_of(rank: int) -> str:
    """How the names of a rank's own files in a checkpoint begin."""
    return f"rank{rank}-" if rank else ""


def row_files(checkpoint: Path, rank: int | None = None) -> list[Path]:
    """The files of rows in a checkpoint's folder, the oldest first.

    Args:
        checkpoint: The folder.
        rank: Whose; None is all.
    """
    begin = "*" if rank is None else part_of(rank)
    return sorted(checkpoint.glob(f"{begin}replay-*.safetensors"))


def find_saved(replay: Rows, checkpoint: Path | None) -> SavedRows:
    """Finds what of a replay the newest checkpoint has already.

    Args:
        replay: What is to be saved.
        checkpoint: Of the same run; None if there is none.

    Returns:
        Its files; none where one is missing, so that everything is written again.
    """
    oldest, written = replay.held
    nothing = SavedRows(oldest)
    if checkpoint is None:
        return nothing
    saved, coverage = SavedRows(oldest), _Coverage(len(oldest))
    try:
        checksums = read_json(checkpoint / MANIFEST)
        for path in row_files(checkpoint, ranks.rank()):
            begin, saved.end = _range(path)
            coverage.add(begin, saved.end)
            if (saved.end > oldest).any():
                saved.files[path] = checksums[path.name]
    except Exception:  # somebody damaged or removed it; the replay in memory is whole
        return nothing
    saved.end = np.maximum(saved.end, oldest)
    return saved if coverage.holds(oldest, written) else nothing


def save_rows(replay: Rows, folder: Path, saved: SavedRows) -> None:
    """Writes a replay into the folder of a checkpoint: what is saved already by links.

    Raises:
        RunError: A row holds NaN or infinity.
        OSError: The disk is full, or a file that was found is gone.
    """
    for path in saved.files:
        link_file(path, folder / path.name)
    last = max((int(path.stem.rpartition("-")[2]) for path in saved.files), default=0)
    part = part_of(ranks.rank())
    begin, (_, written) = saved.end, replay.held
    most = max(1, FILE_BYTES // replay.row_bytes // len(written))
    while (begin < written).any():
        end = np.minimum(begin + most, written)
        last += 1
        which = {"begin": torch.from_numpy(begin), "end": torch.from_numpy(end)}
        save_tensors(
            folder / f"{part}replay-{last:06d}.safetensors", which | replay.rows(begin, end)
        )
        begin = end


def load_rows(replay: LoadedRows, folder: Path, rank: int) -> None:
    """Reads what :func:`save_rows` wrote, one file after the other.

    Args:
        replay: Of the same capacity and environments, without rows.
        folder: The checkpoint, which was verified.
        rank: Of the process that wrote them.

    Raises:
        RunError: Rows are missing, or a file is none of these.
    """
    coverage = _Coverage(len(replay.held[1]))
    for path in row_files(folder, rank):
        tensors = load_tensors(path)
        begin, end = tensors.pop("begin").numpy(), tensors.pop("end").numpy()
        replay.put_rows(begin, end, tensors)
        coverage.add(begin, end)
    if not coverage.holds(*replay.held):
        raise RunError(f"{folder} lacks rows of the replay: use another checkpoint")


class SomeRows:
    """Some environments of a replay that was saved with others: :func:`load_rows` fills it.

    Rows of the other environments are passed over.

    Args:
        replay: Where they go.
        places: ``[M]``, of each environment that was saved, its number in the replay; -1 is none.
    """

    def __init__(self, replay: LoadedRows, places: Sequence[int]) -> None:
        self._replay = replay
        self._places = np.array(places)
        self._oldest = np.zeros(len(places), np.int64)
        self._written = np.zeros(len(places), np.int64)

    @property
    def held(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the environments that were saved."""
        return self._oldest.copy(), self._written.copy()

    def put_rows(self, begin: np.ndarray, end: np.ndarray, rows: dict[str, Tensor]) -> None:
        """Hands on those of its environments."""
        known = self._places >= 0
        _, written = self._replay.held
        ours_begin, ours_end = written.copy(), written.copy()
        ours_begin[self._places[known]] = begin[known]
        ours_end[self._places[known]] = end[known]
        # The rows are one environment after the other, in either order.
        first = np.cumsum(end - begin) - (end - begin)
        saved_as = np.full(len(written), -1)
        saved_as[self._places[known]] = np.flatnonzero(known)
        chosen = np.concatenate(
            [
                np.arange(first[one], first[one] + end[one] - begin[one])
                for one in saved_as[saved_as >= 0]
            ]
            or [np.zeros(0, np.int64)]
        )
        index = torch.from_numpy(chosen)
        self._replay.put_rows(ours_begin, ours_end, {n: rows[n][index] for n in rows})
        self._written[:] = end
        oldest, _ = self._replay.held
        self._oldest[known] = oldest[self._places[known]]
        self._oldest[~known] = end[~known]


class _Coverage:
    """Which rows of each environment files hold without a gap, up to the newest one."""

    def __init__(self, num_envs: int) -> None:
        self._begin = np.zeros(num_envs, np.int64)
        self._end = np.zeros(num_envs, np.int64)

    def add(self, begin: np.ndarray, end: np.ndarray) -> None:
        self._begin = np.where(begin > self._end, begin, self._begin)
        self._end = end

    def holds(self, oldest: np.ndarray, written: np.ndarray) -> bool:
        return bool((self._begin <= oldest).all() and (self._end <= written).all())


def _range(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with safe_open(path, "numpy") as file:
        return file.get_tensor("begin"), file.get_tensor("end")
