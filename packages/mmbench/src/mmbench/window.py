"""A window for ``render_mode="human"``."""

import numpy as np


class Window:
    """Shows frames on the screen.

    Args:
        title: Text of the title bar.
        fps: Frames per second at most; ``show`` waits for the next one.
        scale: Screen pixels per frame pixel.
    """

    def __init__(self, title: str, fps: int, scale: int = 3) -> None:
        import pygame

        self._pygame = pygame
        self._fps = fps
        self._scale = scale
        pygame.display.init()
        self._clock = pygame.time.Clock()
        self._title = title
        self._surface: pygame.Surface | None = None

    def show(self, frame: np.ndarray) -> None:
        """Draws a frame, ``(height, width, 3)`` uint8, and waits for its time."""
        pygame = self._pygame
        height, width, _ = frame.shape
        size = (width * self._scale, height * self._scale)
        if self._surface is None:
            self._surface = pygame.display.set_mode(size)
            pygame.display.set_caption(self._title)
        image = pygame.surfarray.make_surface(frame.swapaxes(0, 1))
        pygame.transform.scale(image, size, self._surface)
        pygame.event.pump()
        pygame.display.flip()
        self._clock.tick(self._fps)

    def close(self) -> None:
        """Closes the window."""
        self._pygame.display.quit()
