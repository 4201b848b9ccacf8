"""Environments that fail, for tests. A worker process can import this module."""

import ctypes
import math
import os
import signal
import sys
import threading
import time

import numpy as np


class Fault:
    """Takes the place of ``TaskEnv.advance``: some good steps, then a fault.

    Args:
        kind: ``raise``, ``exit``, ``kill``, ``segfault``, ``hang``, ``nan`` or ``huge`` (a
            reward), or ``none``.
        after: Good steps before it.
        length: Of the episodes.
        seconds: Of a step.
    """

    def __init__(self, kind: str, after: int = 0, length: int = 500, seconds: float = 0.0) -> None:
        self.kind = kind
        self.after = after
        self.length = length
        self.seconds = seconds
        self.steps = 0

    def __call__(self, action: np.ndarray) -> tuple[float, bool, bool, float, float]:
        time.sleep(self.seconds)
        self.steps += 1
        reward = 0.1
        if self.steps > self.after:
            if self.kind == "raise":
                raise ArithmeticError("the contact solver gave up")
            if self.kind == "exit":
                sys.exit("the licence ran out")
            if self.kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.kind == "segfault":
                ctypes.string_at(0)
            if self.kind == "hang":
                time.sleep(10_000)
            if self.kind == "nan":
                reward = math.nan
            if self.kind == "huge":
                reward = -2e18
        return reward, False, self.steps % self.length == 0, 0.0, math.nan


def write_nan(state: np.ndarray, frame: np.ndarray | None = None) -> None:
    """Takes the place of ``TaskEnv.observe``."""
    state[2] = math.nan


def write_huge(state: np.ndarray, frame: np.ndarray | None = None) -> None:
    """Takes the place of ``TaskEnv.observe``."""
    state[2] = 2.0**61


class Counting:
    """Takes the place of ``TaskEnv.advance``: rewards count its steps, which take a while.

    Args:
        seconds: Of a step.
        length: Of the episodes.
    """

    def __init__(self, seconds: float = 0.0, length: int = 500) -> None:
        self.seconds = seconds
        self.length = length
        self.steps = 0

    def __call__(self, action: np.ndarray) -> tuple[float, bool, bool, float, float]:
        time.sleep(self.seconds)
        self.steps += 1
        return float(self.steps), False, self.steps % self.length == 0, 0.0, math.nan


def make_lock() -> object:
    """Something that cannot be pickled."""
    return threading.Lock()
