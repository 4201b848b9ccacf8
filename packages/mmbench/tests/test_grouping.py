"""Which worker gets which environment."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mmbench import catalog
from mmbench.vector.costs import measured_costs, step_costs
from mmbench.vector.grouping import LIBRARY_MEGABYTES, group

ENVIRONMENTS = st.lists(
    st.tuples(st.sampled_from(sorted(LIBRARY_MEGABYTES)), st.floats(1.0, 1e4)),
    min_size=1,
    max_size=60,
)


@given(ENVIRONMENTS, st.integers(1, 8))
def test_every_half_is_balanced(environments, workers):
    domains, costs = zip(*environments, strict=True)
    owner = group(domains, costs, workers)
    assert owner.shape == (len(domains),)
    assert owner.min() >= 0
    assert owner.max() < workers
    for half in (0, 1):
        part = np.array(costs[half::2])
        loads = np.bincount(owner[half::2], part, workers)
        # Nobody has more than a fair share and the largest environment on top.
        assert loads.max() <= part.sum() / workers + part.max(initial=0) + 1e-6


@given(ENVIRONMENTS, st.integers(1, 8))
def test_large_libraries_load_in_few_workers(environments, workers):
    domains, costs = zip(*environments, strict=True)
    owner = group(domains, costs, workers)
    heavy = [d for d in LIBRARY_MEGABYTES if LIBRARY_MEGABYTES[d] >= 100]
    for half in (0, 1):
        loads = {(d, w) for d, w in zip(domains[half::2], owner[half::2], strict=True)}
        present = {d for d, _ in loads if d in heavy}
        assert sum(d in heavy for d, _ in loads) <= len(present) + workers - 1


def test_all_tasks_are_balanced():
    tasks = catalog.select("all")
    costs = np.array(step_costs(tasks, "state"))
    assert (costs > 0).all()
    owner = group([task.domain for task in tasks], costs, 2)
    for half in (0, 1):
        loads = np.bincount(owner[half::2], costs[half::2])
        assert loads.max() / loads.min() < 1.05


def test_this_machine_s_table_counts_and_a_broken_one_does_not(monkeypatch, tmp_path):
    monkeypatch.setenv("MMBENCH_CACHE", str(tmp_path))
    task = catalog.get("walker-walk")
    shipped = step_costs([task], "state")
    measured_costs().write_text('{"mmbench/walker-walk-v0": 12.5}')
    assert step_costs([task], "state") == [12.5]
    for broken in ("{", "[1, 2]", '{"mmbench/walker-walk-v0": "fast"}'):
        measured_costs().write_text(broken)
        assert step_costs([task], "state") == shipped
