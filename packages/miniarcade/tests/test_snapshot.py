"""Saved states that are refused, and generators."""

import numpy as np
import pytest

from miniarcade.snapshot import Checker, pack_generator, unpack_generator


@pytest.mark.parametrize("name", ["pong", "bird-attack", "point-maze-var1"])
def test_a_refused_state_changes_nothing(fresh, name):
    env, untouched = fresh(name), fresh(name)
    other = fresh("air-hockey" if name == "pong" else "pong")
    for _ in range(5):
        env.step(env.action_space.low)
        untouched.step(env.action_space.low)
    state = env.get_state()
    numbers = [key for key, value in state.items() if value.dtype.kind == "f" and value.size]
    wrong = [
        [1, 2],
        {},
        other.get_state(),
        {**state, "unknown": np.zeros(1)},
        {**state, "env/step": np.array(-1)},
        {**state, "env/step": np.array(0.5)},
        {**state, "env/rng": np.zeros(6, np.uint64)},
        *({k: v for k, v in state.items() if k != key} for key in state if key[:4] == "task"),
        *({**state, key: state[key][None]} for key in state),
        *({**state, key: np.full_like(state[key], np.nan)} for key in numbers),
        *({**state, key: np.full(state[key].shape, "x")} for key in state),
    ]
    for one in wrong:
        with pytest.raises(ValueError, match=f"{env.task.id}:|rng is no state") as caught:
            env.set_state(one)
        assert "\n" not in str(caught.value)
        after = env.get_state()
        assert all(state[key].tobytes() == after[key].tobytes() for key in state)
    np.testing.assert_array_equal(
        env.step(env.action_space.high)[0], untouched.step(env.action_space.high)[0]
    )


def test_forms_may_leave_lengths_open():
    checker = Checker("a-task", 10, {"x": ((None, 2), np.float32), "n": ((), np.int64)}, ["x"])
    progress, arrays = checker.check({"x": [[1, 2], [3, 4]], "n": np.uint8(3)})
    assert arrays["x"].dtype == np.float32 and arrays["n"].dtype == np.int64
    assert progress.step is progress.total is progress.rng is None
    for bad, message in [
        ({"x": np.zeros((3, 3))}, r"'x' has shape \(3, 3\), expected \(any, 2\)"),
        ({"x": np.zeros(2)}, "'x' has shape"),
        ({"x": np.full((1, 2), 1e300)}, "'x' holds NaN or infinity"),  # as a float32
        ({"n": 3}, "lacks 'x'; it holds 'n'"),
        ({"x": np.zeros((0, 2)), "n": np.uint64(2**63)}, "'n' holds numbers that do not fit int64"),
        ({"x": np.zeros((0, 2)), "n": True}, "'n' holds bool, expected int64"),
    ]:
        with pytest.raises(ValueError, match=f"a-task: .*{message}"):
            checker.check(bad)


def test_a_generator_is_restored_exactly_or_not_at_all():
    generator, other = np.random.default_rng(0), np.random.default_rng(1)
    generator.integers(10, size=3, dtype=np.uint32)  # leaves spare bits
    words = pack_generator(generator)
    assert words.shape == (6,) and words.dtype == np.uint64
    before = pack_generator(other)
    for bad in (np.zeros(6, np.uint64), words[:5], words.astype(float), -np.ones(6, int)):
        with pytest.raises(ValueError, match="rng"):
            unpack_generator(other, bad)
        np.testing.assert_array_equal(pack_generator(other), before)
    unpack_generator(other, words)
    np.testing.assert_array_equal(pack_generator(other), words)
    np.testing.assert_array_equal(other.random(5), generator.random(5))
