"""All task records, in the paper's order."""

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

DOMAINS: tuple[str, ...] = tuple(dict.fromkeys(task.domain for task in TASKS))
"""The names of the ten domains."""

SPLITS = ("train", "test", "extra")


def tasks(
    split: str | None = None, domain: str | None = None, version: int | None = 0
) -> tuple[Task, ...]:
    """Lists tasks of the benchmark without importing a simulator.

    Args:
        split: ``train`` (200 tasks), ``test`` (the 20 held out), ``extra`` (8 more), or None
            for the 220 of ``train`` and ``test``.
        domain: One of :data:`DOMAINS`, or None for all.
        version: 0 for the published tasks, 1 for the corrected ones, None for both.

    Returns:
        The matching records in the benchmark's order.

    Raises:
        ValueError: The split or the domain does not exist.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(
            f"unknown split {split!r}: one of {', '.join(SPLITS)}, or None for the 220"
        )
    if domain is not None and domain not in DOMAINS:
        raise ValueError(f"unknown domain {domain!r}: one of {', '.join(DOMAINS)}")
    splits = ("train", "test") if split is None else (split,)
    return tuple(
        task
        for task in TASKS
        if task.split in splits
        and domain in (None, task.domain)
        and version in (None, task.version)
    )
