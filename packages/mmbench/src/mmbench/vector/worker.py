"""The environments that one process owns, and the loop of a worker process."""

from __future__ import annotations

import array
import contextlib
import os
import pickle
import signal
import socket
import struct
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector import AutoresetMode

from mmbench.catalog import Task, import_modules
from mmbench.env import TaskEnv
from mmbench.vector.arrays import SharedArrays

WHOLE = 2
"""Part of a step: all environments. 0 and 1 are the halves (those with even, with odd numbers)."""

REQUEST, OPEN, CLOSE = -1, -2, -3
"""Other orders. A request calls a method; a set is opened before and closed after all others."""

ORDER = struct.Struct("3q")
"""An order: the set of environments, the order's number in this set, what to do."""

BELL = b"!"
"""Sent back after each order. It only wakes: ``SharedArrays.done`` says what is done."""

_DESCRIPTORS = socket.CMSG_SPACE(2 * struct.calcsize("i"))
_WATCH_SECONDS = 1.0


def rows_of(part: int) -> slice:
    """The environments of a part: 0 and 1 the halves, WHOLE all."""
    return slice(None) if part == WHOLE else slice(part, None, 2)


class Modes(NamedTuple):
    """What all environments of a set have in common.

    Attributes:
        obs: ``state``, ``rgb`` or ``state+rgb``.
        render: None or ``rgb_array``.
        autoreset: When an environment whose episode has ended is reset.
    """

    obs: str
    render: str | None
    autoreset: AutoresetMode


class Raised(NamedTuple):
    """What a request raised, and the environment at work, or -1."""

    kind: str
    message: str
    trace: str
    place: int


class EnvironmentSet:
    """The environments of one vector environment that live in this process.

    A step reads the actions from, and writes everything else into, the shared arrays.

    Args:
        arrays: The shared arrays.
        worker: Number of this worker.
        modes: See :class:`Modes`.
    """

    def __init__(self, arrays: SharedArrays, worker: int, modes: Modes) -> None:
        self.arrays = arrays
        self._worker = worker
        self._modes = modes
        self._envs: dict[int, TaskEnv] = {}
        self._rows: list[list[tuple[Any, ...]]] = [[], [], []]
        self._tracebacks: dict[int, str] = {}

    def carry_out(self, method: str, args: tuple[Any, ...]) -> Any:
        """Calls a method of this class; returns what it returns, or how it failed."""
        current = self.arrays.current
        try:
            return getattr(self, method)(*args)
        except Exception as error:
            trace = traceback.format_exc()
            return Raised(type(error).__name__, str(error), trace, int(current[self._worker]))
        finally:
            current[self._worker] = -1

    def build(self, tasks: Mapping[int, Task], imports: Sequence[str]) -> None:
        """Makes environments, by index; one that is there is closed and made anew.

        Modules of the user are imported before, as tasks and environments may be theirs.
        """
        try:
            import_modules(imports)
            for i, task in tasks.items():
                self.arrays.current[self._worker] = i
                if i in self._envs:
                    self._envs.pop(i).close()
                self._envs[i] = TaskEnv(task, self._modes.obs, render_mode=self._modes.render)
                self.arrays.built[i] = True
        finally:
            self._arrange()

    def reset(self, begins: Mapping[int, tuple[int | None, np.ndarray | None]]) -> None:
        """Starts new episodes, by index from a seed, a generator, or as the environment goes on."""
        for i, (seed, generator) in begins.items():
            self.arrays.current[self._worker] = i
            env = self._envs[i]
            env.begin(seed, generator)
            self._tell_start(i, env)
            env.observe(*self._targets(i, env))

    def step(self, part: int) -> None:
        """Steps a half, or all, of the environments.

        One that raises is marked as failed, and the others go on.
        """
        arrays, worker, clock = self.arrays, self._worker, time.perf_counter
        same_step = self._modes.autoreset is AutoresetMode.SAME_STEP
        # A memory view takes one number faster than an array does.
        current, idle, over = arrays.current.data, arrays.idle.data, arrays.over.data
        rewards = arrays.reward.data
        terminations, truncations = arrays.terminated.data, arrays.truncated.data
        scores, successes = arrays.score.data, arrays.success.data
        seconds = arrays.seconds.data
        began = clock()
        for i, env, action, state, frame, final_state, final_frame in self._rows[part]:
            if idle[i]:
                continue
            current[worker] = i
            try:
                if over[i]:  # only where the step after an end resets
                    env.begin()
                    self._tell_start(i, env)
                    arrays.reward[i], terminations[i], truncations[i] = 0.0, False, False
                else:
                    rewards[i], terminated, truncated, scores[i], successes[i] = env.advance(action)
                    terminations[i] = terminated
                    truncations[i] = ended = terminated or truncated
                    if ended and same_step:
                        env.observe(final_state, final_frame)
                        self._tell_end(i)
                        env.begin()
                        self._tell_start(i, env)
                    elif ended:
                        over[i] = True
                env.observe(state, frame)
            except Exception:
                arrays.failed[i] = True
                self._tracebacks[i] = traceback.format_exc()
            now = clock()
            seconds[i] += now - began
            began = now
        current[worker] = -1

    def _tell_start(self, i: int, env: TaskEnv) -> None:
        """Writes of an episode that has begun all but its first observation."""
        arrays = self.arrays
        arrays.score[i], arrays.success[i] = env.progress
        arrays.rng[i] = env.episode_rng
        arrays.over[i] = False

    def _tell_end(self, i: int) -> None:
        """Keeps of an episode that has ended all but its last observation."""
        arrays = self.arrays
        arrays.final_score[i], arrays.final_success[i] = arrays.score[i], arrays.success[i]
        arrays.final_rng[i] = arrays.rng[i]

    def tracebacks(self, indices: Sequence[int]) -> dict[int, str]:
        """Returns what some environments raised when they last failed."""
        return {i: self._tracebacks[i] for i in indices}

    def call(self, indices: Sequence[int], name: str, args: Any, kwargs: Any) -> dict[int, Any]:
        """Calls a method of some environments, or reads an attribute."""
        results = {}
        for i in indices:
            self.arrays.current[self._worker] = i
            value = getattr(self._envs[i], name)
            results[i] = value(*args, **kwargs) if callable(value) else value
        return results

    def assign(self, name: str, values: Mapping[int, Any]) -> dict[int, None]:
        """Sets an attribute of some environments, to a value each."""
        for i, value in values.items():
            self.arrays.current[self._worker] = i
            setattr(self._envs[i], name, value)
        return dict.fromkeys(values)

    def close(self) -> None:
        """Closes every environment."""
        while self._envs:
            self._envs.popitem()[1].close()

    def _targets(self, i: int, env: TaskEnv, final: bool = False) -> tuple[Any, Any]:
        """Where the observation of environment ``i`` goes: its own entries, and its frame."""
        states = self.arrays.final_state if final else self.arrays.state
        frames = self.arrays.final_frames if final else self.arrays.frames
        return (
            None if states is None else states[i, : env.task.obs_dim],
            None if frames is None else frames[i],
        )

    def _arrange(self) -> None:
        rows = []
        for i, env in sorted(self._envs.items()):
            here, last = self._targets(i, env), self._targets(i, env, final=True)
            rows.append((i, env, self.arrays.actions[i], *here, *last))
        self._rows = [[row for row in rows if row[0] % 2 == half] for half in (0, 1)] + [rows]


