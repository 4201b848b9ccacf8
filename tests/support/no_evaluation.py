"""Evaluations that take no time."""

import math

from mmbench.evaluation import Episode


def evaluate_nothing(agent, tasks, *_, **__):
    """Takes the place of ``newt_agent.evaluate.evaluate``: one worthless episode a task."""
    return [Episode(task.versioned_name, 0.0, math.nan, 0.0, 1) for task in tasks]
