"""The environments that one process owns, and the loop of a worker process."""

from __future__ import annotations

import array
import contextlib
import ctypes
import gc
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
from mmbench.vector.together import Team, teams_of

WHOLE = 2
"""The subset of all environments. 0 and 1 are the halves: those with even and odd numbers."""

REQUEST, OPEN, CLOSE = -1, -2, -3
"""Other commands. A request calls a method. A set opens before and closes after all others."""

ORDER = struct.Struct("3q")
"""An order: the set of environments, the order's number in this set, the command."""

WAKE_UP = b"!"
"""Sent after each order. It only wakes the parent: ``SharedArrays.done`` says what is done."""

FAILURES = (Exception, SystemExit)
"""What an environment may raise. A simulator that gives up by `sys.exit` must not end a run."""

_DESCRIPTORS = socket.CMSG_SPACE(2 * struct.calcsize("i"))
_WATCH_SECONDS = 1.0


def rows_of(subset: int) -> slice:
    """The rows of a subset: 0 and 1 are the halves, WHOLE is all."""
    return slice(None) if subset == WHOLE else slice(subset, None, 2)


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
    """What a request raised, and the index of the environment at work, or -1."""

    kind: str
    message: str
    trace: str
    env: int


class EnvironmentSet:
    """The environments of one vector environment that live in this process.

    A step reads actions from the shared arrays, and writes everything else into them.

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
        self._alone: set[int] = set()  # changed by the user: they step by themselves
        self._teams: list[list[Team]] | None = None
        self._tracebacks: dict[int, str] = {}

    def execute(self, method: str, args: tuple[Any, ...]) -> Any:
        """Calls a method of this class; returns what it returns, or how it failed."""
        current = self.arrays.current
        try:
            self._release(WHOLE, 0, 1)
            return getattr(self, method)(*args)
        except FAILURES as error:
            trace = traceback.format_exc()
            return Raised(type(error).__name__, str(error), trace, int(current[self._worker]))
        finally:
            current[self._worker] = -1

    def build(self, tasks: Mapping[int, Task], imports: Sequence[str]) -> None:
        """Makes environments, by index; closes and replaces those that exist.

        Imports the user's modules first, because they may define tasks and environments.
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
        _give_memory_back()

    def reset(self, begins: Mapping[int, tuple[int | None, np.ndarray | None]]) -> None:
        """Starts new episodes: by index, from a seed, a generator, or (None, None) neither."""
        for i, (seed, generator) in begins.items():
            self.arrays.current[self._worker] = i
            env = self._envs[i]
            env.begin(seed, generator)
            self._write_start(i, env)
            env.observe(*self._targets(i, env))

    def step(self, subset: int) -> None:
        """Steps a half, or all, of the environments.

        Marks one that raises as failed, and goes on with the others.
        """
        arrays, worker, clock = self.arrays, self._worker, time.perf_counter
        same_step = self._modes.autoreset is AutoresetMode.SAME_STEP
        # A memory view takes one number faster than an array does.
        current, skip, over = arrays.current.data, arrays.skip.data, arrays.over.data
        rewards = arrays.reward.data
        terminations, truncations = arrays.terminated.data, arrays.truncated.data
        scores, successes = arrays.score.data, arrays.success.data
        seconds = arrays.seconds.data
        stepped = self._step_together(subset)
        began = clock()
        for i, env, action, state, frame, final_state, final_frame in self._rows[subset]:
            if skip[i] or i in stepped:
                continue
            current[worker] = i
            try:
                if over[i]:  # only where the step after an end resets
                    env.begin()
                    self._write_start(i, env)
                    arrays.reward[i], terminations[i], truncations[i] = 0.0, False, False
                else:
                    rewards[i], terminated, truncated, scores[i], successes[i] = env.advance(action)
                    terminations[i] = terminated
                    truncations[i] = ended = terminated or truncated
                    if ended and same_step:
                        env.observe(final_state, final_frame)
                        self._begin_next(i, env)
                    elif ended:
                        over[i] = True
                env.observe(state, frame)
            except FAILURES:
                arrays.failed[i] = True
                self._tracebacks[i] = traceback.format_exc()
            now = clock()
            seconds[i] += now - began
            began = now
        current[worker] = -1

    def _step_together(self, subset: int) -> set[int]:
        """Steps the teams of a subset; returns the environments that have taken the step."""
        if self._teams is None:
            self._teams = [self._make_teams(rows) for rows in self._rows]
        if subset == WHOLE:
            self._release(0, 1)
        else:
            self._release(WHOLE)
        arrays, stepped = self.arrays, set()
        for team in self._teams[subset]:
            rows = team.rows.tolist()
            arrays.current[self._worker] = rows[0]
            began = time.perf_counter()
            try:
                done = team.step()
            except FAILURES:
                arrays.failed[rows] = done = True
                self._tracebacks |= dict.fromkeys(rows, traceback.format_exc())
            if done:
                stepped.update(rows)
                arrays.seconds[rows] += (time.perf_counter() - began) / len(rows)
            else:
                team.release()
        return stepped

    def _make_teams(self, rows: list[tuple[Any, ...]]) -> list[Team]:
        if self._modes.obs != "state":
            return []
        same_step = self._modes.autoreset is AutoresetMode.SAME_STEP
        envs = {row[0]: row[1] for row in rows}
        return teams_of(envs, self._alone, self.arrays, self._begin_next if same_step else None)

    def _release(self, *subsets: int) -> None:
        """Lets single environments be used again."""
        for subset in subsets:
            for team in self._teams[subset] if self._teams else ():
                team.release()

    def _begin_next(self, i: int, env: TaskEnv) -> None:
        """Starts the next episode in the step that ended the last one."""
        self._write_end(i)
        env.begin()
        self._write_start(i, env)

    def _write_start(self, i: int, env: TaskEnv) -> None:
        """Writes what is known of an episode that begins, except its observation."""
        arrays = self.arrays
        arrays.score[i], arrays.success[i] = env.progress
        arrays.rng[i] = env.episode_rng
        arrays.over[i] = False

    def _write_end(self, i: int) -> None:
        """Keeps what is known of an episode that ended, except its observation."""
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
        self._alone.update(values)
        self._teams = None
        return dict.fromkeys(values)

    def close(self) -> None:
        """Closes every environment."""
        in_cycles = any(env.simulator.in_cycles for env in self._envs.values())
        while self._envs:
            self._envs.popitem()[1].close()
        if in_cycles:
            gc.collect()
        _give_memory_back()

    def _targets(self, i: int, env: TaskEnv, final: bool = False) -> tuple[Any, Any]:
        """Arrays for the observation of environment ``i``: its own entries, and its frame."""
        states = self.arrays.final_state if final else self.arrays.state
        frames = self.arrays.final_frames if final else self.arrays.frames
        return (
            None if states is None else states[i, : env.task.obs_dim],
            None if frames is None else frames[i],
        )

    def _arrange(self) -> None:
        self._teams = None
        rows = []
        for i, env in sorted(self._envs.items()):
            here, last = self._targets(i, env), self._targets(i, env, final=True)
            rows.append((i, env, self.arrays.actions[i], *here, *last))
        self._rows = [[row for row in rows if row[0] % 2 == half] for half in (0, 1)] + [rows]


