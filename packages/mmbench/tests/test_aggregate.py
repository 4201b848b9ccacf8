"""Aggregates over runs and tasks: rliable's numbers, and numbers by hand."""

import math

import numpy as np
import pytest

from mmbench.evaluation.aggregate import (
    bootstrap,
    interquartile_mean,
    mean,
    probability_of_improvement,
)

# Drawn once, and given to rliable 1.2.0 as well, whose numbers stand in the tests.
OURS = np.array(
    [
        [0.5, 1.0, 0.1, 0.9, 0.3, 0.4, 0.8],
        [0.4, 0.5, 0.0, 0.8, 0.5, 0.3, 0.8],
        [0.3, 0.5, 0.1, 0.4, 0.2, 0.3, 0.8],
        [0.3, 0.5, 1.0, 1.0, 0.7, 0.5, 0.3],
        [0.2, 1.0, 0.5, 0.1, 0.6, 0.8, 0.6],
    ]
)
THEIRS = np.array(
    [
        [0.9, 0.0, 0.5, 0.5, 0.1, 0.6, 0.9],
        [0.6, 0.3, 0.8, 0.5, 0.5, 0.8, 0.1],
        [0.8, 0.7, 0.8, 0.2, 0.8, 0.2, 0.1],
    ]
)


def test_interquartile_mean_by_hand():
    # Ten numbers: two are left out at each end.
    assert interquartile_mean(np.array([[9, 0, 1, 2, 3], [4, 5, 6, 7, 8]])) == 4.5


def test_ties_count_half_by_hand():
    # Task 1: 1 of 2 pairs won. Task 2: a tie and a win. (1/2 + 3/4) / 2
    ours, theirs = np.array([[0.5, 0.5]]), np.array([[0.4, 0.5], [0.6, 0.3]])
    assert probability_of_improvement(ours, theirs) == 0.625


@pytest.mark.parametrize(
    "statistic, scores, value, interval",
    [
        (mean, [OURS], 0.51428571, (0.43428571, 0.59714286)),
        (mean, [THEIRS], 0.50952381, (0.4047619, 0.61428571)),
        (interquartile_mean, [OURS], 0.49473684, (0.4, 0.6)),
        (interquartile_mean, [THEIRS], 0.54545455, (0.38181818, 0.68181818)),
        (probability_of_improvement, [OURS, THEIRS], 0.47142857, (0.3047619, 0.62857143)),
    ],
)
def test_as_rliable(statistic, scores, value, interval):
    assert statistic(*scores) == pytest.approx(value, abs=1e-8)
    assert bootstrap(statistic, *scores) == pytest.approx(interval, abs=0.015)


def test_each_task_draws_its_own_runs():
    # Were whole runs drawn, the mean over two opposite tasks would not move at all.
    scores = np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]])
    low, high = bootstrap(mean, scores)
    assert low < 0.35 and high > 0.65


def test_two_runs_have_no_interval():
    assert all(map(math.isnan, bootstrap(mean, OURS[:2])))
    assert all(map(math.isnan, bootstrap(probability_of_improvement, OURS, THEIRS[:2])))
    assert bootstrap(mean, OURS) == bootstrap(mean, OURS)  # the same at each call
