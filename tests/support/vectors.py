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


def assert_same_infos(ours, theirs):
    """Equal in every key, type and number."""
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        if isinstance(value, dict):
            assert_same_infos(ours[name], value)
            continue
        assert ours[name].dtype == value.dtype and ours[name].shape == value.shape, name
        for own, other in zip(ours[name], value, strict=True):  # NumPy does not compare objects
            np.testing.assert_equal(own, other, err_msg=name)


def assert_same(ours, theirs, rows=slice(None)):
    """Two results of a reset or a step are equal, infos included; or rows of the second."""
    np.testing.assert_equal(ours[0], theirs[0][rows] if rows != slice(None) else theirs[0])
    for a, b in zip(ours[1:-1], theirs[1:-1], strict=True):
        np.testing.assert_array_equal(a, b[rows])
    expected = {
        name: {key: column[rows] for key, column in value.items()}
        if isinstance(value, dict)
        else value[rows]
        for name, value in theirs[-1].items()
    }
    if "_final_obs" in expected and not expected["_final_obs"].any():
        expected = {name: value for name, value in expected.items() if "final" not in name}
    assert_same_infos(ours[-1], expected)


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
