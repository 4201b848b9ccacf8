"""The workers of one set of environments, and what they are told."""

from __future__ import annotations

import contextlib
import itertools
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from mmbench.vector.arrays import SharedArrays
from mmbench.vector.pool import Worker, WorkerLost, WorkerPool
from mmbench.vector.worker import REQUEST, WHOLE, Modes, Raised, rows_of


class Crew:
    """The workers of one set of environments.

    Every order to them has a number, the next one of the set, and each worker tells the number of
    the last order that it has carried out. So no answer is taken for that to another order,
    whoever else uses the workers and wherever an exception (Ctrl-C, an alarm) ends a call.

    Attributes:
        arrays: What is shared with the workers.
        sent: The parts that have been ordered to step, with the order's number.

    Args:
        pool: The workers, which other crews may use as well.
        arrays: The arrays of the environments.
        owner: (N,) int64, the worker of each.
        modes: What they have in common.
        time_limit: Seconds that a worker may take for an order.
    """

    def __init__(
        self,
        pool: WorkerPool,
        arrays: SharedArrays,
        owner: np.ndarray,
        modes: Modes,
        time_limit: float,
    ) -> None:
        self.arrays = arrays
        self.arrays.current[:] = -1
        self.sent: dict[int, int] = {}
        self._pool = pool
        self._owner = owner
        self._modes = modes
        self._limit = time_limit
        self._members = {part: np.unique(owner[rows_of(part)]).tolist() for part in (0, 1, WHOLE)}
        self._workers: dict[int, Worker] = {}
        self._done = arrays.done.data
        self._numbers = itertools.count(1)
        self._ordered = 0  # the last step that all have been told to take
        self._asking = False
        which = self._set = pool.join()
        self.leave = weakref.finalize(self, pool.leave, which)

    @property
    def lost(self) -> list[int]:
        """Workers that have not started, or have ended with all they had."""
        return [
            number
            for number in self._members[WHOLE]
            if number not in self._workers or self._workers[number].reason is not None
        ]

    def replace_lost(self) -> None:
        """Starts workers, without environments as yet."""
        for number in self.lost:
            worker = self._pool.worker(number)
            self.arrays.current[number] = -1
            with contextlib.suppress(WorkerLost):  # the next order will say so
                worker.open(self._set, next(self._numbers), self.arrays, self._modes)
            self._workers[number] = worker

    def order(self, part: int) -> None:
        """Has the environments of a part step, without waiting for them."""
        self.sent[part] = next(self._numbers)
        self._order()

    def _order(self) -> None:
        """Tells who has not been told yet; those who know an order do not heed it twice."""
        for part, number in self.sent.items():
            if number > self._ordered:
                if not self._pool.size:
                    self._ordered = number  # it happens now, and only once
                for worker in self._members[part]:
                    try:
                        self._workers[worker].order(self._set, number, part)
                    except WorkerLost:
                        pass  # waiting for it will say so
                self._ordered = number

    def wait(self, part: int) -> list[WorkerLost]:
        """Waits for a step, again if an exception has ended this; returns who is lost."""
        self._order()
        lost = []
        for worker in self._members[part]:
            try:
                self._workers[worker].wait(self._done, self.sent[part], self._limit)
            except WorkerLost as error:
                lost.append(error)
        return lost

    def ask(
        self,
        method: str,
        indices: Iterable[int],
        arguments: Callable[[list[int]], tuple[Any, ...]],
        limit: float | None = None,
        progress: Callable[[], bool] = lambda: False,
    ) -> tuple[dict[int, Any], list[Raised], list[WorkerLost]]:
        """Has the workers call a method of their environments, side by side.

        Args:
            method: Name of a method of :class:`EnvironmentSet`, which returns a dict or None.
            indices: The environments it concerns.
            arguments: Its arguments, from those of the indices that a worker has.
            limit: Seconds until a worker counts as hanging.
            progress: See :meth:`WorkerProcess.wait`.

        Returns:
            By environment what the method returned, what it raised, and who is lost.
        """
        own: dict[int, list[int]] = {}
        for i in indices:
            own.setdefault(int(self._owner[i]), []).append(int(i))
        requests = {w: self._workers[w].request(method, arguments(own[w])) for w in own}
        self._asking = True
        number = next(self._numbers)
        for worker, request in requests.items():
            with contextlib.suppress(WorkerLost):  # waiting for it will say so
                self._workers[worker].order(self._set, number, REQUEST, request)
        results: dict[int, Any] = {}
        raised, lost = [], []
        for worker, request in requests.items():
            try:
                self._workers[worker].wait(self._done, number, limit or self._limit, progress)
            except WorkerLost as error:
                lost.append(error)
                continue
            answer = request.answer()
            if isinstance(answer, Raised):
                place = own[worker][0] if answer.place < 0 else answer.place
                raised.append(answer._replace(place=place))
            else:
                results |= answer or {}
        self._asking = False
        return results, raised, lost

    def settle(self) -> list[WorkerLost]:
        """Waits for requests that an exception has left under way; returns who is lost."""
        self._order()
        if not self._asking:
            return []
        # Orders are carried out in turn, so after this one none is left.
        return self.ask("tracebacks", range(len(self._owner)), lambda own: ([],))[2]
