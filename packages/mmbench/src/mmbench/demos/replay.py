"""Replaying: tapes are simulated again and become datasets.

Where the simulator, or the processor, is another one than a tape was recorded with, an episode may
run apart. It is then kept, labelled ``approximate``, if its return is within 1 % of the tape's and
its final success the same; else it is left out. Both are said, with the step.
"""

from __future__ import annotations

import hashlib
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mmbench.catalog import Task, TaskUnavailableError, get
from mmbench.demos.dataset import (
    DATA,
    DatasetError,
    Demonstration,
    about,
    imported,
    read_dataset,
    require_minari,
    write_dataset,
)
from mmbench.demos.jobs import Job, environments
from mmbench.demos.places import dataset_folder, find_tape, is_held_out, root_folder
from mmbench.demos.recording import Played, divergence, play, processor, simulator_versions
from mmbench.demos.tape import Episode, Tape, read_tape
from mmbench.demos.workers import default_workers, run_jobs
from mmbench.domains import unavailable
from mmbench.runs import RunError
from mmbench.runs.files import remove_leftovers
from mmbench.runs.lock import FolderLock
from mmbench.shell import command

if TYPE_CHECKING:
    import minari


class NoDemonstrationsError(RunError):
    """A task has no demonstrations."""


class HeldOutError(RunError):
    """A task is held out, and nobody said that its demonstrations are wanted all the same."""


TOLERANCE = 0.01
"""By what share of the tape's return an approximate episode's may differ."""

_WAIT_SECONDS = 0.2

Show = Callable[[Task, int, int], None]
"""Called with a task, how many of its episodes are played, and how many there are."""


class Comparison(NamedTuple):
    """An episode of a tape, played again.

    Attributes:
        played: What came of it; None where the simulator failed.
        step: The first that differs (0: the reset), or None.
        used: Whether it is a demonstration all the same.
        text: What differs, or empty.
    """

    played: Played | None
    step: int | None
    used: bool
    text: str


def compare(episode: Episode, played: Played) -> Comparison:
    """Compares an episode with its tape."""
    step = divergence(episode.checksums, played.checksums)
    if step is None:
        return Comparison(played, None, True, "")
    close = abs(played.episode_return - episode.episode_return) <= TOLERANCE * abs(
        episode.episode_return
    )
    same = played.success == episode.success or (
        math.isnan(played.success) and math.isnan(episode.success)
    )
    text = f"diverges at step {step}" if step else "starts from another state"
    text += f", returns {played.episode_return:.6g}, recorded {episode.episode_return:.6g}"
    if not same:
        text += f", success {played.success:g}, recorded {episode.success:g}"
    return Comparison(played, step, close and same, text)


def play_again(job: Job) -> Played:
    """Plays an episode of a tape, in whatever process."""
    (episode,) = job.arguments
    (env,) = environments(job.task, 1)
    return play(env, episode.seed, episode.actions)


def compare_tapes(
    tapes: Mapping[Task, Sequence[Episode]], workers: int, show: Show = lambda *_: None
) -> Iterator[tuple[Task, list[Comparison]]]:
    """Plays episodes again, task by task.

    Args:
        tapes: Of each task the episodes to play.
        workers: Processes; 0 plays in the calling process.
        show: See :data:`Show`.

    Yields:
        Each task, when it is complete, with a comparison for each of its episodes.
    """
    waiting = [(task, i) for task, episodes in tapes.items() for i in range(len(episodes))]
    found: dict[Task, dict[int, Comparison]] = {task: {} for task in tapes}

    def next_job(loaded: Task | None) -> Job | None:
        own = (entry for entry in waiting if entry[0] == loaded)
        unloaded = (entry for entry in waiting if not found[entry[0]] and entry[1] == 0)
        entry = next(own, None) or next(unloaded, None) or next(iter(waiting), None)
        if entry is None:
            return None
        waiting.remove(entry)
        task, i = entry
        return Job(task, i, play_again, (tapes[task][i],))

    for done in run_jobs(next_job, workers):
        task, i = done.job.task, done.job.number
        if done.error:
            found[task][i] = Comparison(None, None, False, f"cannot be played: {done.error}")
        else:
            found[task][i] = compare(tapes[task][i], done.value)
        show(task, len(found[task]), len(tapes[task]))
        if len(found[task]) == len(tapes[task]):
            yield task, [found[task][i] for i in range(len(tapes[task]))]


