"""Confidence intervals of means over episodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

LEVEL = 0.95
"""How often such an interval holds the mean that infinitely many episodes would have."""

Interval = tuple[float, float]
"""Its ends; NaN where too few episodes tell nothing of the spread."""

UNKNOWN: Interval = (math.nan, math.nan)


def mean_interval(groups: Sequence[np.ndarray]) -> Interval:
    """Student's t interval of the unweighted mean of groups' means.

    Groups may have different spreads and sizes: the degrees of freedom are Welch and
    Satterthwaite's. Of a single group it is the usual interval of a mean.

    Args:
        groups: Of each task the numbers of its episodes.

    Returns:
        The interval; NaN where there is no group, or one has fewer than two numbers.
    """
    sizes = np.array([len(group) for group in groups])
    if not len(sizes) or sizes.min() < 2:
        return UNKNOWN
    from scipy.special import stdtrit  # late: it takes a moment

    mean = float(np.mean([group.mean() for group in groups]))
    variances = np.array([group.var(ddof=1) for group in groups]) / sizes
    total = variances.sum()
    if total == 0:
        return mean, mean
    shares = variances / total
    freedom = 1 / (shares**2 / (sizes - 1)).sum()
    half = float(stdtrit(freedom, (1 + LEVEL) / 2) * math.sqrt(total) / len(sizes))
    return mean - half, mean + half


def rate_interval(successes: int, trials: int) -> Interval:
    """Wilson's interval of a rate, which is right for few trials and for rates of 0 and 1 too.

    Args:
        successes: How many of the trials succeeded.
        trials: NaN is returned where there are none.
    """
    if not trials:
        return UNKNOWN
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    rate = successes / trials
    middle = (rate + z**2 / (2 * trials)) / (1 + z**2 / trials)
    spread = math.sqrt(rate * (1 - rate) / trials + z**2 / (4 * trials**2))
    half = z / (1 + z**2 / trials) * spread
    return max(0.0, middle - half), min(1.0, middle + half)
