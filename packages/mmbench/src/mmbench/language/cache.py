"""Embeddings that need no encoder: those shipped, and those kept on the user's machine.

The shipped ones lie in one file, which ``scripts/refresh.py`` makes. Each one kept is a file of its
own: the SHA-256 of the vector's bytes (32 bytes), then the vector as little-endian float32.
"""

from __future__ import annotations

import functools
import hashlib
import os
import warnings
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType

import numpy as np

from mmbench.runs.files import write_atomically

FILE = "instructions.npz"
"""Holds ``<encoder>_keys`` (n ASCII digests) and ``<encoder>_vectors`` (float32 [n, d])."""

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


@functools.cache
def shipped(encoder: str) -> Mapping[str, np.ndarray]:
    """Reads the shipped embeddings of one encoder.

    Args:
        encoder: A name of :data:`mmbench.language.ENCODERS`.

    Returns:
        From the digest of a text (:func:`key`) to its vector [d];
        read-only, and empty for an encoder of which none are shipped. Keyed by the text and not
        by the task, so that a changed instruction never gets the vector of its former wording.
    """
    path = resources.files(__package__) / FILE
    with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
        if f"{encoder}_keys" not in data:
            return MappingProxyType({})
        keys, vectors = data[f"{encoder}_keys"], data[f"{encoder}_vectors"]
    vectors.setflags(write=False)
    return MappingProxyType(
        {key.decode("ascii"): vector for key, vector in zip(keys, vectors, strict=True)}
    )


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
    """Keeps an embedding; no reader ever sees half a file.

    Warns, and goes on, if the folder cannot be written to.

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
