"""The workers of one vector environment: numbered orders to them, and their answers."""

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


class WorkerGroup:
    """The workers of one set of environments.

    Orders are numbered, and each worker reports the number of the last order that it carried out.
    So no answer is taken for another order's, whoever else uses the workers, and wherever an
    exception (Ctrl-C, an alarm) ends a call.

    Attributes:
        arrays: What is shared with the workers.
        sent: The subsets that were ordered to step, with the order's number.

    Args:
        pool: The workers. Other groups may use them too.
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
        self._members = {
            subset: np.unique(owner[rows_of(subset)]).tolist() for subset in (0, 1, WHOLE)
        }
        self._workers: dict[int, Worker] = {}
        self._done = arrays.done.data
        self._numbers = itertools.count(1)
        self._ordered = 0  # number of the last step that all were ordered to take
        self._asking = False
        set_id = self._set = pool.join()
        self.leave = weakref.finalize(self, pool.leave, set_id)

    @property
    def lost(self) -> list[int]:
        """Workers that have not started, or that have ended."""
        return [
            number
            for number in self._members[WHOLE]
            if number not in self._workers or self._workers[number].reason is not None
        ]

    def replace_lost(self) -> None:
        """Starts the workers that are missing, still without environments."""
        for number in self.lost:
            worker = self._pool.worker(number)
            self.arrays.current[number] = -1
            with contextlib.suppress(WorkerLost):  # the next order reports it
                worker.open(self._set, next(self._numbers), self.arrays, self._modes)
            self._workers[number] = worker

    def order(self, subset: int) -> None:
        """Orders the environments of a subset to step, without waiting for them."""
        self.sent[subset] = next(self._numbers)
        self._order()

    def _order(self) -> None:
        """Sends orders that were not sent to all. A worker ignores one that it gets twice."""
        for subset, number in self.sent.items():
            if number > self._ordered:
                if not self._pool.size:
                    self._ordered = number  # it is carried out at once, and only once
                for worker in self._members[subset]:
                    try:
                        self._workers[worker].order(self._set, number, subset)
                    except WorkerLost:
                        pass  # waiting for it reports it
                self._ordered = number

    def wait(self, subset: int) -> list[WorkerLost]:
        """Waits for a step and returns the workers that were lost. May be called again."""
        self._order()
        lost = []
        for worker in self._members[subset]:
            try:
                self._workers[worker].wait(self._done, self.sent[subset], self._limit)
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
        """Makes the workers call a method of their environments, all at once.

        Args:
            method: Name of a method of :class:`EnvironmentSet`, which returns a dict or None.
            indices: The environments it concerns.
            arguments: Makes its arguments from the indices that a worker has.
            limit: Seconds until a worker counts as hanging.
            progress: See :meth:`WorkerProcess.wait`.

        Returns:
            What the method returned by environment, what it raised, and the workers lost.
        """
        own: dict[int, list[int]] = {}
        for i in indices:
            own.setdefault(int(self._owner[i]), []).append(int(i))
        requests = {w: self._workers[w].request(method, arguments(own[w])) for w in own}
        self._asking = True
        number = next(self._numbers)
        for worker, request in requests.items():
            with contextlib.suppress(WorkerLost):  # waiting for it reports it
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
                env = own[worker][0] if answer.env < 0 else answer.env
                raised.append(answer._replace(env=env))
            else:
                results |= answer or {}
        self._asking = False
        return results, raised, lost

    def settle(self) -> list[WorkerLost]:
        """Waits for requests that an exception left running; returns the workers lost."""
        self._order()
        if not self._asking:
            return []
        # Orders are carried out in sequence, so after this one none is left.
        return self.ask("tracebacks", range(len(self._owner)), lambda own: ([],))[2]