def main(link: int, number: int, parent: int, home: int) -> None:
    """The body of a worker process.

    Orders come one after the other through a socket, which closes when the process shall end. An
    order that comes twice, because its sender was interrupted, is carried out once.

    Args:
        link: Descriptor of the socket.
        number: Number of this worker.
        parent: Process id of the parent.
        home: The core on which to wake up, or -1 for any.
    """
    # Ctrl-C, `timeout`, Slurm, systemd and a terminal that closes signal every process. The parent
    # decides what that means: it may want to finish a step and save. The worker ends with it.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    # As a batch process it does not take the core from the parent that wakes it, which has others
    # to wake: those would wait for a whole slice (3 ms).
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):  # it decides about speed only
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    anywhere = None if home < 0 else os.sched_getaffinity(0)
    sets: dict[int, EnvironmentSet] = {}
    with socket.socket(fileno=link) as orders:
        while True:
            # While the parent gives its orders one core is taken, and Linux often wakes two
            # workers on one of the others, where one waits for a whole slice (3 ms) of the other.
            # So each wakes up on a core of its own, and is free to move from then on.
            if anywhere is not None:
                _run_on({home})
            order, files = _receive(orders)
            if anywhere is not None:
                _run_on(anywhere)
            if not order:
                break
            which, turn, what = ORDER.unpack(order)
            if what == CLOSE:
                if which in sets:
                    sets.pop(which).carry_out("close", ())
                continue
            if what == OPEN:
                sets[which] = _open(number, *files)
            environments = sets[which]
            if turn > environments.arrays.done[number]:
                if what >= 0:
                    environments.step(what)
                elif what == REQUEST:
                    _answer(environments, files[0])
                environments.arrays.done[number] = turn
            with contextlib.suppress(OSError):  # full of bells that nobody has heard, or closed
                orders.send(BELL, socket.MSG_DONTWAIT)
    for environments in sets.values():
        environments.carry_out("close", ())


def _receive(orders: socket.socket) -> tuple[bytes, array.array[int]]:
    """The next order, empty after the last, and the files that came with it."""
    files = array.array("i")
    try:
        order, ancillary, _, _ = orders.recvmsg(ORDER.size, _DESCRIPTORS)
    except ConnectionError:
        return b"", files
    for _, _, descriptors in ancillary:
        files.frombytes(descriptors)
    return order, files


def _open(number: int, request: int, memory: int) -> EnvironmentSet:
    with open(request, "rb") as file:
        num_envs, num_workers, modes = pickle.load(file)
    arrays = SharedArrays(num_envs, modes.obs, num_workers, memory)
    os.close(memory)  # the mapping has its own
    return EnvironmentSet(arrays, number, modes)


def _answer(environments: EnvironmentSet, request: int) -> None:
    """Carries out a request; the answer takes its place in the file."""
    with open(request, "r+b") as file:
        try:
            answer = pickle.dumps(environments.carry_out(*pickle.load(file)))
        except Exception as error:
            trace = traceback.format_exc()
            answer = pickle.dumps(Raised(type(error).__name__, str(error), trace, -1))
        file.seek(0)
        file.truncate()
        file.write(answer)


def _run_on(cores: set[int]) -> None:
    with contextlib.suppress(OSError):  # a core may have been taken away meanwhile
        os.sched_setaffinity(0, cores)


def _end_with(parent: int) -> None:
    """Ends this process when its parent is gone, however busy it is."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)
