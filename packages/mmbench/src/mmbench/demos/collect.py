"""Collecting: experts play until there are enough good episodes, in any number of processes.

The tape in ``<root>/tapes/`` is replaced when the new one meets all bars
(:mod:`mmbench.demos.bars`). Until then, what was played lies in ``<root>/collecting/<task>/``
(:mod:`mmbench.demos.collection`), from where an interrupted collection goes on. What misses the
bars stays there, and ``mmbench demos list`` says so.

Which episodes are collected depends on the seed, and neither on the number of processes nor on the
machines that they are on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mmbench.catalog import Task
from mmbench.demos.collection import Collection, Outcome, Plan
from mmbench.demos.experts import load_expert
from mmbench.demos.jobs import Job
from mmbench.demos.places import collecting_folder
from mmbench.demos.tape import TapeError
from mmbench.demos.workers import Engine, run_jobs
from mmbench.runs import RunError
from mmbench.runs.lock import FolderLock

__all__ = ["Outcome", "Plan", "collect"]


def collect(
    experts: dict[Task, str],
    plan: Plan,
    workers: int | None,
    show: Callable[[Task, int, int], None] = lambda task, chosen, played: None,
    engine: Engine = "local",
) -> Iterable[Outcome]:
    """Collects demonstrations, and yields how each task ended.

    Whoever stops early, by an exception or by leaving the loop, finds what was played so far saved.

    Args:
        experts: The tasks, and ``module:class`` of who plays each.
        plan: What to collect.
        workers: Processes; None is one a core. 0 plays in the calling process, where no time limit
            holds.
        show: Called after each episode with the task, how many were chosen, and played.
        engine: Where the processes run.

    Raises:
        RunError: An expert is none, or Ray cannot be used.
    """
    for expert in dict.fromkeys(experts.values()):
        load_expert(expert)  # refused before anything is played
    waiting = list(experts)
    active: dict[Task, Collection] = {}
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
        for done in run_jobs(next_job, workers, plan.time_limit, engine):
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


def _begin(task: Task, expert: str, plan: Plan) -> Collection | Outcome:
    """Begins with a task, or says why there is nothing to do."""
    folder = collecting_folder(task, plan.root)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:  # a file system that takes no folders
        raise RunError(
            f"{folder} cannot be made: {error.strerror}. Choose another --root"
        ) from error
    try:
        lock = FolderLock(folder)
    except RunError as error:
        return Outcome(task.versioned_name, True, f"left to the other collector: {error}")
    try:
        collection = Collection(task, expert, plan, lock)
        outcome = collection.outcome()  # that of an earlier process, which did not get to say it
    except TapeError as error:
        lock.close()
        return Outcome(task.versioned_name, False, f"{error}. --overwrite begins anew")
    except BaseException:
        lock.close()
        raise
    if outcome is not None:
        collection.close()
    return outcome or collection
