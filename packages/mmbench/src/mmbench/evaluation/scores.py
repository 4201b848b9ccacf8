"""Episodes, and their means in the form of ``eval.json``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mmbench.catalog import Task


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
    """Averages episodes into the form of ``eval.json``.

    Args:
        episodes: Of any of the tasks.
        tasks: Order and domains of the rows.

    Returns:
        ``tasks``: per task its mean score, the spread between episodes, success (score and
        success are null where undefined), return, length and number of episodes; ``domains``:
        the unweighted mean of each domain's tasks, with their number; ``total``: the same over
        all tasks. Tasks with no episode or no score are left out of every mean.
    """
    per_task: dict[str, dict[str, Any]] = {}
    domains: dict[str, list[float]] = {}
    for task in tasks:
        name = task.versioned_name
        own = [episode for episode in episodes if episode.task == name]
        if not own:
            continue
        scores = np.array([episode.score for episode in own])
        successes = [e.success for e in own if not math.isnan(e.success)]
        per_task[name] = {
            "domain": task.domain,
            "score": float(scores.mean()),
            "score_std": float(scores.std(ddof=1)) if len(own) > 1 else float("nan"),
            "success": _mean(successes),
            "return": float(np.mean([episode.episode_return for episode in own])),
            "length": float(np.mean([episode.length for episode in own])),
            "episodes": len(own),
        }
        domains.setdefault(task.domain, [])
        if task.has_score:
            domains[task.domain].append(per_task[name]["score"])
    every = [score for scores in domains.values() for score in scores]
    return {
        "tasks": per_task,
        "domains": {
            name: {"score": _mean(scores), "tasks": len(scores)} for name, scores in domains.items()
        },
        "total": {
            "score": _mean(every),
            "tasks": len(every),
            "episodes": len(episodes),
        },
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
