"""A screen without a monitor (Xvfb): what is on it, and a user who closes windows.

The fixture is taken up by the `conftest.py` of the tests that use it.
"""

import ctypes
import shutil
import subprocess
import time

import numpy as np
import pytest

SIZE = (800, 1400)  # pixels, height and width: two windows side by side
_PATIENCE = 20.0  # seconds for something to be shown


class Screen:
    """A running X server.

    Attributes:
        display: What the variable `DISPLAY` has to be for windows to be shown here.
    """

    def __init__(self, folder):
        height, width = SIZE
        self._file = folder / "Xvfb_screen0"
        self._server = subprocess.Popen(
            ["Xvfb", "-displayfd", "1", "-screen", "0", f"{width}x{height}x24"]
            + ["-fbdir", str(folder), "-nolisten", "tcp"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.display = f":{self._server.stdout.readline().strip()}"

    def stop(self):
        self._server.terminate()
        self._server.wait()
        self._server.stdout.close()

    def pixels(self):
        """The screen, (height, width, 3) of uint8: the server's file in the format XWD."""
        data = self._file.read_bytes()
        header = np.frombuffer(data, ">u4", 25)
        size, width, height, stride, colors = (int(header[i]) for i in (0, 4, 5, 12, 19))
        pixels = np.frombuffer(data, np.uint8, height * stride, size + 12 * colors)
        return pixels.reshape(height, width, 4)[:, :, 2::-1]

    def wait_for(self, condition):
        """Returns the pixels as soon as they meet the condition, or as they are in the end."""
        end = time.monotonic() + _PATIENCE
        while not condition(pixels := self.pixels()) and time.monotonic() < end:
            time.sleep(0.05)
        return pixels

    def shows(self, picture, left=0, top=0):
        """Whether the picture, (height, width, 3), is there before long."""
        height, width, _ = picture.shape
        place = slice(top, top + height), slice(left, left + width)
        seen = self.wait_for(lambda pixels: np.array_equal(pixels[place], picture))
        return np.array_equal(seen[place], picture)

    def close_windows(self):
        """Does what a click on the closing button of every window does."""
        x11 = ctypes.CDLL("libX11.so.6")
        x11.XOpenDisplay.restype = ctypes.c_void_p
        x11.XDefaultRootWindow.restype = x11.XInternAtom.restype = ctypes.c_ulong
        connection = ctypes.c_void_p(x11.XOpenDisplay(self.display.encode()))
        root = ctypes.c_ulong(x11.XDefaultRootWindow(connection))
        protocols, delete = (
            x11.XInternAtom(connection, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW")
        )
        ignored, windows, count = (
            ctypes.c_ulong(),
            ctypes.POINTER(ctypes.c_ulong)(),
            ctypes.c_uint(),
        )
        x11.XQueryTree(
            connection,
            root,
            *(ctypes.byref(out) for out in (ignored, ignored, windows, count)),
        )
        for window in windows[: count.value]:
            message = _ClientMessage(
                type=33, window=window, message_type=protocols, format=32, data=(delete, 0, 0, 0, 0)
            )
            event = (ctypes.c_long * 24).from_buffer_copy(  # an XEvent
                bytes(message).ljust(24 * ctypes.sizeof(ctypes.c_long), b"\0")
            )
            x11.XSendEvent(connection, ctypes.c_ulong(window), 0, ctypes.c_long(0), event)
        x11.XCloseDisplay(connection)


class _ClientMessage(ctypes.Structure):
    """Xlib's XClientMessageEvent."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
    ]


@pytest.fixture
def screen(tmp_path, monkeypatch):
    """A screen for this test, on which windows open at the upper left corner."""
    if shutil.which("Xvfb") is None:
        pytest.skip("needs Xvfb (apt-get install xvfb)")
    screen = Screen(tmp_path)
    monkeypatch.setenv("DISPLAY", screen.display)
    monkeypatch.setenv("SDL_VIDEO_WINDOW_POS", "0,0")
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    yield screen
    screen.stop()
