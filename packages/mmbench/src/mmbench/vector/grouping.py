"""What steps cost, and which worker therefore owns which environment."""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmbench.catalog import Task
from mmbench.catalog import domain as domain_record
from mmbench.language.cache import cache_dir

_HEAVY = 100
"""Megabytes from which a library is too large to load in every worker."""

_LIBRARY_BUDGET = 2000
"""Megabytes for a heavy library in all workers together, unless speed needs more."""

_FRAME_MICROSECONDS = 20_000.0
"""Drawing a frame, without a GPU."""


def measured_costs() -> Path:
    """Where ``mmbench bench`` keeps what it measured on this machine."""
    return cache_dir() / "step_costs.json"


def step_costs(tasks: Sequence[Task], obs: str) -> list[float]:
    """Estimates the time of an agent step, in microseconds.

    Args:
        tasks: Tasks, one an environment.
        obs: ``state``, ``rgb`` or ``state+rgb``.

    Returns:
        A number for each, from the table of this machine (``mmbench bench``), else from the one
        that comes with the package, else that of the domain. Only their proportions matter.
    """
    table = {**_shipped(), **_of_this_machine()}
    frame = _FRAME_MICROSECONDS if "rgb" in obs else 0.0
    return [
        table.get(task.id, domain_record(task.domain).step_microseconds) + frame for task in tasks
    ]


@functools.cache
def _shipped() -> dict[str, float]:
    text = importlib.resources.files("mmbench.vector").joinpath("step_costs.json").read_text()
    return json.loads(text)


def _of_this_machine() -> dict[str, float]:
    try:
        table = json.loads(measured_costs().read_text())
        return {str(task): float(cost) for task, cost in table.items() if cost > 0}
    except (OSError, ValueError, TypeError, AttributeError):
        # It affects speed only, and `mmbench bench` writes it again.
        return {}


def group(domains: Sequence[str], costs: Sequence[float], num_workers: int) -> np.ndarray:
    """Distributes environments over workers so that all workers have equally much to do.

    Not only on average, but in every step: the episodes of a domain are equally long, so its
    environments all reset in the same step, which takes many times as long as another. So a domain
    is spread evenly: one with a heavy library over as many workers as the memory allows, light ones
    over what is left. Within this, the halves are balanced too.

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
    """Splits environments: those of heavy libraries by domain, and all others."""
    heavy: dict[str, list[int]] = {}
    light = []
    for i, domain in enumerate(domains):
        if domain_record(domain).megabytes >= _HEAVY:
            heavy.setdefault(domain, []).append(i)
        else:
            light.append(i)
    return heavy, light
