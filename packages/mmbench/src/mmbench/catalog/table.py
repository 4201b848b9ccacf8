"""The records of the benchmark, in the paper's order."""

from mmbench.catalog import (
    atari,
    box2d,
    dmcontrol,
    dmcontrol_ext,
    maniskill,
    metaworld,
    miniarcade,
    mujoco,
    ogbench,
    robodesk,
)
from mmbench.catalog.domain import BENCHMARK
from mmbench.catalog.task import Task

_TABLES = (
    dmcontrol,
    dmcontrol_ext,
    metaworld,
    maniskill,
    mujoco,
    box2d,
    robodesk,
    ogbench,
    miniarcade,
    atari,
)

TASKS: tuple[Task, ...] = tuple(task for table in _TABLES for task in table.TASKS)
"""Every record, corrected versions included, domain by domain."""

DOMAINS: tuple[str, ...] = tuple(domain.name for domain in BENCHMARK)
"""The names of the ten domains."""
