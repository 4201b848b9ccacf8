"""What an episode, and a task's episodes together, must reach to be demonstrations.

* An episode's return is above 0.75 times the median of the task's episodes (1.25 times where that
  is negative; where it is 0, no return can be above a share of it, and one of 0 is good enough).
* It succeeds at the end, in Meta-World, RoboDesk and ManiSkill (ant, hopper and cartpole aside).
* The mean score is at least half of the way from random's to 0.9.

Source of the first two: arXiv 2511.19584, and the demonstrations that were published with it.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmbench.catalog import TASKS, Task
from mmbench.demos.tape import Episode

RANDOM_SCORES = Path(__file__).with_name("random_scores.csv")
"""Mean scores of 20 episodes of uniformly random actions, made by ``scripts/random_scores.py``."""

_GOOD_SCORE = 0.9
_MUST_SUCCEED = ("metaworld", "robodesk", "maniskill")
_NEED_NOT = ("ms-ant-", "ms-hopper-", "ms-cartpole-")


@functools.cache
def _random_scores() -> dict[str, float]:
    with RANDOM_SCORES.open() as file:
        return {row["task"]: float(row["score"]) for row in csv.DictReader(file)}


def random_score(task: Task) -> float | None:
    """The mean score of uniformly random actions; None where nobody has measured it."""
    return _random_scores().get(task.versioned_name)


def bar(task: Task) -> float | None:
    """The least mean score of a task's demonstrations; None where random's is not known."""
    random = random_score(task)
    return None if random is None else random + 0.5 * (_GOOD_SCORE - random)


def must_succeed(task: Task) -> bool:
    """Whether each of a task's demonstrations has to succeed at its last step."""
    return task.domain in _MUST_SUCCEED and not task.name.startswith(_NEED_NOT)


def least_return(returns: Sequence[float]) -> float:
    """What an episode's return has to be above, among these."""
    median = float(np.median(returns))
    return (0.75 if median >= 0 else 1.25) * median


def _returns_enough(episode: Episode, least: float) -> bool:
    return episode.episode_return > least or episode.episode_return == least == 0


def select(task: Task, episodes: Sequence[Episode], count: int) -> list[Episode]:
    """Chooses a task's demonstrations among the episodes that were played.

    Args:
        task: The task.
        episodes: In the order in which they were played.
        count: How many to choose, at most.

    Returns:
        The first ones that meet the bars of an episode, each among those that are returned.
    """
    left = [e for e in episodes if e.success == 1.0 or not must_succeed(task)]
    while left:
        chosen = left[:count]
        least = least_return([episode.episode_return for episode in chosen])
        good = [episode for episode in chosen if _returns_enough(episode, least)]
        if len(good) == len(chosen):
            return chosen
        left = good + left[count:]
    return []


def problems(task: Task, episodes: Sequence[Episode]) -> list[str]:
    """Says which bars a task's demonstrations miss; empty where they meet all.

    A task from outside the benchmark has no least score.
    """
    found = []
    least = least_return([episode.episode_return for episode in episodes])
    for i, episode in enumerate(episodes):
        if must_succeed(task) and episode.success != 1.0:
            found.append(f"episode {i} does not succeed at its end")
        if not _returns_enough(episode, least):
            found.append(
                f"episode {i} returns {episode.episode_return:g}, not above {least:g} "
                "(0.75 of the median, 1.25 of a negative one)"
            )
    least_score = bar(task)
    if least_score is None:
        if task in TASKS:
            found.append(
                "nobody has measured what random actions score in this task: "
                "packages/mmbench/scripts/random_scores.py does"
            )
        return found
    score = float(np.mean([episode.score for episode in episodes]))
    if score < least_score:
        found.append(
            f"the mean score {score:.3f} is below {least_score:.3f}, half of the way from "
            f"random's {random_score(task):.3f} to {_GOOD_SCORE}"
        )
    return found
