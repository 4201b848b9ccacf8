"""`miniarcade.rules` and `math.hypot` for arrays, with the same results to the last bit."""

import math
from typing import Any

import numpy as np


def boxes_overlap(
    ax: Any, ay: Any, aw: Any, ah: Any, bx: Any, by: Any, bw: Any, bh: Any
) -> np.ndarray:
    """See `miniarcade.rules.boxes_overlap`; any argument may be an array.

    Corners that are real numbers have to be truncated to whole pixels before (`np.trunc`).
    """
    dx, dy = bx - ax, by - ay
    return (dx < aw) & (dx > -bw) & (dy < ah) & (dy > -bh)


def hypot(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Lengths of the vectors (x, y): `math.hypot`, from which `np.hypot` differs in last bits."""
    return np.fromiter(map(math.hypot, x.tolist(), y.tolist()), np.float64, len(x))
