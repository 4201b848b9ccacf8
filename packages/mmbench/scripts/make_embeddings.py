"""Makes the embeddings that mmbench ships, after an instruction has changed.

    uv run packages/mmbench/scripts/make_embeddings.py

The weights come with the extra ``language``, and the vectors are those that
``embed(texts, encoder="minilm")`` computes.
"""

import io
import sys
from pathlib import Path

import numpy as np

from mmbench import catalog
from mmbench.language import cache, encoder_dim, shipped
from mmbench.language.encoders import MINILM_PACKAGE, encode_minilm, load_minilm, packaged_minilm
from mmbench.runs.files import write_atomically

OUT = Path(__file__).parents[1] / "src" / "mmbench" / "language" / shipped.FILE


def main() -> None:
    """Embeds every instruction of the catalogue and replaces the shipped file."""
    if packaged_minilm() is None:
        sys.exit(f"{MINILM_PACKAGE} is not installed: it comes with the extra language")
    texts = list(dict.fromkeys(task.instruction for task in catalog.TASKS))
    if not all(texts):
        empty = [task.name for task in catalog.TASKS if not task.instruction]
        sys.exit(f"{len(empty)} tasks have no instruction: {', '.join(empty)}")
    vectors = encode_minilm(load_minilm(), texts)
    assert vectors.shape == (len(texts), encoder_dim("minilm"))
    content = io.BytesIO()
    keys = np.array([cache.key(text) for text in texts], "S64")
    np.savez(content, minilm_keys=keys, minilm_vectors=vectors)
    write_atomically(OUT, content.getvalue())
    print(f"{len(texts)} embeddings of {vectors.shape[1]} values in {OUT}")


if __name__ == "__main__":
    main()
