"""Things that several games draw."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from miniarcade.palette import GOLD, GOLD_DARK, GOLD_LIGHT, WHITE, fade, noise

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas


def draw_coin(canvas: Canvas, x: float, y: float, radius: float, t: int) -> None:
    """A shiny coin whose rim pulses with the step count `t`."""
    pulse = 0.5 + 0.5 * math.sin(0.35 * t)
    canvas.circle(GOLD_DARK, (x, y), radius)
    canvas.circle(GOLD, (x, y), radius - 1)
    canvas.circle(GOLD_DARK, (x, y), radius * 0.68, outline=0.6 + 0.7 * pulse)
    canvas.line(GOLD_DARK, [(x, y - radius * 0.3), (x, y + radius * 0.3)], 1.6)
    canvas.arc(GOLD_LIGHT, (x, y), radius * 0.8, math.pi * 1.05, math.pi * 1.5, 1.3)


def draw_sparkles(canvas: Canvas, x: float, y: float, age: float, seed: int) -> None:
    """Sparks that fly off a point; `age` runs from 0 to 1, `seed` chooses their directions."""
    for i in range(9):
        angle = 2 * math.pi * (i + noise(seed, i, 0)) / 9
        distance = 4 + (10 + 10 * noise(seed, i, 1)) * math.sqrt(age)
        size = (1.5 + noise(seed, i, 2)) * (1 - age)
        center = (x + distance * math.cos(angle), y + distance * math.sin(angle) + 6 * age * age)
        canvas.circle(fade(GOLD_LIGHT if i % 2 else WHITE, 1 - age), center, size)
