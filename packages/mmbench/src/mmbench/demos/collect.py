"""Collecting: experts play until there are enough good episodes, in any number of processes.

While a task is being collected, every episode that was played lies in
``<root>/collecting/<task>/tape.npz``, from where an interrupted collection goes on. The tape in
``<root>/tapes/`` is replaced when the new one meets all bars (:mod:`mmbench.demos.bars`). What
misses them stays where it is, and ``mmbench demos list`` says so.

Which episodes are collected depends on the seed and not on the number of processes: attempts are
numbered, and counted in that order.
"""

from __future__ import annotations

import hashlib
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mmbench.catalog import Task
from mmbench.demos import bars
from mmbench.demos.experts import load_expert
from mmbench.demos.places import collecting_folder, find_tape, root_tape
from mmbench.demos.recording import processor, record, simulator_versions
from mmbench.demos.tape import Episode, Recording, Tape, TapeError, read_tape, write_tape
from mmbench.demos.workers import Done, Job, environments, run_jobs
from mmbench.runs import RunError
from mmbench.runs.files import remove, remove_leftovers
from mmbench.runs.lock import FolderLock
from mmbench.shell import plural

_SAVE_SECONDS = 2.0


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


def collect(
    experts: dict[Task, str],
    plan: Plan,
    workers: int,
    show: Callable[[Task, int, int], None] = lambda task, chosen, played: None,
) -> Iterable[Outcome]:
    """Collects demonstrations, and yields how each task ended.

    Whoever stops early, by an exception or by leaving the loop, finds what was played so far saved.

    Args:
        experts: The tasks, and ``module:class`` of who plays each.
        plan: What to collect.
        workers: Processes; 0 plays in the calling process, where no time limit holds.
        show: Called after each episode with the task, how many were chosen, and played.
    """
    for expert in dict.fromkeys(experts.values()):
        load_expert(expert)  # refused before anything is played
    waiting = list(experts)
    active: dict[Task, _Collection] = {}
    ended: list[Outcome] = []

    def next_job(loaded: Task | None) -> Job | None:
        if loaded in active and (job := active[loaded].next_job()):
            return job
        while waiting:
            task = waiting.pop(0)
            begun = _begin(task, experts[task], plan)
            if isinstance(begun, Outcome):
                ended.append(begun)
                continue
            show(task, begun.chosen, begun.played)
            active[task] = begun
            return begun.next_job()
        return next((job for c in active.values() if (job := c.next_job())), None)

    try:
        for done in run_jobs(next_job, workers, plan.time_limit):
            yield from _taken(ended)
            collection = active.get(done.job.task)
            if collection is None:
                continue  # played for a task that had enough meanwhile
            collection.add(done)
            show(done.job.task, collection.chosen, collection.played)
            if outcome := collection.outcome():
                del active[done.job.task]
                collection.close()
                yield outcome
        yield from _taken(ended)
    finally:
        for collection in active.values():
            collection.close()


def _taken(outcomes: list[Outcome]) -> list[Outcome]:
    taken = outcomes.copy()
    outcomes.clear()
    return taken


def _begin(task: Task, expert: str, plan: Plan) -> _Collection | Outcome:
    """Begins with a task, or says why there is nothing to do."""
    folder = collecting_folder(task, plan.root)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FolderLock(folder)
    except RunError as error:
        return Outcome(task.versioned_name, True, f"left to the other collector: {error}")
    try:
        collection = _Collection(task, expert, plan, folder, lock)
    except TapeError as error:
        lock.close()
        return Outcome(task.versioned_name, False, f"{error}. --overwrite begins anew")
    outcome = collection.outcome()  # that of an earlier process, which did not get to say it
    if outcome is not None:
        collection.close()
    return outcome or collection


