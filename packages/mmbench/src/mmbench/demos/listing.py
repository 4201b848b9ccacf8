"""What demonstrations there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmbench.catalog import TASKS, Task, outside
from mmbench.demos import bars
from mmbench.demos.dataset import ABOUT, imported, size
from mmbench.demos.places import collecting_folder, dataset_folder, find_tape
from mmbench.demos.tape import TapeError, read_tape


@dataclass(frozen=True)
class Row:
    """The demonstrations of one task.

    Attributes:
        task: Its name.
        split: Its split; ``test`` is held out.
        episodes: How many.
        score: Their mean score; None where nobody knows it, or the tape is damaged.
        random: That of random actions; None where it was never measured.
        expert: Who played.
        bytes: Size of the tape's file, or of an imported dataset.
        replayed: Whether there is a dataset of them.
        problem: Why they are not used, or empty.
    """

    task: str
    split: str
    episodes: int
    score: float | None
    random: float | None
    expert: str
    bytes: int
    replayed: bool
    problem: str = ""


def rows(root: Path | None) -> Iterator[Row]:
    """The demonstrations in a folder, in the catalogue's order.

    Tasks whose collection is not complete, or misses the bars, have a row with the reason.
    """
    for task in (*TASKS, *outside()):
        path, dataset = find_tape(task, root), imported(task, root)
        state = collecting_folder(task, root) / "tape.npz"
        if dataset is not None:
            yield _imported_row(task, dataset, size(dataset_folder(task, root)))
        elif path is not None:
            yield _row(task, path, (dataset_folder(task, root) / "data").is_dir())
        elif state.is_file():
            yield _row(task, state, replayed=False, complete=False)


def _imported_row(task: Task, dataset: dict[str, Any], size: int) -> Row:
    score = dataset[ABOUT].get("score")
    return Row(
        task.versioned_name,
        task.split,
        int(dataset["total_episodes"]),
        score,
        bars.random_score(task),
        str(dataset["algorithm_name"]),
        size,
        True,
    )


def _row(task: Task, path: Path, replayed: bool, complete: bool = True) -> Row:
    name, size = task.versioned_name, path.stat().st_size
    random = bars.random_score(task)
    try:
        tape = read_tape(path, task)
    except TapeError as error:
        return Row(name, task.split, 0, None, random, "", size, replayed, str(error))
    if complete:
        problem = "; ".join(bars.problems(task, tape.episodes)[:1])
        return Row(
            name,
            task.split,
            len(tape.episodes),
            tape.score,
            random,
            tape.experts,
            size,
            replayed,
            problem,
        )
    good = bars.select(task, tape.episodes, len(tape.episodes))
    best = replace(tape, episodes=tuple(good)).score if good else tape.score
    problem = f"not complete: {len(good)} good episodes of {len(tape.episodes)}"
    missed = bars.problems(task, good) if good else []
    return Row(
        name,
        task.split,
        len(good),
        best,
        random,
        tape.experts,
        size,
        replayed,
        "; ".join((problem, *missed)),
    )
