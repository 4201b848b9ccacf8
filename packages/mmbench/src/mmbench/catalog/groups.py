"""Task groups: what every ``--tasks`` flag and ``tasks=`` argument accepts."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

from mmbench.catalog.domain import GYM
from mmbench.catalog.gymnasium_tasks import PREFIX, with_settings
from mmbench.catalog.registry import (
    GROUPS,
    PRESETS,
    domains,
    find,
    get,
    names,
    outside,
    tasks,
    unknown,
)
from mmbench.catalog.task import NAMESPACE, InvalidTaskError, Task, UnknownTaskError

SELECTION = (
    "all (the 200 training tasks; train is another name), test (the 20 held out), extra (8 more), "
    f"a domain, a preset ({', '.join(PRESETS)}), a glob such as 'mw-*', names, or several of them "
    "separated by commas; domains, presets and globs leave held-out tasks aside"
)
"""What ``--tasks`` accepts, for the help of every command."""


def select(
    spec: str | Task | Iterable[str | Task],
    instruction: str | None = None,
    score: str | tuple[float, float] | None = None,
    terminations: str | None = None,
) -> tuple[Task, ...]:
    """Resolves a selection of tasks.

    Args:
        spec: ``all`` or ``train`` (the 200 training tasks), ``test`` (the 20 held out),
            ``extra`` (the 8), a domain, a preset, a name, a glob over names, ``gym:<id>`` or
            ``gym:<id>=<instruction>`` (any Gymnasium environment, see :func:`mmbench.gym_task`),
            several of them separated by commas, or an iterable of names and records. Domains,
            globs and presets select training tasks only; a held-out task is reached by ``test``
            or by its exact name, so that no pattern trains on one by accident. A glob selects
            tasks from outside the benchmark only where it matches none of the benchmark's.
        instruction: Of the one Gymnasium environment among the tasks.
        score: The returns that count as 0 and as 1 in the one Gymnasium environment among the
            tasks, as two numbers or as text, ``"-1600,0"``.
        terminations: ``ignore`` or ``end``, of all Gymnasium environments among the tasks.

    Returns:
        The tasks in the order given, each once.

    Raises:
        TypeError: ``spec`` is something else.
        UnknownTaskError: A part matches nothing; the message lists the nearest names.
        InvalidTaskError: A Gymnasium environment cannot be a task, a setting is not possible, or
            two tasks have one name.
    """
    if isinstance(spec, Task):
        spec = (spec,)
    parts = spec.split(",") if isinstance(spec, str) else _listed(spec)
    selected: dict[Task, None] = {}
    try:
        for part in parts:
            for task in (part,) if isinstance(part, Task) else _resolve(part.strip()):
                selected[task] = None
    except UnknownTaskError as error:
        if isinstance(spec, str) and PREFIX in spec and "=" in spec:
            raise UnknownTaskError(
                f"{error}. An instruction on --tasks ends at a comma; one that has commas goes "
                "into --instruction, or into a module for --import"
            ) from error
        raise
    if not selected:
        raise UnknownTaskError(f"no task in {spec!r}: give names, a domain, a preset or 'all'")
    chosen = with_settings(tuple(selected), instruction, score, terminations)
    called = [task.versioned_name for task in chosen]
    twice = [name for name in dict.fromkeys(called) if called.count(name) > 1]
    if twice:
        raise InvalidTaskError(f"{twice[0]!r} is given twice, with different settings")
    return chosen


def _listed(spec: Iterable[str | Task]) -> list[str | Task]:
    parts = list(spec) if isinstance(spec, Iterable) else [spec]
    if not all(isinstance(part, str | Task) for part in parts):
        raise TypeError(
            f"tasks={spec!r}: text such as 'walker-walk,mw-*', or a list of names and of "
            "mmbench.Task records"
        )
    return parts


def _resolve(part: str) -> tuple[Task, ...]:
    if part in ("all", "train"):
        return tasks(split="train")
    if part in ("test", "extra"):
        return tasks(split=part)
    if part in PRESETS:
        return tuple(get(name) for name in PRESETS[part])
    if part.startswith(PREFIX):
        return (_gym(part),)
    task = find(part)
    if task is not None:
        return (task,)
    # A domain after the names, because no task is named like one.
    known = [domain.name for domain in domains()]
    if part in known:
        own = tasks(split="train", domain=part)
        if own:
            return own
        raise UnknownTaskError(
            f"the domain {part!r} has no training task here"
            + (f"; name an environment: {PREFIX}<id>" if part == GYM.name else "")
        )
    bare = part.removeprefix(f"{NAMESPACE}/")
    if any(character in bare for character in "*?["):
        return _matching(bare)
    raise UnknownTaskError(unknown(part, (*GROUPS, *known, *PRESETS, *names())))


def _gym(part: str) -> Task:
    """The task of ``gym:<id>`` or ``gym:<id>=<instruction>``."""
    name, given, instruction = part.partition("=")
    return with_settings((get(name.strip()),), instruction.strip() if given else None)[0]


def _matching(pattern: str) -> tuple[Task, ...]:
    everything = tasks(split="train"), tuple(task for task in outside() if task.split == "train")
    for candidates in everything:
        matches = tuple(
            task
            for task in candidates
            if task.version == 0 and fnmatch.fnmatchcase(task.name, pattern)
        )
        if matches:
            return matches
    raise UnknownTaskError(
        f"no training task matches {pattern!r}: patterns leave held-out tasks aside, "
        "name those exactly or use 'test'"
    )
