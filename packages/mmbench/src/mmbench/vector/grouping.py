"""Which worker owns which environment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmbench.catalog import domain as domain_record

_HEAVY = 100
"""Megabytes from which on a library should not load in every worker of a large machine."""

_LIBRARY_BUDGET = 2000
"""Megabytes that a heavy library may take in all workers together, if speed needs no more."""


def group(domains: Sequence[str], costs: Sequence[float], num_workers: int) -> np.ndarray:
    """Distributes environments over workers so that all of them have equally much to do.

    Not only on average, but in every step: the episodes of a domain are equally long, so all of
    its environments reset in the same step, which takes many times as long as another. A domain
    is therefore spread evenly, those of heavy libraries over as many workers as the memory allows.
    The light ones fill up. Within this, the halves are made even too.

    Args:
        domains: The domain of each environment.
        costs: What a step of each costs, in any unit, more than 0.
        num_workers: Workers, at least 1.

    Returns:
        The number of the worker of each environment, (N,) int64.
    """
    cost = np.asarray(costs, np.float64)
    share = cost.sum() / num_workers
    owner = np.zeros(len(domains), np.int64)
    load, half_load = np.zeros(num_workers), np.zeros((2, num_workers))

    def place(i: int, allowed: np.ndarray, prior: np.ndarray) -> None:
        room = allowed[load[allowed] + cost[i] <= share]
        if len(room):
            worker = int(room[np.lexsort((half_load[i % 2, room], prior[room]))[0]])
        else:
            worker = int(load.argmin())
        owner[i] = worker
        load[worker] += cost[i]
        half_load[i % 2, worker] += cost[i]
        prior[worker] += cost[i]

    def falling(members: list[int]) -> list[int]:
        return sorted(members, key=lambda i: (-cost[i], i))

    heavy, light = _by_library(domains)
    for domain, members in sorted(heavy.items(), key=lambda item: -cost[item[1]].max()):
        affordable = int(_LIBRARY_BUDGET // domain_record(domain).megabytes)
        needed = int(np.ceil(cost[members].sum() / share))
        count = min(max(affordable, needed), num_workers)
        allowed = np.sort(load.argsort(kind="stable")[:count])
        own_load = np.zeros(num_workers)
        for i in falling(members):
            place(i, allowed, own_load)
    for i in falling(light):
        place(i, np.arange(num_workers), np.zeros(num_workers))
    return owner


def _by_library(domains: Sequence[str]) -> tuple[dict[str, list[int]], list[int]]:
    """The environments of heavy libraries by domain, and all others."""
    heavy: dict[str, list[int]] = {}
    light = []
    for i, domain in enumerate(domains):
        if domain_record(domain).megabytes >= _HEAVY:
            heavy.setdefault(domain, []).append(i)
        else:
            light.append(i)
    return heavy, light
