"""The bars that demonstrations have to meet."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmbench import catalog
from mmbench.demos import bars
from mmbench.demos.tape import Episode

PONG = catalog.get("pygame-pong")
REACH = catalog.get("mw-reach")


def episodes(returns, success=np.nan, score=0.9):
    nothing = np.zeros(0)
    return [Episode(i, nothing, nothing, float(r), score, success) for i, r in enumerate(returns)]


def returns(chosen):
    return [episode.episode_return for episode in chosen]


@pytest.mark.parametrize("of, least", [([10, 20, 30], 15), ([-10, -20, -30], -25), ([0], 0)])
def test_the_least_return_is_a_share_of_the_median(of, least):
    assert bars.least_return(of) == least


def test_low_returns_are_left_out():
    assert returns(bars.select(PONG, episodes([10, 6, 10, 8, 10]), 4)) == [10, 10, 8, 10]
    assert returns(bars.select(PONG, episodes([-10, -16, -12]), 3)) == [-10, -12]


def test_a_lucky_first_episode_does_not_keep_the_others_out():
    assert returns(bars.select(PONG, episodes([100, 1, 1, 1]), 4)) == [100, 1, 1, 1]


def test_a_median_of_0_keeps_returns_of_0():
    assert returns(bars.select(PONG, episodes([0, 0, 2, -1, 0]), 4)) == [0, 0, 2, 0]
    assert bars.problems(PONG, episodes([0, 0, 2])) == []


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), max_size=12), st.integers(1, 6))
def test_what_is_selected_meets_the_bars_by_itself(values, count):
    chosen = returns(bars.select(PONG, episodes(values), count))
    assert len(chosen) <= count
    if chosen:
        assert min(chosen) > bars.least_return(chosen) or min(chosen) == 0
    if values and len(set(values)) == 1:
        assert chosen == values[:count]


def test_manipulation_has_to_succeed_at_the_end():
    names = ("mw-reach", "rd-push-green", "ms-pick-cube", "ms-reach")
    assert all(bars.must_succeed(catalog.get(name)) for name in names)
    others = ("ms-ant-walk", "ms-hopper-hop", "ms-cartpole-balance", "og-point-maze", "pygame-pong")
    assert not any(bars.must_succeed(catalog.get(name)) for name in others)
    mixed = episodes([10], success=1.0) + episodes([90], success=0.0)
    assert returns(bars.select(REACH, mixed, 2)) == [10]
    assert bars.problems(REACH, episodes([10] * 3, success=1.0, score=1.0)) == []
    (problem,) = bars.problems(REACH, episodes([10], success=0.0, score=1.0))
    assert problem == "episode 0 does not succeed at its end"


def test_the_mean_score_is_half_way_from_random_to_09():
    random = bars.random_score(PONG)
    assert 0 < random < 0.2
    assert bars.bar(PONG) == pytest.approx((random + 0.9) / 2)
    good, bad = bars.bar(PONG) + 1e-6, bars.bar(PONG) - 1e-3
    assert bars.problems(PONG, episodes([10, 10], score=good)) == []
    (problem,) = bars.problems(PONG, episodes([10, 10], score=bad))
    assert f"mean score {bad:.3f} is below {bars.bar(PONG):.3f}" in problem


def test_without_a_random_score_there_are_no_demonstrations(monkeypatch):
    monkeypatch.setattr(bars, "_random_scores", dict)
    assert bars.bar(PONG) is None
    (problem,) = bars.problems(PONG, episodes([10]))
    assert "nobody has measured what random actions score" in problem


def test_random_scores_are_of_the_catalogues_tasks():
    scores = bars._random_scores()
    assert scores.keys() <= {task.versioned_name for task in catalog.TASKS}
    assert all(-1e-6 <= score <= 1 + 1e-6 for score in scores.values())
