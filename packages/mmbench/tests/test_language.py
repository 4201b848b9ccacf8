"""Embeddings: shipped, cached, computed, or refused with one clear error."""

import io
import os
import subprocess
import sys
import threading
import types
import urllib.request

import numpy as np
import pytest
from huggingface_hub import constants
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmbench import catalog, language
from mmbench.language import (
    ENCODERS,
    EncoderUnavailableError,
    cache,
    embed,
    encoder_dim,
    encoders,
)

MAKE = "packages/mmbench/scripts/refresh.py"
INSTRUCTIONS = [task.instruction for task in catalog.TASKS]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MMBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def computed(monkeypatch):
    """Replaces the encoders by one that counts; gives the texts that it was asked for."""
    asked = []

    def compute(name, texts):
        asked.extend(texts)
        rows = [
            np.random.default_rng(list(text.encode())).normal(size=encoder_dim(name))
            for text in texts
        ]
        return np.array(rows, np.float32)

    monkeypatch.setattr(language, "compute", compute)
    return asked


# Shipped


def test_the_shipped_embeddings_are_those_of_the_instructions():
    known = cache.shipped("minilm")
    assert set(known) == {cache.key(text) for text in INSTRUCTIONS}, (
        f"an instruction has changed: run {MAKE}"
    )


def test_shipped_vectors_are_unit_vectors_of_the_size_of_the_encoder(computed):
    vectors = embed(INSTRUCTIONS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(INSTRUCTIONS), encoder_dim("minilm"))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert not computed


def test_each_task_gets_the_vector_of_its_own_instruction():
    known = cache.shipped("minilm")
    for text, vector in zip(INSTRUCTIONS, embed(INSTRUCTIONS), strict=True):
        np.testing.assert_array_equal(vector, known[cache.key(text)])
    walk, run, pong = embed(
        [catalog.get(name).instruction for name in ("walker-walk", "walker-run", "atari-pong")]
    )
    assert walk @ run > 0.8 > 0.4 > walk @ pong


def test_shipped_vectors_cannot_be_spoilt_by_a_caller():
    first = embed(INSTRUCTIONS[:1])
    expected = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(embed(INSTRUCTIONS[:1]), expected)
    with pytest.raises(ValueError, match="read-only"):
        cache.shipped("minilm")[cache.key(INSTRUCTIONS[0])][:] = 0


def test_instructions_need_no_network_and_no_torch(tmp_path):
    """In a process of its own, in which every socket fails."""
    script = """
import socket, sys
def refuse(*args, **kwargs):
    raise AssertionError("opened a socket")
socket.socket = socket.create_connection = refuse
import mmbench
from mmbench.language import embed
vectors = embed([task.instruction for task in mmbench.catalog.TASKS])
assert vectors.shape[1] == 384
heavy = {"torch", "transformers", "sentence_transformers", "open_clip", "timm", "torchvision"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    environment = os.environ | {"MMBENCH_CACHE": str(tmp_path / "never")}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=120)
    assert not (tmp_path / "never").exists()


def test_a_new_text_needs_no_network(tmp_path):
    """In a process of its own, in which every socket fails. The shipped vectors come out too."""
    script = """
import socket
def refuse(*args, **kwargs):
    raise AssertionError("opened a socket")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import numpy as np
