"""Confidence intervals of means over episodes, against SciPy's and by what they promise."""

import math

import numpy as np
import pytest
from scipy import stats

from mmbench.evaluation.intervals import mean_interval, rate_interval


@pytest.mark.parametrize("count", [2, 3, 30])
def test_the_mean_of_one_task(count):
    numbers = np.random.default_rng(count).normal(3, 2, count)
    own = stats.ttest_1samp(numbers, 0).confidence_interval()
    assert mean_interval([numbers]) == pytest.approx(tuple(own))


def test_the_mean_of_two_tasks_is_as_sure_as_their_welch_interval():
    rng = np.random.default_rng(0)
    one, other = rng.normal(0, 1, 5), rng.normal(2, 3, 9)
    # Half the sum of two means is half the difference of one and the other's mirror image.
    own = stats.ttest_ind(one, -other, equal_var=False).confidence_interval()
    assert mean_interval([one, other]) == pytest.approx((own.low / 2, own.high / 2))


def test_intervals_hold_the_mean_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = [
        low <= 1 <= high
        for low, high in (
            mean_interval([rng.normal(0, 1, 3), rng.normal(1, 2, 10), rng.normal(2, 0.1, 3)])
            for _ in range(4000)
        )
    ]
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)


def test_tasks_weigh_the_same_whatever_they_have_of_episodes():
    same = mean_interval([np.zeros(2), np.ones(50)])
    assert same == (0.5, 0.5)  # nothing varies


@pytest.mark.parametrize("groups", [[], [np.ones(1)], [np.ones(5), np.ones(1)]])
def test_too_few_episodes_tell_nothing(groups):
    assert all(map(math.isnan, mean_interval(groups)))


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (10, 10), (3, 7), (1, 1)])
def test_the_interval_of_a_rate(successes, trials):
    own = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    assert rate_interval(successes, trials) == pytest.approx(tuple(own))


def test_no_trials_tell_nothing():
    assert all(map(math.isnan, rate_interval(0, 0)))
