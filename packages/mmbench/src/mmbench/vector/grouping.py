"""Which worker owns which environment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LIBRARY_MEGABYTES = {
    "maniskill": 500,
    "robodesk": 150,
    "metaworld": 120,
    "atari": 60,
    "box2d": 20,
    "ogbench": 20,
    "mujoco": 20,
    "dmcontrol-ext": 20,
    "dmcontrol": 20,
    "miniarcade": 10,
}
"""What a worker's memory grows by when a domain's first task is made, roughly."""

_HEAVY = 100
"""Megabytes from which on a library should load in as few workers as possible."""

_LAG = 0.1
"""Difference of two workers' loads, in shares, from which on environments move."""


def group(domains: Sequence[str], costs: Sequence[float], num_workers: int) -> np.ndarray:
    """Distributes environments over workers so that each half takes all of them equally long.

    The environments of heavy libraries come first: laid end to end, and cut into as many equal
    lengths as there are workers, so that a library is in two workers only where a cut falls into
    it. The light ones then fill up: the most expensive first, each to the worker with the least
    to do.

    Args:
        domains: The domain of each environment.
        costs: What a step of each costs, in any unit, more than 0.
        num_workers: Workers, at least 1.

    Returns:
        The number of the worker of each environment, (N,) int64.
    """
    owner = np.zeros(len(domains), np.int64)
    for half in (0, 1):
        _group_half(owner, half, domains, np.asarray(costs, np.float64), num_workers)
    return owner


def _group_half(
    owner: np.ndarray, half: int, domains: Sequence[str], costs: np.ndarray, num_workers: int
) -> None:
    members = range(half, len(domains), 2)
    megabytes = [LIBRARY_MEGABYTES.get(domains[i], _HEAVY) for i in members]
    heavy = [i for i, size in zip(members, megabytes, strict=True) if size >= _HEAVY]
    heavy.sort(key=lambda i: (-LIBRARY_MEGABYTES.get(domains[i], _HEAVY), domains[i], i))
    light = [i for i, size in zip(members, megabytes, strict=True) if size < _HEAVY]
    light.sort(key=lambda i: (-costs[i], i))
    share = costs[list(members)].sum() / num_workers
    load = np.zeros(num_workers)
    worker = 0
    for i in heavy:
        # The next worker begins where this one would go further past its share than it is short.
        if worker < num_workers - 1 and load[worker] + costs[i] / 2 > share:
            worker += 1
        owner[i] = worker
        load[worker] += costs[i]
    for i in light:
        owner[i] = int(load.argmin())
        load[owner[i]] += costs[i]


def better_place(
    candidates: np.ndarray,
    owner: np.ndarray,
    domains: Sequence[str],
    costs: np.ndarray,
    num_workers: int,
) -> tuple[int, int] | None:
    """Finds an environment that another worker should have, if a worker lags behind.

    Args:
        candidates: Environments that can move now, that is, whose episode has just begun.
        owner: (N,), the worker of each environment.
        domains: The domain of each.
        costs: (N,), measured costs of a step.
        num_workers: Workers.

    Returns:
        The environment and its new worker, or None where no move helps by more than a tenth of a
        worker's share.
    """
    for half in (0, 1):
        loads = np.bincount(owner[half::2], costs[half::2], num_workers)
        slow, fast = int(loads.argmax()), int(loads.argmin())
        gap = loads[slow] - loads[fast]
        if gap < _LAG * loads.mean():
            continue
        there = {domains[i] for i in np.flatnonzero(owner == fast)}
        movable = [
            int(i)
            for i in candidates
            if i % 2 == half
            and owner[i] == slow
            and costs[i] < gap
            and (domains[i] in there or LIBRARY_MEGABYTES.get(domains[i], _HEAVY) < _HEAVY)
        ]
        if movable:
            # The one that leaves the two most alike.
            return min(movable, key=lambda i: abs(gap - 2 * costs[i])), fast
    return None
