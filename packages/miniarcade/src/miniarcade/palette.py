"""Colours that the games share, and noise for decorations. Needs no pygame.

A colour is a tuple of red, green and blue from 0 to 255, with opacity as an optional fourth.
"""

Color = tuple[int, int, int] | tuple[int, int, int, int]

BLACK = (12, 13, 18)
WHITE = (244, 244, 240)
GREY = (142, 146, 158)
DARK_GREY = (64, 67, 78)
ORANGE = (255, 148, 38)  # the agent, wherever a game has no better idea
RED = (228, 62, 54)
GREEN = (92, 190, 92)
BLUE = (74, 134, 232)
YELLOW = (250, 206, 70)
GOLD = (255, 200, 40)
GOLD_DARK = (206, 136, 16)
GOLD_LIGHT = (255, 238, 150)
BROWN = (122, 80, 46)
SKIN = (246, 200, 160)
HIT = (255, 40, 30, 56)  # overlay of a step that hurts


def mix(a: Color, b: Color, amount: float) -> tuple[int, int, int]:
    """The colour `amount` (0 to 1) of the way from `a` to `b`."""
    return (
        round(a[0] + (b[0] - a[0]) * amount),
        round(a[1] + (b[1] - a[1]) * amount),
        round(a[2] + (b[2] - a[2]) * amount),
    )


def fade(color: Color, opacity: float) -> tuple[int, int, int, int]:
    """The colour with an opacity from 0 to 1."""
    return (color[0], color[1], color[2], round(255 * min(max(opacity, 0.0), 1.0)))


def noise(*keys: int) -> float:
    """A number in [0, 1) that looks random and depends on the whole numbers in `keys` alone.

    Decorations use it in place of a generator: `noise(state.decor_seed, index, 0)` is, say, the
    position of pebble `index` and `noise(state.decor_seed, index, 1)` its size.
    """
    h = 0x9E3779B9
    for key in keys:
        h ^= key & 0xFFFFFFFF
        h = (h ^ (h >> 16)) * 0x85EBCA6B & 0xFFFFFFFF
        h = (h ^ (h >> 13)) * 0xC2B2AE35 & 0xFFFFFFFF
        h ^= h >> 16
    return h / 2**32
