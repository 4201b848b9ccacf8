"""The N environments of a vector environment: their steps, and recovery from failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from gymnasium.vector import AutoresetMode

from mmbench.catalog import LARGEST, EnvironmentFailure, Task, imported, is_usable
from mmbench.vector.arrays import SharedArrays
from mmbench.vector.grouping import group, step_costs
from mmbench.vector.pool import WorkerLost, WorkerPool
from mmbench.vector.worker import WHOLE, Modes, rows_of
from mmbench.vector.worker_group import WorkerGroup

MAX_FAILURES = 10
"""Restarts of one environment without a whole episode in between, before it is an error."""

_BUILDING_SECONDS = 300.0
"""Seconds without a new environment after which a worker that builds some counts as hanging: a
busy machine takes half a minute to import the largest simulators."""

Failures = dict[int, EnvironmentFailure]


class Record(NamedTuple):
    """What is noted of failures.

    Attributes:
        failures: (N,) int64, how often each environment has failed.
        in_a_row: (N,) int64, how often since the last episode that was played to its end.
        to_rebuild: Environments that failed and were not rebuilt yet.
    """

    failures: np.ndarray
    in_a_row: np.ndarray
    to_rebuild: frozenset[int]

    def counting(self, indices: Iterable[int]) -> Record:
        """Returns a copy that counts one more failure of some environments."""
        more = np.zeros_like(self.failures)
        more[list(indices)] = 1
        return self._replace(failures=self.failures + more, in_a_row=self.in_a_row + more)


class Supervisor:
    """Runs the environments of one vector environment, and rebuilds those that fail.

    When an exception ends a call in the middle, the next call, or a repeated :meth:`wait`,
    finishes its work first.

    Attributes:
        arrays: What is shared with the workers.
        owner: (N,) int64, the worker of each environment.

    Args:
        tasks: The task of each environment.
        modes: What they have in common.
        pool: The workers. Others may use them too.
        restarts: Rebuild environments that fail, instead of raising.
        time_limit: Seconds that a worker may take for an order.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        modes: Modes,
        pool: WorkerPool,
        restarts: bool,
        time_limit: float,
    ) -> None:
        count, num_workers = len(tasks), max(1, min(pool.size, len(tasks)))
        costs = step_costs(tasks, modes.obs)
        self.owner = group([task.domain for task in tasks], costs, num_workers)
        self.arrays = SharedArrays(count, modes.obs, num_workers, private=pool.size == 0)
        self._record = Record(np.zeros(count, np.int64), np.zeros(count, np.int64), frozenset())
        self._group = WorkerGroup(pool, self.arrays, self.owner, modes, time_limit)
        self._tasks = tasks
        self._pool = pool
        self._restarts = restarts
        self._same_step = modes.autoreset is AutoresetMode.SAME_STEP
        self._closed = ""

    @property
    def failures(self) -> np.ndarray:
        """(N,) int64, how often each environment has failed."""
        return self._record.failures

    @property
    def halves_sent(self) -> set[int]:
        """Halves that were ordered to step and whose results were not received."""
        return self._group.sent.keys() - {WHOLE}

    def build(self, progress: Callable[[int, int], None] | None) -> None:
        """Makes all environments, in all workers at once.

        Raises:
            EnvironmentFailure: One cannot be made.
        """

        def tell() -> None:
            if progress:
                progress(int(self.arrays.built.sum()), len(self._tasks))

        everything = range(len(self._tasks))
        for indices in [everything] if self._pool.size else [[i] for i in everything]:
            for failure in self._build(indices, tell).values():
                raise failure
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
        for half in sorted(self.halves_sent):
            self._discard(half)
        while failures := self._reset(indices, seeds, generators):
            self._recover(failures)
        self.arrays.unreported[:, indices] = False

    def check_running(self, subset: int) -> None:
        """Checks that no environment of a subset waits for a reset.

        Raises:
            ResetNeeded: An episode is over, and its end was reported.
        """
        self.settle()
        over = self.arrays.over & ~self.arrays.skip
        for i in self._indices(subset):
            if over[i]:
                raise ResetNeeded(
                    f"the episode of {self._tasks[i].name!r} (environment {i}) is over, and "
                    "autoreset_mode is Disabled: reset(options={'reset_mask': ...}) it first"
                )

    def order(self, subset: int, actions: np.ndarray) -> None:
        """Orders the environments of a subset to step, without waiting for them.

        Args:
            subset: 0, 1 or WHOLE.
            actions: (n, 16) float32.
        """
        self.settle()
        self.arrays.actions[rows_of(subset)] = actions
        self._group.order(subset)

    def wait(self, subset: int) -> np.ndarray:
        """Waits for a step. Its results stay in the arrays until :meth:`received`.

        Returns:
            By environment of the subset, whether it was restarted instead of stepping.

        Raises:
            EnvironmentFailure: An environment failed, and is not restarted or failed again and
                again.
        """
        self.check()
        self._rebuild()
        failures = self._with_workers(self._group.wait(subset), "is lost", subset)
        failures |= self._raised(subset) | self._unusable(subset)
        if failures:
            self._recover(failures)
        return self.arrays.restarted[rows_of(subset)].copy()

    def received(self, subset: int) -> None:
        """Marks the results of a step as delivered, failures and ends of episodes included."""
        rows = rows_of(subset)
        ended = self.arrays.truncated[rows]
        if ended.any():
            self._record.in_a_row[rows][ended & ~self.arrays.restarted[rows]] = 0
        # In this order: an exception in between repeats the report instead of losing it.
        del self._group.sent[subset]
        if ended.any():
            self.arrays.unreported[:, rows] = False

    def call(self, name: str, args: Any, kwargs: Any) -> list[Any]:
        """Calls a method of every environment, or reads an attribute.

        Raises:
            EnvironmentFailure: One raised, or is lost and is not restarted.
            ValueError: The arguments cannot be sent to the workers.
        """
        results = self._everywhere("call", lambda own: (own, name, args, kwargs))
        return [results[i] for i in range(len(self._tasks))]

    def assign(self, name: str, values: Sequence[Any]) -> None:
        """Sets an attribute of every environment, to a value each; raises as :meth:`call`."""
        self._everywhere("assign", lambda own: (name, {i: values[i] for i in own}))

    def check(self) -> None:
        """Raises if the environments cannot be used here.

        Raises:
            ClosedEnvironmentError: The environments are closed, by the caller or after a failure.
            RuntimeError: This is a forked child.
        """
        if self._closed:
            raise ClosedEnvironmentError(self._closed)
        if self._pool.size and self._pool.forked:
            raise RuntimeError(
                "this environment belongs to the process that made it, not to one forked from it: "
                "make another here, or start processes by spawn"
            )

    def settle(self) -> None:
        """Finishes what an exception left unfinished; raises as :meth:`check`."""
        self.check()
        if failures := self._with_workers(self._group.settle(), "is lost"):
            self._recover(failures)
        self._rebuild()
        if WHOLE in self._group.sent:
            self._discard(WHOLE)

    def close(self) -> None:
        """Closes the environments; the last user of the pool ends the workers."""
        self._closed = self._closed or "the environment is closed"
        self._group.leave()
        if self.arrays.file is not None:
            self.arrays.file.close()

    # Requests to the workers

    def _ask(
        self,
        what: str,
        method: str,
        indices: Iterable[int],
        arguments: Callable[[list[int]], tuple[Any, ...]],
        *waiting: Any,
    ) -> tuple[dict[int, Any], Failures]:
        """Calls :meth:`WorkerGroup.ask`; the failures say ``what`` failed: "could not be reset"."""
        results, raised, lost = self._group.ask(method, indices, arguments, *waiting)
        failures = self._with_workers(lost, what)
        for kind, message, trace, i in raised:
            failures[i] = self._failure(i, f"{what}: {kind}: {message}\n{trace}")
        return results, failures

    def _build(self, indices: Sequence[int], tell: Callable[[], None] = lambda: None) -> Failures:
        self._group.replace_lost()
        self.arrays.built[indices] = False
        built = 0

        def progress() -> bool:
            nonlocal built
            tell()
            before, built = built, int(self.arrays.built.sum())
            return built > before

        def arguments(own: list[int]) -> tuple[Any, ...]:
            return {i: self._tasks[i] for i in own}, imported()

        waiting = _BUILDING_SECONDS, progress
        return self._ask("cannot be built", "build", indices, arguments, *waiting)[1]

    def _reset(
        self,
        indices: Iterable[int],
        seeds: Sequence[int | None],
        generators: np.ndarray | None = None,
    ) -> Failures:
        given = [None] * len(seeds) if generators is None else generators

        def arguments(own: list[int]) -> tuple[Any, ...]:
            return ({i: (seeds[i], given[i]) for i in own},)

        return self._ask("could not be reset", "reset", indices, arguments)[1]

    def _everywhere(
        self, method: str, arguments: Callable[[list[int]], tuple[Any, ...]]
    ) -> dict[int, Any]:
        """Calls a method on every environment, on those of a lost worker after their restart."""
        self.settle()
        results: dict[int, Any] = {}
        while left := [i for i in range(len(self._tasks)) if i not in results]:
            answers, failures = self._ask("failed in a call", method, left, arguments)
            for failure in failures.values():
                if failure.lost < 0:
                    raise failure
            if failures:
                self._recover(failures)
            results |= answers
        return results

    def _discard(self, subset: int) -> None:
        """Waits for a step and drops its results. The next step reports the ends of episodes."""
        self.wait(subset)
        rows = rows_of(subset)
        self.arrays.skip[rows] |= self.arrays.truncated[rows]
        del self._group.sent[subset]

    # Failures

    def _failure(self, index: int, cause: str, lost: int = -1) -> EnvironmentFailure:
        return EnvironmentFailure(self._tasks[index], index, cause, lost)

    def _with_workers(self, lost: list[WorkerLost], what: str, subset: int = WHOLE) -> Failures:
        """A failure for each lost worker, of the environment that it was at, or its first."""
        failures = {}
        for error in lost:
            i = int(self.arrays.current[error.worker])
            if i < 0:
                i = next(i for i in self._indices(subset) if self.owner[i] == error.worker)
            cause = f"{what}: its worker process {error.reason}"
            failures[i] = self._failure(i, cause, error.worker)
        return failures

    def _indices(self, subset: int) -> list[int]:
        return np.arange(len(self._tasks))[rows_of(subset)].tolist()

    def _raised(self, subset: int) -> Failures:
        """Failures of the environments that raised in their last step."""
        if not self.arrays.failed[rows_of(subset)].any():
            return {}
        failed = [i for i in self._indices(subset) if self.arrays.failed[i]]
        there = [i for i in failed if self.owner[i] not in self._group.lost]
        traces, failures = self._ask("is lost", "tracebacks", there, lambda own: (own,))
        for i, trace in traces.items():
            failures[i] = self._failure(i, f"raised {trace.strip().splitlines()[-1]}\n{trace}")
        return failures

    def _unusable(self, subset: int) -> Failures:
        """Failures of the environments whose last step returned an unusable number."""
        arrays, rows = self.arrays, rows_of(subset)
        good = _usable(arrays.reward[rows])
        if arrays.state is not None and arrays.final_state is not None:
            good = good and _usable(arrays.state[rows])
            if good and arrays.truncated[rows].any():
                good = _usable(arrays.final_state[rows][arrays.truncated[rows]])
        failures: Failures = {}
        for i in [] if good else self._indices(subset):
            if arrays.failed[i] or self.owner[i] in self._group.lost:
                continue
            what = [] if _usable(arrays.reward[i]) else [f"the reward {arrays.reward[i]!s}"]
            for states, there in ((arrays.state, True), (arrays.final_state, arrays.truncated[i])):
                if states is not None and there and not _usable(states[i]):
                    entry = int(np.flatnonzero(~is_usable(states[i]))[0])
                    what.append(f"the observation {states[i, entry]!s} in entry {entry}")
            if what:
                limit = f"the magnitude may be {LARGEST:g} at most"
                failures[i] = self._failure(i, f"returned {' and '.join(what)}; {limit}")
        return failures

    def _recover(self, failures: Failures) -> None:
        """Rebuilds what failed, or closes everything and raises a failure."""
        self._note(failures)
        self._rebuild()

    def _note(self, failures: Failures) -> None:
        """Counts failures and ends the episodes of what failed, or raises a failure.

        What is noted changes in one assignment. An exception comes before it, and the failures
        are found again, or after it, and they are not counted again.
        """
        record = self._record.counting(failures)
        self._raise_fatal(failures, record.in_a_row)
        ended = self._end_episodes(failures)
        self._record = record._replace(to_rebuild=ended)

    def _raise_fatal(self, failures: Failures, in_a_row: np.ndarray) -> None:
        """Closes everything and raises where a failure is not recovered from."""
        fatal = None if self._restarts else next(iter(failures.values()), None)
        for i, failure in failures.items():
            if self._restarts and in_a_row[i] > MAX_FAILURES:
                times = f"failed {MAX_FAILURES + 1} times in a row; the last time it"
                fatal = self._failure(i, f"{times} {failure.cause}", failure.lost)
        if fatal:
            self._closed = f"closed after a failure: {fatal}"
            raise fatal

    def _end_episodes(self, indices: Iterable[int]) -> frozenset[int]:
        """Ends the episodes of environments, and of all that lost workers had.

        Returns:
            The environments to rebuild, those of before included.
        """
        arrays, before = self.arrays, self._record.to_rebuild
        lost = np.flatnonzero(np.isin(self.owner, self._group.lost)).tolist()
        failed = before.union(indices, lost)
        # An end that was not reported yet must stay. It is where the last step of an episode is,
        # and would be overwritten where no new episode has begun.
        new = sorted(failed - before)
        rows = [i for i in new if not arrays.skip[i]]
        for now, last in arrays.finals:
            kept = rows if self._same_step else new
            last[kept] = now[kept]
        if arrays.final_state is not None:
            final = arrays.final_state[rows]
            arrays.final_state[rows] = np.where(is_usable(final), final, 0.0)
        arrays.reward[rows] = 0.0
        arrays.truncated[rows], arrays.terminated[rows] = True, False
        return failed

    def _rebuild(self) -> None:
        """Rebuilds environments that failed. The next step skips each, and reports the restart."""
        while self._record.to_rebuild:
            self._note({})  # of workers that were lost meanwhile
            rows = sorted(self._record.to_rebuild)
            seeds: list[int | None] = [None] * len(self._tasks)
            for i in rows:  # reproducible, but not the episode that failed
                seeds[i] = int(np.random.default_rng(self.arrays.rng[i]).integers(2**63))
            if failures := self._build(rows) or self._reset(rows, seeds):
                self._note(failures)
                continue
            self.arrays.failed[rows] = False
            self.arrays.unreported[:, rows] = True
            if not self._same_step:  # report the end with the last observation, then reset
                for now, last in self.arrays.finals:
                    now[rows] = last[rows]
                self.arrays.over[rows] = True
            self._record = self._record._replace(to_rebuild=frozenset())


def _usable(values: np.ndarray) -> bool:
    """Whether all numbers can be used. Faster than :func:`is_usable`: it takes no memory."""
    return not values.size or bool(values.min() >= -LARGEST and values.max() <= LARGEST)
