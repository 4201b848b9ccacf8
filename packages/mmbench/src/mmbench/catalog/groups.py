"""Task groups: what every ``--tasks`` flag and ``tasks=`` argument accepts."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable

from mmbench.catalog.errors import UnknownTaskError
from mmbench.catalog.table import DOMAINS, TASKS, tasks
from mmbench.catalog.task import NAMESPACE, Task

PRESETS: dict[str, tuple[str, ...]] = {
    "quickstart": (
        "cartpole-balance-sparse",
        "cartpole-swingup",
        "pygame-cowboy",
        "pygame-landing",
    ),
}
"""Named lists of training tasks. ``quickstart`` learns visibly on two cores in minutes."""

_BY_NAME = {task.name: task for task in TASKS if task.version == 0}
_VERSIONED = {f"{task.name}-v{task.version}": task for task in TASKS}


def get(name: str) -> Task:
    """Returns the record of one task.

    Args:
        name: A bare name (``walker-walk``, meaning version 0), a versioned one
            (``walker-walk-v0``) or a full id (``mmbench/walker-walk-v0``).

    Raises:
        UnknownTaskError: Nothing has this name; the message lists the nearest ones.
    """
    bare = name.removeprefix(f"{NAMESPACE}/")
    task = _BY_NAME.get(bare) or _VERSIONED.get(bare)
    if task is None:
        raise UnknownTaskError(_unknown(name, (*_BY_NAME, *_VERSIONED)))
    return task


def select(spec: str | Task | Iterable[str | Task]) -> tuple[Task, ...]:
    """Resolves a selection of tasks.

    Args:
        spec: ``all`` or ``train`` (the 200 training tasks), ``test`` (the 20 held out),
            ``extra`` (the 8), a domain, a preset, a name, a glob over names, several of them
            separated by commas, or an iterable of names and records. Domains, globs and
            presets select training tasks only; a held-out task is reached by ``test`` or by
            its exact name, so that no pattern trains on one by accident.

    Returns:
        The tasks in the order given, each once.

    Raises:
        UnknownTaskError: A part matches nothing; the message lists the nearest names.
    """
    if isinstance(spec, Task):
        return (spec,)
    parts = spec.split(",") if isinstance(spec, str) else list(spec)
    selected: dict[Task, None] = {}
    for part in parts:
        for task in (part,) if isinstance(part, Task) else _resolve(part.strip()):
            selected[task] = None
    if not selected:
        raise UnknownTaskError(f"no task in {spec!r}: give names, a domain, a preset or 'all'")
    return tuple(selected)


def _resolve(part: str) -> tuple[Task, ...]:
    if part in ("all", "train"):
        return tasks(split="train")
    if part in ("test", "extra"):
        return tasks(split=part)
    if part in PRESETS:
        return tuple(_BY_NAME[name] for name in PRESETS[part])
    bare = part.removeprefix(f"{NAMESPACE}/")
    if bare in _BY_NAME or bare in _VERSIONED:
        return (get(bare),)
    # A domain after the names, because no task is named like one.
    if part in DOMAINS:
        return tasks(split="train", domain=part)
    if any(character in bare for character in "*?["):
        matches = tuple(
            task for task in tasks(split="train") if fnmatch.fnmatchcase(task.name, bare)
        )
        if matches:
            return matches
        raise UnknownTaskError(
            f"no training task matches {part!r}: patterns leave held-out tasks aside, "
            "name those exactly or use 'test'"
        )
    groups = ("all", "train", "test", "extra", *DOMAINS, *PRESETS)
    raise UnknownTaskError(_unknown(part, (*groups, *_BY_NAME, *_VERSIONED)))


def _unknown(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=4, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    return (
        f"unknown task {name!r}: {hint}"
        f"`mmbench tasks` lists all names; domains are {', '.join(DOMAINS)}"
    )