class _Collection:
    """The collection of one task, for which this process holds the lock.

    Attributes:
        chosen: How many of the episodes would be on the tape now.
        played: Attempts of this seed, those of earlier processes too.
    """

    def __init__(self, task: Task, expert: str, plan: Plan, folder: Path, lock: FolderLock) -> None:
        self._task, self._expert, self._plan = task, expert, plan
        self._folder, self._lock = folder, lock
        self._state = folder / "tape.npz"
        self._episodes: list[tuple[Episode, int]] = []  # with the number of its recording
        self._recordings: list[Recording] = []
        self._complete = False
        self._load()
        same = [r.attempts for r in self._recordings if r.seed == plan.seed]
        self._recordings.append(
            Recording(
                episodes=0,
                attempts=0,
                expert=load_expert(expert).name,
                command=_command(task, plan),
                seed=plan.seed,
                versions=simulator_versions(task),
                processor=processor(),
            )
        )
        self._first = self._next = self._counted = sum(same)
        self._results: dict[int, Done] = {}
        self._error = ""
        self._hangs = False
        self._saved = time.monotonic()
        self._select()

    @property
    def played(self) -> int:
        return self._counted

    def next_job(self) -> Job | None:
        """The next attempt; None where there are enough, or enough are being played."""
        missing = self._plan.episodes - self.chosen
        most = self._plan.episodes * self._plan.attempts
        if self._hangs or self._next - self._counted >= missing or self._next >= most:
            return None
        seed = attempt_seed(self._task, self._plan.seed, self._next)
        job = Job(self._task, self._next, attempt, (self._expert, seed))
        self._next += 1
        return job

    def add(self, done: Done) -> None:
        """Counts an attempt, in its turn."""
        self._results[done.job.number] = done
        self._hangs |= done.late
        while self._counted in self._results:
            done = self._results.pop(self._counted)
            self._counted += 1
            self._error = done.error or self._error
            if done.value is not None:
                self._episodes.append((done.value, len(self._recordings) - 1))
            self._select()
            if self.chosen == self._plan.episodes:
                return
        if time.monotonic() - self._saved > _SAVE_SECONDS:
            self._save()

    def outcome(self) -> Outcome | None:
        """Publishes the tape if it is complete; None where the collection goes on."""
        name, most = self._task.versioned_name, self._plan.episodes * self._plan.attempts
        if self._complete:
            return Outcome(
                name,
                True,
                f"it has {plural(len(self._episodes), 'episode')} already; --overwrite collects "
                "new ones",
            )
        if self._hangs and self.chosen < self._plan.episodes:
            limit = f"{self._plan.time_limit:g} s"
            return Outcome(
                name,
                False,
                f"{load_expert(self._expert).name} did not finish an episode within {limit}, and "
                "was ended. --time-limit gives it longer",
            )
        if self.chosen < self._plan.episodes and self._counted < most:
            return None
        played = f"of {self._counted} played"
        if self.chosen < self._plan.episodes:
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
                name, False, f"{plural(len(tape.episodes), 'episode')} {played}: {missed[0]}"
            )
        write_tape(root_tape(self._task, self._plan.root), tape)
        self._complete = True
        remove(self._state)
        size = root_tape(self._task, self._plan.root).stat().st_size
        return Outcome(
            name,
            True,
            f"{found} {played}, score {tape.score:.3f}, {size / 1e3:.0f} kB",
        )

    def close(self) -> None:
        """Saves what is not published, and lets others have the task."""
        try:
            self._save()
        finally:
            self._lock.close()

    def _load(self) -> None:
        """Takes up what is there: a collection that was interrupted, or else the tape."""
        for written in (self._state, root_tape(self._task, self._plan.root)):
            remove_leftovers(written)
        if self._plan.overwrite:
            remove(self._state)
            return
        going_on = self._state.exists()
        path = self._state if going_on else find_tape(self._task, self._plan.root)
        if path is None:
            return
        tape = read_tape(path, self._task)
        counts = [recording.episodes for recording in tape.recordings]
        numbers = np.repeat(np.arange(len(counts)), counts)
        self._recordings += tape.recordings
        self._episodes += zip(tape.episodes, map(int, numbers), strict=True)
        self._complete = not going_on and len(tape.episodes) >= self._plan.episodes

    def _select(self) -> None:
        chosen = bars.select(self._task, [e for e, _ in self._episodes], self._plan.episodes)
        kept = {id(episode) for episode in chosen}
        self._chosen = [entry for entry in self._episodes if id(entry[0]) in kept]
        self.chosen = len(self._chosen)

    def _tape(self, entries: Sequence[tuple[Episode, int]]) -> Tape:
        """The tape of some episodes, with the recordings that they come from."""
        self._recordings[-1] = replace(self._recordings[-1], attempts=self._counted - self._first)
        counts = np.bincount([number for _, number in entries], minlength=len(self._recordings))
        recordings = tuple(
            replace(recording, episodes=int(count))
            for recording, count in zip(self._recordings, counts, strict=True)
            if count or recording.attempts
        )
        return Tape(self._task.versioned_name, tuple(e for e, _ in entries), recordings)

    def _save(self) -> None:
        if self._episodes and not self._complete:
            write_tape(self._state, self._tape(self._episodes))
        self._saved = time.monotonic()


def attempt(job: Job) -> Episode:
    """Plays one attempt, in whatever process."""
    expert, seed = job.arguments
    own, env = environments(job.task, 2)
    return record(load_expert(expert)(), own, env, seed, np.random.default_rng((seed, 1)))


def attempt_seed(task: Task, seed: int, number: int) -> int:
    """The seed of an attempt, below 2**32: a function of the task, the collection and its number.

    Not a small number, so that nobody evaluates on the starts of demonstrations by accident.
    """
    text = f"{task.versioned_name} {seed} {number}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _command(task: Task, plan: Plan) -> str:
    chosen = ("--tasks", task.versioned_name, "--episodes", str(plan.episodes))
    return shlex.join(("mmbench", "demos", "collect", *chosen, "--seed", str(plan.seed)))
