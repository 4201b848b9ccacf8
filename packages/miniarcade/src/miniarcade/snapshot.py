"""Saved states of environments: the part that all share, and the check of what is restored.

A state is a dict of arrays. Those under `env/` belong to the environment:

* `env/task`: the id of the task, a uint8 a character;
* `env/step`: steps since the reset, int64;
* `env/return`: the sum of their rewards, float64;
* `env/rng`: the generator (PCG64) as six uint64: the upper and lower half of its state, those of
  its increment, `has_uint32` and `uinteger`.

All others belong to the game or simulator, which says what form they have. The whole state is
checked before any of it is restored: a refused one changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

Form = tuple[tuple[int | None, ...], DTypeLike]
"""Shape (None where a length varies) and kind of an array."""

_MASK_64 = 2**64 - 1

_PROGRESS: dict[str, Form] = {
    "env/task": ((None,), np.uint8),
    "env/step": ((), np.int64),
    "env/return": ((), np.float64),
    "env/rng": ((6,), np.uint64),
}

_TAKEN = {"b": "b", "i": "iu", "u": "iu", "f": "fiu"}
"""The kinds of arrays that are accepted, by the kind that is needed."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a state says about the environment; None where it says nothing."""

    step: int | None
    total: float | None
    rng: np.ndarray | None


def save_progress(
    task: str, step: int, total: float, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """The arrays under `env/`.

    Args:
        task: Its id.
        step: Steps since the reset.
        total: The sum of their rewards.
        rng: The environment's generator.
    """
    return {
        "env/task": np.frombuffer(task.encode(), np.uint8).copy(),
        "env/step": np.array(step, np.int64),
        "env/return": np.array(total, np.float64),
        "env/rng": pack_generator(rng),
    }


class Checker:
    """Checks states of one task.

    Args:
        task: Its id.
        length: Of its episodes, in steps.
        forms: Of all arrays that a state may hold, besides those under `env/`.
        required: Which of them it must hold.
    """

    def __init__(
        self, task: str, length: int, forms: Mapping[str, Form], required: Iterable[str]
    ) -> None:
        self._task = task
        self._id = task.encode()
        self._length = length
        self._forms = {
            key: (shape, np.dtype(kind)) for key, (shape, kind) in {**forms, **_PROGRESS}.items()
        }
        self._required = frozenset(required)

    def check(self, state: Mapping[str, Any]) -> tuple[Progress, dict[str, np.ndarray]]:
        """Checks every array of a state, and changes nothing.

        Args:
            state: What is to be restored.

        Returns:
            What it says about the environment, and copies of the other arrays in their forms.

        Raises:
            ValueError: It is no such state; the message names the array and the task.
        """
        self._check_names(state)
        arrays = {key: self._array(key, value) for key, value in state.items()}
        _, step, total, rng = (arrays.pop(key, None) for key in _PROGRESS)
        if step is not None and not 0 <= step <= self._length:
            raise ValueError(
                f"{self._task}: 'env/step' is {step}, an episode has 0 to {self._length} steps"
            )
        if rng is not None:
            generator_words(rng)
        progress = Progress(
            None if step is None else int(step), None if total is None else float(total), rng
        )
        return progress, arrays

    def _check_names(self, state: Mapping[str, Any]) -> None:
        if not isinstance(state, Mapping):
            raise ValueError(f"{self._task}: a state is a dict, not {type(state).__name__}")
        if "env/task" in state:
            other = self._array("env/task", state["env/task"]).tobytes()
            if other != self._id:
                raise ValueError(
                    f"{self._task}: this is a state of {other.decode(errors='replace')}. Where "
                    "states of the two tasks mean the same, leave out 'env/task'"
                )
        given = state.keys()
        if not self._required <= given:
            raise ValueError(
                f"{self._task}: the state lacks {_list(self._required - given)}; it holds "
                f"{_list(given)}"
            )
        unknown = given - self._forms.keys()
        if unknown:
            raise ValueError(
                f"{self._task}: the state holds {_list(unknown)}, unknown to this task"
            )

    def _array(self, key: str, value: Any) -> np.ndarray:
        try:
            return _in_form(value, *self._forms[key])
        except ValueError as error:
            raise ValueError(f"{self._task}: {key!r} {error}") from None


def _in_form(value: Any, shape: tuple[int | None, ...], kind: np.dtype) -> np.ndarray:
    """Copies an array into a form. The message of a ValueError goes on after the array's name."""
    array = np.asarray(value)
    if array.shape != shape and not (
        len(array.shape) == len(shape)
        and all(size in (None, given) for size, given in zip(shape, array.shape, strict=True))
    ):
        raise ValueError(f"has shape {array.shape}, expected {str(shape).replace('None', 'any')}")
    if array.dtype.kind not in _TAKEN[kind.kind]:
        raise ValueError(f"holds {array.dtype}, expected {kind}")
    if array.dtype == kind:
        copy = array.copy()
    else:
        with np.errstate(over="ignore"):
            copy = array.astype(kind)
        if kind.kind in "iu" and ((copy != array) | ((copy < 0) != (array < 0))).any():
            raise ValueError(f"holds numbers that do not fit {kind}")
    if kind.kind == "f" and not np.isfinite(copy).all():
        raise ValueError("holds NaN or infinity")
    return copy


def pack_generator(generator: np.random.Generator) -> np.ndarray:
    """The state of a PCG64 generator as six uint64, as `env/rng` holds it."""
    state: Any = generator.bit_generator.state
    words = [
        half
        for value in (state["state"]["state"], state["state"]["inc"])
        for half in (value >> 64, value & _MASK_64)
    ]
    return np.array([*words, state["has_uint32"], state["uinteger"]], np.uint64)


def unpack_generator(generator: np.random.Generator, words: np.ndarray) -> None:
    """Restores what `pack_generator` returned.

    Raises:
        ValueError: See `generator_words`; the generator is then as before.
    """
    high, low, increment_high, increment_low, has_uint32, uinteger = (
        int(word) for word in generator_words(words)
    )
    generator.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": high << 64 | low, "inc": increment_high << 64 | increment_low},
        "has_uint32": has_uint32,
        "uinteger": uinteger,
    }


def generator_words(rng: Any, *shape: int) -> np.ndarray:
    """Packed generators, as in infos and states, as an array of shape (..., 6) of uint64.

    Args:
        rng: What a caller has passed.
        *shape: The dimensions before the last.

    Raises:
        ValueError: It is not what `pack_generator` returns.
    """
    words = np.asarray(rng)
    expected = (*shape, 6)
    if words.shape != expected or words.dtype.kind not in "ui":
        raise ValueError(f"rng of shape {words.shape} {words.dtype}, expected {expected} uint64")
    words = words.astype(np.uint64)
    # PCG64 needs an odd increment: an even one makes its period short. From zeros it returns zeros
    # for ever, and rejection sampling never ends. At most one half of 32 bits is kept for later.
    good = (words[..., 3] % 2 == 1) & (words[..., 4] <= 1) & (words[..., 5] < 2**32)
    if not good.all():
        raise ValueError(f"rng is no state of a PCG64 generator: {words[~good][:1].tolist()}")
    return words


def _list(keys: Iterable[Any]) -> str:
    names = sorted(repr(key) for key in keys)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
