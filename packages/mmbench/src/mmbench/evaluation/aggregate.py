"""Aggregates over runs and tasks, as rliable defines them (Agarwal et al. 2021, arXiv 2108.13264).

Scores of a method are an array ``[runs, tasks]``. An interval is a stratified bootstrap: each task
draws its runs anew, with replacement and on its own; the tasks stay.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mmbench.evaluation.intervals import LEVEL, UNKNOWN, Interval

LEAST_RUNS = 3
"""A method with fewer runs has no interval: resampling two numbers says nothing."""

RESAMPLES = 2_000


_CHUNK = 100
"""Resamples whose statistics are computed at once."""


def mean(scores: np.ndarray) -> np.ndarray:
    """Returns the mean over runs and tasks of ``[..., runs, tasks]``."""
    return scores.mean(axis=(-2, -1))


def interquartile_mean(scores: np.ndarray) -> np.ndarray:
    """Returns the mean of the middle half of all scores, runs and tasks together.

    As ``scipy.stats.trim_mean(scores, 0.25, axis=None)``: a quarter of the numbers, rounded down,
    is left out at each end.

    Args:
        scores: ``[..., runs, tasks]``.
    """
    ordered = np.sort(scores.reshape(*scores.shape[:-2], -1))
    count = ordered.shape[-1]
    cut = count // 4
    return ordered[..., cut : count - cut].mean(axis=-1)


def probability_of_improvement(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Returns how likely a run of ours beats one of theirs on a task drawn at random.

    The mean over tasks of the share of pairs of runs in which ours scores more; a tie counts half
    (Mann and Whitney's U over the number of pairs).

    Args:
        ours: ``[..., runs, tasks]``.
        theirs: ``[..., other runs, tasks]``, the same tasks.
    """
    difference = ours[..., :, None, :] - theirs[..., None, :, :]
    return ((np.sign(difference) + 1) / 2).mean(axis=(-3, -2, -1))


def bootstrap(
    statistic: Callable[..., np.ndarray],
    *scores: np.ndarray,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Returns the 95 % percentile interval of a statistic by a stratified bootstrap.

    Args:
        statistic: Of one or several methods' scores.
        *scores: ``[runs, tasks]`` each.
        resamples: How often the runs are drawn.
        seed: Of the draws.

    Returns:
        The interval; NaN where a method has fewer than :data:`LEAST_RUNS` runs.
    """
    if min(len(own) for own in scores) < LEAST_RUNS:
        return UNKNOWN
    rng = np.random.default_rng(seed)
    values = [
        statistic(*(_resampled(own, min(_CHUNK, resamples - begin), rng) for own in scores))
        for begin in range(0, resamples, _CHUNK)
    ]
    low, high = np.quantile(np.concatenate(values), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _resampled(scores: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draws the runs of each task anew: ``[count, runs, tasks]``."""
    drawn = rng.integers(len(scores), size=(count, *scores.shape))
    return np.take_along_axis(scores[None], drawn, axis=1)
