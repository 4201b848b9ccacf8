"""What the tests of the multitask vector environment share."""

import contextlib
import os

import gymnasium as gym
import numpy as np

ID = "mmbench:mmbench/multitask-v0"
TASKS = "pygame-pong,walker-walk,pygame-landing,cartpole-swingup,pygame-cowboy"
GUARD = 120  # s, for what must not hang


def make(tasks=TASKS, num_workers=2, **kwargs):
    return gym.make_vec(ID, tasks=tasks, num_workers=num_workers, **kwargs).unwrapped


def actions(env, count, seed=0):
    shape = (count, *env.action_space.shape)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def assert_same(ours, theirs, rows=slice(None)):
    """Two results of a step are equal, infos included; or rows of the second."""
    for a, b in zip(ours[:4], theirs[:4], strict=True):
        np.testing.assert_array_equal(a, b[rows])
    expected = {
        name: {key: column[rows] for key, column in value.items()}
        if isinstance(value, dict)
        else value[rows]
        for name, value in theirs[4].items()
    }
    if not theirs[3][rows].any():
        expected = {name: value for name, value in expected.items() if "final" not in name}
    np.testing.assert_equal(ours[4], expected)


def children():
    """Worker processes of this process."""
    found = []
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            with open(f"/proc/{int(entry)}/stat") as file:
                state, parent = file.read().rsplit(")", 1)[1].split()[:2]
            if int(parent) == os.getpid() and state != "Z":
                with open(f"/proc/{entry}/cmdline") as file:
                    found += [int(entry)] if "mmbench.vector" in file.read() else []
    return found


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
