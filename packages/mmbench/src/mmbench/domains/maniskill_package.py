"""Keeps ManiSkill's side effects from the user's process.

The package sets environment variables when it is imported, wants a renderer's materials where
nothing is drawn, forks and seeds torch's generators on every device, and logs advice to authors
of tasks. All of that is undone here, so that the adapter is about the tasks.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import logging
import os
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from mmbench.rendering import RendererUnavailableError, lost_in_fork

_MATERIAL_USERS = (
    "sapien.pysapien.render",
    "sapien.render",
    "sapien.wrapper.urdf_loader",
    "mani_skill.utils.building._mjcf_loader",
)
"""Modules whose name ``RenderMaterial`` is called while a scene is built."""

_LOGGER = "mani_skill "  # the package's spelling
_ADVICE = (
    "No initial pose set for",
    "Currently ManiSkill does not support loading plane geometries from MJCFs",
)

_sapien_environment: dict[str, str] = {}
"""The environment variables by which sapien finds its own libraries."""


@functools.cache
def load() -> Callable[[str], Any]:
    """Imports ManiSkill once.

    Environment variables are afterwards as they were: sapien's import sets where its libraries
    are; OpenCV's, which ManiSkill imports, where Qt's are, and extends ``LD_LIBRARY_PATH``.

    Returns:
        The function that finds an environment's class by its native id.

    Raises:
        ImportError: A part of the package, or a system library, is missing.
    """
    with _environment(), warnings.catch_warnings():
        # Where the system lacks a Vulkan loader, or a description of NVIDIA's driver, sapien uses
        # its own and warns, even if no frames are wanted.
        found = "Failed to find (system libvulkan|Vulkan ICD file|glvnd ICD file)"
        warnings.filterwarnings("ignore", found, UserWarning)
        before = dict(os.environ)
        importlib.import_module("sapien")
        _sapien_environment.update(dict(os.environ.items() - before.items()))
        importlib.import_module("mani_skill.envs")
    return importlib.import_module("mmbench.models.maniskill").environment_class


_drawn: weakref.WeakSet[Any] = weakref.WeakSet()
"""The package's environments that are built to be drawn."""

_lost = False
"""Whether this process was forked from one with a Vulkan device."""


def keep_in_fork(environment: Any) -> None:
    """Keeps forked processes from freeing an environment that was built to be drawn."""
    _drawn.add(environment)


def check_fork(frames: bool) -> None:
    """Raises :class:`RendererUnavailableError` where frames are wanted and a fork lost Vulkan."""
    if frames and _lost:
        raise lost_in_fork("ManiSkill", "Vulkan")


def _after_fork() -> None:
    global _lost
    if not render_device.cache_info().currsize:
        return
    _lost = True
    # Freeing what draws, even at exit, would wait for the driver's threads, which only the parent
    # has. So it is never freed.
    for kept in (*_drawn, render_device()):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@functools.cache
def render_device() -> tuple[str, Any]:
    """Finds a Vulkan device: a GPU where there is one, else a CPU driver such as lavapipe.

    Returns:
        The package's name for it, and an object that keeps sapien's renderer alive: it reads
        its environment variables when it starts, and does not start twice.

    Raises:
        RendererUnavailableError: There is none.
    """
    load()
    sapien: Any = importlib.import_module("sapien")
    with _environment(_sapien_environment):
        for name, device in (("gpu", "cuda"), ("cpu", "cpu")):
            with contextlib.suppress(RuntimeError):
                return name, sapien.render.RenderSystem(sapien.Device(device))
    raise RendererUnavailableError(
        "ManiSkill draws frames with Vulkan, and no Vulkan device was found. With a GPU, install "
        "its Vulkan driver; without one, Mesa's lavapipe, version 24.3 or later (Debian and "
        "Ubuntu: mesa-vulkan-drivers, on Debian 12 from bookworm-backports)"
    )


@contextlib.contextmanager
def building(frames: bool) -> Iterator[None]:
    """While a scene is built or an episode started: quiet, and with generators of its own.

    Args:
        frames: Whether the scene will be drawn. Otherwise materials are inert, so that no
            renderer is started, and none is needed.

    Raises:
        RendererUnavailableError: See :func:`check_fork`.
    """
    check_fork(frames)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet())
        stack.enter_context(_private_generators())
        # The package keeps what one file says of contacts for all files that it reads later in the
        # process: after a cart-pole, a body does not touch itself. The published benchmark's
        # recordings of hoppers and ants are of such a process, so that is what holds here, always.
        loader = importlib.import_module("mani_skill.utils.building._mjcf_loader")
        stack.enter_context(mock.patch.dict(loader.DEFAULT_MJCF_OPTIONS, contact=False))
        if not frames:
            for name in _MATERIAL_USERS:
                module = importlib.import_module(name)
                stack.enter_context(mock.patch.object(module, "RenderMaterial", _Inert))
            # Before it rebuilds a scene, the package collects garbage to free a GPU's memory: 0.25
            # s where the rest takes 0.014 s. Python's own collections are enough.
            module = importlib.import_module("mani_skill.envs.sapien_env")
            stack.enter_context(mock.patch.object(module, "gc", _NoCollection))
        yield


class _NoCollection:
    """Stands for the module ``gc``."""

    @staticmethod
    def collect() -> None:
        pass


class _Inert:
    """Takes any property of a material, and does nothing with it."""

    def __init__(self, **properties: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Callable[..., None]:
        if not name.startswith("set_"):
            raise AttributeError(name)
        return lambda *values: None


@contextlib.contextmanager
def _private_generators() -> Iterator[None]:
    """Limits the package's seeding to torch's generator on the CPU, and restores that one.

    By itself the package would create a context on every GPU and reseed their generators.
    """
    import torch

    def seed_cpu(seed: int) -> Any:
        return torch.default_generator.manual_seed(int(seed))

    fork = functools.partial(torch.random.fork_rng, devices=())
    with (
        mock.patch.object(torch.random, "fork_rng", fork),
        mock.patch.object(torch, "manual_seed", seed_cpu),
        fork(),
    ):
        yield


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drops the package's advice to authors of tasks, and nothing else it logs."""
    logger = logging.getLogger(_LOGGER)

    def wanted(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(_ADVICE)

    logger.addFilter(wanted)
    try:
        with warnings.catch_warnings():
            # The advice is given by a method of loggers that Python renamed.
            warnings.filterwarnings("ignore", "The 'warn' method is", DeprecationWarning)
            # Of the controller of joints that nothing drives: its action space is empty.
            warnings.filterwarnings("ignore", ".*Box .*'s precision lowered by casting")
            yield
    finally:
        logger.removeFilter(wanted)


@contextlib.contextmanager
def _environment(changes: dict[str, str] | None = None) -> Iterator[None]:
    """Sets environment variables for a while, and undoes every change made meanwhile."""
    before = dict(os.environ)
    os.environ.update(changes or {})
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
