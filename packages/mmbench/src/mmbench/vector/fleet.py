"""N environments spread over the workers of a pool."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from mmbench.catalog import EnvironmentFailure, Task, imported
from mmbench.env import unpack_generator
from mmbench.vector.arrays import SharedArrays
from mmbench.vector.costs import step_costs
from mmbench.vector.failures import WorkerLost
from mmbench.vector.grouping import better_place, group
from mmbench.vector.pool import Job, RemoteError, WorkerPool
from mmbench.vector.worker import WHOLE, rows_of

MAX_FAILURES = 10
"""Restarts of one environment without a whole episode in between, before it is an error."""

_CLOSING_SECONDS = 2.0

_BUILDING_SECONDS = 300.0
"""Seconds after which a worker that builds an environment, or has just started, counts as hanging:
a busy machine takes half a minute to import the largest simulators."""


_MEASURED_STEPS = 200
"""Steps of every environment after which what they cost is known well enough to move some."""


class Fleet:
    """The environments of one vector environment: where they are, what they do, what went wrong.

    Attributes:
        pool: The workers, which other fleets may use as well.
        arrays: What is shared with them.
        owner: (N,) int64, the worker of each environment.
        failures: (N,) int64, how often each environment has failed.

    Args:
        tasks: The task of each environment.
        obs: ``state``, ``rgb`` or ``state+rgb``.
        render_mode: None or ``rgb_array``.
        pool: The workers.
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
        self.pool = pool
        num_workers = len(pool.workers)
        self.arrays = SharedArrays(len(tasks), obs, num_workers, private=pool.num_processes == 0)
        self.arrays.current[:] = -1
        self.failures = np.zeros(len(tasks), np.int64)
        self._tasks = tasks
        self._opening = num_workers, obs, render_mode
        self._restarts = restarts
        self._limit = time_limit
        self._failures_in_a_row = np.zeros(len(tasks), np.int64)
        self._broken: EnvironmentFailure | None = None
        self._outstanding: set[int] = set()
        self._which = pool.join()
        self._generation = list(pool.generation)
        self._domains = [task.domain for task in tasks]
        self.owner = group(self._domains, step_costs(tasks, obs), num_workers)
        self._find_working()

    def build(self, progress: Callable[[int, int], None] | None) -> None:
        """Makes all environments, the workers side by side.

        Raises:
            EnvironmentFailure: One cannot be made.
        """
        built = 0

        def on_built(index: int) -> None:
            nonlocal built
            built += 1
            if progress:
                progress(built, len(self._tasks))

        for number in self._working[WHOLE]:
            self._open(number)
        self._build(range(len(self._tasks)), on_built)

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
            EnvironmentFailure: One failed, and is not restarted or failed again.
        """
        self._check()
        try:
            self._reset(indices, seeds, generators)
        except EnvironmentFailure as failure:
            if not self._restarts:
                self._broken = failure
                raise
            self._count({failure.index: failure})
            self._rebuild({failure.index}, {failure.lost} - {-1})
            self._reset(indices, seeds, generators)
        self.arrays.idle[indices] = False

    def order(self, part: int) -> None:
        """Has the environments of a part step, without waiting for them."""
        self._check()
        if self._generation != self.pool.generation:
            self._take_over_replaced_workers()
        self._outstanding.add(part)
        for number in self._working[part]:
            self.pool.workers[number].step(self._which, part)

    def wait(self, part: int) -> np.ndarray:
        """Waits for a step.

        Returns:
            By environment of the part, whether it was restarted instead of stepping.

        Raises:
            EnvironmentFailure: An environment failed, and is not restarted or failed again.
        """
        self._check()
        lost: set[int] = set()
        failures: dict[int, EnvironmentFailure] = {}
        for number in self._working[part]:
            try:
                self.pool.workers[number].wait(part, self._limit)
            except WorkerLost as error:
                failure = self._with_worker(error, part)
                failures[failure.index] = failure
                lost.add(number)
        self._outstanding.discard(part)
        if self.arrays.failed.any():
            failures |= self._raised(lost)
        if not self._finite(part):
            failures |= self._non_finite(part, lost)
        if failures:
            self._count(failures)
            if not self._restarts:
                self._broken = next(iter(failures.values()))
                raise self._broken
            self._rebuild(set(failures), lost)
        rows = rows_of(part)
        restarted = self.arrays.idle[rows].copy()
        if restarted.any():
            self.arrays.idle[rows] = False
            self.arrays.reward[rows][restarted] = 0.0
            self.arrays.truncated[rows][restarted] = True
            self.arrays.terminated[rows][restarted] = False
        self._failures_in_a_row[rows][self.arrays.truncated[rows] & ~restarted] = 0
        if not self._outstanding:
            self._balance(part)
        return restarted

    @property
    def costs(self) -> np.ndarray:
        """(N,) float64, microseconds that a step has taken on average; NaN before the first."""
        with np.errstate(invalid="ignore"):
            return 1e6 * self.arrays.seconds / self.arrays.steps

    def call(self, name: str, args: Any, kwargs: Any) -> list[Any]:
        """Calls a method of every environment, or reads an attribute."""
        results: list[Any] = [None] * len(self._tasks)

        def on_result(own: list[int], values: list[Any]) -> None:
            for i, value in zip(own, values, strict=True):
                results[i] = value

        self._everywhere("call", lambda own: (own, name, args, kwargs), on_result)
        return results

    def assign(self, name: str, values: Sequence[Any]) -> None:
        """Sets an attribute of every environment, to a value each."""
        self._everywhere("assign", lambda own: (own, name, [values[i] for i in own]))

    def close(self) -> None:
        """Closes the environments; the last fleet of a pool ends the workers."""
        if self.pool.shared and not self._broken:
            jobs: dict[int, list[Job]] = {w: [("close", ())] for w in self._working[WHOLE]}
            self.pool.run(self._which, jobs, _CLOSING_SECONDS)
        self.pool.leave(self._which)
        self.arrays.close()

    # What the workers are asked for

    def _open(self, number: int) -> None:
        worker = self.pool.workers[number]
        self.arrays.current[number] = -1
        try:
            worker.open(self._which, self.arrays, *self._opening)
            worker.answer(_BUILDING_SECONDS)
        except WorkerLost as error:
            raise self._with_worker(error, WHOLE) from error
        self._generation[number] = self.pool.generation[number]

    def _build(
        self, indices: Iterable[int], on_built: Callable[[int], None] = lambda index: None
    ) -> None:
        own: dict[int, list[int]] = {}
        for i in indices:
            own.setdefault(int(self.owner[i]), []).append(i)
        jobs: dict[int, list[Job]] = {
            number: [("build", (i, self._tasks[i], imported())) for i in members]
            for number, members in own.items()
        }

        def on_result(number: int, job: int, result: Any) -> None:
            index = own[number][job]
            if isinstance(result, (RemoteError, WorkerLost)):
                raise self._failure(index, "cannot be built", result) from _cause(result)
            on_built(index)

        self.pool.run(self._which, jobs, _BUILDING_SECONDS, on_result)

    def _reset(
        self,
        indices: Sequence[int] | np.ndarray,
        seeds: Sequence[int | None],
        generators: np.ndarray | None = None,
    ) -> None:
        jobs: dict[int, list[Job]] = {}
        for number in self._working[WHOLE]:
            own = [int(i) for i in indices if self.owner[i] == number]
            given = [None if generators is None else generators[i] for i in own]
            if own:
                jobs[number] = [("reset", (own, [seeds[i] for i in own], given))]

        def on_result(number: int, job: int, result: Any) -> None:
            if isinstance(result, (RemoteError, WorkerLost)):
                index = self._at_work(number, WHOLE)
                raise self._failure(index, "could not be reset", result) from _cause(result)

        self.pool.run(self._which, jobs, self._limit, on_result)

    def _everywhere(
        self,
        method: str,
        arguments: Callable[[list[int]], tuple[Any, ...]],
        on_values: Callable[[list[int], list[Any]], None] = lambda own, values: None,
    ) -> None:
        self._check()
        owned = {w: np.flatnonzero(self.owner == w).tolist() for w in self._working[WHOLE]}
        jobs: dict[int, list[Job]] = {w: [(method, arguments(own))] for w, own in owned.items()}

        def on_result(number: int, job: int, result: Any) -> None:
            if isinstance(result, (RemoteError, WorkerLost)):
                index = self._at_work(number, WHOLE)
                raise self._failure(index, "failed in a call", result) from _cause(result)
            on_values(owned[number], result)

        self.pool.run(self._which, jobs, self._limit, on_result)

    # Who owns what

    def _find_working(self) -> None:
        self._working = {
            part: np.unique(self.owner[rows_of(part)]).tolist() for part in (0, 1, WHOLE)
        }

    def _balance(self, part: int) -> None:
        """Moves an environment that begins an episode, if its worker lags behind.

        A new episode depends on its generator only, so nothing changes but who steps it.
        """
        truncated = self.arrays.truncated[rows_of(part)]
        if not truncated.any() or self.arrays.steps.min() < _MEASURED_STEPS:
            return
        candidates = np.arange(len(self._tasks))[rows_of(part)][truncated]
        workers = len(self.pool.workers)
        move = better_place(candidates, self.owner, self._domains, self.costs, workers)
        if move is None:
            return
        try:
            self._move(*move)
        except EnvironmentFailure as failure:
            self._broken = failure
            raise

    def _move(self, index: int, number: int) -> None:
        kept = self.arrays.score[index], self.arrays.success[index]
        self.pool.run(self._which, {int(self.owner[index]): [("drop", (index,))]}, self._limit)
        if number not in self._working[WHOLE]:
            self._open(number)
        self.owner[index] = number
        self._find_working()
        self._build([index])
        self._reset([index], [None] * len(self._tasks), self.arrays.rng.copy())
        self.arrays.score[index], self.arrays.success[index] = kept

    # What can go wrong

    def _check(self) -> None:
        if self._broken is not None:
            raise RuntimeError(f"closed after a failure: {self._broken}") from self._broken

    def _at_work(self, number: int, part: int) -> int:
        """The environment on which a worker works, or else its first of the part."""
        current = int(self.arrays.current[number])
        if current >= 0:
            return current
        members = np.arange(len(self._tasks))[rows_of(part)]
        return int(members[self.owner[members] == number][0])

    def _failure(
        self, index: int, what: str, reason: RemoteError | WorkerLost
    ) -> EnvironmentFailure:
        if isinstance(reason, WorkerLost):
            what = f"{what}: its worker process {reason.reason}"
            return EnvironmentFailure(self._tasks[index], index, what, lost=reason.worker)
        what = f"{what}: {reason.kind}: {reason.message}\n{reason.trace}"
        return EnvironmentFailure(self._tasks[index], index, what, lost=-1)

    def _with_worker(self, error: WorkerLost, part: int) -> EnvironmentFailure:
        index = self._at_work(error.worker, part)
        what = f"is lost: its worker process {error.reason}"
        return EnvironmentFailure(self._tasks[index], index, what, lost=error.worker)

    def _raised(self, lost: set[int]) -> dict[int, EnvironmentFailure]:
        failures = {}
        for number in set(self.owner[self.arrays.failed].tolist()) - lost:
            worker = self.pool.workers[number]
            worker.ask(self._which, "tracebacks")
            for i, trace in worker.answer(self._limit)[1].items():
                last = trace.strip().splitlines()[-1]
                failures[i] = EnvironmentFailure(self._tasks[i], i, f"raised {last}\n{trace}")
        self.arrays.failed[:] = False
        return failures

    def _finite(self, part: int) -> bool:
        arrays, rows = self.arrays, rows_of(part)
        good = bool(np.isfinite(arrays.reward[rows]).all())
        if arrays.state is not None and arrays.final_state is not None:
            good = good and bool(np.isfinite(arrays.state[rows]).all())
            if good and arrays.truncated[rows].any():
                good = bool(np.isfinite(arrays.final_state[rows][arrays.truncated[rows]]).all())
        return good

    def _non_finite(self, part: int, lost: set[int]) -> dict[int, EnvironmentFailure]:
        failures = {}
        arrays = self.arrays
        for i in np.arange(len(self._tasks))[rows_of(part)].tolist():
            if int(self.owner[i]) in lost or arrays.idle[i]:
                continue
            what = [] if np.isfinite(arrays.reward[i]) else [f"the reward {arrays.reward[i]}"]
            for states, there in ((arrays.state, True), (arrays.final_state, arrays.truncated[i])):
                if states is not None and there and not np.isfinite(states[i]).all():
                    entry = int(np.flatnonzero(~np.isfinite(states[i]))[0])
                    what.append(f"the observation {states[i, entry]} in entry {entry}")
            if what:
                cause = f"returned {' and '.join(what)}"
                failures[i] = EnvironmentFailure(self._tasks[i], i, cause)
        return failures

    def _count(self, failures: dict[int, EnvironmentFailure]) -> None:
        for i, failure in failures.items():
            self.failures[i] += 1
            self._failures_in_a_row[i] += 1
            if self._restarts and self._failures_in_a_row[i] > MAX_FAILURES:
                cause = (
                    f"failed {MAX_FAILURES + 1} times in a row; the last time it {failure.cause}"
                )
                self._broken = EnvironmentFailure(self._tasks[i], i, cause)
                raise self._broken

    def _rebuild(self, indices: set[int], lost: Iterable[int]) -> None:
        """Makes environments anew, with all the others of workers that are lost.

        Their episodes have ended: the next step of each is left out, and tells so.
        """
        arrays = self.arrays
        for number in lost:
            self.pool.replace(number)
            indices = indices | set(np.flatnonzero(self.owner == number).tolist())
        # The episode's last observation, score and success are those last seen.
        rows = sorted(indices)
        kept = arrays.score[rows], arrays.success[rows]
        if arrays.state is not None and arrays.final_state is not None:
            arrays.final_state[rows] = np.nan_to_num(arrays.state[rows], posinf=0.0, neginf=0.0)
        if arrays.frames is not None and arrays.final_frames is not None:
            arrays.final_frames[rows] = arrays.frames[rows]
        seeds: list[int | None] = [None] * len(self._tasks)
        for i in rows:
            # A new episode, which the failure determines, but not the one that failed.
            generator = np.random.default_rng(0)
            unpack_generator(generator, arrays.rng[i])
            seeds[i] = int(generator.integers(2**63))
        try:
            for number in lost:
                self._open(number)
            self._build(rows)
            self._reset(rows, seeds)
        except EnvironmentFailure as failure:
            self._broken = failure
            raise
        arrays.score[rows], arrays.success[rows] = kept
        arrays.idle[rows] = True
        for number in lost:  # what they had not come to
            for part in self._outstanding:
                if number in self._working[part]:
                    self.pool.workers[number].step(self._which, part)

    def _take_over_replaced_workers(self) -> None:
        """Rebuilds what was in workers that another fleet of the pool has replaced."""
        replaced = [
            number
            for number, generation in enumerate(self.pool.generation)
            if generation != self._generation[number]
        ]
        indices = set(np.flatnonzero(np.isin(self.owner, replaced)).tolist())
        for number in replaced:
            self._generation[number] = self.pool.generation[number]
            if number in self._working[WHOLE]:
                self._open(number)
        if indices:
            self._rebuild(indices, ())


def _cause(error: RemoteError | WorkerLost) -> BaseException:
    return error.__cause__ or error
