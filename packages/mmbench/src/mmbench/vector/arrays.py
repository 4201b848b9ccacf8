"""The memory that a vector environment and its workers share."""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import IO, Any

import numpy as np

from mmbench.catalog import MAX_ACTION_DIM, MAX_OBS_DIM
from mmbench.env import FRAME_SHAPE

_CACHE_LINE = 64
"""Bytes to which every array is aligned, so that no two of them share a line."""


class SharedArrays:
    """Arrays of N environments in anonymous memory, which ends with its last user.

    The memory has no name in any file system, so nothing can be left behind, however the
    processes end. Another process gets at it through :attr:`file`.

    Attributes:
        file: The memory as a file; None where it is private to this process.
        actions: (N, 16) float32, written by the parent.
        state: (N, 128) float32 or None, observations padded with zeros.
        frames: (N, 224, 224, 3) uint8 or None.
        final_state: As ``state``: the last observation of an episode, where ``truncated``.
        final_frames: As ``frames``.
        reward: (N,) float64.
        score: (N,) float64.
        success: (N,) float64.
        truncated: (N,) bool.
        failed: (N,) bool, environments that raised in their last step.
        idle: (N,) bool, environments that their next step leaves alone: the end of their last
            episode has still to be told.
        built: (N,) bool, environments that are there.
        rng: (N, 6) uint64, generators from which the running episodes started.
        seconds: (N,) float64, time that steps have taken, resets included.
        steps: (N,) int64, steps taken.
        current: (W,) int64, by worker: the environment it works on, or -1.
        done: (W,) int64, by worker: number of the last order it has carried out.

    Args:
        num_envs: N.
        obs: ``state``, ``rgb`` or ``state+rgb``.
        num_workers: W.
        file: Descriptor of memory that another process has made; None makes it.
        private: No other process will use it, and a forked child gets a copy.
    """

    actions: np.ndarray
    state: np.ndarray | None
    frames: np.ndarray | None
    final_state: np.ndarray | None
    final_frames: np.ndarray | None
    reward: np.ndarray
    score: np.ndarray
    success: np.ndarray
    truncated: np.ndarray
    failed: np.ndarray
    idle: np.ndarray
    built: np.ndarray
    rng: np.ndarray
    seconds: np.ndarray
    steps: np.ndarray
    current: np.ndarray
    done: np.ndarray

    def __init__(
        self,
        num_envs: int,
        obs: str,
        num_workers: int,
        file: int | None = None,
        private: bool = False,
    ) -> None:
        n = num_envs
        shapes: dict[str, tuple[tuple[int, ...], type]] = {
            "actions": ((n, MAX_ACTION_DIM), np.float32),
            "reward": ((n,), np.float64),
            "score": ((n,), np.float64),
            "success": ((n,), np.float64),
            "truncated": ((n,), np.bool_),
            "failed": ((n,), np.bool_),
            "idle": ((n,), np.bool_),
            "built": ((n,), np.bool_),
            "rng": ((n, 6), np.uint64),
            "seconds": ((n,), np.float64),
            "steps": ((n,), np.int64),
            "current": ((num_workers,), np.int64),
            "done": ((num_workers,), np.int64),
        }
        if "state" in obs:
            shapes |= {name: ((n, MAX_OBS_DIM), np.float32) for name in ("state", "final_state")}
        if "rgb" in obs:
            shapes |= {name: ((n, *FRAME_SHAPE), np.uint8) for name in ("frames", "final_frames")}
        offsets, size = {}, 0
        for name, (shape, dtype) in shapes.items():
            offsets[name] = size
            size += -(-int(np.prod(shape)) * np.dtype(dtype).itemsize // _CACHE_LINE) * _CACHE_LINE
        self.file = anonymous_file() if file is None and not private else None
        if self.file is not None:
            self.file.truncate(size)
            file = self.file.fileno()
        memory: Any = bytearray(size) if file is None else mmap.mmap(file, size)
        self.state = self.frames = self.final_state = self.final_frames = None
        for name, (shape, dtype) in shapes.items():
            array: np.ndarray = np.frombuffer(memory, dtype, int(np.prod(shape)), offsets[name])
            setattr(self, name, array.reshape(shape))


def anonymous_file() -> IO[bytes]:
    """Makes a file without a name, in memory where the system can; it ends with its last user."""
    # Unlike /dev/shm a memory file knows no limit of its own; containers often set one of 64 MB.
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("mmbench"), "w+b")
    return tempfile.TemporaryFile()
