"""Instructions as vectors: what tells the agent which task it is in.

The embeddings of every instruction in the catalogue ship with the package, so that nothing is
downloaded to start::

    >>> import mmbench
    >>> from mmbench.language import embed
    >>> embed([task.instruction for task in mmbench.tasks()]).shape
    (220, 384)

Any other text, and any other encoder, is computed once with the ``language`` extra and kept in
the user's cache (see :func:`mmbench.language.cache.cache_dir`). The paper embeds with CLIP
(section 3); that is ``encoder="clip"``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmbench.language import cache
from mmbench.language.encoders import ENCODERS, EncoderUnavailableError, compute, encoder_dim

__all__ = ["ENCODERS", "EncoderUnavailableError", "embed", "encoder_dim"]


def embed(texts: Sequence[str], encoder: str = "minilm") -> np.ndarray:
    """Embeds texts, from the shipped vectors, the user's cache or the encoder, in this order.

    Args:
        texts: n texts, such as the instructions of n tasks.
        encoder: ``minilm`` (384-d, unit length; all instructions are shipped) or ``clip``
            (512-d, not normalised, as in the paper).

    Returns:
        float32 array [n, d] with d = :func:`encoder_dim` of the encoder.

    Raises:
        EncoderUnavailableError: A text has to be computed, and the encoder's library or weights
            are missing. No other encoder is used in its place.
        TypeError: ``texts`` is one text and not a sequence of them.
        ValueError: The encoder does not exist.
    """
    if isinstance(texts, str):
        raise TypeError("texts is a single string: give a list of texts")
    dim = encoder_dim(encoder)
    texts = list(texts)
    vectors: dict[str, np.ndarray] = {}
    missing = []
    for text in dict.fromkeys(texts):
        vector = cache.shipped(encoder).get(cache.key(text))
        if vector is None:
            vector = cache.read(encoder, text, dim)
        if vector is None:
            missing.append(text)
        else:
            vectors[text] = vector
    if missing:
        for text, vector in zip(missing, compute(encoder, missing), strict=True):
            cache.write(encoder, text, vector)
            vectors[text] = vector
    return np.array([vectors[text] for text in texts], np.float32).reshape(len(texts), dim)
