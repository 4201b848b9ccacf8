"""N environments spread over the workers of a pool."""

from __future__ import annotations

import contextlib
import itertools
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.error import ClosedEnvironmentError

from mmbench.catalog import EnvironmentFailure, Task
from mmbench.vector.arrays import SharedArrays
from mmbench.vector.costs import step_costs
from mmbench.vector.grouping import group
from mmbench.vector.pool import Worker, WorkerLost, WorkerPool
from mmbench.vector.worker import NOTHING, WHOLE, Raised, rows_of

MAX_FAILURES = 10
"""Restarts of one environment without a whole episode in between, before it is an error."""

_BUILDING_SECONDS = 300.0
"""Seconds without a new environment after which a worker that builds some counts as hanging: a
busy machine takes half a minute to import the largest simulators."""


class Fleet:
    """The environments of one vector environment: where they are, what they do, what went wrong.

    Every order to the workers has a number, and each tells the number of the last one it has
    carried out. So an answer is never taken for that to another order, whoever else uses the
    workers and wherever an exception (Ctrl-C, an alarm) ends a call: what such a call leaves
    unfinished is finished by the next one, or by a repeated :meth:`wait`.

    Attributes:
        arrays: What is shared with the workers.
        owner: (N,) int64, the worker of each environment.
        failures: (N,) int64, how often each environment has failed.
        sent: The parts that have been ordered to step, with the order's number.

    Args:
        tasks: The task of each environment.
        obs: ``state``, ``rgb`` or ``state+rgb``.
        render_mode: None or ``rgb_array``.
        pool: The workers, which other fleets may use as well.
        restarts: Rebuild environments that fail, instead of raising.
        time_limit: Seconds that a worker may take for an order.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        obs: str,
        render_mode: str | None,
        pool: WorkerPool,
        restarts: bool,
        time_limit: float,
    ) -> None:
        count, num_workers = len(tasks), max(1, min(pool.size, len(tasks)))
        self.arrays = SharedArrays(count, obs, num_workers, private=pool.size == 0)
        self.arrays.current[:] = -1
        self.owner = group([task.domain for task in tasks], step_costs(tasks, obs), num_workers)
        self.failures = np.zeros(count, np.int64)
        self.sent: dict[int, int] = {}
        self._tasks = tasks
        self._opening = obs, render_mode
        self._pool = pool
        self._restarts = restarts
        self._limit = time_limit
        self._done = self.arrays.done.data
        self._working = {
            part: np.unique(self.owner[rows_of(part)]).tolist() for part in (0, 1, WHOLE)
        }
        self._workers: dict[int, Worker] = {}
        self._turns = itertools.count(1)
        self._ordered = 0  # the last turn that every worker has been told of
        self._asking = False
        self._dead: set[int] = set()  # environments that a failure has ended
        self._restarted = np.zeros(count, bool)  # brought back, which is still to be told
        self._last = np.zeros((2, count))  # score and success of the episodes that so ended
        self._failures_in_a_row = np.zeros(count, np.int64)
        self._closed = ""
        which = self._set = pool.join()
        self._leave = weakref.finalize(self, pool.leave, which)

    def build(self, progress: Callable[[int, int], None] | None) -> None:
        """Makes all environments, the workers side by side.

        Raises:
            EnvironmentFailure: One cannot be made.
        """

        def tell() -> None:
            if progress:
                progress(int(self.arrays.built.sum()), len(self._tasks))

        everything = range(len(self._tasks))
        for indices in [everything] if self._pool.size else [[i] for i in everything]:
            failures = self._build(indices, tell)
            if failures:
                raise next(iter(failures.values()))
            tell()

    def reset(
        self,
        indices: Sequence[int] | np.ndarray,
        seeds: Sequence[int | None],
        generators: np.ndarray | None = None,
    ) -> None:
        """Starts new episodes in some environments.

        Args:
            indices: The environments.
            seeds: By environment (of all N): restarts its generator where not None.
            generators: (N, 6) uint64, generators to start from, or None.

        Raises:
            EnvironmentFailure: One failed, and is not restarted or failed again and again.
        """
        self.settle()
        for part in sorted(self.sent):
            self._discard(part)
        while failures := self._reset(indices, seeds, generators):
            self._recover(failures)
        self.arrays.idle[indices] = self._restarted[indices] = False

    def order(self, part: int, actions: np.ndarray) -> None:
        """Has the environments of a part step, without waiting for them.

        Args:
            part: 0, 1 or WHOLE.
            actions: (n, 16) float32.
        """
        self.settle()
        self.arrays.actions[rows_of(part)] = actions
        self.sent[part] = next(self._turns)
        self._order()

    def wait(self, part: int) -> np.ndarray:
        """Waits for a step; its results then lie in the arrays until :meth:`received`.

        Returns:
            By environment of the part, whether it was restarted instead of stepping.

        Raises:
            EnvironmentFailure: An environment failed, and is not restarted or failed again and
                again.
        """
        self.check()
        self._order()
        if self._dead:
            self._revive()
        failures: dict[int, EnvironmentFailure] = {}
        for number in self._working[part]:
            try:
                self._workers[number].wait(self._done, self.sent[part], self._limit)
            except WorkerLost as error:
                failures |= self._with_worker(error, part, "is lost")
        failures |= self._raised(part) | self._non_finite(part)
        if failures:
            self._recover(failures)
        rows = rows_of(part)
        restarted = self._restarted[rows].copy()
        if restarted.any():
            for column, last in zip(
                (self.arrays.score, self.arrays.success), self._last, strict=True
            ):
                column[rows][restarted] = last[rows][restarted]
        return restarted

    def received(self, part: int) -> None:
        """Ends a step whose results the caller has, failures and ends of episodes included."""
        rows = rows_of(part)
        self._failures_in_a_row[rows][self.arrays.truncated[rows] & ~self._restarted[rows]] = 0
        self.arrays.idle[rows] = self._restarted[rows] = False
        del self.sent[part]

    def call(self, name: str, args: Any, kwargs: Any) -> list[Any]:
        """Calls a method of every environment, or reads an attribute.

        Raises:
            EnvironmentFailure: One raised, or is lost and is not restarted.
            ValueError: The arguments cannot be sent to the workers.
        """
        told = self._everywhere("call", lambda own: (own, name, args, kwargs))
        return [told[i] for i in range(len(self._tasks))]

    def assign(self, name: str, values: Sequence[Any]) -> None:
        """Sets an attribute of every environment, to a value each; raises as :meth:`call`."""
        self._everywhere("assign", lambda own: (name, {i: values[i] for i in own}))

    def settle(self) -> None:
        """Finishes what an exception has left unfinished.

        Raises:
            ClosedEnvironmentError: The environments are closed, by the caller or after a failure.
            RuntimeError: This is a forked child.
        """
        self.check()
        self._order()
        if self._asking:  # orders are carried out in turn, so after this one nothing is left
            turn = next(self._turns)
            workers = [self._workers[number] for number in self._workers]
            for worker in workers:
                with contextlib.suppress(WorkerLost):  # the next order will say so
                    worker.order(self._set, turn, NOTHING)
            for worker in workers:
                with contextlib.suppress(WorkerLost):
                    worker.wait(self._done, turn, self._limit)
            self._asking = False
        if self._dead:
            self._revive()
        if WHOLE in self.sent:
            self._discard(WHOLE)

    def close(self) -> None:
        """Closes the environments; the last fleet of a pool ends the workers."""
        self._closed = self._closed or "it is closed"
        self._leave()
        if self.arrays.file is not None:
            self.arrays.file.close()

    # What the workers are asked for

    def _order(self) -> None:
        """Has the workers step what was sent; where it is repeated, those that do not know it."""
        for part, turn in self.sent.items():
            if turn > self._ordered:
                if not self._pool.size:
                    self._ordered = turn  # it happens now, and only once
                for number in self._working[part]:
                    with contextlib.suppress(WorkerLost):  # waiting for it will say so
                        self._workers[number].order(self._set, turn, part)
                self._ordered = turn

    def _ask(
        self,
        method: str,
        indices: Iterable[int],
        arguments: Callable[[list[int]], tuple[Any, ...]],
        what: str,
        limit: float | None = None,
        progress: Callable[[], bool] = lambda: False,
    ) -> tuple[dict[int, Any], dict[int, EnvironmentFailure]]:
        """Has the workers call a method of their sets of environments, side by side.

        Args:
            method: Name of a method of :class:`EnvironmentSet`, which returns a dict or None.
            indices: The environments it concerns.
            arguments: Its arguments, from those of the indices that a worker has.
            what: What a failure is called, such as "could not be reset".
            limit: Seconds until a worker counts as hanging.
            progress: See :meth:`WorkerProcess.wait`.

        Returns:
            By environment, what the method returned and what went wrong.
        """
        own: dict[int, list[int]] = {}
        for i in indices:
            own.setdefault(int(self.owner[i]), []).append(int(i))
        requests = {n: self._workers[n].request(method, arguments(own[n])) for n in own}
        self._asking = True
        turn = next(self._turns)
        for number, request in requests.items():
            with contextlib.suppress(WorkerLost):  # waiting for it will say so
                self._workers[number].ask(self._set, turn, request)
        results: dict[int, Any] = {}
        failures: dict[int, EnvironmentFailure] = {}
        for number, request in requests.items():
            try:
                self._workers[number].wait(self._done, turn, limit or self._limit, progress)
            except WorkerLost as error:
                failures |= self._with_worker(error, WHOLE, what)
                continue
            result = request.answer()
            if isinstance(result, Raised):
                index = own[number][0] if result.index < 0 else result.index
                cause = f"{what}: {result.kind}: {result.message}\n{result.trace}"
                failures[index] = self._failure(index, cause)
            else:
                results |= result or {}
        self._asking = False
        return results, failures

    def _build(
        self, indices: Sequence[int], tell: Callable[[], None] = lambda: None
    ) -> dict[int, EnvironmentFailure]:
        for number in self._working[WHOLE]:
            if self._lost(number):
                worker = self._pool.worker(number)
                self.arrays.current[number] = -1
                with contextlib.suppress(WorkerLost):
                    worker.open(self._set, next(self._turns), self.arrays, *self._opening)
                self._workers[number] = worker
        self.arrays.built[indices] = False
        built = 0

        def progress() -> bool:
            nonlocal built
            tell()
            before, built = built, int(self.arrays.built.sum())
            return built > before

        def arguments(own: list[int]) -> tuple[Any, ...]:
            return ({i: self._tasks[i] for i in own},)

        what, limit = "cannot be built", _BUILDING_SECONDS
        return self._ask("build", indices, arguments, what, limit, progress)[1]

    def _reset(
        self,
        indices: Iterable[int],
        seeds: Sequence[int | None],
        generators: np.ndarray | None = None,
    ) -> dict[int, EnvironmentFailure]:
        def arguments(own: list[int]) -> tuple[Any, ...]:
            given = [None] * len(seeds) if generators is None else generators
            return ({i: (seeds[i], given[i]) for i in own},)

        return self._ask("reset", indices, arguments, "could not be reset")[1]

    def _everywhere(
        self, method: str, arguments: Callable[[list[int]], tuple[Any, ...]]
    ) -> dict[int, Any]:
        """Has every environment do something, those of a lost worker after their restart."""
        self.settle()
        results: dict[int, Any] = {}
        while left := [i for i in range(len(self._tasks)) if i not in results]:
            told, failures = self._ask(method, left, arguments, "failed in a call")
            for failure in failures.values():
                if failure.lost < 0:
                    raise failure
            if failures:
                self._recover(failures)
            results |= told
        return results

    def _discard(self, part: int) -> None:
        """Waits for a step whose results nobody gets. The next one tells which episodes ended."""
        self.wait(part)
        rows = rows_of(part)
        self.arrays.idle[rows] |= self.arrays.truncated[rows]
        del self.sent[part]

    # What can go wrong

    def check(self) -> None:
        """Raises where the environments are closed, or those of another process; see `settle`."""
        if self._closed:
            raise ClosedEnvironmentError(self._closed)
        if self._pool.size and self._pool.forked:
            raise RuntimeError(
                "this environment belongs to the process that made it, not to one forked from it: "
                "make another here, or start processes by spawn"
            )

    def _failure(self, index: int, cause: str, lost: int = -1) -> EnvironmentFailure:
        return EnvironmentFailure(self._tasks[index], index, cause, lost)

    def _with_worker(self, error: WorkerLost, part: int, what: str) -> dict[int, Any]:
        """The failure of the environment on which a lost worker worked."""
        index = int(self.arrays.current[error.worker])
        if index < 0:
            members = np.arange(len(self._tasks))[rows_of(part)]
            index = int(members[self.owner[members] == error.worker][0])
        cause = f"{what}: its worker process {error.reason}"
        return {index: self._failure(index, cause, error.worker)}

    def _lost(self, number: int) -> bool:
        return number not in self._workers or self._workers[number].reason is not None

    def _raised(self, part: int) -> dict[int, EnvironmentFailure]:
        """The environments of a part that raised in their last step."""
        if not self.arrays.failed[rows_of(part)].any():
            return {}
        failed = [
            i
            for i in np.arange(len(self._tasks))[rows_of(part)].tolist()
            if self.arrays.failed[i] and not self._lost(int(self.owner[i]))
        ]
        told, failures = self._ask("tracebacks", failed, lambda own: (own,), "is lost")
        for i, trace in told.items():
            failures[i] = self._failure(i, f"raised {trace.strip().splitlines()[-1]}\n{trace}")
        return failures

    def _non_finite(self, part: int) -> dict[int, EnvironmentFailure]:
        """The environments of a part whose last step has returned NaN or infinite numbers."""
        arrays, rows = self.arrays, rows_of(part)
        good = bool(np.isfinite(arrays.reward[rows]).all())
        if arrays.state is not None and arrays.final_state is not None:
            good = good and bool(np.isfinite(arrays.state[rows]).all())
            if good and arrays.truncated[rows].any():
                good = bool(np.isfinite(arrays.final_state[rows][arrays.truncated[rows]]).all())
        if good:
            return {}
        failures = {}
        for i in np.arange(len(self._tasks))[rows].tolist():
            if self._lost(int(self.owner[i])) or arrays.failed[i]:
                continue
            what = [] if np.isfinite(arrays.reward[i]) else [f"the reward {arrays.reward[i]}"]
            for states, there in ((arrays.state, True), (arrays.final_state, arrays.truncated[i])):
                if states is not None and there and not np.isfinite(states[i]).all():
                    entry = int(np.flatnonzero(~np.isfinite(states[i]))[0])
                    what.append(f"the observation {states[i, entry]} in entry {entry}")
            if what:
                failures[i] = self._failure(i, f"returned {' and '.join(what)}")
        return failures

    def _recover(self, failures: Mapping[int, EnvironmentFailure]) -> None:
        """Brings back what failed, or closes the environments and raises a failure."""
        self._count(failures)
        self._bury(failures)
        self._revive()

    def _count(self, failures: Mapping[int, EnvironmentFailure]) -> None:
        fatal = None if self._restarts else next(iter(failures.values()))
        for i, failure in failures.items():
            self.failures[i] += 1
            self._failures_in_a_row[i] += 1
            if self._restarts and self._failures_in_a_row[i] > MAX_FAILURES:
                times = f"failed {MAX_FAILURES + 1} times in a row; the last time it"
                fatal = self._failure(i, f"{times} {failure.cause}", failure.lost)
        if fatal:
            self._closed = f"closed after a failure: {fatal}"
            raise fatal

    def _bury(self, indices: Iterable[int]) -> None:
        """Ends the episodes of environments, and of all others of workers that are lost."""
        arrays = self.arrays
        lost = [number for number in self._working[WHOLE] if self._lost(number)]
        dead = self._dead.union(indices, np.flatnonzero(np.isin(self.owner, lost)).tolist())
        # What is to be told of an episode that ended before stays.
        rows = [i for i in dead - self._dead if not self._restarted[i]]
        if arrays.state is not None and arrays.final_state is not None:
            arrays.final_state[rows] = np.nan_to_num(arrays.state[rows], posinf=0.0, neginf=0.0)
        if arrays.frames is not None and arrays.final_frames is not None:
            arrays.final_frames[rows] = arrays.frames[rows]
        self._last[:, rows] = arrays.score[rows], arrays.success[rows]
        arrays.reward[rows] = 0.0
        arrays.truncated[rows] = True
        self._dead = dead

    def _revive(self) -> None:
        """Makes dead environments anew. The next step of each is left out, and tells so."""
        while self._dead:
            rows = sorted(self._dead)
            seeds: list[int | None] = [None] * len(self._tasks)
            for i in rows:  # a new episode, which the failure determines, but not the same one
                seeds[i] = int(np.random.default_rng(self.arrays.rng[i]).integers(2**63))
            failures = self._build(rows) or self._reset(rows, seeds)
            if failures:
                self._count(failures)
                self._bury(failures)
            else:
                self.arrays.failed[rows] = False
                self.arrays.idle[rows] = self._restarted[rows] = True
                self._dead.clear()
