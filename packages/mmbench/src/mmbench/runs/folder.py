"""The folder of one run."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmbench.runs.errors import RunError
from mmbench.runs.files import (
    MANIFEST,
    flush,
    hidden_name,
    link_folder,
    publish_folder,
    read_json,
    remove,
    write_json,
)
from mmbench.runs.lock import LOCK, FolderLock
from mmbench.runs.metrics import MetricsFile

CHECKPOINTS = "checkpoints"
LAST, BEST = "last", "best"
CONFIG, EVAL, METRICS = "config.json", "eval.json", "metrics.csv"


class RunFolder:
    """Names and contents of a run's folder; see :mod:`mmbench.runs`.

    Use :meth:`create` for a new run, :meth:`resume` to go on with one, :meth:`open` to read.

    Args:
        path: The folder, which exists; absolute, because an environment may change the process's
            working directory.
        lock: What keeps others from writing into it; None to read.
    """

    def __init__(self, path: Path, lock: FolderLock | None = None) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def create(cls, path: str | Path | None, name: str) -> RunFolder:
        """Makes the folder of a new run, for this process alone.

        Args:
            path: Where; None chooses ``runs/<time>-<name>`` below the working directory, with a
                number behind it where that is taken.
            name: What kind of run it is.

        Raises:
            RunError: Something is there already (it is left alone), or no folder can be made.
        """
        try:
            folder = (_new_folder(name) if path is None else Path(path)).absolute()
            str(folder).encode()  # not every name can be printed
            folder.mkdir(parents=True, exist_ok=True)
            _refuse_existing(folder)
            lock = FolderLock(folder)
        except (OSError, ValueError) as error:
            where = "runs" if path is None else str(path)
            raise RunError(
                f"--out {where!r}: no folder can be made there ({_reason(error)}); choose another"
            ) from error
        try:
            _refuse_existing(folder)  # a run that began at the same time
        except RunError:
            lock.close()
            raise
        return cls(folder, lock)

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Opens the folder of a run to read it, also while the run is on.

        Raises:
            RunError: It is not one.
        """
        try:
            folder = Path(path).absolute()
            found = (folder / CONFIG).is_file()
        except (OSError, ValueError) as error:
            raise RunError(f"{path} cannot be read: {_reason(error)}") from error
        if not found:
            raise RunError(f"{path} is not the folder of a run: there is no {CONFIG} in it")
        return cls(folder)

    @classmethod
    def resume(cls, path: str | Path) -> RunFolder:
        """Opens the folder of a run to go on with it, for this process alone.

        What an earlier process left half-written is removed.

        Raises:
            RunError: It is not one, another process works in it, or it cannot be written to.
        """
        folder = cls.open(path).path
        try:
            run = cls(folder, FolderLock(folder))
        except OSError as error:
            raise RunError(f"{folder} cannot be written to: {error.strerror}") from error
        run._remove_leftovers()
        return run

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Releases the folder to other processes."""
        if self._lock is not None:
            self._lock.close()

    def discard_if_empty(self) -> None:
        """Closes the folder, and removes it if the run wrote nothing into it."""
        with contextlib.suppress(OSError):  # it may be gone already
            if all(entry.name == LOCK for entry in self.path.iterdir()):
                (self.path / LOCK).unlink()
                self.path.rmdir()
        self.close()

    def check(self) -> None:
        """Checks that the folder is still there.

        Raises:
            RunError: It was removed, renamed or replaced while the run was on.
        """
        if self._lock is not None:
            self._lock.check()

    @property
    def metrics(self) -> MetricsFile:
        """The run's ``metrics.csv``."""
        return MetricsFile(self.path / METRICS, self.check)

    @property
    def tensorboard(self) -> Path:
        """Where TensorBoard events go."""
        return self.path / "tensorboard"

    @property
    def wandb(self) -> Path:
        """Where the id of the run at Weights & Biases is kept."""
        return self.path / "wandb.json"

    def write_config(self, config: dict[str, Any]) -> None:
        """Writes ``config.json``."""
        self.check()
        write_json(self.path / CONFIG, config)

    def read_config(self) -> dict[str, Any]:
        """Reads ``config.json``.

        Raises:
            RunError: It is damaged.
        """
        return read_json(self.path / CONFIG)

    def write_eval(self, result: dict[str, Any]) -> None:
        """Writes ``eval.json``."""
        self.check()
        write_json(self.path / EVAL, result)

    def checkpoint(self, step: int) -> Path:
        """Where the checkpoint of a step lies."""
        return self.path / CHECKPOINTS / f"{step:09d}"

    def publish_checkpoint(
        self, step: int, fill: Callable[[Path], None], known: Mapping[str, str] | None = None
    ) -> Path:
        """Writes a checkpoint and points ``checkpoints/last`` at it.

        ``last`` always leads to a complete checkpoint, this one or the one before, even while a
        step is saved again.

        Args:
            step: Its step.
            fill: Writes the files into the folder it is given.
            known: Checksums of files that it links from an earlier checkpoint, by name.

        Returns:
            The checkpoint's folder.

        Raises:
            RunError: The run's folder is gone.
        """
        self.check()
        self._remove_leftovers()
        target = self.checkpoint(step)
        publish_folder(target, fill, self._make_way, known)
        self._point(LAST, target)
        self._remove_leftovers()
        return target

    @property
    def best(self) -> Path:
        """The link ``checkpoints/best``, to the checkpoint that was evaluated best."""
        return self.path / CHECKPOINTS / BEST

    def mark_best(self, step: int) -> None:
        """Points :attr:`best` at the checkpoint of a step, if that is there.

        Raises:
            RunError: The run's folder is gone.
        """
        self.check()
        if self.checkpoint(step).is_dir():
            self._point(BEST, self.checkpoint(step))

    def last_checkpoint(self) -> Path:
        """The newest complete checkpoint.

        Raises:
            RunError: There is none yet.
        """
        checkpoints = self.path / CHECKPOINTS
        try:
            last = checkpoints / LAST
            if last.exists():
                return last.resolve()
            # Programs that copy folders may leave links out.
            complete = [p.parent for p in checkpoints.glob(f"[0-9]*/{MANIFEST}")]
        except (OSError, RuntimeError) as error:  # links in a circle
            raise RunError(f"{checkpoints} cannot be read: {error}") from error
        if not complete:
            raise RunError(f"{self.path} holds no complete checkpoint")
        return max(complete, key=lambda folder: folder.name)

    @property
    def has_config(self) -> bool:
        """Whether the run has begun, so that it can be resumed."""
        return (self.path / CONFIG).is_file()

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is a checkpoint, complete or not.

        Raises:
            RunError: That cannot be seen.
        """
        checkpoints = self.path / CHECKPOINTS
        try:
            return any(not entry.name.startswith(".") for entry in checkpoints.iterdir())
        except FileNotFoundError:
            return False
        except OSError as error:
            raise RunError(f"{checkpoints} cannot be read: {error.strerror}") from error

    def _make_way(self, old: Path) -> None:
        """Frees the name of a checkpoint; ``last``, if it leads there, leads to a copy first."""
        last = old.parent / LAST
        if not last.exists() or last.samefile(old):
            copy = hidden_name(old)
            link_folder(old, copy)
            self._point(LAST, copy)
        os.rename(old, hidden_name(old))

    def _point(self, name: str, checkpoint: Path) -> None:
        """Makes a link lead to a checkpoint, at one instant."""
        target = checkpoint.parent / name
        link = hidden_name(target)
        link.symlink_to(checkpoint.name)
        if target.is_dir() and not target.is_symlink():  # copied by a program that follows links
            os.rename(target, hidden_name(target))
        os.replace(link, target)
        flush(target.parent)

    def _remove_leftovers(self) -> None:
        """Removes what earlier processes left half-written: the lock says that none is at work."""
        checkpoints = self.path / CHECKPOINTS
        last = checkpoints / LAST
        kept = os.readlink(last) if last.is_symlink() else None
        leftovers = [
            *checkpoints.glob(".[0-9]*-*"),
            *(path for name in (LAST, BEST) for path in checkpoints.glob(f".{name}-*")),
            *checkpoints.glob(f"*/.{MANIFEST}-*"),
            *(path for name in (CONFIG, EVAL, METRICS) for path in self.path.glob(f".{name}-*")),
        ]
        for path in leftovers:
            if path.name != kept:
                # NFS keeps what a reader has open; the next save tries again.
                with contextlib.suppress(OSError):
                    remove(path)


def _new_folder(name: str) -> Path:
    """Makes ``runs/<time>-<name>``, with a number behind it where that exists."""
    runs = Path("runs")
    runs.mkdir(exist_ok=True)
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    for number in itertools.count(1):
        folder = runs / (f"{now}-{name}" if number == 1 else f"{now}-{name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError("numbers do not end")


def _refuse_existing(folder: Path) -> None:
    if any(entry.name != LOCK for entry in folder.iterdir()):
        raise RunError(
            f"--out {folder} exists already: choose another folder, or go on with what is there "
            f"by --resume {folder}"
        )


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
