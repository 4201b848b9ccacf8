"""The embeddings that come with the package, made by ``scripts/refresh.py``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType

import numpy as np

FILE = "instructions.npz"
"""Holds ``<encoder>_keys`` (n ASCII digests) and ``<encoder>_vectors`` (float32 [n, d])."""


@cache
def load(encoder: str) -> Mapping[str, np.ndarray]:
    """Reads the shipped embeddings of one encoder.

    Args:
        encoder: A name of :data:`mmbench.language.ENCODERS`.

    Returns:
        From the digest of a text (:func:`mmbench.language.cache.key`) to its vector [d];
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