@dataclass(frozen=True)
class Replayed:
    """A dataset that was made of a tape.

    Attributes:
        task: Its name.
        episodes: In the dataset.
        approximate: How many of them are not exactly what was recorded.
        left_out: How many are not in it.
        texts: What differs, a sentence each.
    """

    task: str
    episodes: int
    approximate: int
    left_out: int
    texts: tuple[str, ...]


def replay(
    tasks: Iterable[Task], root: Path | None, workers: int, show: Show = lambda *_: None
) -> Iterator[Replayed]:
    """Makes the datasets of tasks from their tapes, and yields each when it is complete.

    A dataset that was made of the same tape, or imported, stays as it is.

    Args:
        tasks: The tasks.
        root: The folder of demonstrations; None is the user's own.
        workers: Processes; 0 plays in the calling process.
        show: See :data:`Show`.

    Raises:
        RunError: The extra is not installed, or a task has no tape.
        TapeError: A tape is damaged.
    """
    require_minari()
    locks: dict[Task, FolderLock] = {}
    stale: dict[Task, Tape] = {}
    digests: dict[Task, str] = {}
    try:
        for task in sorted(tasks, key=lambda task: task.id):  # or two processes wait for each other
            if imported(task, root):
                continue
            path = find_tape(task, root)
            if path is None:
                raise _nothing(task, root)
            digests[task] = digest(path)
            if _current(task, root, digests[task]) is not None:
                continue  # also in a folder that nobody here may write to
            folder = dataset_folder(task, root)
            locks[task] = _lock(folder)
            if _current(task, root, digests[task]) is None:  # another has not made it meanwhile
                remove_leftovers(folder / DATA)
                stale[task] = read_tape(path, task)
            else:
                locks.pop(task).close()
        episodes = {task: tape.episodes for task, tape in stale.items()}
        for task, comparisons in compare_tapes(episodes, workers, show):
            replayed = _write(task, stale[task], comparisons, digests[task], root)
            locks.pop(task).close()
            yield replayed
    finally:
        for lock in locks.values():
            lock.close()


def tape_of(task: Task, root: Path | None) -> Tape:
    """Reads the tape of a task.

    Raises:
        NoDemonstrationsError: There is none.
        TapeError: It is damaged.
    """
    path = find_tape(task, root)
    if path is None:
        raise _nothing(task, root)
    return read_tape(path, task)


def load(
    task: str | Task,
    root: str | Path | None = None,
    workers: int | None = None,
    held_out: bool = False,
) -> minari.MinariDataset:
    """Loads the demonstrations of a task; plays its tape first where that was not done yet.

    A terminal then shows the progress.

    Args:
        task: A name or a record.
        root: The folder of demonstrations; None is the user's own, beneath which lie the tapes
            that the package ships.
        workers: Processes for playing; None is one for each core, 0 plays in this one.
        held_out: Whether a task that is held out may be loaded too.

    Returns:
        A ``minari.MinariDataset`` ``mmbench/<task>/expert-v0``: see :mod:`mmbench.demos.dataset`.

    Raises:
        HeldOutError: The task is held out, and ``held_out`` is not set.
        NoDemonstrationsError: There are none.
        RunError: The extra is not installed, or no episode of the tape comes out here as recorded.
        TapeError: The tape is damaged.
        UnknownTaskError: There is no such task.
        TaskUnavailableError: The tape has to be played and the task cannot run here.
    """
    from mmbench.demos.display import progress, show_episodes  # late: only a first use shows any

    task = task if isinstance(task, Task) else get(task)
    if is_held_out(task) and not held_out:
        raise HeldOutError(
            f"{task.versioned_name!r} is held out: who has learned from its demonstrations cannot "
            "measure transfer to it any more. held_out=True loads them all the same"
        )
    root = None if root is None else Path(root).expanduser()
    require_minari()
    path = find_tape(task, root)
    dataset = read_dataset(task, root) if path is None else _current(task, root, digest(path))
    if dataset is not None:
        return dataset
    if path is None:
        raise _nothing(task, root)
    if reason := unavailable(task):
        raise TaskUnavailableError(
            f"the tape of {task.versioned_name!r} has to be played: {reason}"
        )
    workers = default_workers() if workers is None else workers
    with progress() as bars:
        show = show_episodes(bars, "replaying demonstrations of", 1)
        made = list(replay([task], root, workers, show))
    for replayed in made:
        if not replayed.episodes:
            raise RunError(
                f"no episode of {path} comes out here as it was recorded: {replayed.texts[0]}"
            )
        if replayed.texts:
            warnings.warn(
                f"demonstrations of {replayed.task}: {'; '.join(replayed.texts)}", stacklevel=2
            )
    dataset = read_dataset(task, root)
    assert dataset is not None
    return dataset


