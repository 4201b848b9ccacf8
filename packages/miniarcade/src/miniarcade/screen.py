"""A window on the screen, and the program that shows frames in one.

Imports pygame and nothing else, because :mod:`miniarcade.viewer` runs this file as a program of its
own, `screen.py TITLE WIDTH HEIGHT SCALE`. It reads frames (`WIDTH * HEIGHT * 3` bytes each) from
its input. It writes a byte when the window is open, and one after each frame that is on the screen.
"""

import contextlib
import os
import queue
import signal
import sys
import threading

import pygame

_POLL = 0.02  # seconds between looks at what the user does to the window


def open_screen(title: str, size: tuple[int, int]) -> pygame.Surface:
    """Opens a window.

    Args:
        title: Of the window.
        size: Width and height in pixels of the screen.

    Returns:
        What is on the screen after `pygame.display.flip`.

    Raises:
        RuntimeError: If there is no display.
    """
    try:
        pygame.display.init()
        if pygame.display.get_driver() == "offscreen" and not os.environ.get("SDL_VIDEODRIVER"):
            pygame.display.quit()  # SDL would draw where nobody looks
            raise pygame.error("there is no display")
        surface = pygame.display.set_mode(size)
    except pygame.error as error:
        raise RuntimeError(
            f"no window can be opened ({error}). On a machine without a screen, use "
            'render_mode="rgb_array", or run under a virtual one: `apt-get install xvfb`, '
            "then `xvfb-run <command>`"
        ) from error
    pygame.display.set_caption(title)
    return surface


def _show_frames(title: str, size: tuple[int, int], scale: int) -> None:
    """Shows frames until the user closes the window or the sender ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program that sends frames
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever a library prints is no reply
    width, height = size
    try:
        screen = open_screen(title, (width * scale, height * scale))
    except RuntimeError as error:
        sys.exit(str(error))
    frames: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(width * height * 3, frames), daemon=True).start()
    sender = os.getppid()
    replies.write(b".")
    while True:
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                return
            if event.type == pygame.WINDOWEXPOSED:
                pygame.display.flip()
        with contextlib.suppress(queue.Empty):
            frame = frames.get(timeout=_POLL)
            if not frame:
                return
            picture = pygame.image.frombuffer(frame, size, "RGB")
            screen.blit(pygame.transform.scale(picture, screen.get_size()), (0, 0))
            pygame.display.flip()
            replies.write(b".")
        if os.getppid() != sender:  # which another process may keep from being noticed otherwise
            return


def _read(size: int, frames: "queue.SimpleQueue[bytes]") -> None:
    frame = bytearray()
    # Not through sys.stdin, whose lock would be in the way when the program ends.
    while part := os.read(0, size - len(frame)):
        frame += part
        if len(frame) == size:
            frames.put(bytes(frame))
            frame.clear()
    frames.put(b"")


if __name__ == "__main__":
    _title, *_numbers = sys.argv[1:]
    _width, _height, _scale = map(int, _numbers)
    _show_frames(_title, (_width, _height), _scale)
