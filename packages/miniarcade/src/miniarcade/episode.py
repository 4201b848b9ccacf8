"""What episodes of games and of simulators have in common: seeds, scores, and no success."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

# As arrays: NumPy would convert Python numbers in every operation, which costs as much again.
_ZERO, _ONE = np.array(0.0), np.array(1.0)


def checked_seed(seed: Any) -> int:
    """Returns a seed, an integer of any type, as an int.

    Raises:
        ValueError: It is no integer, or negative.
    """
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if number < 0:
        raise ValueError(f"seed={seed!r}: an integer of at least 0, or None")
    return number


def checked_seeds(seed: Any, count: int) -> list[int | None]:
    """Returns a seed for each of `count` environments.

    Args:
        seed: A number from which environment i gets `seed + i`, or one for each; None is none.
        count: Number of environments.

    Raises:
        ValueError: One is not an integer of at least 0, or they are not `count`.
    """
    if seed is None:
        return [None] * count
    if np.ndim(seed) == 0:
        return [checked_seed(seed) + i for i in range(count)]
    if len(seed) != count:
        raise ValueError(f"{len(seed)} seeds for {count} environments")
    return [None if one is None else checked_seed(one) for one in seed]


def checked_options(options: Any) -> dict[str, Any]:
    """Returns the options of a reset, none where they are None.

    Raises:
        TypeError: They are no dict.
    """
    if options is None or isinstance(options, Mapping):
        return dict(options or {})
    raise TypeError(f"options={options!r}: a dict, or None")


def linear_score(total: float, low: float, high: float, clip: bool = True) -> float:
    """Scales an episode's return: `low` scores 0 and `high` scores 1, clipped to [0, 1]."""
    score = (total - low) / (high - low)
    if clip and score < 0.0:
        return 0.0
    if clip and score > 1.0:
        return 1.0
    return score


def linear_scores(totals: np.ndarray, low: float, high: float, clip: bool = True) -> np.ndarray:
    """Scales returns as `linear_score` does, as a new array."""
    scores = (totals - low) / (high - low)
    if not clip:
        return scores
    return np.minimum(np.maximum(scores, _ZERO), _ONE)


class _Undefined(np.float64):
    """NaN in every respect but one: `==` holds between two of them.

    Two infos of equal episodes are then equal, which Gymnasium's environment checker asks for.
    To NumPy it is a float64, so that Gymnasium's vector environments build float arrays of it.
    """

    __slots__ = ()

    def __eq__(self, other: Any) -> Any:
        return isinstance(other, _Undefined)

    def __reduce__(self) -> str:
        return "UNDEFINED"

    def __copy__(self) -> _Undefined:
        return self

    def __deepcopy__(self, memo: Any) -> _Undefined:
        return self

    __hash__ = np.float64.__hash__


UNDEFINED = _Undefined("nan")
"""Reported as `success` where a task defines none; `math.isnan` and `np.isnan` are true of it."""
