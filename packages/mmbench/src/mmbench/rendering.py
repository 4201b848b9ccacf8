"""Headless frames of MuJoCo models, without touching the user's environment variables.

MuJoCo's own renderer picks its OpenGL backend from ``MUJOCO_GL`` when it is imported. Here the
backend is found by asking the machine: EGL where a device answers, else OSMesa. A backend named
in ``MUJOCO_GL`` is respected.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import ctypes.util
import functools
import importlib
import itertools
import os
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import mujoco
import numpy as np

from mmbench.drawing_thread import DrawingThread
from mmbench.shared_libraries import load_triton_apart
from mmbench.shell import command

FRAME_SIZE = 224
"""Height and width of every frame, in pixels (paper, section 2)."""

_EGL_PLATFORM_DEVICE_EXT = 0x313F
_HEADLESS = ("egl", "osmesa")


class RendererUnavailableError(RuntimeError):
    """Frames were asked for and this machine has no usable OpenGL library."""


class _GLContext(Protocol):
    def make_current(self) -> None: ...
    def free(self) -> None: ...


def _egl_works() -> bool:
    """Whether libEGL loads and one of its devices initialises (PyOpenGL stays unloaded)."""
    try:
        egl = ctypes.CDLL("libEGL.so.1")
        egl.eglGetProcAddress.restype = ctypes.c_void_p
        query = egl.eglGetProcAddress(b"eglQueryDevicesEXT")
        display_of = egl.eglGetProcAddress(b"eglGetPlatformDisplayEXT")
    except (OSError, AttributeError):
        return False
    if not query or not display_of:
        return False
    devices = (ctypes.c_void_p * 16)()
    count = ctypes.c_int(0)
    query_devices = ctypes.CFUNCTYPE(
        ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int)
    )(query)
    get_display = ctypes.CFUNCTYPE(
        ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p
    )(display_of)
    if not query_devices(len(devices), devices, ctypes.byref(count)):
        return False
    egl.eglInitialize.argtypes = [ctypes.c_void_p] * 3
    for device in devices[: count.value]:
        display = get_display(_EGL_PLATFORM_DEVICE_EXT, device, None)
        if display and egl.eglInitialize(display, None, None):
            return True
    return False


def _osmesa_works() -> bool:
    return ctypes.util.find_library("OSMesa") is not None


@functools.cache
def backend() -> str | None:
    """The OpenGL backend for headless frames: ``egl``, ``osmesa``, or None where neither works.

    ``MUJOCO_GL`` decides where it names one of the two.
    """
    wanted = os.environ.get("MUJOCO_GL", "").lower()
    if wanted in _HEADLESS:
        return wanted
    if _egl_works():
        return "egl"
    return "osmesa" if _osmesa_works() else None


@contextlib.contextmanager
def pyopengl_platform(value: str | None = None) -> Iterator[None]:
    """Sets PyOpenGL's variable inside, if there is a value; leaves it as it was outside."""
    name = "PYOPENGL_PLATFORM"
    before = os.environ.get(name)
    if value is not None:
        os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


@functools.cache
def _context_class() -> Callable[[int, int], _GLContext]:
    name = backend()
    if name is None:
        raise RendererUnavailableError(
            "frames of MuJoCo scenes need EGL or OSMesa, and neither was found: on Debian or "
            "Ubuntu, `apt-get install libegl1 libgl1 libgles2` (or `libosmesa6`)"
        )
    load_triton_apart()  # before Mesa
    try:
        # PyOpenGL reads the variable once, at its first import.
        with pyopengl_platform(name):
            return importlib.import_module(f"mujoco.{name}").GLContext
    except (ImportError, AttributeError) as error:
        raise RendererUnavailableError(
            f"the OpenGL backend {name!r} could not be loaded ({error}): set MUJOCO_GL=egl or "
            "MUJOCO_GL=osmesa to the one that this machine has"
        ) from error


