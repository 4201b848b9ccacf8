"""Processes of one run, as `torchrun` starts them, that each call a function of a test."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable
from typing import Any


def together(count: int, function: Callable[..., Any], *args: Any, seconds: float = 300) -> None:
    """Calls ``function(*args)`` in ``count`` processes, the ranks of a run.

    Args:
        count: How many.
        function: Of a module, so that the processes can import it.
        *args: What it takes.
        seconds: After this time they are killed.

    Raises:
        AssertionError: One of them failed.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = multiprocessing.get_context("spawn").Process
    processes = [
        start(target=_rank, args=(rank, count, port, function, args)) for rank in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(seconds)
        process.kill()
        process.join()
    assert [process.exitcode for process in processes] == [0] * count


def _rank(rank: int, count: int, port: int, function: Callable[..., Any], args: Any) -> None:
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    import torch

    from newt_agent import ranks

    torch.set_num_threads(1)
    with ranks.joined("cpu"):
        function(*args)
