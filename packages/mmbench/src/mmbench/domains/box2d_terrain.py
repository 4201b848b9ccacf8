"""The ground under the bipedal walker: five generators of height profiles.

A profile has 200 points, 14/30 metres apart. All but the hills start with a flat pad of 20 steps
at the height where the walker is put down.

Source: arXiv 2511.19584, appendix A; Gymnasium's ``BipedalWalker`` for the obstacles' layout.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

STEP = 14 / 30.0  # metres between points
LENGTH = 200  # points
START_PAD = 20  # points, flat
HEIGHT = 400 / 30.0 / 4  # metres, of the flat ground

_HIGHEST = 5.5  # metres
_NOISE = 1 / 15.0  # metres, of one velocity update
_GRASS = (5, 10)  # steps of walkable ground between obstacles: 5 to 9
_OBSTACLE = (2, 4)  # steps: 2 or 3
_STUMP_HEIGHT = 0.75  # of its width
_PIT_DEPTH = 3  # steps

Box = list[tuple[float, float]]


class Terrain(NamedTuple):
    """The ground of one episode.

    Attributes:
        heights: (200,) metres, at x = 0, STEP, 2 STEP, ...
        boxes: Stumps, and the posts at a pit's sides: corners in metres.
    """

    heights: list[float]
    boxes: list[Box]


def flat(rng: np.random.Generator) -> Terrain:
    """Level ground."""
    return Terrain([HEIGHT] * LENGTH, [])


def uneven(rng: np.random.Generator) -> Terrain:
    """Small bumps."""
    return _bumps(rng, damping=0.8, pull=0.011, noise=_NOISE)


def rugged(rng: np.random.Generator) -> Terrain:
    """Steep bumps."""
    return _bumps(rng, damping=0.75, pull=0.015, noise=2.25 * _NOISE)


def hills(rng: np.random.Generator) -> Terrain:
    """One sine, about a metre below the height at which the walker is put down."""
    middle = HEIGHT + rng.uniform(-1.0, -0.8)
    amplitude = rng.uniform(0.4, 0.8)
    wavelength = rng.uniform(7.0, 14.0)
    wave = (
        middle + amplitude * math.sin(2 * math.pi * i * STEP / wavelength) for i in range(LENGTH)
    )
    return Terrain([_clip(y, 1.0) for y in wave], [])


def obstacles(rng: np.random.Generator) -> Terrain:
    """Stumps and pits, equally likely, with bumpy ground between them."""
    heights: list[float] = []
    boxes: list[Box] = []
    ground = _Ground(rng, damping=0.8, pull=0.01, noise=_NOISE, lowest=1.5)
    while len(heights) < LENGTH:
        # After an obstacle, the first step of ground stays at its height.
        steps = rng.integers(*_GRASS) - 1 if heights else START_PAD
        heights += [ground.y] * bool(heights)
        heights += [ground.next(len(heights) + i) for i in range(steps)]
        width = int(rng.integers(*_OBSTACLE))
        x, y = len(heights) * STEP, ground.y
        if rng.random() < 0.5:
            boxes.append(_box(x, y, width, _STUMP_HEIGHT * width))
            heights += [y] * width
        else:
            boxes += [_box(x + i * STEP, y, 1, -_PIT_DEPTH) for i in (0, width)]
            heights += [y, *[y - _PIT_DEPTH * STEP] * width, y]
    return Terrain(heights[:LENGTH], boxes)


GENERATORS: dict[str, Callable[[np.random.Generator], Terrain]] = {
    generator.__name__: generator for generator in (flat, uneven, rugged, hills, obstacles)
}
"""By the last part of a task's native name."""


class _Ground:
    """Ground that is pulled back to its height and pushed by noise beyond the start pad."""

    def __init__(
        self, rng: np.random.Generator, damping: float, pull: float, noise: float, lowest: float
    ) -> None:
        self._rng = rng
        self._damping = damping
        self._pull = pull
        self._noise = noise
        self._lowest = lowest
        self._slope = 0.0
        self.y = HEIGHT

    def next(self, i: int) -> float:
        """The height of point i, the one after the last."""
        side = (HEIGHT > self.y) - (HEIGHT < self.y)
        self._slope = self._damping * self._slope + self._pull * side
        if i > START_PAD:
            self._slope += self._noise * self._rng.uniform(-1.0, 1.0)
        self.y = _clip(self.y + self._slope, self._lowest)
        return self.y


def _bumps(rng: np.random.Generator, damping: float, pull: float, noise: float) -> Terrain:
    ground = _Ground(rng, damping, pull, noise, lowest=1.0)
    return Terrain([ground.next(i) for i in range(LENGTH)], [])


def _box(x: float, y: float, width: int, height: float) -> Box:
    """Width and height in steps; a negative height goes down."""
    right, top = x + width * STEP, y + height * STEP
    return [(x, y), (right, y), (right, top), (x, top)]


def _clip(y: float, lowest: float) -> float:
    return min(max(y, lowest), _HIGHEST)