class _Canvas:
    """The OpenGL context, and in it what each renderer has drawn with: lives in one thread."""

    def __init__(self) -> None:
        context_class = _context_class()
        try:
            self._context = context_class(FRAME_SIZE, FRAME_SIZE)
            self._context.make_current()
        except Exception as error:  # PyOpenGL's, MuJoCo's, of the library itself
            raise RendererUnavailableError(
                f"the OpenGL backend {backend()!r} cannot draw here ({_in_one_line(error)}): "
                f"`{command('mmbench', 'doctor')}` tells which can; set MUJOCO_GL to it"
            ) from error
        self._scenes: dict[int, tuple[Any, mujoco.MjvScene]] = {}
        self._rect = mujoco.MjrRect(0, 0, FRAME_SIZE, FRAME_SIZE)

    def draw(self, renderer: MujocoRenderer, data: mujoco.MjData) -> np.ndarray:
        """See :meth:`MujocoRenderer.render`."""
        model = renderer.model
        if renderer.number not in self._scenes:
            self._scenes[renderer.number] = (
                mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_150),
                mujoco.MjvScene(model, maxgeom=2000),
            )
        context, scene = self._scenes[renderer.number]
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, context)
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(
            model, data, renderer.option, None, renderer.camera, everything, scene
        )
        mujoco.mjr_render(self._rect, scene, context)
        frame = np.empty((FRAME_SIZE, FRAME_SIZE, 3), np.uint8)
        mujoco.mjr_readPixels(frame, None, self._rect, context)
        return np.ascontiguousarray(frame[::-1])  # OpenGL's rows run upwards

    def device(self) -> str:
        """What OpenGL says it draws with."""
        from OpenGL import GL

        return GL.glGetString(GL.GL_RENDERER).decode()

    def free(self, number: int) -> None:
        """Frees what a renderer has drawn with, if it has drawn."""
        if number in self._scenes:
            context, _ = self._scenes.pop(number)
            context.free()


_thread = DrawingThread(_Canvas)
_numbers = itertools.count()


def _after_fork() -> None:
    """Keeps what ends OpenGL from waiting for its threads, which only the parent process has."""
    egl = sys.modules.get("mujoco.egl")
    if egl is not None:
        atexit.unregister(egl.EGL.eglTerminate)
    if _thread.lost and sys.platform == "linux":
        # OSMesa's own function of that kind is called by C's `exit`. These are called before it,
        # last one first; C has no way to take a function back.
        libc = ctypes.CDLL(None)
        if hasattr(libc, "on_exit"):
            libc.on_exit(libc._exit, None)
            libc.__cxa_atexit(libc.fflush, None, None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def device() -> str:
    """The name of the device that draws the frames of MuJoCo scenes."""
    return _thread.run(_Canvas.device)


class MujocoRenderer:
    """Renders 224 x 224 frames of one model, in any thread.

    Args:
        model: The compiled model. A model that is recompiled needs a new renderer.
        camera: Name or number of a fixed camera, or an ``mjvCamera``.
    """

    def __init__(self, model: mujoco.MjModel, camera: str | int | mujoco.MjvCamera) -> None:
        self.model = model
        self.camera = camera if isinstance(camera, mujoco.MjvCamera) else fixed(model, camera)
        self.option = mujoco.MjvOption()
        self.number = next(_numbers)
        # Also where nobody calls `close`. Not at exit, when everything is freed in order.
        self._free = weakref.finalize(self, _free, self.number)
        self._free.atexit = False

    def render(self, data: mujoco.MjData) -> np.ndarray:
        """Draws the scene.

        Args:
            data: State whose position-dependent quantities are up to date. It is only read.

        Returns:
            ``(224, 224, 3)`` uint8 RGB image, the caller's to keep.

        Raises:
            RendererUnavailableError: This machine has neither EGL nor OSMesa, or this process
                was forked from one that had drawn.
        """
        if _thread.lost:
            raise lost_in_fork("MuJoCo", "OpenGL")
        return _thread.run(lambda canvas: canvas.draw(self, data))

    def close(self) -> None:
        """Frees the OpenGL resources. May be called twice; the next frame takes new ones."""
        _free(self.number)


def _free(number: int) -> None:
    _thread.run_later(lambda canvas: canvas.free(number))


def lost_in_fork(simulator: str, library: str) -> RendererUnavailableError:
    """The error of a forked process that cannot draw because its parent does."""
    return RendererUnavailableError(
        f"this process was forked from one that draws {simulator} scenes, and {library} does not "
        'survive a fork: draw in the forked processes only, or start them with "spawn" (of '
        'Gymnasium\'s AsyncVectorEnv the argument context="spawn")'
    )


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def fixed(model: mujoco.MjModel, camera: str | int) -> mujoco.MjvCamera:
    """Returns a view through a camera of the model.

    Raises:
        ValueError: The model has no such camera.
    """
    number = (
        mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, camera)
        if isinstance(camera, str)
        else camera
    )
    if not 0 <= number < model.ncam:
        raise ValueError(f"unknown camera {camera!r}: the model has {model.ncam}")
    view = mujoco.MjvCamera()
    view.type = mujoco.mjtCamera.mjCAMERA_FIXED
    view.fixedcamid = number
    return view
