"""The success of a task that has none."""

from __future__ import annotations

from typing import Any


class _Undefined(float):
    """NaN in every respect but one: `==` holds between two of them.

    Two infos of equal episodes are then equal, which Gymnasium's environment checker asks for.
    """

    __slots__ = ()

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, _Undefined)

    def __reduce__(self) -> str:
        return "UNDEFINED"

    __hash__ = float.__hash__


UNDEFINED = _Undefined("nan")
"""Reported as `success` where a task defines none; `math.isnan` and `np.isnan` are true of it."""
