"""Frames of the walker and the lander, drawn on MiniArcade's canvas without a display.

Nothing here changes the simulation. Colours and clouds come from a seed of the episode's own.

Source: arXiv 2511.19584, appendix A: 17 colours of the walker's ground, one an episode, which
drift along the way; sky and clouds that vary. The rest looks as in Gymnasium, but that a goal is
marked and flames take the place of smoke.
"""

from __future__ import annotations

import colorsys
import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from Box2D import b2Body

_FRAME = 224  # pixels

Point = tuple[float, float]
Color = tuple[int, int, int]


def _of_hue(hue: float) -> Color:
    r, g, b = colorsys.hsv_to_rgb(hue, 0.5, 0.6)
    return round(255 * r), round(255 * g), round(255 * b)


_GROUND = [
    (102, 153, 76),  # grass
    (150, 150, 150),  # stone
    *(_of_hue(i / 15) for i in range(15)),
]
_DRIFT = 15  # of each part of the ground's colour, at most
_SKY, _CLOUD = (215, 215, 255), (245, 245, 245)
_JITTER = 10  # of each part of their colours, at most
_CLOUDS = 10
_CLOUD_SIZE = (7.0, 2.33)  # metres, half width and half height

_HULL, _HULL_EDGE = (127, 51, 229), (76, 76, 127)
_LEGS: list[tuple[Color, Color]] = [  # the one in front is darker
    ((178, 101, 152), (127, 76, 101)),
    ((128, 51, 102), (77, 26, 51)),
]
_POST, _POST_EDGE = (255, 255, 255), (153, 153, 153)
_FLAG, _POLE = (230, 51, 0), (0, 0, 0)
_FLAG_STEP = 3  # terrain points from the left

_SPACE, _MOON = (0, 0, 0), (255, 255, 255)
_LANDER, _LANDER_EDGE = (128, 102, 230), (77, 77, 128)
_PAD_FLAG = (204, 204, 0)
_GOAL = (0, 204, 102)
_FLAME = (255, 140, 40)


class View:
    """A square window on the world, drawn with y upwards.

    Args:
        size: Metres, width and height.
    """

    def __init__(self, size: float) -> None:
        from miniarcade.drawing import Canvas  # loads pygame, which only frames need

        self.canvas = Canvas()
        self.left = 0.0
        self._scale = _FRAME / size

    def at(self, point: Point) -> Point:
        """The pixel of a point in metres."""
        return (point[0] - self.left) * self._scale, _FRAME - point[1] * self._scale

    def polygon(self, color: Color, points: list[Point], edge: Color | None = None) -> None:
        """Paints a shape given in metres, with a thin line around it where there is a colour."""
        pixels = [self.at(point) for point in points]
        self.canvas.polygon(color, pixels)
        if edge is not None:
            self.canvas.line(edge, [*pixels, pixels[0]])

    def body(self, body: b2Body, color: Color, edge: Color) -> None:
        """Paints the shapes of a body."""
        for fixture in body.fixtures:
            corners = [body.GetWorldPoint(vertex) for vertex in fixture.shape.vertices]
            self.polygon(color, [(corner[0], corner[1]) for corner in corners], edge)

    def flag(self, foot: Point, color: Color, pole: Color) -> None:
        """Paints a flag of 50 pixels' height."""
        x, y = self.at(foot)
        self.canvas.line(pole, [(x, y), (x, y - 50)])
        self.canvas.polygon(color, [(x, y - 50), (x, y - 40), (x + 25, y - 45)])


