"""The success of a task that has none."""

from __future__ import annotations

from typing import Any

import numpy as np


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
