"""The canvas that games draw on. The only module besides the window that imports pygame.

Games think in the 224 x 224 pixels of the world and in real numbers. The canvas is three times
as fine and is averaged down at the end, which smooths every edge; a window shows it as it is.
No display is needed: pygame's surfaces work without one.
"""

import math
from collections.abc import Callable, Hashable, Sequence

import numpy as np
import pygame

from miniarcade.palette import Color, mix
from miniarcade.rules import SIZE

SCALE = 3  # canvas pixels a world pixel

Point = tuple[float, float]

_CACHED_BACKGROUNDS = 4
_CACHED_TEXTS = 64


class Canvas:
    """A picture of 224 x 224 world pixels, painted with smooth edges.

    Colours with a fourth entry below 255 are blended with what is already there.

    Attributes:
        surface: The fine pygame surface, `SCALE` times the size of the world.
    """

    def __init__(self) -> None:
        self.surface = pygame.Surface((SIZE * SCALE, SIZE * SCALE))
        self._small = pygame.Surface((SIZE, SIZE))
        self._backgrounds: dict[Hashable, pygame.Surface] = {}
        self._texts: dict[tuple[str, float, Color], pygame.Surface] = {}

    def to_array(self) -> np.ndarray:
        """The picture at world resolution: a new array (224, 224, 3) of uint8."""
        pygame.transform.smoothscale(self.surface, (SIZE, SIZE), self._small)
        pixels = bytearray(pygame.image.tobytes(self._small, "RGB"))
        return np.frombuffer(pixels, np.uint8).reshape(SIZE, SIZE, 3)

    def to_fine_array(self) -> np.ndarray:
        """The picture as it was painted: a new array (672, 672, 3) of uint8."""
        side = SIZE * SCALE
        return np.frombuffer(pygame.image.tobytes(self.surface, "RGB"), np.uint8).reshape(
            side, side, 3
        )

    # Whole picture

    def fill(self, color: Color) -> None:
        """Paints everything, or with a translucent colour tints everything."""
        if _is_translucent(color):
            self.rect(color, 0, 0, SIZE, SIZE)
        else:
            self.surface.fill(color)

    def background(self, key: Hashable, paint: Callable[[], None]) -> None:
        """Paints what stays the same for many pictures, and remembers it.

        Args:
            key: Everything that the background depends on (the game's name, its seed, ...).
            paint: Draws it on this canvas, covering all of it; called when `key` is new.
        """
        if key in self._backgrounds:
            self.surface.blit(self._backgrounds[key], (0, 0))
            return
        paint()
        if len(self._backgrounds) >= _CACHED_BACKGROUNDS:
            del self._backgrounds[next(iter(self._backgrounds))]
        self._backgrounds[key] = self.surface.copy()

    def gradient(
        self,
        colors: Sequence[Color],
        top: float = 0,
        bottom: float = SIZE,
        diagonal: bool = False,
    ) -> None:
        """Fills the full width between two heights with colours that flow into each other.

        Args:
            colors: Two or more, equally spaced from top to bottom (or corner to corner).
            top: Upper edge, px.
            bottom: Lower edge, px.
            diagonal: From the upper left corner to the lower right one.
        """
        first, last = round(top * SCALE), round(bottom * SCALE)
        width, height = SIZE * SCALE, last - first
        down = np.linspace(0, 1, height)[None, :]
        across = np.linspace(0, 1, width)[:, None]
        amount = (across + down) / 2 if diagonal else np.broadcast_to(down, (width, height))
        stops = np.linspace(0, 1, len(colors))
        channels = [np.interp(amount, stops, [color[i] for color in colors]) for i in range(3)]
        pixels = np.stack(channels, axis=-1).round().astype(np.uint8)
        self.surface.blit(pygame.surfarray.make_surface(pixels), (0, first))

    def shift(self, dx: float, dy: float) -> None:
        """Moves everything painted so far: a shaking camera."""
        self.surface.scroll(round(dx * SCALE), round(dy * SCALE))

    # Shapes

    def rect(
        self,
        color: Color,
        x: float,
        y: float,
        width: float,
        height: float,
        radius: float = 0,
        outline: float = 0,
    ) -> None:
        """A box with its upper left corner at (x, y).

        Args:
            color: Its colour.
            x: Left edge, px.
            y: Top edge, px.
            width: Its width, px.
            height: Its height, px.
            radius: Of rounded corners, px.
            outline: Thickness of the outline, px; 0 fills the box.
        """
        left, top = round(x * SCALE), round(y * SCALE)
        box = pygame.Rect(
            left, top, round((x + width) * SCALE) - left, round((y + height) * SCALE) - top
        )
        line, corner = _thickness(outline), round(radius * SCALE)
        self._paint(
            color,
            box,
            lambda surface, at: pygame.draw.rect(
                surface, color, box.move(at), line, border_radius=corner
            ),
        )

    def circle(self, color: Color, center: Point, radius: float, outline: float = 0) -> None:
        """A disc, or with `outline` (px) a ring inside that radius."""
        x, y, r = center[0] * SCALE, center[1] * SCALE, radius * SCALE
        line = _thickness(outline)
        self._paint(
            color,
            _bounds([(x - r, y - r), (x + r, y + r)], 1),
            lambda surface, at: pygame.draw.circle(surface, color, (x + at[0], y + at[1]), r, line),
        )

    def ellipse(self, color: Color, center: Point, rx: float, ry: float) -> None:
        """An upright ellipse with half axes `rx` and `ry`."""
        box = pygame.Rect(
            round((center[0] - rx) * SCALE),
            round((center[1] - ry) * SCALE),
            max(1, round(2 * rx * SCALE)),
            max(1, round(2 * ry * SCALE)),
        )
        self._paint(
            color, box, lambda surface, at: pygame.draw.ellipse(surface, color, box.move(at))
        )

    def polygon(self, color: Color, points: Sequence[Point]) -> None:
        """A closed shape through three or more points."""
        fine = [(x * SCALE, y * SCALE) for x, y in points]
        self._paint(
            color,
            _bounds(fine, 1),
            lambda surface, at: pygame.draw.polygon(surface, color, _moved(fine, at)),
        )

    def line(self, color: Color, points: Sequence[Point], width: float = 1) -> None:
        """A stroke through two or more points, with round ends and joints."""
        fine = [(x * SCALE, y * SCALE) for x, y in points]
        half = max(0.5, width * SCALE / 2)

        def stroke(surface: pygame.Surface, at: tuple[int, int]) -> None:
            path = _moved(fine, at)
            for start, end in zip(path, path[1:], strict=False):
                length = math.dist(start, end)
                if length > 0:
                    nx = (start[1] - end[1]) / length * half
                    ny = (end[0] - start[0]) / length * half
                    corners = [
                        (start[0] + nx, start[1] + ny),
                        (end[0] + nx, end[1] + ny),
                        (end[0] - nx, end[1] - ny),
                        (start[0] - nx, start[1] - ny),
                    ]
                    pygame.draw.polygon(surface, color, corners)
            if half > 1:
                for point in path:
                    pygame.draw.circle(surface, color, point, half)

        self._paint(color, _bounds(fine, math.ceil(half) + 1), stroke)

    def arc(
        self,
        color: Color,
        center: Point,
        radius: float,
        start: float,
        stop: float,
        width: float = 1,
    ) -> None:
        """Part of a circle between two angles (rad, counted clockwise from the right)."""
        count = max(2, math.ceil(abs(stop - start) * radius / 2))
        angles = [start + (stop - start) * i / count for i in range(count + 1)]
        self.line(
            color,
            [(center[0] + radius * math.cos(a), center[1] + radius * math.sin(a)) for a in angles],
            width,
        )

    def glow(self, color: Color, center: Point, radius: float, strength: float = 0.5) -> None:
        """Light that fades out at `radius`; `strength` from 0 to 1 is its opacity at the centre."""
        r = max(1, round(radius * SCALE))
        light = pygame.Surface((2 * r, 2 * r))
        rings = max(4, min(24, r // 3))
        for i in range(rings):
            amount = ((i + 1) / rings) ** 2 * strength
            pygame.draw.circle(light, mix((0, 0, 0), color, amount), (r, r), r * (1 - i / rings))
        corner = (round(center[0] * SCALE) - r, round(center[1] * SCALE) - r)
        self.surface.blit(light, corner, special_flags=pygame.BLEND_RGB_ADD)

    def text(
        self,
        text: str,
        position: Point,
        size: float,
        color: Color,
        anchor: str = "center",
    ) -> None:
        """Writes one line.

        Args:
            text: What to write.
            position: Where `anchor` of the text goes.
            size: Height of the font, px.
            color: Its colour.
            anchor: An attribute of `pygame.Rect`: "center", "topleft", "midright", ...
        """
        key = (text, size, color)
        if key not in self._texts:
            if not pygame.font.get_init():
                pygame.font.init()
            if len(self._texts) >= _CACHED_TEXTS:
                self._texts.clear()
            image = pygame.font.Font(None, round(size * SCALE)).render(text, True, color[:3])
            if _is_translucent(color):
                image.set_alpha(color[3])  # type: ignore[misc]
            self._texts[key] = image
        image = self._texts[key]
        place = (round(position[0] * SCALE), round(position[1] * SCALE))
        self.surface.blit(image, image.get_rect(**{anchor: place}))

    def _paint(
        self,
        color: Color,
        bounds: pygame.Rect,
        shape: Callable[[pygame.Surface, tuple[int, int]], object],
    ) -> None:
        """Draws a shape directly, or through a layer of its own when it is translucent.

        Args:
            color: The colour of the shape.
            bounds: A box that contains the shape, in canvas pixels.
            shape: Draws it on a surface, displaced by the given offset.
        """
        if not _is_translucent(color):
            shape(self.surface, (0, 0))
            return
        bounds = bounds.clip(self.surface.get_rect())
        if bounds.width > 0 and bounds.height > 0:
            layer = pygame.Surface(bounds.size, pygame.SRCALPHA)
            shape(layer, (-bounds.left, -bounds.top))
            self.surface.blit(layer, bounds)


def _is_translucent(color: Color) -> bool:
    return len(color) == 4 and color[3] < 255


def _thickness(outline: float) -> int:
    return max(1, round(outline * SCALE)) if outline else 0


def _moved(points: Sequence[Point], by: tuple[int, int]) -> list[Point]:
    return [(x + by[0], y + by[1]) for x, y in points]


def _bounds(points: Sequence[Point], margin: int) -> pygame.Rect:
    xs = [x for x, _ in points]
    ys = [y for _, y in points]
    left, top = math.floor(min(xs)) - margin, math.floor(min(ys)) - margin
    right, bottom = math.ceil(max(xs)) + margin, math.ceil(max(ys)) + margin
    return pygame.Rect(left, top, right - left + 1, bottom - top + 1)
