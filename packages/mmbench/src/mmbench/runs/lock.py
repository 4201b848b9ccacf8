"""One folder, one process."""

from __future__ import annotations

import os
import platform
import warnings
import weakref
from pathlib import Path
from typing import BinaryIO

from mmbench.runs.errors import RunError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".run.lock"


class FolderLock:
    """Keeps every other process from writing into a folder, until closed.

    The system holds the lock (`flock` on ``<folder>/.run.lock``), so it ends with the process,
    however that dies. Children that are forked do not have it: one that an environment started
    may outlive the run. On NFS it holds between machines too, unless the drive is mounted with
    ``nolock`` or ``local_lock``: then between the processes of one machine only. Where the file
    system has no locks (Lustre mounted without ``flock``) there is a warning and no lock. The
    file stays, and says which process had the lock last.

    Args:
        folder: The folder, which exists.

    Raises:
        RunError: Another process, or another part of this one, has it.
        OSError: Files cannot be made in the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / LOCK
        self._file: BinaryIO = self._path.open("a+b", buffering=0)
        _open_locks.add(self)
        try:
            self._take()
        except BaseException:
            self._file.close()
            raise

    def _take(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.seek(0)
            holder = self._file.read(200).decode(errors="replace").strip() or "another process"
            raise RunError(
                f"{self._folder} is in use by {holder}: wait until it ends, or stop it"
            ) from error
        except OSError as error:
            warnings.warn(
                f"the file system of {self._folder} has no locks ({error.strerror}): take care "
                "that only one process works in it",
                RuntimeWarning,
                stacklevel=3,
            )
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()} on {platform.node()}\n".encode())

    def check(self) -> None:
        """Checks that the folder is still the one that was locked.

        Raises:
            RunError: It was removed, renamed or replaced, or this is a forked child.
        """
        if self._file.closed:
            raise RunError(f"{self._folder} belongs to the process that began the run, not to this")
        try:
            same = os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except (FileNotFoundError, NotADirectoryError):
            same = self._folder.is_dir()  # somebody swept out hidden files
        if not same:
            raise RunError(
                f"{self._folder} was removed, renamed or replaced while its run was on; nothing "
                "more can be saved there"
            )

    def close(self) -> None:
        """Releases the lock."""
        self._file.close()


_open_locks: weakref.WeakSet[FolderLock] = weakref.WeakSet()


def _close_in_child() -> None:
    # Only the child's copy of the descriptor goes; the parent's lock stays.
    for lock in list(_open_locks):
        lock.close()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_close_in_child)
