"""Embeddings kept on the user's machine, one file a text."""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np


def cache_dir() -> Path:
    """The folder of everything mmbench keeps on this machine.

    ``$MMBENCH_CACHE`` where it is set, else ``$XDG_CACHE_HOME/mmbench``, else
    ``~/.cache/mmbench``.
    """
    if own := os.environ.get("MMBENCH_CACHE"):
        return Path(own).expanduser()
    xdg = os.environ.get("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else Path.home() / ".cache") / "mmbench"


def key(text: str) -> str:
    """The SHA-256 of a text's UTF-8 bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def path(encoder: str, text: str) -> Path:
    """Where the embedding of a text is kept."""
    return cache_dir() / "embeddings" / encoder / f"{key(text)}.npz"


def read(encoder: str, text: str, dim: int) -> np.ndarray | None:
    """Reads a kept embedding.

    Args:
        encoder: A name of :data:`mmbench.language.ENCODERS`.
        text: The text as it was embedded.
        dim: The length the vector must have.

    Returns:
        float32 [dim], or None where there is no file or it is damaged (a zip archive carries
        a checksum of its content); then it is computed and written anew.
    """
    try:
        # Opened here: NumPy leaks the handle of a path whose content is no archive.
        with open(path(encoder, text), "rb") as file, np.load(file, allow_pickle=False) as data:
            vector = data["vector"]
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile):
        return None
    if vector.shape != (dim,) or vector.dtype != np.float32 or not np.isfinite(vector).all():
        return None
    return vector


def write(encoder: str, text: str, vector: np.ndarray) -> None:
    """Keeps an embedding, so that no reader ever sees half a file.

    Args:
        encoder: A name of :data:`mmbench.language.ENCODERS`.
        text: The text as it was embedded.
        vector: float32 [d].
    """
    target = path(encoder, text)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".tmp")
    except OSError as error:
        _warn(target, error)
        return
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, vector=vector)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        _warn(target, error)


def _warn(target: Path, error: OSError) -> None:
    warnings.warn(
        f"cannot keep an embedding in {target.parent} ({error}): it is computed again next time; "
        "set MMBENCH_CACHE to a folder that can be written to",
        RuntimeWarning,
        stacklevel=4,
    )
