"""The environments that one process owns, and the loop of a worker process."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Sequence
from multiprocessing import reduction
from typing import Any

import numpy as np

from mmbench.catalog import Task, import_modules
from mmbench.env import TaskEnv
from mmbench.vector.arrays import SharedArrays

WHOLE = 2
"""In a step: all environments. 0 and 1 are the halves (those with even, with odd numbers)."""

REQUEST = -1
"""Instead of a half: a pickled request waits in the pipe."""

RING = 8
"""Orders that fit between a vector environment and its worker."""


def rows_of(part: int) -> slice:
    """The environments of a part: 0 and 1 the halves, WHOLE all."""
    return slice(None) if part == WHOLE else slice(part, None, 2)


class EnvironmentSet:
    """The environments of one vector environment that live in this process.

    A step reads the actions from, and writes everything else into, the shared arrays.

    Args:
        arrays: The shared arrays.
        worker: Number of this worker.
        obs: ``state``, ``rgb`` or ``state+rgb``.
        render_mode: None or ``rgb_array``.
    """

    def __init__(
        self, arrays: SharedArrays, worker: int, obs: str, render_mode: str | None
    ) -> None:
        self._arrays = arrays
        self._worker = worker
        self._obs = obs
        self._render_mode = render_mode
        self._envs: dict[int, TaskEnv] = {}
        self._rows: list[list[tuple[Any, ...]]] = [[], [], []]
        self._tracebacks: dict[int, str] = {}

    def build(self, index: int, task: Task, imports: Sequence[str]) -> None:
        """Makes environment ``index``; one that is there is closed and made anew.

        Modules of the user are imported before, as tasks and environments may be theirs.
        """
        self._arrays.current[self._worker] = index
        import_modules(imports)
        self.drop(index)
        self._envs[index] = TaskEnv(task, obs=self._obs, render_mode=self._render_mode)
        self._arrange()
        self._arrays.current[self._worker] = -1

    def drop(self, index: int) -> None:
        """Closes environment ``index`` if it is here."""
        if index in self._envs:
            env = self._envs.pop(index)
            self._arrange()
            env.close()

    def reset(
        self,
        indices: Sequence[int],
        seeds: Sequence[int | None],
        generators: Sequence[np.ndarray | None],
    ) -> None:
        """Starts new episodes of some environments."""
        for i, seed, generator in zip(indices, seeds, generators, strict=True):
            self._arrays.current[self._worker] = i
            env = self._envs[i]
            self._arrays.rng[i] = env.begin(seed, generator)
            self._arrays.score[i], self._arrays.success[i] = env.progress
            env.observe(*self._targets(i, env))
        self._arrays.current[self._worker] = -1

    def step(self, part: int) -> None:
        """Steps a half, or all, of the environments.

        One that raises is marked as failed, and the others go on.
        """
        arrays, worker, clock = self._arrays, self._worker, time.perf_counter
        # A memory view takes one number faster than an array does.
        current, idle = arrays.current.data, arrays.idle.data
        rewards = arrays.reward.data
        terminations, truncations = arrays.terminated.data, arrays.truncated.data
        scores, successes = arrays.score.data, arrays.success.data
        seconds, steps = arrays.seconds.data, arrays.steps.data
        began = clock()
        for i, env, action, state, frame, final_state, final_frame in self._rows[part]:
            if idle[i]:
                continue
            current[worker] = i
            try:
                rewards[i], terminated, truncated, scores[i], successes[i] = env.advance(action)
                terminations[i] = terminated
                truncations[i] = ended = terminated or truncated
                if ended:
                    env.observe(final_state, final_frame)
                    arrays.rng[i] = env.begin()
                env.observe(state, frame)
            except Exception:
                arrays.failed[i] = True
                self._tracebacks[i] = traceback.format_exc()
            ended = clock()
            seconds[i] += ended - began
            steps[i] += 1
            began = ended
        current[worker] = -1

    def tracebacks(self) -> dict[int, str]:
        """Returns, and forgets, the tracebacks of the environments that raised."""
        told, self._tracebacks = self._tracebacks, {}
        return told

    def call(self, indices: Sequence[int], name: str, args: Any, kwargs: Any) -> list[Any]:
        """Calls a method of some environments, or reads an attribute."""
        results = []
        for i in indices:
            self._arrays.current[self._worker] = i
            value = getattr(self._envs[i], name)
            results.append(value(*args, **kwargs) if callable(value) else value)
        self._arrays.current[self._worker] = -1
        return results

    def assign(self, indices: Sequence[int], name: str, values: Sequence[Any]) -> None:
        """Sets an attribute of some environments, to a value each."""
        for i, value in zip(indices, values, strict=True):
            setattr(self._envs[i], name, value)

    def close(self) -> None:
        """Closes every environment."""
        for index in list(self._envs):
            self.drop(index)
        self._arrays.close()

    def _targets(self, i: int, env: TaskEnv, final: bool = False) -> tuple[Any, Any]:
        """Where the observation of environment ``i`` goes: its own entries, and its frame."""
        states = self._arrays.final_state if final else self._arrays.state
        frames = self._arrays.final_frames if final else self._arrays.frames
        return (
            None if states is None else states[i, : env.task.obs_dim],
            None if frames is None else frames[i],
        )

    def _arrange(self) -> None:
        rows = []
        for i, env in sorted(self._envs.items()):
            here, last = self._targets(i, env), self._targets(i, env, final=True)
            rows.append((i, env, self._arrays.actions[i], *here, *last))
        self._rows = [[row for row in rows if row[0] % 2 == half] for half in (0, 1)] + [rows]


def run_worker(number: int, pipe: Any, go: Any, done: Any, orders: Any, home: int | None) -> None:
    """The body of a worker process.

    Orders come as pairs (set, half) through a ring in shared memory, each announced by ``go``.
    A step is answered by ``done`` of that half and nothing else; a request by the pipe.

    Args:
        number: Number of this worker.
        pipe: Connection to the parent, for requests and their answers.
        go: Semaphore, released by the parent for each order.
        done: Semaphores, by half, released for each step that is done.
        orders: Shared integers, ``RING`` pairs.
        home: The core on which to wake up, or None for any.
    """
    # Ctrl-C, `timeout`, Slurm, systemd and a terminal that closes signal every process. The parent
    # decides what that means: it may want to finish a step and save. The worker ends with it.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sets: dict[int, EnvironmentSet] = {}
    ring = np.frombuffer(orders, np.int64).reshape(RING, 2)
    # As a batch process it does not take the core from the parent that wakes it, which has others
    # to wake: those would wait for a whole slice (3 ms).
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):  # it decides about speed only
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    anywhere = None if home is None else os.sched_getaffinity(0)
    for turn in itertools.count():
        # While the parent gives its orders one core is taken, and Linux often wakes two workers
        # on one of the others, where one waits for a whole slice (3 ms) of the other. So each
        # wakes up on a core of its own, and is free to move from then on.
        if home is not None:
            _run_on({home})
        go.acquire()
        if anywhere is not None:
            _run_on(anywhere)
        which, part = ring[turn % RING].tolist()
        if part != REQUEST:
            sets[which].step(part)
            done[part % WHOLE].release()
            continue
        method, args = pipe.recv()
        try:
            if method == "exit":
                break
            if method == "open":
                sets[which] = _open(number, pipe, *args)
                answer = None
            else:
                answer = getattr(sets[which], method)(*args)
                if method == "close":
                    del sets[which]
        except Exception as error:
            pipe.send((False, (type(error).__name__, str(error), traceback.format_exc())))
        else:
            pipe.send((True, answer))
    for environments in sets.values():
        environments.close()


def _run_on(cores: set[int]) -> None:
    with contextlib.suppress(OSError):  # a core may have been taken away meanwhile
        os.sched_setaffinity(0, cores)


def _open(
    number: int, pipe: Any, num_envs: int, obs: str, num_workers: int, render_mode: str | None
) -> EnvironmentSet:
    file = reduction.recv_handle(pipe)
    return EnvironmentSet(SharedArrays(num_envs, obs, num_workers, file), number, obs, render_mode)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
