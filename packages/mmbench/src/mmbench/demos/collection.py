"""The collection of one task: which attempts were played, and which of them make the tape.

Attempts are numbered, and counted in that order, whatever order they end in. In the task's folder,
``collecting/<task>/``, lie

* ``tape.npz``: all episodes that were counted;
* ``<seed>-<number>.npz``: an episode that waits for its turn.

Each is written as soon as it is played. So whoever is killed loses what was being played, and
nothing else.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmbench.catalog import Task
from mmbench.demos import bars
from mmbench.demos.experts import NoExpertError, find_expert, load_expert
from mmbench.demos.jobs import Done, Job, environments
from mmbench.demos.places import collecting_folder, find_tape, root_tape
from mmbench.demos.recording import processor, record, simulator_versions
from mmbench.demos.tape import Episode, Recording, Tape, TapeError, read_tape, write_tape
from mmbench.runs.files import remove, remove_leftovers
from mmbench.runs.lock import FolderLock
from mmbench.shell import plural


@dataclass(frozen=True)
class Plan:
    """What is to be collected of every task.

    Attributes:
        root: The folder of demonstrations; None is the user's own.
        episodes: Wanted of each task.
        attempts: Episodes played for each one wanted, at most.
        seed: Of the collection.
        overwrite: Begin anew where there are episodes already.
        time_limit: Seconds for an episode; an expert that needs more ends its task.
    """

    root: Path | None
    episodes: int
    attempts: int = 5
    seed: int = 0
    overwrite: bool = False
    time_limit: float = 3600.0


@dataclass(frozen=True)
class Outcome:
    """How the collection of a task ended.

    Attributes:
        task: Its name.
        good: Whether it has as many demonstrations as wanted.
        text: The rest, for people.
    """

    task: str
    good: bool
    text: str


class Attempt(NamedTuple):
    """An attempt that was played.

    Attributes:
        episode: None where it came to none.
        origin: How it was recorded; its counts are 0.
        error: Why there is no episode, or empty.
    """

    episode: Episode | None
    origin: Recording
    error: str = ""


class Collection:
    """The collection of one task, for which this process holds the lock.

    Args:
        task: The task.
        expert: Who plays it, as ``module:class``.
        plan: What to collect.
        lock: Of the task's folder.

    Attributes:
        chosen: How many of the episodes would be on the tape now.

    Raises:
        TapeError: What is there is damaged.
    """

    def __init__(self, task: Task, expert: str, plan: Plan, lock: FolderLock) -> None:
        self._task, self._expert, self._plan, self._lock = task, expert, plan, lock
        self._folder = collecting_folder(task, plan.root)
        self._state = self._folder / "tape.npz"
        self._origin = Recording(
            episodes=0,
            attempts=0,
            expert=load_expert(expert).name,
            command=_command(task, expert, plan),
            seed=plan.seed,
            versions=simulator_versions(task),
            processor=processor(),
        )
        self._episodes: list[tuple[Episode, int]] = []  # with the number of its recording
        self._recordings: list[Recording] = []
        self._ahead: dict[int, Attempt] = {}
        self._complete = self._hangs = False
        self._most = plan.episodes  # on the tape
        self._error = ""
        self._load()
        same = [r.attempts for r in self._recordings if r.seed == plan.seed]
        self._counted = self._next = sum(same)
        self._select()
        self._count()

    @property
    def played(self) -> int:
        """Attempts of this seed that were counted, those of earlier processes too."""
        return self._counted

    def next_job(self) -> Job | None:
        """The next attempt; None where there are enough, or enough are being played."""
        while self._next in self._ahead or self._next < self._counted:
            self._next += 1
        missing = self._plan.episodes - self.chosen
        most = self._plan.episodes * self._plan.attempts
        if self._hangs or self._next - self._counted >= missing or self._next >= most:
            return None
        seed = attempt_seed(self._task, self._plan.seed, self._next)
        job = Job(self._task, self._next, attempt, (self._expert, seed))
        self._next += 1
        return job

    def add(self, done: Done) -> None:
        """Takes what came of an attempt, counts it in its turn, and saves it."""
        self._hangs |= done.late
        number, episode, origin = done.job.number, None, self._origin
        if not done.error:
            episode, versions, where = done.value
            origin = replace(origin, versions=versions, processor=where)
        self._ahead[number] = Attempt(episode, origin, done.error)
        self._count()
        self._save(number)

    def outcome(self) -> Outcome | None:
        """Publishes the tape if it is complete; None where the collection goes on."""
        name, most = self._task.versioned_name, self._plan.episodes * self._plan.attempts
        if self._complete:
            there = plural(len(self._episodes), "episode")
            return Outcome(name, True, f"it has {there} already; --overwrite collects new ones")
        enough = self.chosen >= self._plan.episodes
        if self._hangs and not enough:
            limit = f"{self._plan.time_limit:g} s"
            return Outcome(
                name,
                False,
                f"{load_expert(self._expert).name} did not finish an episode within {limit}, and "
                "was ended. --time-limit gives it longer",
            )
        if not enough and self._counted < most:
            return None
        played = f"of {sum(recording.attempts for recording in self._recordings)} played"
        others = {r.expert for r in self._recordings} - {self._origin.expert}
        if others:
            played += f" (some by: {', '.join(sorted(others))})"
        if not enough:
            why = f"; the last failure: {self._error}" if self._error else ""
            return Outcome(
                name,
                False,
                f"only {plural(self.chosen, 'good episode')} {played}{why}. Go on with more "
                "--attempts or another --seed, or begin anew with --overwrite",
            )
        tape = self._tape(self._chosen)
        found = plural(len(tape.episodes), "episode")
        missed = bars.problems(self._task, tape.episodes)
        if missed:
            return Outcome(
                name,
                False,
                f"{found} {played}: {missed[0]}. Begin anew with --overwrite and a better --expert",
            )
        path = root_tape(self._task, self._plan.root)
        write_tape(path, tape)
        self._complete = True
        self._clear()
        size = path.stat().st_size
        text = f"{found} {played}, score {tape.score:.3f}, {size / 1e3:.0f} kB"
        return Outcome(name, True, text)

    def close(self) -> None:
        """Lets others have the task."""
        self._lock.close()

    def _load(self) -> None:
        """Takes up what is there: a collection that was interrupted, or else the tape."""
        for leftover in self._folder.glob(".*.npz-*"):
            remove(leftover)
        remove_leftovers(root_tape(self._task, self._plan.root))
        if self._plan.overwrite:
            self._clear()
            return
        waiting = {
            number: path for seed, number, path in self._waiting() if seed == self._origin.seed
        }
        begun = read_tape(self._state, self._task) if self._state.exists() else None
        there = self._published(begun, bool(waiting))
        if there is not None and len(there.episodes) >= self._plan.episodes:
            self._take(there)
            self._complete = True
            return  # what was begun beyond it stays where it is
        if begun is None and there is not None:
            begun = there
            write_tape(self._state, begun)  # it is part of what is collected now
        if begun is not None:
            self._take(begun)
        for number, path in waiting.items():
            tape = read_tape(path, self._task)
            origin = replace(tape.recordings[0], episodes=0, attempts=0)
            self._ahead[number] = Attempt(tape.episodes[0], origin)

    def _published(self, begun: Tape | None, waiting: bool) -> Tape | None:
        """The tape that is there; None if what was begun replaces it instead of adding to it."""
        path = find_tape(self._task, self._plan.root)
        if path is None or (begun is None and waiting):
            return None
        if begun is None:
            return read_tape(path, self._task)
        try:
            tape = read_tape(path, self._task)
        except TapeError:
            return None
        known, there = (
            {(e.seed, e.checksums.tobytes()) for e in each.episodes} for each in (begun, tape)
        )
        return tape if there <= known else None

    def _take(self, tape: Tape) -> None:
        """Takes up a tape's episodes; none of them is thrown away where fewer are wanted now."""
        counts = [recording.episodes for recording in tape.recordings]
        numbers = np.repeat(np.arange(len(counts)), counts)
        self._recordings += tape.recordings
        self._episodes += zip(tape.episodes, map(int, numbers), strict=True)
        wanted = self._plan.episodes
        if len(bars.select(self._task, tape.episodes[:-1], wanted)) >= wanted:
            self._most = len(tape.episodes)

    def _waiting(self) -> Iterable[tuple[int, int, Path]]:
        """The files of episodes that wait for their turn, with their seeds and numbers."""
        for path in self._folder.glob("*.npz"):
            if found := re.fullmatch(r"(\d+)-(\d+)", path.stem):
                yield int(found[1]), int(found[2]), path

    def _clear(self) -> None:
        for _, _, path in self._waiting():
            remove(path)
        remove(self._state)

    def _count(self) -> None:
        """Counts the attempts whose turn it is, until there are enough."""
        while self.chosen < self._plan.episodes and self._counted in self._ahead:
            episode, origin, error = self._ahead.pop(self._counted)
            self._counted += 1
            self._error = error or self._error
            last = self._recordings[-1] if self._recordings else None
            if last is None or replace(last, episodes=0, attempts=0) != origin:
                self._recordings.append(origin)
            attempts = self._recordings[-1].attempts + 1
            self._recordings[-1] = replace(self._recordings[-1], attempts=attempts)
            if episode is not None:
                self._episodes.append((episode, len(self._recordings) - 1))
            self._select()

    def _select(self) -> None:
        chosen = bars.select(self._task, [e for e, _ in self._episodes], self._most)
        kept = {id(episode) for episode in chosen}
        self._chosen = [entry for entry in self._episodes if id(entry[0]) in kept]
        self.chosen = len(self._chosen)

    def _tape(self, entries: Sequence[tuple[Episode, int]]) -> Tape:
        """The tape of some episodes, with the recordings that they come from."""
        counts = np.bincount([number for _, number in entries], minlength=len(self._recordings))
        recordings = tuple(
            replace(recording, episodes=int(count))
            for recording, count in zip(self._recordings, counts, strict=True)
        )
        return Tape(self._task.versioned_name, tuple(e for e, _ in entries), recordings)

    def _save(self, number: int) -> None:
        """Saves an attempt that was just played, with all that could be counted thanks to it."""
        if self._episodes:
            write_tape(self._state, self._tape(self._episodes))
        if number in self._ahead:
            episode, origin, _ = self._ahead[number]
            if episode is not None:
                recording = replace(origin, episodes=1, attempts=1)
                name = f"{self._origin.seed}-{number}.npz"
                tape = Tape(self._task.versioned_name, (episode,), (recording,))
                write_tape(self._folder / name, tape)
        for seed, counted, path in self._waiting():
            if seed == self._origin.seed and counted < self._counted:
                remove(path)


def attempt(job: Job) -> tuple[Episode, dict[str, str], str]:
    """Plays one attempt, in whatever process.

    Returns:
        The episode, and with what versions and on what processor it was simulated.
    """
    expert, seed = job.arguments
    own, env = environments(job.task, 2)
    rng = np.random.default_rng((seed, 1))
    episode = record(load_expert(expert)(), own, env, seed, rng)
    return episode, simulator_versions(job.task), processor()


def attempt_seed(task: Task, seed: int, number: int) -> int:
    """The seed of an attempt, below 2**32: a function of the task, the collection and its number.

    Not a small number, so that nobody evaluates on the starts of demonstrations by accident.
    """
    text = f"{task.versioned_name} {seed} {number}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _command(task: Task, expert: str, plan: Plan) -> str:
    words = ["mmbench", "demos", "collect", "--tasks", task.versioned_name]
    words += ["--episodes", str(plan.episodes), "--seed", str(plan.seed)]
    try:
        own = find_expert(task.versioned_name)
    except NoExpertError:
        own = ""
    return shlex.join(words if expert == own else [*words, "--expert", expert])