def _current(task: Task, root: Path | None, made_of: str) -> minari.MinariDataset | None:
    """The dataset, if it is whole and was made of this tape, or imported; else None."""
    try:
        dataset = read_dataset(task, root)
    except DatasetError:
        if imported(task, root):
            raise  # it could not be made again
        return None
    if dataset is not None and (imported(task, root) or about(dataset).get("tape") == made_of):
        return dataset
    return None


def _write(
    task: Task, tape: Tape, comparisons: list[Comparison], made_of: str, root: Path | None
) -> Replayed:
    texts, episodes = [], []
    for i, (comparison, recorded) in enumerate(zip(comparisons, tape.episodes, strict=True)):
        if comparison.text:
            how = "kept, as approximate" if comparison.used else "left out"
            texts.append(f"episode {i} {comparison.text}: {how}")
        if comparison.used and (played := comparison.played) is not None:
            episodes.append(
                Demonstration(
                    played.observations,
                    played.actions,
                    played.rewards,
                    played.terminated,
                    played.score,
                    played.success,
                    recorded.seed,
                    approximate=comparison.step is not None,
                )
            )
    if episodes:
        write_dataset(
            task,
            episodes,
            root,
            algorithm=tape.experts,
            about={
                "tape": made_of,
                "licence": tape.licence,
                "recordings": [asdict(recording) for recording in tape.recordings],
                "versions": simulator_versions(task),
                "processor": processor(),
                "differences": texts,
                "left_out": [
                    recorded.seed
                    for recorded, comparison in zip(tape.episodes, comparisons, strict=True)
                    if not comparison.used
                ],
            },
            description=f"Demonstrations of mmbench's {task.versioned_name}: {task.instruction}",
        )
    approximate = sum(episode.approximate for episode in episodes)
    left_out = len(comparisons) - len(episodes)
    return Replayed(task.versioned_name, len(episodes), approximate, left_out, tuple(texts))


def _lock(folder: Path) -> FolderLock:
    """Waits until this process alone may write a dataset.

    Raises:
        RunError: No process may write there.
    """
    said = False
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return FolderLock(folder)
        except OSError as error:
            raise RunError(
                f"no dataset can be written into {folder} ({error.strerror}): choose another root, "
                "or set MMBENCH_CACHE to a folder that can be written to"
            ) from error
        except RunError as error:
            if not said:
                print(f"waiting: {error}", file=sys.stderr)
            said = True
            time.sleep(_WAIT_SECONDS)


def digest(path: Path) -> str:
    """The SHA-256 of a file: by it a dataset says what tape it was made of."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _nothing(task: Task, root: Path | None) -> NoDemonstrationsError:
    return NoDemonstrationsError(
        f"there are no demonstrations of {task.versioned_name!r} in {root_folder(root)}"
        + (" and the package ships none" if root is None else "")
        + f": {command('mmbench', 'demos', 'list')} lists what there is, and "
        f"{command('mmbench', 'demos', 'collect', '--tasks', task.versioned_name)} collects some, "
        "where somebody has written an expert"
    )
