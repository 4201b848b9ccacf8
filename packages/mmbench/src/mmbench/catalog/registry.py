"""Every domain and task that this process knows: the benchmark's, and those from outside.

What is registered here stands beside the benchmark and is never part of it: ``all``, ``test``, the
ten domains and every pattern that matches a task of theirs stay as they are.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Container, Iterable

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
from mmbench.catalog.domain import BENCHMARK, GYM, Domain
from mmbench.catalog.gymnasium_tasks import PREFIX, gym_task
from mmbench.catalog.task import NAMESPACE, SPLITS, InvalidTaskError, Task, UnknownTaskError
from mmbench.shell import command

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

GROUPS = ("all", "train", "test", "extra")

PRESETS: dict[str, tuple[str, ...]] = {
    "quickstart": (
        "cartpole-balance-sparse",
        "cartpole-swingup",
        "pygame-cowboy",
        "pygame-landing",
    ),
    "lite": (
        "cartpole-swingup",
        "cup-catch",
        "pendulum-spin",
        "mw-faucet-open",
        "mw-faucet-close",
        "mw-reach",
        "mw-drawer-open",
        "mw-button-press",
        "mw-window-open",
        "mw-window-close",
        "ms-push-cube",
        "ms-pull-cube",
        "lunarlander-takeoff",
        "og-point-arena",
        "og-point-maze",
        "og-point-bottleneck",
        "og-point-circle",
        "pygame-cowboy",
        "pygame-cartpole-tremor",
        "pygame-cartpole-balance-sparse",
    ),
}
"""Named lists of training tasks. ``quickstart`` learns visibly on two cores in minutes; ``lite`` is
a comparison of methods on a laptop (docs/lite.md)."""

FAILED: dict[str, str] = {}
"""Packages whose tasks could not be loaded, with the reason."""

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_VERSION = re.compile(r".*-v\d+")

_domains: dict[str, Domain] = {domain.name: domain for domain in (*BENCHMARK, GYM)}
_tasks: dict[str, Task] = {task.id: task for task in TASKS}


def domain(name: str) -> Domain:
    """Returns the record of one domain.

    Raises:
        InvalidTaskError: This process knows no such domain.
    """
    if name not in _domains:
        raise InvalidTaskError(
            f"unknown domain {name!r}: this process knows {', '.join(_domains)}. Register it with "
            "mmbench.register in a module that --import or imports=[...] names, or in a package "
            "with an entry point in the group mmbench.domains"
        )
    return _domains[name]


def domains() -> tuple[Domain, ...]:
    """Returns the records of all domains: the benchmark's ten, then those from outside."""
    return tuple(_domains.values())


