"""Rotations as ManiSkill computes them: single precision, and rounded in the same order.

Inverse kinematics stops at a threshold, so that one unit in the last place of a target pose makes
the targets of the joints differ by 1e-5 in one step of a hundred. Hence nothing is rearranged, and
four functions whose rounding depends on the machine (norm, sin, cos and sqrt, for which PyTorch
has code of its own) are PyTorch's.

A quaternion is ``(w, x, y, z)``; vectors and quaternions are sequences of ``numpy.float32``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

Vector = Sequence[np.float32] | np.ndarray

_ONE = np.float32(1)
_TWO = np.float32(2)


def multiply(a: Vector, b: Vector) -> tuple[np.float32, ...]:
    """The product of two quaternions."""
    aw, ax, ay, az = a
    bw, bx, by, bz = b
    return (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )


def compose(a: Vector, b: Vector) -> tuple[np.float32, ...]:
    """The product of two quaternions, with the sign that makes its real part positive."""
    return standard(multiply(a, b))


def standard(q: Vector) -> tuple[np.float32, ...]:
    """The same rotation's quaternion with a real part that is not negative."""
    w, x, y, z = q
    return (-w, -x, -y, -z) if w < 0 else (w, x, y, z)


def rotate(q: Vector, v: Vector) -> tuple[np.float32, ...]:
    """The vector turned by a quaternion."""
    w, x, y, z = q
    return multiply(multiply(q, (np.float32(0), *v)), (w, -x, -y, -z))[1:]


def relative_pose(
    base_p: np.ndarray, base_q: np.ndarray, p: np.ndarray, q: np.ndarray
) -> tuple[np.ndarray, tuple[np.float32, ...]]:
    """A pose seen from another.

    Args:
        base_p: Position of the frame, ``(3,)`` float32, metres.
        base_q: Its orientation, ``(4,)``.
        p: Position, ``(3,)``, in the frame of the world.
        q: Orientation, ``(4,)``.

    Returns:
        Position and orientation in the given frame.
    """
    w, x, y, z = base_q
    if not (x or y or z):  # as all arms stand: rounded alike, and three times as fast
        return (-base_p * w) * w + (p * w) * w, standard(q * w)
    inverse = (w, -x, -y, -z)
    return np.add(rotate(inverse, -base_p), rotate(inverse, p)), compose(inverse, q)


def quaternion_of_small_angles(angles: np.ndarray) -> tuple[np.float32, ...]:
    """The quaternion of a rotation by XYZ Euler angles.

    Args:
        angles: ``(3,)`` float32, in radians. The rotation that they compose to must be by less
            than 90 degrees; a raw step turns a hand by 0.1 rad at most.

    Returns:
        Its quaternion, 4.
    """
    tensor = torch.from_numpy(angles)
    cx, cy, cz = torch.cos(tensor).numpy()
    sx, sy, sz = torch.sin(tensor).numpy()
    a, b = sx * sy, -cx * sy
    # The matrix X(angle) Y(angle) Z(angle), but for entries that are not needed.
    m00, m01, m02 = cy * cz, -(cy * sz), sy
    m10, m11, m12 = a * cz + cx * sz, -a * sz + cx * cz, -(sx * cy)
    m20, m21, m22 = b * cz + sx * sz, -b * sz + sx * cz, cx * cy
    trace = np.array([_ONE + m00 + m11 + m22])
    twice = torch.sqrt(torch.from_numpy(trace)).numpy()[0]
    by = _TWO * twice
    return twice * twice / by, (m21 - m12) / by, (m02 - m20) / by, (m10 - m01) / by


def clipped_to_unit(v: np.ndarray) -> np.ndarray:
    """The vector ``(n,)``, shortened to length 1 if it is longer."""
    norm = torch.linalg.norm(torch.from_numpy(v)).numpy()[()]
    return v * (_ONE / norm) if norm > 1 else v


def y_axis(q: Vector) -> tuple[np.float32, np.float32, np.float32]:
    """Where a rotation takes the unit vector along y."""
    r, i, j, k = q
    two = _TWO / (r * r + i * i + j * j + k * k)
    return two * (i * j - k * r), _ONE - two * (i * i + k * k), two * (j * k + i * r)


def x_axis_height(q: Vector) -> np.float32:
    """The z of where a rotation takes the unit vector along x."""
    r, i, j, k = q
    return _TWO / (r * r + i * i + j * j + k * k) * (i * k - j * r)


def third_euler_angle(q: Vector) -> float:
    """The third of a rotation's XYZ Euler angles, in radians."""
    r, i, j, k = q
    two = _TWO / (r * r + i * i + j * j + k * k)
    return math.atan2(-(two * (i * j - k * r)), _ONE - two * (j * j + k * k))


def angle_between(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> float:
    """The angle between two vectors of length 3 that are not zero, in radians."""
    cosine = sum(float(x) * float(y) for x, y in zip(a, b, strict=True))
    cosine /= math.hypot(*a) * math.hypot(*b)
    return math.acos(min(1.0, max(-1.0, cosine)))
