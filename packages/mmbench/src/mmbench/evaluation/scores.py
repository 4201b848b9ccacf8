"""Episodes, and their means in the form of ``eval.json``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mmbench.catalog import Task
from mmbench.evaluation.intervals import Interval, mean_interval, rate_interval


class Episode(NamedTuple):
    """One finished episode.

    Attributes:
        task: Name of the task.
        score: In [0, 1]; NaN where the task has none.
        success: Of the last step; NaN where undefined.
        episode_return: Summed reward.
        length: Agent steps.
    """

    task: str
    score: float
    success: float
    episode_return: float
    length: int


def summarise(episodes: Sequence[Episode], tasks: Sequence[Task]) -> dict[str, Any]:
    """Averages episodes into the form of ``eval.json``; docs/evaluation.md tells each entry.

    Args:
        episodes: Of any of the tasks.
        tasks: Order and domains of the rows; those that were left out too.

    Returns:
        ``tasks``: per task its mean score, success (both null where undefined) and return, each
        with its confidence interval (``_ci``), the spread of the score between episodes, the mean
        length and the number of episodes; ``domains``: the unweighted mean of each domain's
        tasks, with its interval and their number, and the mean success over the
        ``success_tasks`` that define one; ``total``: the same over all tasks; ``missing``: the
        tasks without an episode. Tasks with no episode or no score are left out of every mean.
    """
    of_task: dict[str, list[Episode]] = {task.versioned_name: [] for task in tasks}
    for episode in episodes:
        of_task[episode.task].append(episode)
    rows: dict[str, dict[str, Any]] = {}
    scores: dict[str, list[np.ndarray]] = {}
    successes: dict[str, list[float]] = {}
    for task in tasks:
        name = task.versioned_name
        if own := of_task[name]:
            rows[name] = {"domain": task.domain, **_row(own)}
            scores.setdefault(task.domain, [])
            successes.setdefault(task.domain, [])
            if not math.isnan(rows[name]["success"]):
                successes[task.domain].append(rows[name]["success"])
            if task.has_score:
                scores[task.domain].append(np.array([episode.score for episode in own]))
    return {
        "tasks": rows,
        "domains": {name: _mean_of_tasks(own, successes[name]) for name, own in scores.items()},
        "total": {
            **_mean_of_tasks(sum(scores.values(), []), sum(successes.values(), [])),
            "episodes": len(episodes),
        },
        "missing": [name for name, own in of_task.items() if not own],
    }


def is_result(value: Any) -> bool:
    """Whether a value has the form that :func:`summarise` returns, as far as readers need it."""

    def has(group: Any, *names: str) -> bool:
        return isinstance(group, dict) and all(_is_number(group.get(name, "")) for name in names)

    if not (isinstance(value, dict) and isinstance(value.get("tasks"), dict)):
        return False
    rows = all(has(row, "score", "return", "episodes") for row in value["tasks"].values())
    return rows and has(value.get("total"), "score", "tasks")


def _is_number(value: Any) -> bool:
    """Whether it is a number, or null, as which JSON holds NaN."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _row(episodes: Sequence[Episode]) -> dict[str, Any]:
    """The means of a task."""
    scores = np.array([episode.score for episode in episodes])
    returns = np.array([episode.episode_return for episode in episodes])
    successes = [e.success for e in episodes if not math.isnan(e.success)]
    return {
        "score": float(scores.mean()),
        "score_ci": _within_scores(mean_interval([scores]), float(scores.mean())),
        "score_std": float(scores.std(ddof=1)) if len(scores) > 1 else math.nan,
        "success": float(np.mean(successes)) if successes else math.nan,
        "success_ci": rate_interval(round(sum(successes)), len(successes)),
        "return": float(returns.mean()),
        "return_ci": mean_interval([returns]),
        "length": float(np.mean([episode.length for episode in episodes])),
        "episodes": len(episodes),
    }


def _mean_of_tasks(scores: Sequence[np.ndarray], successes: Sequence[float]) -> dict[str, Any]:
    mean = float(np.mean([own.mean() for own in scores])) if scores else math.nan
    return {
        "score": mean,
        "score_ci": _within_scores(mean_interval(scores), mean),
        "tasks": len(scores),
        "success": float(np.mean(successes)) if successes else math.nan,
        "success_tasks": len(successes),
    }


def _within_scores(interval: Interval, mean: float) -> Interval:
    """What of an interval can be a mean of scores: they lie between 0 and 1."""
    low, high = interval
    if math.isnan(low):
        return interval
    return max(low, min(0.0, mean)), min(high, max(1.0, mean))
