"""Integer rectangles: the hit test that the games share."""


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
    """Whether two axis-aligned boxes share at least one pixel.

    The corners of moving bodies are real numbers; they are truncated towards zero to whole
    pixels first. Boxes whose edges only touch do not overlap.

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
