"""The small maths of Meta-World's rewards, without the generality that costs its time.

For the scalars and single matrices that the package's tasks pass, a few operations on Python's
floats give the same numbers to the last bit.
"""

from __future__ import annotations

import math
from types import FunctionType, MethodType, SimpleNamespace
from typing import Any

import numpy as np
from metaworld.utils import reward_utils


def tolerance(
    x: Any,
    bounds: tuple[Any, Any] = (0.0, 0.0),
    margin: Any = 0.0,
    sigmoid: Any = "gaussian",
    value_at_margin: float = 0.1,
) -> Any:
    """As ``reward_utils.tolerance``: 1 within the bounds, less outside.

    Args:
        x: A number.
        bounds: Where it should be.
        margin: How far outside the result is ``value_at_margin``.
        sigmoid: The shape of the decay. The package's own function takes all but ``long_tail``.
        value_at_margin: The result where ``x`` is ``margin`` away from the nearer bound.
    """
    lower, upper = bounds
    if sigmoid != "long_tail" or not margin > 0.0 or lower > upper or not np.isscalar(x):
        return reward_utils.tolerance(x, bounds, margin, sigmoid, value_at_margin)
    if lower <= x <= upper:
        return 1.0
    distance = float(lower - x if x < lower else x - upper) / float(margin)
    scaled = distance * math.sqrt(1.0 / value_at_margin - 1.0)
    try:
        return 1.0 / (scaled**2 + 1.0)  # a product may differ in the last bit
    except OverflowError:
        return 0.0


class Rotation:
    """Turns a rotation matrix into a quaternion: what the tasks use of SciPy's ``Rotation``.

    Args:
        matrix: (3, 3), orthogonal to the precision of floats, as MuJoCo's are.
    """

    def __init__(self, matrix: np.ndarray) -> None:
        self._rows = matrix.tolist()

    @classmethod
    def from_matrix(cls, matrix: np.ndarray) -> Rotation:
        """As SciPy's, without its checks."""
        return cls(matrix)

    def as_quat(self) -> np.ndarray:
        """Returns (x, y, z, w), by way of the largest of the four (Markley 2008)."""
        m = self._rows
        trace = m[0][0] + m[1][1] + m[2][2]
        i = max(range(3), key=lambda axis: m[axis][axis])
        quaternion = [0.0, 0.0, 0.0, 0.0]
        if m[i][i] >= trace:
            j, k = (i + 1) % 3, (i + 2) % 3
            quaternion[i] = 1.0 - trace + 2.0 * m[i][i]
            quaternion[j] = m[j][i] + m[i][j]
            quaternion[k] = m[k][i] + m[i][k]
            quaternion[3] = m[k][j] - m[j][k]
        else:
            quaternion[0] = m[2][1] - m[1][2]
            quaternion[1] = m[0][2] - m[2][0]
            quaternion[2] = m[1][0] - m[0][1]
            quaternion[3] = 1.0 + trace
        x, y, z, w = quaternion
        norm = math.sqrt(x * x + y * y + z * z + w * w)
        return np.array([x / norm, y / norm, z / norm, w / norm])


_IN_PLACE_OF = {
    "Rotation": Rotation,
    "reward_utils": SimpleNamespace(**{**vars(reward_utils), "tolerance": tolerance}),
}


def use_in(environment: Any) -> None:
    """Makes the methods of one environment use these functions; its class stays as it is."""
    done: set[str] = set()
    for cls in type(environment).__mro__:
        for name, method in vars(cls).items():
            if name in done or not isinstance(method, FunctionType):
                continue
            done.add(name)
            used = _IN_PLACE_OF.keys() & set(method.__code__.co_names) & method.__globals__.keys()
            if not used:
                continue
            known = {**method.__globals__, **{key: _IN_PLACE_OF[key] for key in used}}
            copy = FunctionType(
                method.__code__, known, name, method.__defaults__, method.__closure__
            )
            copy.__kwdefaults__ = method.__kwdefaults__
            setattr(environment, name, MethodType(copy, environment))
