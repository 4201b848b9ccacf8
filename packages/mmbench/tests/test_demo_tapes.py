"""The format of tapes: what is written is read, and what is damaged or hostile is refused."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from demo_tapes import TASK, array_bytes, members, packed, tape
from hypothesis import given, settings
from hypothesis import strategies as st

from mmbench import catalog
from mmbench.demos.tape import Episode, TapeError, from_bytes, read_tape, to_bytes, write_tape

GOOD = to_bytes(tape(2))


def assert_equal(one, other):
    assert (one.task, one.recordings, one.licence) == (other.task, other.recordings, other.licence)
    for mine, its in zip(one.episodes, other.episodes, strict=True):
        np.testing.assert_equal(mine._asdict(), its._asdict())


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2**64 - 1), st.floats(-1e9, 1e9), st.integers(0, 2**32 - 1)),
        min_size=1,
        max_size=4,
    )
)
def test_what_is_written_is_read(numbers):
    episodes = []
    for seed, total, noise in numbers:
        rng = np.random.default_rng(noise)
        actions = rng.uniform(-1, 1, (TASK.max_episode_steps, TASK.action_dim)).astype(np.float16)
        sums = rng.integers(0, 2**32, TASK.max_episode_steps + 1).astype(np.uint32)
        episodes.append(Episode(seed, actions, sums, total, 0.5, np.nan))
    written = tape(len(episodes))
    written = replace(written, episodes=tuple(episodes))
    assert_equal(from_bytes(to_bytes(written), TASK), written)


def test_the_same_tape_has_the_same_bytes(tmp_path):
    for name in ("one.npz", "other.npz"):
        write_tape(tmp_path / "new" / name, tape(2))
    one, other = ((tmp_path / "new" / name).read_bytes() for name in ("one.npz", "other.npz"))
    assert one == other == GOOD
    assert_equal(read_tape(tmp_path / "new" / "one.npz", TASK), tape(2))


def test_numpy_reads_a_tape_too(tmp_path):
    write_tape(tmp_path / "tape.npz", tape(2))
    with np.load(tmp_path / "tape.npz", allow_pickle=False) as arrays:
        assert arrays["actions"].dtype == np.float16
        assert arrays["checksums"].shape == (2 * TASK.max_episode_steps + 2,)
        assert json.loads(arrays["metadata"].tobytes())["task"] == TASK.name


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_changed_byte_is_found_or_changes_nothing(place, change):
    damaged = bytearray(GOOD)
    damaged[place] ^= change
    try:
        read = from_bytes(bytes(damaged), TASK)
    except TapeError:
        return
    assert_equal(read, tape(2))  # it was the date of a member, or the like


@settings(max_examples=50, deadline=None)
@given(st.integers(0, len(GOOD) - 1))
def test_a_truncated_tape_is_refused(length):
    with pytest.raises(TapeError, match="truncated|no archive"):
        from_bytes(GOOD[:length], TASK)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(members())), st.binary(max_size=300))
def test_any_bytes_are_refused(name, content):
    for archive in (content, packed({**members(), name: content})):
        with pytest.raises(TapeError):
            from_bytes(archive, TASK)


def test_the_wrong_task_is_named(tmp_path):
    write_tape(tmp_path / "tape.npz", tape(1))
    other = catalog.get("pygame-cartpole-swingup")
    with pytest.raises(TapeError) as error:
        read_tape(tmp_path / "tape.npz", other)
    for word in ("tape.npz", TASK.name, other.name):
        assert word in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TapeError, match="nothing.npz cannot be read: No such file"):
        read_tape(tmp_path / "nothing.npz", TASK)


def test_a_huge_file_is_not_read(tmp_path):
    with (tmp_path / "huge.npz").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(TapeError, match="huge.npz is no tape: 1000000000000 bytes"):
        read_tape(tmp_path / "huge.npz", TASK)


def header(text):
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


STEPS = TASK.max_episode_steps
HOSTILE = {
    "a pickle": {"returns": np.array([{"a": 1}, 2], object)},
    "another type": {"actions": np.zeros((2 * STEPS, 1), np.float32)},
    "another size": {"actions": np.zeros((2 * STEPS, 2), np.float16)},
    "a step too few": {"actions": np.zeros((2 * STEPS - 1, 1), np.float16)},
    "an episode too few": {"seeds": np.zeros(1, np.uint64)},
    "lengths that overflow": {"lengths": np.array([2**31 - 1, -(2**31)], np.int32)},
    "a short episode": {"lengths": np.array([STEPS - 1, STEPS + 1], np.int32)},
    "a large action": {"actions": np.full((2 * STEPS, 1), 1.5, np.float16)},
    "an action that is NaN": {"actions": np.full((2 * STEPS, 1), np.nan, np.float16)},
    "an infinite return": {"returns": np.array([np.inf, 1])},
    "no score": {"scores": np.array([np.nan, 1])},
    "a success that the task has not": {"success": np.array([1.0, 1.0])},
    "a scalar": {"seeds": np.array(1, np.uint64)},
    "a header that claims too much": {
        "seeds": header(b"{'descr': '<u8', 'fortran_order': False, 'shape': (99999999999999,), }\n")
    },
    "a header that is code": {"seeds": header(b"__import__('os').abort()\n")},
    "deep metadata": {"metadata": np.frombuffer(b"[" * 100_000, np.uint8)},
    "metadata that are no object": {"metadata": np.frombuffer(b"[1]", np.uint8)},
    "metadata of another kind": {
        "metadata": np.frombuffer(
            b'{"format": 1, "task": "x", "licence": "", "recordings": [{"a": 1}]}', np.uint8
        )
    },
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_arrays_are_refused(what):
    ((name, content),) = HOSTILE[what].items()
    data = content if isinstance(content, bytes) else array_bytes(content)
    with pytest.raises(TapeError, match=f"{name}|a return|action|success|score|steps|metadata"):
        from_bytes(packed({**members(), name: data}), TASK)


def test_hostile_archives_are_refused():
    whole = members()
    bomb = packed({**whole, "actions": b"\0" * 10_000_000}, zipfile.ZIP_DEFLATED)
    lacking = {name: data for name, data in whole.items() if name != "checksums"}
    outside = {("../seeds" if name == "seeds" else name): data for name, data in whole.items()}
    more = {**whole, "more": b"x"}
    for content, reason in (
        (bomb, "is packed"),
        (packed(whole, zipfile.ZIP_DEFLATED), "is packed"),
        (packed(lacking), "expected metadata.npy"),
        (packed(outside), "'../seeds.npy'"),
        (packed(more), "'more.npy'"),
        (b"", "no archive"),
    ):
        with pytest.raises(TapeError, match=reason):
            from_bytes(content, TASK)


def test_a_later_format_says_to_update():
    metadata = json.loads(tape_metadata())
    metadata["format"] = 2
    changed = array_bytes(np.frombuffer(json.dumps(metadata).encode(), np.uint8))
    with pytest.raises(TapeError, match="format 2.*update mmbench"):
        from_bytes(packed({**members(), "metadata": changed}), TASK)


def tape_metadata():
    with np.load(io.BytesIO(GOOD)) as arrays:
        return arrays["metadata"].tobytes()
