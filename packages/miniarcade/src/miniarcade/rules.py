"""What the rules of several games share: the size of the world, chance, and the hit test.

A scalar `Generator.random()` costs a fraction of what `uniform` and `integers` cost, and its
stream is the same in every version of NumPy: a seed names the same episode everywhere. So all
random numbers of the games are made from it.
"""

from numpy.random import Generator

SIZE = 224  # px, side of the world and of the picture


def uniform(rng: Generator, low: float, high: float) -> float:
    """Samples a real number from [low, high)."""
    return low + (high - low) * rng.random()


def integer(rng: Generator, low: int, high: int) -> int:
    """Samples a whole number from {low, ..., high}, both ends included."""
    return whole(rng.random(), low, high)


def whole(u: float, low: int, high: int) -> int:
    """Maps a number from [0, 1) to one of {low, ..., high}, all equally likely."""
    return low + int((high - low + 1) * u)


def sign(rng: Generator) -> int:
    """Samples -1 or +1, equally likely."""
    return 1 if rng.random() < 0.5 else -1


def boxes_overlap(
    ax: float,
    ay: float,
    aw: int,
    ah: int,
    bx: float,
    by: float,
    bw: int,
    bh: int,
) -> bool:
    """Tells whether two axis-aligned boxes share at least one pixel.

    Corners are real numbers. They are first truncated towards zero to whole pixels. Boxes whose
    edges only touch do not overlap.

    Args:
        ax: Left edge of the first box, px.
        ay: Top edge of the first box, px (y grows downwards).
        aw: Width of the first box, px.
        ah: Height of the first box, px.
        bx: Left edge of the second box, px.
        by: Top edge of the second box, px.
        bw: Width of the second box, px.
        bh: Height of the second box, px.
    """
    ax = int(ax)
    bx = int(bx)
    if ax + aw <= bx or bx + bw <= ax:
        return False
    ay = int(ay)
    by = int(by)
    return ay < by + bh and by < ay + ah
