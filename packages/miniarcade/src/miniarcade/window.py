"""A window on the screen for `render_mode="human"` and for playing by hand."""

import pygame

from miniarcade.drawing import SCALE, Canvas
from miniarcade.game import SIZE


class Window:
    """Shows canvases at a steady rate.

    Attributes:
        surface: What is on the screen; draw on it between `show` calls at your own risk.
    """

    def __init__(self, title: str, fps: int, scale: float = SCALE) -> None:
        """Opens the window.

        Args:
            title: Of the window.
            fps: Pictures a second; `show` waits until the next one is due. 0 never waits.
            scale: Screen pixels a world pixel.

        Raises:
            RuntimeError: If there is no display.
        """
        self._fps = fps
        self._size = (round(SIZE * scale), round(SIZE * scale))
        try:
            pygame.display.init()
            self.surface = pygame.display.set_mode(self._size)
        except pygame.error as error:
            raise RuntimeError(
                f"no window can be opened ({error}). On a machine without a screen, use "
                'render_mode="rgb_array", or run under a virtual one: `apt-get install xvfb`, '
                "then `xvfb-run <command>`."
            ) from error
        pygame.display.set_caption(title)
        self._clock = pygame.time.Clock()

    def show(self, canvas: Canvas) -> None:
        """Puts the canvas on the screen."""
        if self._size == canvas.surface.get_size():
            self.surface.blit(canvas.surface, (0, 0))
        else:
            pygame.transform.smoothscale(canvas.surface, self._size, self.surface)
        pygame.event.pump()
        pygame.display.flip()
        self._clock.tick(self._fps)

    def close(self) -> None:
        """Closes the window."""
        pygame.display.quit()
