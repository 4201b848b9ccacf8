"""The memory that a vector environment and its workers share."""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import IO, Any

import numpy as np

from mmbench.catalog import MAX_ACTION_DIM, MAX_OBS_DIM
from mmbench.spaces import FRAME_SHAPE

_CACHE_LINE = 64
"""Alignment of the arrays in bytes, so that no two share a cache line."""

_BYTES = 2048
"""Bytes of an environment without frames, and of all workers' numbers, at most."""


class SharedArrays:
    """Arrays of N environments in anonymous memory, which ends with its last user.

    The memory has no name in any file system, so nothing is left behind, however the processes
    end. Another process maps it through ``file``, which is None where the memory is private.

    Args:
        num_envs: N.
        obs: ``state``, ``rgb`` or ``state+rgb``.
        num_workers: W.
        file: Descriptor of memory that another process has made; None makes it.
        private: No other process will use it, and a forked child gets a copy.

    Attributes:
        finals: What is of a step, and of the last step of an episode, in pairs.
    """

    def __init__(
        self,
        num_envs: int,
        obs: str,
        num_workers: int,
        file: int | None = None,
        private: bool = False,
    ) -> None:
        n, states, frames = num_envs, "state" in obs, "rgb" in obs
        frame = int(np.prod(FRAME_SHAPE)) if frames else 0
        size = (n + 1) * (_BYTES + 2 * frame) + num_workers * _BYTES
        self.file = anonymous_file() if file is None and not private else None
        if self.file is not None:
            self.file.truncate(size)  # takes memory only where something is written
            file = self.file.fileno()
        memory: Any = bytearray(size) if file is None else mmap.mmap(file, size)
        taken = 0

        def take(dtype: type, *shape: int) -> np.ndarray:
            nonlocal taken
            array: np.ndarray = np.frombuffer(memory, dtype, int(np.prod(shape)), taken)
            taken += -(-array.nbytes // _CACHE_LINE) * _CACHE_LINE
            return array.reshape(shape)

        self.actions = take(np.float32, n, MAX_ACTION_DIM)  # written by the parent
        # Observations, padded with zeros. Where an episode has ended and the next one has begun in
        # the same step, what is called final is of the last step of the old one.
        self.state = take(np.float32, n, MAX_OBS_DIM) if states else None
        self.final_state = take(np.float32, n, MAX_OBS_DIM) if states else None
        self.frames = take(np.uint8, n, *FRAME_SHAPE) if frames else None
        self.final_frames = take(np.uint8, n, *FRAME_SHAPE) if frames else None
        self.reward = take(np.float64, n)
        self.score = take(np.float64, n)
        self.success = take(np.float64, n)
        self.final_score = take(np.float64, n)
        self.final_success = take(np.float64, n)
        self.truncated = take(np.bool_, n)  # episodes that ended in their last step
        self.terminated = take(np.bool_, n)  # those of them that ended by themselves
        self.over = take(np.bool_, n)  # episodes that have ended and were not reset yet
        self.failed = take(np.bool_, n)  # raised in its last step
        # Still to be reported: an end, so not stepped next time, and that it was by a restart. They
        # are one array, in which one assignment marks both or neither as reported.
        self.unreported = take(np.bool_, 2, n)
        self.skip, self.restarted = self.unreported
        self.built = take(np.bool_, n)
        self.rng = take(np.uint64, n, 6)  # generators from which the running episodes started
        self.final_rng = take(np.uint64, n, 6)
        self.seconds = take(np.float64, n)  # that steps have taken, resets included
        # By worker: the environment that it works on, or -1, and the last order carried out.
        self.current = take(np.int64, num_workers)
        self.done = take(np.int64, num_workers)
        self.finals = [
            (now, last)
            for now, last in (
                (self.state, self.final_state),
                (self.frames, self.final_frames),
                (self.score, self.final_score),
                (self.success, self.final_success),
                (self.rng, self.final_rng),
            )
            if now is not None and last is not None
        ]


def anonymous_file() -> IO[bytes]:
    """Makes a file without a name, in memory where the system can; it ends with its last user."""
    # Unlike /dev/shm a memory file knows no limit of its own; containers often set one of 64 MB.
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("mmbench"), "w+b")
    return tempfile.TemporaryFile()
