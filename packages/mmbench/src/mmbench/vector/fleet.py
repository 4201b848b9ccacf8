"""N environments spread over workers, and what goes wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from gymnasium.vector import AutoresetMode

from mmbench.catalog import EnvironmentFailure, Task, imported
from mmbench.vector.arrays import SharedArrays
from mmbench.vector.costs import step_costs
from mmbench.vector.crew import Crew
from mmbench.vector.grouping import group
from mmbench.vector.pool import WorkerLost, WorkerPool
from mmbench.vector.worker import WHOLE, Modes, rows_of

MAX_FAILURES = 10
"""Restarts of one environment without a whole episode in between, before it is an error."""

_BUILDING_SECONDS = 300.0
"""Seconds without a new environment after which a worker that builds some counts as hanging: a
busy machine takes half a minute to import the largest simulators."""

Failures = dict[int, EnvironmentFailure]


class Fleet:
    """The environments of one vector environment: what they do, and what goes wrong.

    What an exception in the middle of a call leaves unfinished is finished by the next call, or
    by a repeated :meth:`wait`.

    Attributes:
        arrays: What is shared with the workers.
        owner: (N,) int64, the worker of each environment.
        failures: (N,) int64, how often each environment has failed.

    Args:
        tasks: The task of each environment.
        modes: What they have in common.
        pool: The workers, which other fleets may use as well.
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
        self.failures = np.zeros(count, np.int64)
        self._crew = Crew(pool, self.arrays, self.owner, modes, time_limit)
        self._tasks = tasks
        self._pool = pool
        self._restarts = restarts
        self._dead: set[int] = set()  # environments that a failure has ended
        self._restarted = np.zeros(count, bool)  # brought back, which is still to be told
        self._same_step = modes.autoreset is AutoresetMode.SAME_STEP
        self._failures_in_a_row = np.zeros(count, np.int64)
        self._closed = ""

    @property
    def halves_sent(self) -> set[int]:
        """Halves that have been ordered to step and not been received."""
        return self._crew.sent.keys() - {WHOLE}

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
        self.arrays.idle[indices] = self._restarted[indices] = False

    def check_running(self, part: int) -> None:
        """Checks that an episode is running, or its end to be told, in every environment of a part.

        Raises:
            ResetNeeded: One is over.
        """
        self.settle()
        over = self.arrays.over & ~self.arrays.idle
        for i in self._indices(part):
            if over[i]:
                raise ResetNeeded(
                    f"the episode of {self._tasks[i].name!r} (environment {i}) is over, and "
                    "autoreset_mode is Disabled: reset(options={'reset_mask': ...}) it first"
                )

    def order(self, part: int, actions: np.ndarray) -> None:
        """Has the environments of a part step, without waiting for them.

        Args:
            part: 0, 1 or WHOLE.
            actions: (n, 16) float32.
        """
        self.settle()
        self.arrays.actions[rows_of(part)] = actions
        self._crew.order(part)

    def wait(self, part: int) -> np.ndarray:
        """Waits for a step; its results then lie in the arrays until :meth:`received`.

        Returns:
            By environment of the part, whether it was restarted instead of stepping.

        Raises:
            EnvironmentFailure: An environment failed, and is not restarted or failed again and
                again.
        """
        self.check()
        self._revive()
        failures = self._with_workers(self._crew.wait(part), "is lost", part)
        failures |= self._raised(part) | self._non_finite(part)
        if failures:
            self._recover(failures)
        return self._restarted[rows_of(part)].copy()

    def received(self, part: int) -> None:
        """Ends a step whose results the caller has, failures and ends of episodes included."""
        rows = rows_of(part)
        ended = self.arrays.truncated[rows]
        if ended.any():
            self._failures_in_a_row[rows][ended & ~self._restarted[rows]] = 0
            self.arrays.idle[rows] = self._restarted[rows] = False
        del self._crew.sent[part]

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

    def check(self) -> None:
        """Raises where there is nothing to use.

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
        """Finishes what an exception has left unfinished; raises as :meth:`check`."""
        self.check()
        if failures := self._with_workers(self._crew.settle(), "is lost"):
            self._recover(failures)
        self._revive()
        if WHOLE in self._crew.sent:
            self._discard(WHOLE)

    def close(self) -> None:
        """Closes the environments; the last fleet of a pool ends the workers."""
        self._closed = self._closed or "the environment is closed"
        self._crew.leave()
        if self.arrays.file is not None:
            self.arrays.file.close()

    # What the workers are asked for

    def _ask(
        self,
        what: str,
        method: str,
        indices: Iterable[int],
        arguments: Callable[[list[int]], tuple[Any, ...]],
        *waiting: Any,
    ) -> tuple[dict[int, Any], Failures]:
        """As :meth:`Crew.ask`, with failures; ``what`` such as "could not be reset" names them."""
        results, raised, lost = self._crew.ask(method, indices, arguments, *waiting)
        failures = self._with_workers(lost, what)
        for kind, message, trace, i in raised:
            failures[i] = self._failure(i, f"{what}: {kind}: {message}\n{trace}")
        return results, failures

    def _build(self, indices: Sequence[int], tell: Callable[[], None] = lambda: None) -> Failures:
        self._crew.replace_lost()
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
        """Has every environment do something, those of a lost worker after their restart."""
        self.settle()
        results: dict[int, Any] = {}
        while left := [i for i in range(len(self._tasks)) if i not in results]:
            told, failures = self._ask("failed in a call", method, left, arguments)
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
        del self._crew.sent[part]

    # What can go wrong

    def _failure(self, index: int, cause: str, lost: int = -1) -> EnvironmentFailure:
        return EnvironmentFailure(self._tasks[index], index, cause, lost)

    def _with_workers(self, lost: list[WorkerLost], what: str, part: int = WHOLE) -> Failures:
        """The failures of the environments on which lost workers worked, or of their first."""
        failures = {}
        for error in lost:
            i = int(self.arrays.current[error.worker])
            if i < 0:
                i = next(i for i in self._indices(part) if self.owner[i] == error.worker)
            cause = f"{what}: its worker process {error.reason}"
            failures[i] = self._failure(i, cause, error.worker)
        return failures

    def _indices(self, part: int) -> list[int]:
        return np.arange(len(self._tasks))[rows_of(part)].tolist()

    def _raised(self, part: int) -> Failures:
        """The environments of a part that raised in their last step."""
        if not self.arrays.failed[rows_of(part)].any():
            return {}
        failed = [i for i in self._indices(part) if self.arrays.failed[i]]
        there = [i for i in failed if self.owner[i] not in self._crew.lost]
        traces, failures = self._ask("is lost", "tracebacks", there, lambda own: (own,))
        for i, trace in traces.items():
            failures[i] = self._failure(i, f"raised {trace.strip().splitlines()[-1]}\n{trace}")
        return failures

    def _non_finite(self, part: int) -> Failures:
        """The environments of a part whose last step has returned NaN or infinite numbers."""
        arrays, rows = self.arrays, rows_of(part)
        good = bool(np.isfinite(arrays.reward[rows]).all())
        if arrays.state is not None and arrays.final_state is not None:
            good = good and bool(np.isfinite(arrays.state[rows]).all())
            if good and arrays.truncated[rows].any():
                good = bool(np.isfinite(arrays.final_state[rows][arrays.truncated[rows]]).all())
        failures: Failures = {}
        for i in [] if good else self._indices(part):
            if arrays.failed[i] or self.owner[i] in self._crew.lost:
                continue
            what = [] if np.isfinite(arrays.reward[i]) else [f"the reward {arrays.reward[i]}"]
            for states, there in ((arrays.state, True), (arrays.final_state, arrays.truncated[i])):
                if states is not None and there and not np.isfinite(states[i]).all():
                    entry = int(np.flatnonzero(~np.isfinite(states[i]))[0])
                    what.append(f"the observation {states[i, entry]} in entry {entry}")
            if what:
                failures[i] = self._failure(i, f"returned {' and '.join(what)}")
        return failures

    def _recover(self, failures: Failures) -> None:
        """Brings back what failed, or closes everything and raises a failure."""
        self._count(failures)
        self._bury(failures)
        self._revive()

    def _count(self, failures: Failures) -> None:
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
        lost = np.flatnonzero(np.isin(self.owner, self._crew.lost)).tolist()
        dead = self._dead.union(indices, lost)
        # What is to be told of an episode that ended before stays. It lies where the last step of
        # an episode does, which is about to be overwritten where no new episode has begun.
        fresh = sorted(dead - self._dead)
        rows = [i for i in fresh if not arrays.idle[i]]
        for now, last in arrays.finals:
            kept = rows if self._same_step else fresh
            last[kept] = now[kept]
        if arrays.final_state is not None:
            final = arrays.final_state[rows]
            arrays.final_state[rows] = np.nan_to_num(final, posinf=0.0, neginf=0.0)
        arrays.reward[rows] = 0.0
        arrays.truncated[rows], arrays.terminated[rows] = True, False
        self._dead = dead

    def _revive(self) -> None:
        """Makes dead environments anew. The next step of each is left out, and tells so."""
        while self._dead:
            self._bury(())  # with those of workers that have been lost meanwhile
            rows = sorted(self._dead)
            seeds: list[int | None] = [None] * len(self._tasks)
            for i in rows:  # a new episode, which the failure determines, but not the same one
                seeds[i] = int(np.random.default_rng(self.arrays.rng[i]).integers(2**63))
            if failures := self._build(rows) or self._reset(rows, seeds):
                self._count(failures)
                self._bury(failures)
                continue
            self.arrays.failed[rows] = False
            self.arrays.idle[rows] = self._restarted[rows] = True
            if not self._same_step:  # the end is told with the last observation, then comes a reset
                for now, last in self.arrays.finals:
                    now[rows] = last[rows]
                self.arrays.over[rows] = True
            self._dead.clear()
