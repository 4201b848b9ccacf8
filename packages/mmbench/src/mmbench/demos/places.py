"""Where demonstrations lie.

A folder of demonstrations, ``root``::

    tapes/<task>.npz                   the tapes of training tasks, and of tasks from outside
    tapes/held-out/<task>.npz          those of held-out tasks
    mmbench/<task>/expert-v0/data/     what they were replayed into: a Minari dataset
    collecting/<task>/                 a collection that is not complete, or misses the bars

The user's own is ``demos`` in mmbench's cache; beneath it lie the tapes that the package ships.

Demonstrations of held-out tasks lie apart, and :func:`mmbench.demos.load` refuses them unless it
is told that they are wanted: who has learned from them cannot measure transfer to these tasks.
"""

from __future__ import annotations

from pathlib import Path

from mmbench.catalog import TASKS, Task, outside
from mmbench.demos.tape import tape_name
from mmbench.language.cache import cache_dir

SHIPPED = Path(__file__).with_name("tapes")
"""The tapes of the package."""


def root_folder(root: Path | None) -> Path:
    """A folder of demonstrations; None is the user's own."""
    # Absolute, as Minari needs it.
    return (cache_dir() / "demos" if root is None else root).absolute()


def is_held_out(task: Task) -> bool:
    """Whether a task's demonstrations must not be learned from by accident."""
    return task.split == "test"


def _tape(folder: Path, task: Task) -> Path:
    return (folder / "held-out" if is_held_out(task) else folder) / tape_name(task)


def shipped_tape(task: Task) -> Path:
    """Where the package has the tape of a task, if it has one."""
    return _tape(SHIPPED, task)


def root_tape(task: Task, root: Path | None) -> Path:
    """Where the tape of a task is written to."""
    return _tape(root_folder(root) / "tapes", task)


def find_tape(task: Task, root: Path | None) -> Path | None:
    """The tape of a task, or None: the one in ``root``; in the user's own also the shipped one."""
    candidates = [root_tape(task, root)]
    if root is None:
        candidates.append(shipped_tape(task))
    return next((path for path in candidates if path.is_file()), None)


def tapes(root: Path | None) -> dict[Task, Path]:
    """The tapes of all tasks that have one."""
    found = {task: find_tape(task, root) for task in (*TASKS, *outside())}
    return {task: path for task, path in found.items() if path is not None}


def dataset_id(task: Task) -> str:
    """The id of a task's Minari dataset."""
    return f"mmbench/{Path(tape_name(task)).stem}/expert-v0"


def dataset_folder(task: Task, root: Path | None) -> Path:
    """The folder of a task's Minari dataset, with its data in ``data``."""
    return root_folder(root) / dataset_id(task)


def collecting_folder(task: Task, root: Path | None) -> Path:
    """The folder of a task's collection while it is not complete."""
    return root_folder(root) / "collecting" / Path(tape_name(task)).stem
