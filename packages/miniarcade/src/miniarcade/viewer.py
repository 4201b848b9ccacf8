"""Frames in a window, for `render_mode="human"`."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
import weakref
from typing import IO

import gymnasium as gym
import numpy as np

_PROGRAM = os.path.join(os.path.dirname(__file__), "screen.py")


class Viewer:
    """A window in a process of its own.

    A window takes over its process: the only SDL display, and the thread's OpenGL context. In a
    process of its own it leaves other windows alone, and simulators that draw with OpenGL. It also
    responds while the program computes.

    If the user closes the window, it stays closed, and later frames are dropped.
    """

    def __init__(self, title: str, fps: float, scale: int = 1) -> None:
        """Opens nothing yet: the first frame sets the size.

        Args:
            title: Of the window.
            fps: Frames a second at most; `show` waits until the next one is due.
            scale: Screen pixels a frame pixel.
        """
        self._title = title
        self._interval = 1.0 / fps
        self._scale = scale
        self._due = 0.0
        self._gone = False  # the user closed the window, or its display went away
        self._process: subprocess.Popen | None = None
        self._pid = 0  # of the process that opened the window
        self._end: weakref.finalize | None = None

    def show(self, frame: np.ndarray) -> None:
        """Shows a frame and returns when it is on the screen.

        Args:
            frame: (height, width, 3) of uint8, of the same size every time.

        Raises:
            RuntimeError: If there is no display.
        """
        if self._gone:
            return
        if self._pid != os.getpid():  # not open, or that of the process this one was forked from
            self._open(frame.shape)
        now = time.monotonic()
        time.sleep(max(0.0, self._due - now))
        self._due = max(self._due, now) + self._interval
        if not self._send(frame):
            self._gone = True
            gym.logger.warn(
                f"the window {self._title!r} {self._how_it_ended()}: nothing more is shown. A new "
                "environment opens a new window"
            )
            self.close()

    def close(self) -> None:
        """Closes the window. May be called twice; a later frame opens a new one."""
        if self._end is not None:
            self._end()
        self._process = self._end = None
        self._pid = 0

    def _open(self, shape: tuple[int, ...]) -> None:
        height, width, _ = shape
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),  # where this one found pygame
            "PYGAME_HIDE_SUPPORT_PROMPT": "1",
        }
        program = [sys.executable, "-P", _PROGRAM, self._title]
        self._errors = tempfile.TemporaryFile()  # read only where the process has ended
        self._process = process = subprocess.Popen(
            [*program, str(width), str(height), str(self._scale)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
        )
        self._pid = os.getpid()
        self._end = weakref.finalize(self, _kill, process, self._errors, self._pid)
        try:
            opened = self._reply()
        except BaseException:  # Ctrl-C
            self.close()
            raise
        if not opened:
            reason = self._said().splitlines()[-1:] or ["the window's process ended at once"]
            self.close()
            raise RuntimeError(reason[0])

    def _send(self, frame: np.ndarray) -> bool:
        """Whether the frame is on the screen."""
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(np.ascontiguousarray(frame).data)
            self._process.stdin.flush()
            return self._reply()
        except OSError:  # nobody reads
            return False
        except BaseException:  # Ctrl-C: half a frame may have been sent
            self.close()
            raise

    def _reply(self) -> bool:
        assert self._process is not None and self._process.stdout is not None
        return bool(self._process.stdout.read(1))

    def _how_it_ended(self) -> str:
        assert self._process is not None
        if self._process.wait() == 0:
            return "was closed"
        return f"is gone ({' '.join(self._said().split()) or self._process.returncode})"

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()


def _kill(process: subprocess.Popen, errors: IO[bytes], pid: int) -> None:
    """Kills a window's process, unless this is a fork of the process that owns it."""
    if os.getpid() != pid:
        return
    process.kill()
    process.wait()
    for file in (process.stdin, process.stdout, errors):
        assert file is not None
        with contextlib.suppress(OSError):  # a frame that nobody reads
            file.close()
