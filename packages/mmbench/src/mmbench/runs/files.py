"""Files and folders that are either complete or not there.

Everything is written under a hidden name beside the final one, flushed to the disk, and renamed.
Then the folder around it is flushed, or a power cut could undo the rename. Modes follow the umask,
as for the files of any other program.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mmbench.runs.errors import RunError

MANIFEST = "manifest.json"

_CANNOT_FLUSH_FOLDERS = (errno.EBADF, errno.EINVAL, errno.ENOTSUP)
"""Answers of file systems that cannot flush folders. PostgreSQL ignores them too."""


def hidden_name(path: Path) -> Path:
    """A new name beside ``path`` for what is not complete: ``.<name>-<random>``."""
    return path.with_name(f".{path.name}-{secrets.token_hex(4)}")


def remove_leftovers(path: Path) -> None:
    """Removes what writers of a file or folder left under hidden names when they were killed.

    A folder that is complete takes its name, if nothing has it: see :func:`publish_folder`. Only
    for who alone may write: another writer's would go too.
    """
    for leftover in path.parent.glob(f".{path.name}-{'[0-9a-f]' * 8}"):
        if not os.path.lexists(path) and _is_complete(leftover):
            os.rename(leftover, path)
        else:
            remove(leftover)


def _is_complete(folder: Path) -> bool:
    try:
        verify_folder(folder)
    except (OSError, RunError):
        return False
    return True


def write_atomically(path: Path, content: bytes | str) -> None:
    """Writes a file through a hidden name: readers see the old content or all of the new.

    Text is UTF-8. What has no place in it, as in some names of files, gets a backslash instead.
    """
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    temporary = hidden_name(path)
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # what is full is told by the place
        raise
    flush(path.parent)


def check_writable(path: Path) -> None:
    """Checks that :func:`write_atomically` can write a file; call it before the long work.

    Raises:
        RunError: It cannot, or something other than a file has the name, such as a device.
    """
    try:
        if path.exists() and not path.is_file():
            raise RunError(f"{path} is not a file: choose another name")
        temporary = hidden_name(path)
        temporary.touch(exist_ok=False)
        temporary.unlink()
    except OSError as error:
        raise RunError(f"{path} cannot be written ({error.strerror}): choose another") from error


def write_json(path: Path, value: Any) -> None:
    """Writes JSON atomically, indented; NaN and infinities, which JSON lacks, become null."""
    write_atomically(path, to_json(value) + "\n")


def to_json(value: Any) -> str:
    """Returns indented JSON; NaN and infinities, which JSON lacks, become null."""
    return json.dumps(_finite(value), indent=2, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        RunError: It cannot be read, is no JSON in UTF-8, is something else than an object, or
            says one thing twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
        value = json.loads(text, object_pairs_hook=_each_once)
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged: {error}") from error
    if not isinstance(value, dict):
        raise RunError(f"{path} is damaged: expected a JSON object, got {type(value).__name__}")
    return value


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the entry {twice!r} is there twice")
    return entries


def publish_folder(
    target: Path,
    fill: Callable[[Path], None],
    make_way: Callable[[Path], None] | None = None,
    known: Mapping[str, str] | None = None,
) -> None:
    """Makes a folder that appears under its name only when it is complete.

    The files are written under a hidden name, listed with their checksums in a manifest,
    flushed to the disk, and renamed together.

    Args:
        target: The folder's final name.
        fill: Writes the files into the folder it is given.
        make_way: Moves away what has the name, once the new folder is complete. By default the
            two swap their names at one instant, and the old folder is deleted. Where the system
            cannot swap (Linux and its usual file systems can), the old one has a hidden name for a
            moment; after a kill just then, `remove_leftovers` gives a name back.
        known: Checksums of files that ``fill`` links and that need not be read again, by name.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = hidden_name(target)
    try:
        temporary.mkdir()
        fill(temporary)
        files = sorted(path for path in temporary.iterdir() if path.is_file())
        mode = temporary.stat().st_mode & 0o666  # what the umask, or an ACL, leaves
        for path in files:
            path.chmod(mode)  # safetensors writes for its user alone
            flush(path)
        # Last, as it flushes the folder too.
        known = known or {}
        checksums = {path.name: known.get(path.name) or _sha256(path) for path in files}
        write_json(temporary / MANIFEST, checksums)
        if make_way is None and os.path.lexists(target):
            _replace(target, temporary)
        else:
            if make_way is not None and os.path.lexists(target):
                make_way(target)
            os.rename(temporary, target)
        flush(target.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _replace(old: Path, new: Path) -> None:
    """Gives the name of ``old`` to ``new``, and removes what had it."""
    if _swap(old, new):
        old_by_now = new
    else:
        old_by_now = hidden_name(old)
        os.rename(old, old_by_now)
        os.rename(new, old)
    flush(old.parent)
    remove(old_by_now)


def _swap(one: Path, other: Path) -> bool:
    """Swaps the names of two files or folders; False where the system cannot."""
    if sys.platform != "linux":
        return False
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)  # glibc has it since 2.28
    here, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE
    names = os.fsencode(one.absolute()), os.fsencode(other.absolute())
    return renameat2 is not None and renameat2(here, names[0], here, names[1], exchange) == 0


def verify_folder(folder: Path, names: Iterable[str] | None = None) -> None:
    """Checks a published folder against its manifest.

    Args:
        folder: The folder.
        names: The files to check; by default all.

    Raises:
        RunError: The folder or a file of it is missing, or a file's checksum differs.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise RunError(f"{folder} is not a complete checkpoint: no {MANIFEST} in it")
    checksums = read_json(manifest)
    for name in checksums if names is None else names:
        path = folder / name
        if name not in checksums or not path.is_file():
            raise RunError(f"{path} is missing: use another checkpoint")
        if _sha256(path) != checksums[name]:
            raise RunError(f"{path} is damaged (its checksum differs): use another checkpoint")


def link_folder(source: Path, target: Path) -> None:
    """Makes a folder of the same files: hard links, or copies where there are no links."""
    target.mkdir()
    for path in filter(Path.is_file, source.iterdir()):
        link_file(path, target / path.name)
    flush(target)


def link_file(source: Path, target: Path) -> None:
    """Gives a file another name: a hard link, or a copy where there are no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)
        flush(target)


def remove(path: Path) -> None:
    """Removes a file, a link, or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Waits until a file's content, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not path.is_dir() or error.errno not in _CANNOT_FLUSH_FOLDERS:
            raise
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