def tasks(
    split: str | None = None, domain: str | None = None, version: int | None = 0
) -> tuple[Task, ...]:
    """Lists tasks of the benchmark, or of a domain from outside, without importing a simulator.

    Args:
        split: ``train`` (200 tasks), ``test`` (the 20 held out), ``extra`` (8 more), or None
            for the 220 of ``train`` and ``test``.
        domain: The name of a domain, or None for all ten of the benchmark.
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
    if domain is not None and domain not in _domains:
        raise ValueError(f"unknown domain {domain!r}: one of {', '.join(_domains)}")
    splits = ("train", "test") if split is None else (split,)
    return tuple(
        task
        for task in (TASKS if domain is None or domain in DOMAINS else outside())
        if task.split in splits
        and domain in (None, task.domain)
        and version in (None, task.version)
    )


def outside() -> tuple[Task, ...]:
    """Returns the tasks that were registered from outside, those of the ten domains too."""
    return tuple(_tasks.values())[len(TASKS) :]


def get(name: str) -> Task:
    """Returns the record of one task.

    Args:
        name: A bare name (``walker-walk``, meaning version 0), a versioned one
            (``walker-walk-v0``), a full id (``mmbench/walker-walk-v0``), or ``gym:`` and the id
            of any Gymnasium environment (see :func:`mmbench.gym_task`).

    Raises:
        UnknownTaskError: Nothing has this name; the message lists the nearest ones.
        InvalidTaskError: The Gymnasium environment cannot be a task.
    """
    task = find(name)
    if task is None and name.startswith(PREFIX):
        return gym_task(name.removeprefix(PREFIX))
    if task is None:
        raise UnknownTaskError(unknown(name, names()))
    return task


def find(name: str) -> Task | None:
    """Returns the record that has this name, version or id, or None."""
    bare = name.removeprefix(f"{NAMESPACE}/")
    if bare.startswith(PREFIX):
        bare = re.sub("[:/]", "-", bare)  # as in its id
    return _tasks.get(f"{NAMESPACE}/{bare}-v0") or _tasks.get(f"{NAMESPACE}/{bare}")


def names() -> tuple[str, ...]:
    """Returns what tasks are called: bare names, then versioned ones."""
    bare = dict.fromkeys(task.name for task in _tasks.values())
    return (*bare, *(f"{task.name}-v{task.version}" for task in _tasks.values()))


def add(*records: Domain | Task) -> tuple[Task, ...]:
    """Adds domains and tasks: all of them, or none where one is refused.

    Args:
        *records: In any order. One that is known already, unchanged, is left as it is.

    Returns:
        The tasks that are new.

    Raises:
        InvalidTaskError: A name is taken, or a record is not possible.
    """
    new_domains: dict[str, Domain] = {}
    new_tasks: dict[str, Task] = {}
    for record in records:
        if isinstance(record, Domain):
            if _domains.get(record.name) == record:
                continue
            _check_domain(record, taken={**_domains, **new_domains})
            new_domains[record.name] = record
    known = _tasks.copy()
    for record in records:
        if isinstance(record, Domain):
            continue
        if not isinstance(record, Task):
            raise InvalidTaskError(f"{record!r} is neither a mmbench.Task nor a mmbench.Domain")
        if known.get(record.id) == record:
            continue
        _check_task(record, known, domains={**_domains, **new_domains})
        new_tasks[record.id] = known[record.id] = record
    _domains.update(new_domains)
    _tasks.update(new_tasks)
    return tuple(new_tasks.values())


def _check_domain(record: Domain, taken: Container[str]) -> None:
    name = record.name
    if not _NAME.fullmatch(name):
        raise InvalidTaskError(f"domain {name!r}: a name has letters, digits, '-', '_' and '.'")
    if name in taken or name in GROUPS or name in PRESETS or find(name):
        raise InvalidTaskError(f"domain {name!r}: another domain, task or group has this name")
    if not record.packages:
        raise InvalidTaskError(f"domain {name!r}: packages is empty; name at least one")
    from packaging.requirements import InvalidRequirement, Requirement  # late: takes 10 ms

    for line in record.packages:
        try:
            Requirement(line)
        except InvalidRequirement as error:
            raise InvalidTaskError(
                f"domain {name!r}: packages has {line!r}; a package is written as 'name' or "
                "'name>=2,<3'"
            ) from error


def _check_task(task: Task, tasks: Container[str], domains: Collection[str]) -> None:
    unnamed = task.domain == GYM.name and task.name == PREFIX + task.native
    problem = ""
    if not (unnamed or _NAME.fullmatch(task.name)):
        problem = "a name has letters, digits, '-', '_' and '.'"
    elif not unnamed and _VERSION.fullmatch(task.name):
        problem = "a name does not end in a version; that is the field `version`"
    elif task.id in tasks or task.name in domains or task.name in GROUPS or task.name in PRESETS:
        problem = "another task, domain or group has this name; choose another"
    elif task.domain not in domains:
        problem = f"its domain {task.domain!r} is not registered: one of {', '.join(domains)}"
    problem = problem or task.problem
    if problem:
        raise InvalidTaskError(f"task {task.name!r}: {problem}")


def unknown(name: str, known: Iterable[str]) -> str:
    """Says that nothing is called ``name``, and what is called nearly so."""
    near = difflib.get_close_matches(name, list(known), n=4, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    lost = "".join(
        f". The tasks of {package} are not there: {why}" for package, why in FAILED.items()
    )
    return (
        f"unknown task {name!r}: {hint}"
        f"`{command('mmbench', 'tasks')}` lists all names; domains are {', '.join(_domains)}{lost}"
    )
