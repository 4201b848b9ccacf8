"""What the machine offers, and what the user asks of a running process."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from mmbench.runs import RunError

ONE_REQUEST_S = 1.0
"""Signals within this time of the first count as the same request."""

HANG_UP: Any = getattr(signal, "SIGHUP", None)
"""The terminal has closed. Windows has no such signal."""


@contextlib.contextmanager
def stop_requests() -> Iterator[threading.Event]:
    """Turns the first Ctrl-C, SIGTERM or SIGHUP into a request; a later one acts at once.

    Signals that come within `ONE_REQUEST_S` of the first are the same request: a terminal,
    `timeout` or Slurm signals the whole process group, and a launcher such as `uv run` in it
    passes its copy on. SIGHUP (the terminal closes, the connection breaks) comes from the shell
    and from the system, so a later one asks for nothing new; under `nohup` it stays ignored.
    """
    stop = threading.Event()
    before: dict[signal.Signals, Any] = {}
    requested = 0.0

    def handle(number: int, frame: Any) -> None:
        nonlocal requested
        if not stop.is_set():
            requested = time.monotonic()
            stop.set()
        elif number != HANG_UP and time.monotonic() - requested > ONE_REQUEST_S:
            signal.signal(number, before[signal.Signals(number)])
            signal.raise_signal(number)

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    heeded = [signal.SIGINT, signal.SIGTERM]
    if HANG_UP and signal.getsignal(HANG_UP) != signal.SIG_IGN:
        heeded.append(HANG_UP)
    for one in heeded:
        before[one] = signal.signal(one, handle)
    try:
        yield stop
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def resolve_device(wanted: str) -> str:
    """Returns ``cpu`` or ``cuda``.

    Raises:
        RunError: A GPU was asked for and PyTorch sees none; or something else was asked for.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise RunError(f"device={wanted!r}: one of auto, cpu, cuda")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise RunError(
            "--device cuda: PyTorch finds no usable GPU here; use --device cpu, or install a "
            "CUDA build of torch and check `nvidia-smi`"
        )
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return wanted


def memory_bytes(device: str) -> int:
    """Returns the memory of the GPU (``cuda``), or of the machine, as far as we may use it."""
    if device == "cuda":
        return torch.cuda.get_device_properties("cuda").total_memory
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([whole, *_group_limits(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"))])


def _group_limits(root: Path, membership: Path) -> list[int]:
    """Limits of memory that a container or a job has; none outside of Linux's control groups."""
    try:
        own = root / membership.read_text().split("::/", 1)[1].split("\n")[0]
    except (OSError, IndexError):
        return []
    limits = []
    for folder in (own, *own.parents):
        if folder.is_relative_to(root):
            with contextlib.suppress(OSError, ValueError):  # "max" is none
                limits.append(int((folder / "memory.max").read_text()))
    return limits
