"""Embeddings kept on the user's machine, one file a text.

A file holds the SHA-256 of a vector's bytes (32 bytes), then the vector as little-endian float32.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from pathlib import Path

import numpy as np

from mmbench.runs.files import write_atomically

_DIGEST_BYTES = 32


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
    return cache_dir() / "embeddings" / encoder / f"{key(text)}.bin"


def read(encoder: str, text: str, dim: int) -> np.ndarray | None:
    """Reads a kept embedding.

    Args:
        encoder: A name of :data:`mmbench.language.ENCODERS`.
        text: The text as it was embedded.
        dim: The length the vector must have.

    Returns:
        float32 [dim], or None where there is no file or it is damaged; then the embedding is
        computed and written anew.
    """
    try:
        content = path(encoder, text).read_bytes()
    except OSError:
        return None
    digest, vector = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if len(vector) != 4 * dim or hashlib.sha256(vector).digest() != digest:
        return None
    return np.frombuffer(vector, "<f4").astype(np.float32)


def write(encoder: str, text: str, vector: np.ndarray) -> None:
    """Keeps an embedding, so that no reader ever sees half a file.

    Where the folder cannot be written to, this warns and the caller goes on.

    Args:
        encoder: A name of :data:`mmbench.language.ENCODERS`.
        text: The text as it was embedded.
        vector: float32 [d].
    """
    target = path(encoder, text)
    content = vector.astype("<f4").tobytes()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, hashlib.sha256(content).digest() + content)
    except OSError as error:
        warnings.warn(
            f"cannot keep an embedding in {target.parent} ({error}): it is computed again next "
            "time; set MMBENCH_CACHE to a folder that can be written to",
            RuntimeWarning,
            stacklevel=3,
        )
