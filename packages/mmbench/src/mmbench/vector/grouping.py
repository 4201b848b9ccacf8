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
    """Distributes environments over workers so that all of them have equally much to do.

    The environments of heavy libraries are laid end to end, which is cut into as many equal
    lengths as there are workers, so that a library is in two workers only where a cut falls into
    it. The light ones fill up, the most expensive first: each goes where there is room, and there
    to the worker with the least to do in the environment's half, so that the halves are even too.

    Args:
        domains: The domain of each environment.
        costs: What a step of each costs, in any unit, more than 0.
        num_workers: Workers, at least 1.

    Returns:
        The number of the worker of each environment, (N,) int64.
    """
    megabytes = [LIBRARY_MEGABYTES.get(domain, _HEAVY) for domain in domains]
    everyone = range(len(domains))
    heavy = [i for i in everyone if megabytes[i] >= _HEAVY]
    largest: dict[str, float] = {}
    for i in heavy:
        largest[domains[i]] = max(costs[i], largest.get(domains[i], 0.0))
    # Those with the largest steps first: the cuts then fall between small ones.
    heavy.sort(key=lambda i: (-largest[domains[i]], domains[i], i))
    light = [i for i in everyone if megabytes[i] < _HEAVY]
    light.sort(key=lambda i: (-costs[i], i))
    owner = np.zeros(len(domains), np.int64)
    load, half_load = np.zeros(num_workers), np.zeros((2, num_workers))
    share = sum(costs) / num_workers
    position = 0.0
    for i in heavy + light:
        if megabytes[i] >= _HEAVY:
            worker = min(int((position + costs[i] / 2) / share), num_workers - 1)
            position += costs[i]
        else:
            room = np.flatnonzero(load + costs[i] <= share)
            worker = int(room[half_load[i % 2, room].argmin()] if len(room) else load.argmin())
        owner[i] = worker
        load[worker] += costs[i]
        half_load[i % 2, worker] += costs[i]
    return owner


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
    loads = np.bincount(owner, costs, num_workers)
    slow, fast = int(loads.argmax()), int(loads.argmin())
    gap = loads[slow] - loads[fast]
    if gap < _LAG * loads.mean():
        return None
    there = {domains[i] for i in np.flatnonzero(owner == fast)}
    movable = [
        int(i)
        for i in candidates
        if owner[i] == slow
        and costs[i] < gap
        and (domains[i] in there or LIBRARY_MEGABYTES.get(domains[i], _HEAVY) < _HEAVY)
    ]
    # The one that leaves the two most alike.
    return (min(movable, key=lambda i: abs(gap - 2 * costs[i])), fast) if movable else None