def _give_memory_back() -> None:
    """Returns freed memory to the system.

    MuJoCo compiles a model in blocks of megabytes. Once they are freed, glibc keeps the holes that
    they leave between smaller blocks, and hardly uses them again: evaluations, whose environments
    come and go, would take some 14 MB for each of Meta-World's for good.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def main(link: int, number: int, parent: int, core: int) -> None:
    """The body of a worker process.

    Carries out the orders that come through a socket, and ends when the socket closes. An order
    may come twice, if its sender was interrupted; it is carried out once.

    Args:
        link: Descriptor of the socket.
        number: Number of this worker.
        parent: Process id of the parent.
        core: The core on which to wake up, or -1 for any.
    """
    # Ctrl-C, `timeout`, Slurm, systemd and a terminal that closes signal every process. The parent
    # decides what that means: it may want to finish a step and save. The worker ends with it.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    # A batch process does not preempt the parent that wakes it. The parent has others to wake, and
    # they would wait for a whole time slice (3 ms).
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):  # it affects speed only
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    anywhere = None if core < 0 else os.sched_getaffinity(0)
    sets: dict[int, EnvironmentSet] = {}
    with socket.socket(fileno=link) as orders:
        while True:
            # While the parent sends its orders, one core is busy, and Linux often wakes two workers
            # on one of the others, where one waits for a whole time slice (3 ms). So each wakes up
            # on a core of its own, and may move from then on.
            if anywhere is not None:
                _run_on({core})
            order, files = _receive(orders)
            if anywhere is not None:
                _run_on(anywhere)
            if not order:
                break
            set_id, order_id, command = ORDER.unpack(order)
            if command == CLOSE:
                if set_id in sets:
                    sets.pop(set_id).execute("close", ())
                continue
            if command == OPEN:
                sets[set_id] = _open(number, *files)
            environments = sets[set_id]
            if order_id > environments.arrays.done[number]:
                if command >= 0:
                    environments.step(command)
                elif command == REQUEST:
                    _answer(environments, files[0])
                environments.arrays.done[number] = order_id
            with contextlib.suppress(OSError):  # full of wake-ups that were not read, or closed
                orders.send(WAKE_UP, socket.MSG_DONTWAIT)
    for environments in sets.values():
        environments.execute("close", ())


def _receive(orders: socket.socket) -> tuple[bytes, array.array[int]]:
    """Receives an order, empty after the last one, and the files that came with it."""
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
    """Carries out a request and replaces it in the file by the answer."""
    with open(request, "r+b") as file:
        try:
            answer = pickle.dumps(environments.execute(*pickle.load(file)))
        except Exception as error:
            trace = traceback.format_exc()
            answer = pickle.dumps(Raised(type(error).__name__, str(error), trace, -1))
        file.seek(0)
        file.truncate()
        file.write(answer)


def _run_on(cores: set[int]) -> None:
    with contextlib.suppress(OSError):  # a core may have been taken away meanwhile
        os.sched_setaffinity(0, cores)


def end_with(parent: int) -> None:
    """Ends this process when its parent is gone, however busy the process is."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)
