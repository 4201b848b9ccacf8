"""What the machine offers, and what the user asks of a running process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from mmbench.runs import RunError


@contextmanager
def stop_requests() -> Iterator[threading.Event]:
    """Turns the first Ctrl-C or SIGTERM into a request; a second one acts at once."""
    stop = threading.Event()
    before: dict[signal.Signals, Any] = {}

    def handle(number: int, frame: Any) -> None:
        stop.set()
        signal.signal(number, before[signal.Signals(number)])

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    for one in (signal.SIGINT, signal.SIGTERM):
        before[one] = signal.signal(one, handle)
    try:
        yield stop
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def resolve_device(wanted: str) -> str:
    """Returns ``cpu`` or ``cuda``.

    Raises:
        RunError: A GPU was asked for and PyTorch sees none.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise RunError(
            "--device cuda: PyTorch finds no usable GPU here; use --device cpu, or install a "
            "CUDA build of torch and check `nvidia-smi`"
        )
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return wanted