class WalkerScenery:
    """What the walker walks through in one episode.

    Args:
        view: Metres, width and height of the frame.
        ground: Points of the ground, from left to right, in metres.
        boxes: Corners of stumps and posts.
        seed: Of colours and clouds.
    """

    def __init__(self, view: float, ground: list[Point], boxes: list[list[Point]], seed: int):
        rng = np.random.default_rng(seed)
        self._view = View(view)
        self._size = view
        self._ground = ground
        self._boxes = boxes
        drift = np.clip(rng.integers(-5, 6, (len(ground), 3)).cumsum(0), -_DRIFT, _DRIFT)
        base = np.array(_GROUND[rng.integers(len(_GROUND))])
        self._colors = [(int(r), int(g), int(b)) for r, g, b in base + drift]
        self._sky = _jittered(rng, _SKY)
        self._cloud = _jittered(rng, _CLOUD)
        self._clouds = [self._make_cloud(rng) for _ in range(_CLOUDS)]

    def draw(self, hull: b2Body, legs: list[b2Body]) -> np.ndarray:
        """Paints a frame that follows the hull.

        Args:
            hull: The walker's hull.
            legs: Upper and lower part of the first leg, then of the second.

        Returns:
            ``(224, 224, 3)`` uint8.
        """
        view = self._view
        scroll = hull.position.x - self._size / 5
        view.canvas.fill(self._sky)
        view.left = scroll / 2  # clouds pass at half the speed
        for cloud in self._clouds:
            view.polygon(self._cloud, cloud)
        view.left = scroll
        self._draw_ground(scroll)
        for box in self._boxes:
            view.polygon(_POST, box, _POST_EDGE)
        for part, (color, edge) in zip(legs, (_LEGS[0], _LEGS[0], _LEGS[1], _LEGS[1]), strict=True):
            view.body(part, color, edge)
        view.body(hull, _HULL, _HULL_EDGE)
        view.flag(self._ground[_FLAG_STEP], _FLAG, _POLE)
        return view.canvas.to_array()

    def _draw_ground(self, left: float) -> None:
        pairs = zip(itertools.pairwise(self._ground), self._colors, strict=False)
        for (start, end), color in pairs:
            if end[0] >= left and start[0] <= left + self._size:
                self._view.polygon(color, [start, end, (end[0], 0.0), (start[0], 0.0)])

    def _make_cloud(self, rng: np.random.Generator) -> list[Point]:
        x, y = rng.uniform(0, self._ground[-1][0]), self._size * 3 / 4
        width, height = _CLOUD_SIZE
        noise = rng.uniform(0, height, (5, 2)).tolist()
        return [
            (
                x + width * math.sin(2 * math.pi * i / 5) + dx,
                y + height * math.cos(2 * math.pi * i / 5) + dy,
            )
            for i, (dx, dy) in enumerate(noise)
        ]


class LanderScenery:
    """Where the lander flies in one episode.

    Args:
        view: Metres, width and height of the frame.
        ground: Points of the ground, from left to right, in metres.
        pad: Left and right end of the pad.
        goal: Where to fly, if anywhere.
    """

    def __init__(
        self, view: float, ground: list[Point], pad: tuple[Point, Point], goal: Point | None
    ) -> None:
        self._view = View(view)
        self._moon = [*ground, (ground[-1][0], 0.0), (ground[0][0], 0.0)]
        self._pad = pad
        self._goal = goal

    def draw(self, lander: b2Body, legs: list[b2Body], thrust: tuple[float, float]) -> np.ndarray:
        """Paints a frame.

        Args:
            lander: The lander's hull.
            legs: Its two legs.
            thrust: Power of the main engine, 0 to 1, and of the side engines: positive for the
                left one, which pushes to the right.

        Returns:
            ``(224, 224, 3)`` uint8.
        """
        view = self._view
        view.canvas.fill(_SPACE)
        view.polygon(_MOON, self._moon)
        if self._goal is not None:
            view.canvas.circle(_GOAL, view.at(self._goal), 6, outline=2)
        self._draw_flames(lander, *thrust)
        for leg in legs:
            view.body(leg, _LANDER, _LANDER_EDGE)
        view.body(lander, _LANDER, _LANDER_EDGE)
        for end in self._pad:
            view.flag(end, _PAD_FLAG, _MOON)
        return view.canvas.to_array()

    def _draw_flames(self, lander: b2Body, main: float, side: float) -> None:
        """Paints triangles from the engines outwards, in the lander's own directions."""
        if main:
            self._flame(lander, [(-0.2, -0.3), (0.2, -0.3), (0.0, -0.4 - main)])
        if side:
            x = -math.copysign(0.5, side)
            self._flame(lander, [(x, 0.35), (x, 0.55), (x - 0.7 * side, 0.45)])

    def _flame(self, lander: b2Body, corners: list[Point]) -> None:
        points = [lander.GetWorldPoint(corner) for corner in corners]
        self._view.polygon(_FLAME, [(point[0], point[1]) for point in points])


def _jittered(rng: np.random.Generator, color: Color) -> Color:
    r, g, b = np.clip(rng.integers(-_JITTER, _JITTER + 1, 3) + color, 0, 255).tolist()
    return r, g, b
