"""A window on the screen for playing by hand."""

from collections.abc import Callable

import pygame

from miniarcade.drawing import SCALE, Canvas
from miniarcade.rules import SIZE
from miniarcade.screen import open_screen


class Window:
    """Shows canvases at a steady rate.

    Attributes:
        surface: What is on the screen.
        scale: Screen pixels a world pixel.
    """

    def __init__(self, title: str, fps: int, scale: float = SCALE, panel: float = 0) -> None:
        """Opens the window.

        Args:
            title: Of the window.
            fps: Pictures a second; `show` waits until the next one is due. 0 never waits.
            scale: Screen pixels a world pixel.
            panel: Height of an empty panel below the picture, in world pixels.

        Raises:
            RuntimeError: If there is no display.
        """
        self.scale = scale
        self._fps = fps
        self._size = (round(SIZE * scale), round(SIZE * scale))
        self.surface = open_screen(title, (self._size[0], self._size[1] + round(panel * scale)))
        self._clock = pygame.time.Clock()

    def show(self, canvas: Canvas, draw_over: Callable[[], None] | None = None) -> None:
        """Puts the canvas on the screen.

        Args:
            canvas: The picture.
            draw_over: Draws on `surface` what lies over the picture and in the panel.
        """
        if self._size == canvas.surface.get_size():
            self.surface.blit(canvas.surface, (0, 0))
        else:
            picture = self.surface.subsurface((0, 0, *self._size))
            pygame.transform.smoothscale(canvas.surface, self._size, picture)
        if draw_over is not None:
            draw_over()
        pygame.event.pump()
        pygame.display.flip()
        self._clock.tick(self._fps)

    def close(self) -> None:
        """Closes the window."""
        pygame.display.quit()
