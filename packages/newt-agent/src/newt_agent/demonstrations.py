"""Demonstrations of tasks, read by every method through one loader."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import tyro
from torch import Tensor

from mmbench import catalog
from mmbench.catalog import Task
from mmbench.runs import RunError
from newt_agent.settings import Range

Demos = Annotated[
    str,
    tyro.conf.arg(
        help="Demonstrations to learn from: auto (what mmbench has of training tasks), all (of "
        "held-out tasks too), none, or a folder of yours (of training tasks)."
    ),
]
"""The type of the setting ``demos``."""

DemoEpisodes = Annotated[
    Annotated[int, Range(1, 10**6)] | None,
    tyro.conf.arg(
        metavar="INT", help="Demonstrations of each task, at most: the first ones. By default all."
    ),
]
"""The type of the setting ``demo_episodes``."""


class Demonstration(NamedTuple):
    """One episode of T steps."""

    task: int
    """Which of the tasks it is of."""
    obs: np.ndarray
    """``[T + 1, 128]`` float32, padded."""
    action: np.ndarray
    """``[T, 16]`` float32 in [-1, 1], 0 at masked entries."""
    reward: np.ndarray
    """``[T]`` float64."""
    terminated: bool
    """Whether the last state is terminal, rather than cut by the time limit."""


class Demonstrations(NamedTuple):
    """What was found of some tasks."""

    episodes: tuple[Demonstration, ...]
    """In the order of the tasks."""
    summary: str
    """What was found, as a sentence."""


def load_demonstrations(
    tasks: Sequence[str], where: str, most: int | None = None
) -> Demonstrations:
    """Loads the demonstrations of tasks.

    Args:
        tasks: Their names.
        where: ``auto`` (what mmbench has; it is made ready at the first use), without those of
            held-out tasks, which would be no measure of transfer any more; ``all``, with them;
            ``none``; or a folder of datasets, as ``mmbench demos collect --root`` writes them,
            again without those of held-out tasks.
        most: Episodes of each task, at most: the first ones. None is all.

    Returns:
        The episodes, none of tasks that have no demonstrations.

    Raises:
        RunError: A dataset is damaged; or the folder is not there, or what reads it is not
            installed.
    """
    if where == "none":
        return Demonstrations((), "no demonstrations are used")
    from mmbench import demos
    from mmbench.demos.dataset import require_minari

    ours = where in ("auto", "all")
    root = None if ours else Path(where).expanduser()
    if root is not None and not root.is_dir():
        raise RunError(
            f"demos={where}: no such folder; auto takes those of mmbench, none none at all"
        )
    records = [catalog.get(name) for name in tasks]
    # The one place where methods read demonstrations: `demos.load` would refuse them as well.
    allowed = [task for task in records if where == "all" or not demos.is_held_out(task)]
    held_out = [task.versioned_name for task in records if task not in allowed]
    if ours:
        try:
            require_minari()
        except RunError as error:
            return Demonstrations((), f"no demonstrations are used: {error}")
    _replay([task for task in allowed if demos.find_tape(task, root) is not None], root)
    episodes: list[Demonstration] = []
    without: list[str] = []
    for number, task in enumerate(records):
        if task not in allowed:
            continue
        try:
            dataset = demos.load(task, root, held_out=where == "all")
        except demos.NoDemonstrationsError:
            without.append(task.versioned_name)
            continue
        for episode in itertools.islice(dataset.iterate_episodes(), most):
            episodes.append(
                Demonstration(
                    number,
                    np.asarray(episode.observations, np.float32),
                    np.asarray(episode.actions, np.float32),
                    np.asarray(episode.rewards, np.float64),
                    bool(episode.terminations[-1]),
                )
            )
    summary = _summary([task.versioned_name for task in allowed], episodes, without)
    if held_out:
        listed = ", ".join(sorted(held_out))
        summary += f"; those of held-out tasks are left out (--demos all reads them): {listed}"
    return Demonstrations(tuple(episodes), summary)


def _replay(tasks: Sequence[Task], root: Path | None) -> None:
    """Plays the tapes that were never played here, in all processes at once."""
    from mmbench.demos.display import progress, show_episodes
    from mmbench.demos.replay import replay
    from mmbench.demos.workers import default_workers

    with progress() as bars:
        show = show_episodes(bars, "replaying demonstrations", len(tasks))
        for replayed in replay(tasks, root, default_workers(), show):
            for text in replayed.texts:
                bars.console.print(f"demonstrations of {replayed.task}: {text}", highlight=False)


def _summary(
    tasks: Sequence[str], episodes: Sequence[Demonstration], without: Sequence[str]
) -> str:
    steps = sum(len(episode.action) for episode in episodes)
    found = f"{len(tasks) - len(without)} of {len(tasks)} tasks"
    text = f"demonstrations of {found}: {len(episodes):,} episodes, {steps:,} steps"
    if without:
        some = ", ".join(without[:6]) + (", ..." if len(without) > 6 else "")
        text += f"; none of {some}"
    return text


def tell_changed(told: str, state: Mapping[str, Tensor], checksum: int | None) -> str:
    """Adds to what a resumption has to tell that the demonstrations are others than before.

    Args:
        told: What it has to tell already.
        state: Of the method; ``demonstrations`` is their checksum, if there were any.
        checksum: That of today's; None where there are none.
    """
    before = state.get("demonstrations")
    if checksum == (None if before is None else int(before)):
        return told
    return "; ".join(
        filter(None, (told, "the demonstrations are others than before: the run will differ"))
    )


def require(found: Demonstrations, where: str) -> None:
    """Checks that there is something to learn from.

    Raises:
        RunError: There are no demonstrations.
    """
    if not found.episodes:
        raise RunError(
            f"demos={where}: {found.summary}, and nothing else is learned from; "
            "`mmbench demos list` tells which tasks have some"
        )
