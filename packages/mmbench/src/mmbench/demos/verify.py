"""Verifying: whether tapes and datasets are whole, and still what the simulators do.

A tape is read and held against the bars, and a sample of its episodes is played again. With the
same versions on the same kind of processor every checksum has to be the same. A dataset's files are
held against their checksums, and each of its episodes against the tape that it was made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.catalog import MAX_ACTION_DIM, MAX_OBS_DIM, TASKS, Task, outside
from mmbench.demos import bars
from mmbench.demos.dataset import DATA, DatasetError, about, imported, padded, read_dataset
from mmbench.demos.places import dataset_folder, find_tape, root_folder
from mmbench.demos.recording import checksum, processor, simulator_versions
from mmbench.demos.replay import Comparison, Show, compare_tapes, digest
from mmbench.demos.tape import Episode, Recording, Tape, TapeError, read_tape
from mmbench.domains import unavailable
from mmbench.runs import RunError


@dataclass
class Verdict:
    """What was found out about one task's demonstrations.

    Attributes:
        task: Its name.
        episodes: On its tape, or in an imported dataset.
        replayed: How many of them were played again.
        exact: How many of those came out bit for bit.
        problems: What is wrong; empty where all is well.
        notes: What else a reader has to know.
    """

    task: str
    episodes: int = 0
    replayed: int = 0
    exact: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def with_demonstrations(root: Path | None) -> tuple[Task, ...]:
    """The tasks that have a tape or a dataset."""
    return tuple(
        task
        for task in (*TASKS, *outside())
        if find_tape(task, root) or (dataset_folder(task, root) / DATA).is_dir()
    )


def verify(
    tasks: Iterable[Task],
    root: Path | None,
    sample: int,
    workers: int,
    seed: int = 0,
    show: Show = lambda *_: None,
) -> Iterator[Verdict]:
    """Verifies the demonstrations of tasks, and yields each verdict when it is complete.

    Args:
        tasks: The tasks.
        root: The folder of demonstrations; None is the user's own.
        sample: Episodes of each tape to play again, at most.
        workers: Processes; 0 plays in the calling process.
        seed: Of the choice of episodes.
        show: See :data:`mmbench.demos.replay.Show`.
    """
    verdicts = {task: Verdict(task.versioned_name) for task in tasks}
    samples: dict[Task, list[Episode]] = {}
    recorded: dict[Task, list[tuple[int, Recording]]] = {}
    for task, verdict in verdicts.items():
        tape = _verify_files(task, root, verdict)
        if tape is None:
            continue
        if reason := unavailable(task):
            verdict.notes.append(f"not played again: {reason}")
        elif sample:
            chosen = _sample(len(tape.episodes), sample, seed)
            origins = [
                recording for recording in tape.recordings for _ in range(recording.episodes)
            ]
            samples[task] = [tape.episodes[i] for i in chosen]
            recorded[task] = [(i, origins[i]) for i in chosen]
    for task, verdict in verdicts.items():
        if task not in samples:
            yield verdict
    for task, comparisons in compare_tapes(samples, workers, show):
        _judge(task, recorded[task], comparisons, verdicts[task])
        yield verdicts[task]


def _sample(count: int, size: int, seed: int) -> list[int]:
    rng = np.random.default_rng(seed)
    return sorted(rng.choice(count, min(size, count), replace=False).tolist())


def _verify_files(task: Task, root: Path | None, verdict: Verdict) -> Tape | None:
    """Verifies what can be without a simulator, and returns the tape where it is whole."""
    path, tape = None if imported(task, root) else find_tape(task, root), None
    if path is not None:
        try:
            tape = read_tape(path, task)
        except TapeError as error:
            verdict.problems.append(str(error))
        else:
            verdict.episodes = len(tape.episodes)
            verdict.problems += bars.problems(task, tape.episodes)
            if len({episode.seed for episode in tape.episodes}) < len(tape.episodes):
                verdict.problems.append("two episodes have one seed")
    if not (dataset_folder(task, root) / DATA).is_dir():
        if path is None:
            verdict.problems.append(f"there are no demonstrations in {root_folder(root)}")
        return tape
    try:
        dataset = read_dataset(task, root)
    except DatasetError as error:
        verdict.problems.append(str(error))
    except RunError as error:
        verdict.notes.append(f"its dataset is left aside: {error}")
    else:
        assert dataset is not None  # its folder is there
        made_of_this = path is not None and about(dataset).get("tape") == digest(path)
        if tape is not None and not made_of_this:
            verdict.notes.append("its dataset is of another tape; the next use makes it anew")
            tape_of_dataset = None
        else:
            tape_of_dataset = tape
        verdict.problems += dataset_problems(task, dataset, tape_of_dataset)
        if path is None:
            verdict.episodes = len(dataset)
            verdict.notes.append("not played again: there is no tape of it")
    return tape


def dataset_problems(task: Task, dataset: Any, tape: Tape | None) -> list[str]:
    """Says what is wrong with a dataset, apart from its checksums.

    Args:
        task: Its task.
        dataset: A ``minari.MinariDataset``.
        tape: What it was made of; None where nobody knows.
    """
    if dataset.env_spec is None or dataset.env_spec.id != task.id:
        of = None if dataset.env_spec is None else dataset.env_spec.id
        return [f"its dataset is of the environment {of}, expected {task.id}"]
    found = []
    seeds: list[int | None] = []
    recorded = {} if tape is None else {episode.seed: episode for episode in tape.episodes}
    for i in range(dataset.total_episodes):
        try:
            episode = dataset[i]
            (metadata,) = dataset.storage.get_episode_metadata([i])
        except (KeyError, OSError, ValueError) as error:
            found.append(f"episode {i} of its dataset is missing or damaged: {error}")
            continue
        seeds.append(metadata.get("seed"))
        problem = _shapes(task, episode)
        if not problem and tape is not None:
            problem = _against(recorded.get(metadata.get("seed")), episode, metadata, task)
        if problem:
            found.append(f"episode {i} of its dataset {problem}")
    missing = len(recorded.keys() - set(seeds) - set(about(dataset).get("left_out", ())))
    if missing:
        found.append(f"its dataset lacks {missing} episodes of the tape")
    return found


def _shapes(task: Task, episode: Any) -> str:
    steps = len(episode.rewards)
    expected = {
        "observations": (steps + 1, MAX_OBS_DIM),
        "actions": (steps, MAX_ACTION_DIM),
        "rewards": (steps,),
        "terminations": (steps,),
        "truncations": (steps,),
    }
    for name, shape in expected.items():
        array = getattr(episode, name)
        if np.shape(array) != shape:
            return f"has {name} of the shape {np.shape(array)}, expected {shape}"
        if not np.isfinite(array).all():
            return f"has {name} that are not finite"
    if steps > task.max_episode_steps or (steps < task.max_episode_steps and not task.terminates):
        return f"has {steps} steps, expected {task.max_episode_steps}"
    return ""


def _against(recorded: Episode | None, episode: Any, metadata: dict[str, Any], task: Task) -> str:
    """Compares an episode of a dataset with that of the tape."""
    if recorded is None:
        return f"has the seed {metadata.get('seed')}, which no episode of the tape has"
    if not np.array_equal(episode.actions, padded(recorded.actions, MAX_ACTION_DIM)):
        return "has other actions than the tape"
    if metadata.get("approximate"):
        return ""
    observations = np.ascontiguousarray(episode.observations[:, : task.obs_dim], np.float32)
    sums = [checksum(observations[0])]
    sums += map(checksum, observations[1:], episode.rewards)
    differs = np.flatnonzero(recorded.checksums != np.array(sums, np.uint32))
    return f"has another observation or reward at step {differs[0]}" if len(differs) else ""


def _judge(
    task: Task,
    recorded: Sequence[tuple[int, Recording]],
    comparisons: Sequence[Comparison],
    verdict: Verdict,
) -> None:
    here = {**simulator_versions(task), "processor": processor()}
    for (i, recording), comparison in zip(recorded, comparisons, strict=True):
        verdict.replayed += 1
        if not comparison.text:
            verdict.exact += 1
            continue
        there = {**recording.versions, "processor": recording.processor}
        other = [
            f"{name} {there.get(name, 'none')}, here {here.get(name, 'none')}"
            for name in sorted(here.keys() | there.keys())
            if here.get(name) != there.get(name)
        ]
        why = f" (recorded with {'; '.join(other)})" if other else " with the same versions"
        text = f"episode {i} {comparison.text}{why}"
        if comparison.used and other:
            verdict.notes.append(f"{text}: good, as approximate")
        else:
            verdict.problems.append(text)
