"""Which worker gets which environment."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmbench import catalog
from mmbench.vector.grouping import group, measured_costs, step_costs

ENVIRONMENTS = st.lists(
    st.tuples(st.sampled_from(catalog.DOMAINS), st.floats(1.0, 1e4)),
    min_size=1,
    max_size=60,
)


@given(ENVIRONMENTS, st.integers(1, 8))
def test_nobody_has_much_more_than_a_fair_share(environments, workers):
    domains, costs = zip(*environments, strict=True)
    owner = group(domains, costs, workers)
    assert owner.shape == (len(domains),)
    assert owner.min() >= 0
    assert owner.max() < workers
    loads = np.bincount(owner, costs, workers)
    assert loads.max() <= sum(costs) / workers + max(costs) + 1e-6


@pytest.mark.parametrize("workers", [2, 4, 16, 32])
def test_large_libraries_load_in_as_few_workers_as_the_memory_asks_for(workers):
    tasks = catalog.select("all")
    domains, costs = np.array([task.domain for task in tasks]), np.array(step_costs(tasks, "state"))
    owner = group(domains.tolist(), costs, workers)
    share = costs.sum() / workers
    for domain in ("maniskill", "metaworld", "robodesk"):
        loaded = len(np.unique(owner[domains == domain]))
        needed = np.ceil(costs[domains == domain].sum() / share)
        assert catalog.domain(domain).megabytes * (loaded - needed - 1) <= 2000


@pytest.mark.parametrize("workers", [2, 4])
def test_what_resets_in_the_same_step_is_spread_evenly(workers):
    tasks = catalog.select("all")
    domains, costs = np.array([task.domain for task in tasks]), np.array(step_costs(tasks, "state"))
    owner = group(domains.tolist(), costs, workers)
    for domain in ("maniskill", "metaworld"):
        loads = np.bincount(owner[domains == domain], costs[domains == domain], workers)
        assert loads.max() <= 1.1 * loads.min()


@given(st.lists(st.floats(1.0, 2.0), min_size=40, max_size=60), st.integers(2, 4))
def test_the_halves_are_even_where_they_can_be(costs, workers):
    owner = group(["dmcontrol"] * len(costs), costs, workers)
    for half in (0, 1):
        loads = np.bincount(owner[half::2], costs[half::2], workers)
        assert loads.max() <= sum(costs[half::2]) / workers + 2 * 2.0


def test_two_expensive_environments_part_whatever_their_halves():
    for places in ((0, 1), (0, 2), (3, 4)):
        costs = np.full(10, 1.0)
        costs[list(places)] = 50.0
        owner = group(["robodesk"] * 10, costs, 2)
        assert owner[places[0]] != owner[places[1]]


def test_all_tasks_are_balanced():
    tasks = catalog.select("all")
    costs = np.array(step_costs(tasks, "state"))
    assert (costs > 0).all()
    owner = group([task.domain for task in tasks], costs, 2)
    for part in (slice(None), slice(0, None, 2), slice(1, None, 2)):
        loads = np.bincount(owner[part], costs[part])
        assert loads.max() / loads.min() < (1.02 if part == slice(None) else 1.25)


def test_this_machine_s_table_counts_and_a_broken_one_does_not(monkeypatch, tmp_path):
    monkeypatch.setenv("MMBENCH_CACHE", str(tmp_path))
    task = catalog.get("walker-walk")
    shipped = step_costs([task], "state")
    measured_costs().write_text('{"mmbench/walker-walk-v0": 12.5}')
    assert step_costs([task], "state") == [12.5]
    for broken in ("{", "[1, 2]", '{"mmbench/walker-walk-v0": "fast"}'):
        measured_costs().write_text(broken)
        assert step_costs([task], "state") == shipped