import mmbench
from mmbench.language import encoders
vectors = mmbench.language.embed(["Pour tea into the cup.", "Pour coffee into the mug."])
assert 0.4 < vectors[0] @ vectors[1] < 0.95, vectors[0] @ vectors[1]
texts = [task.instruction for task in mmbench.catalog.TASKS[::57]]
computed = encoders.encode_minilm(encoders.load_minilm(), texts)
np.testing.assert_allclose(computed, mmbench.language.embed(texts), atol=1e-5)
"""
    environment = os.environ | {"MMBENCH_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Loading weights" not in done.stderr, "no bar for what takes a moment"
    assert len(list(tmp_path.rglob("*.bin"))) == 2


def test_weights_of_somebody_else_are_refused(monkeypatch, tmp_path):
    package = tmp_path / encoders.MINILM_PACKAGE
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('nothing of it has to run')")
    (package / "model" / "model.safetensors").write_bytes(b"other weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, encoders.MINILM_PACKAGE, raising=False)
    with pytest.raises(EncoderUnavailableError, match="does not hold the weights of all-MiniLM"):
        embed(["A new task."])


# Arguments


def test_sizes():
    assert {name: encoder_dim(name) for name in ENCODERS} == {"minilm": 384, "clip": 512}


@pytest.mark.parametrize("call", [encoder_dim, lambda name: embed(["a"], name)])
def test_an_unknown_encoder_is_an_error_that_lists_the_known(call):
    with pytest.raises(ValueError, match="unknown encoder 'bert': one of minilm, clip"):
        call("bert")


def test_a_single_string_is_refused(computed):
    with pytest.raises(TypeError, match="list of texts"):
        embed("Walk forward.")


def test_no_texts_give_no_rows():
    assert embed([]).shape == (0, 384)
    assert embed([], "clip").shape == (0, 512)


def test_rows_follow_the_texts_and_each_text_is_computed_once(computed):
    texts = ["push", INSTRUCTIONS[3], "pull", "push"]
    vectors = embed(texts)
    assert computed == ["push", "pull"]
    np.testing.assert_array_equal(vectors[0], vectors[3])
    np.testing.assert_array_equal(vectors[1], embed([INSTRUCTIONS[3]])[0])
    assert not np.array_equal(vectors[0], vectors[2])


# Cache


def test_a_text_is_computed_once_and_then_kept(computed, own_cache):
    first = embed(["A new task."])
    np.testing.assert_array_equal(embed(["A new task."]), first)
    assert computed == ["A new task."]
    assert len(list(own_cache.rglob("*.bin"))) == 1


def test_encoders_do_not_share_what_is_kept(computed):
    assert embed(["A new task."], "minilm").shape == (1, 384)
    assert embed(["A new task."], "clip").shape == (1, 512)
    assert embed(["A new task."], "minilm").shape == (1, 384)
    assert computed == ["A new task."] * 2


def test_nothing_is_shipped_for_clip(computed):
    assert embed(INSTRUCTIONS[:1], "clip").shape == (1, 512)
    assert computed == INSTRUCTIONS[:1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_damaged_file_is_never_read(data):
    vector = np.linspace(-1, 1, 384, dtype=np.float32)
    cache.write("minilm", "text", vector)
    path = cache.path("minilm", "text")
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    damage = data.draw(st.sampled_from(["flip", "cut", "grow", "zero"]))
    if damage == "flip":
        content[position] ^= 1 << data.draw(st.integers(0, 7))
    elif damage == "cut":
        del content[position:]
    elif damage == "grow":
        content += b"\0" * (position + 1)
    else:
        content = bytearray(len(content))
    np.testing.assert_array_equal(cache.read("minilm", "text", 384), vector)
    path.write_bytes(content)
    assert cache.read("minilm", "text", 384) is None


def test_a_damaged_file_is_written_anew(computed):
    first = embed(["A new task."])
    path = cache.path("minilm", "A new task.")
    path.write_bytes(path.read_bytes()[:100])
    np.testing.assert_array_equal(embed(["A new task."]), first)
    assert computed == ["A new task."] * 2
    np.testing.assert_array_equal(embed(["A new task."]), first)
    assert len(computed) == 2


def test_an_interrupted_write_leaves_nothing(computed, own_cache, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        embed(["A new task."])
    assert [path for path in own_cache.rglob("*") if path.is_file()] == []


def test_a_folder_that_cannot_be_written_to_warns_and_goes_on(computed, own_cache):
    own_cache.write_text("a file where the folder should be")
    with pytest.warns(RuntimeWarning, match="MMBENCH_CACHE"):
        vectors = embed(["A new task."])
    assert vectors.shape == (1, 384)


def test_where_embeddings_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("MMBENCH_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache.cache_dir() == tmp_path / "own"
    monkeypatch.delenv("MMBENCH_CACHE")
    assert cache.cache_dir() == tmp_path / "xdg" / "mmbench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.cache_dir() == tmp_path / "home" / ".cache" / "mmbench"


# What is missing


@pytest.mark.parametrize(
    ("encoder", "library"), [("minilm", "sentence_transformers"), ("clip", "open_clip")]
)
def test_a_missing_library_is_one_clear_error(monkeypatch, encoder, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(EncoderUnavailableError) as error:
        embed(["A new task."], encoder)
    message = str(error.value)
    assert repr(encoder) in message and library in message
    assert "pip install 'mmbench[language]'" in message
    assert "torchvision" not in message
    assert not cache.path(encoder, "A new task.").exists()


def test_a_torchvision_of_another_build_is_explained(monkeypatch):
    def broken(name):
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(encoders.importlib, "import_module", broken)
    with pytest.raises(EncoderUnavailableError) as error:
        embed(["A new task."], "clip")
    message = str(error.value)
    assert "operator torchvision::nms does not exist" in message
    assert "CPU-only" in message and "pip install 'mmbench[language]'" in message


def test_no_other_encoder_takes_the_place_of_a_missing_one(monkeypatch):
    """The instruction is shipped for minilm, and still clip is an error."""
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(EncoderUnavailableError, match="'clip'"):
        embed(INSTRUCTIONS[:1], "clip")


@pytest.fixture
def no_network(monkeypatch):
    """A hub that cannot be found, as in a cluster: looking its name up takes for ever."""
    monkeypatch.setattr(encoders, "packaged_minilm", lambda: None)
    monkeypatch.setattr(encoders, "_HUB_SECONDS", 0.1)
    never = threading.Event()
    monkeypatch.setattr(urllib.request, "urlopen", lambda *a, **k: io.StringIO(str(never.wait(60))))
    yield
    never.set()


@pytest.mark.parametrize(
    ("encoder", "library", "loader", "weights"),
    [
        ("minilm", "sentence_transformers", "SentenceTransformer", "all-MiniLM-L6-v2"),
        ("clip", "open_clip", "create_model", "ViT-B-32"),
    ],
)
def test_missing_weights_are_one_clear_error(
    monkeypatch, no_network, encoder, library, loader, weights
):
    def load(*args, **kwargs):
        assert constants.HF_HUB_OFFLINE, "the hub's client would retry for minutes"
        raise OSError("cannot reach\n  the hub")

    fake = types.ModuleType(library)
    setattr(fake, loader, load)
    monkeypatch.setitem(sys.modules, library, fake)
    with pytest.raises(EncoderUnavailableError) as error:
        embed(["A new task."], encoder)
    message = str(error.value)
    for part in (repr(encoder), weights, "cannot reach the hub", "mmbench[language]"):
        assert part in message
    assert not constants.HF_HUB_OFFLINE


def test_a_hub_that_answers_is_used(monkeypatch):
    monkeypatch.setattr(encoders, "packaged_minilm", lambda: None)
    monkeypatch.setattr(urllib.request, "urlopen", lambda *a, **k: io.BytesIO())
    seen = []
    fake = types.ModuleType("sentence_transformers")
    fake.SentenceTransformer = lambda *a, **k: seen.append((a, constants.HF_HUB_OFFLINE))
    monkeypatch.setitem(sys.modules, "sentence_transformers", fake)
    encoders.load_minilm()
    assert seen == [((encoders.MINILM,), False)]


@pytest.mark.slow
def test_without_weights_and_network_the_real_libraries_give_up_in_seconds(tmp_path):
    """The hub's own client retries for two minutes. The limit leaves room for imports."""
    script = """
import socket, time
def unknown(*args, **kwargs):
    raise socket.gaierror("Name or service not known")
socket.getaddrinfo = unknown
import open_clip, sentence_transformers
from mmbench.language import encoders, embed
encoders.packaged_minilm = lambda: None
for encoder in ("minilm", "clip"):
    began = time.monotonic()
    try:
        embed(["A new task."], encoder)
    except encoders.EncoderUnavailableError as error:
        assert encoder in str(error)
    else:
        raise AssertionError("no error")
    assert time.monotonic() - began < 30
"""
    environment = os.environ | {"MMBENCH_CACHE": str(tmp_path), "HF_HOME": str(tmp_path / "hf")}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=300)


def test_vectors_of_another_size_are_refused(monkeypatch):
    monkeypatch.setattr(encoders, "load_minilm", lambda: None)
    monkeypatch.setattr(
        encoders, "encode_minilm", lambda model, texts: np.zeros((len(texts), 8), np.float32)
    )
    with pytest.raises(RuntimeError, match="384"):
        embed(["A new task."])
    assert not cache.path("minilm", "A new task.").exists()
