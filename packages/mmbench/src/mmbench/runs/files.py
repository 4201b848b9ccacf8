"""Files and folders that are either complete or not there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmbench.runs.errors import RunError

MANIFEST = "manifest.json"


def write_atomically(path: Path, content: bytes | str) -> None:
    """Writes a file through a temporary name: readers see the old content or all of the new."""
    data = content.encode() if isinstance(content, str) else content
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Writes JSON atomically, indented; NaN becomes null."""
    text = json.dumps(_without_nan(value), indent=2, allow_nan=False)
    write_atomically(path, text + "\n")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and value != value:
        return None
    return value


def publish_folder(target: Path, fill: Callable[[Path], None]) -> None:
    """Makes a folder that appears under its name only when it is complete.

    The files are written under a temporary name, listed with their checksums in a manifest,
    flushed to the disk, and renamed together.

    Args:
        target: The folder's final name; replaced if it exists.
        fill: Writes the files into the folder it is given.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        fill(temporary)
        files = sorted(path for path in temporary.iterdir() if path.is_file())
        write_json(temporary / MANIFEST, {path.name: _sha256(path) for path in files})
        for path in (*files, temporary):
            _fsync(path)
        os.chmod(temporary, 0o755)
        if target.exists():
            shutil.rmtree(target)
        os.rename(temporary, target)
        _fsync(target.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def verify_folder(folder: Path) -> None:
    """Checks a published folder against its manifest.

    Raises:
        RunError: The folder or a file of it is missing, or a file's checksum differs.
    """
    manifest = folder / MANIFEST
    try:
        expected = json.loads(manifest.read_text())
    except OSError as error:
        raise RunError(f"{folder} is not a complete checkpoint: no {MANIFEST} in it") from error
    except json.JSONDecodeError as error:
        raise RunError(f"{manifest} is damaged ({error}): use another checkpoint") from error
    for name, checksum in expected.items():
        path = folder / name
        if not path.is_file():
            raise RunError(f"{path} is missing: use another checkpoint")
        if _sha256(path) != checksum:
            raise RunError(f"{path} is damaged (its checksum differs): use another checkpoint")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
