import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmbench_baselines.normaliser import ObservationNormaliser

MASK = torch.tensor([[True, True, False], [True, True, True]])


def feed(batches):
    """A normaliser that has seen batches of (observations, tasks, valid)."""
    normaliser = ObservationNormaliser(MASK)
    for obs, task, valid in batches:
        normaliser.update(obs, task, MASK, valid)
    return normaliser


def draw(rng, size):
    obs = torch.from_numpy(rng.normal(5.0, 3.0, (size, 3)).astype(np.float32))
    task = torch.from_numpy(rng.integers(0, 2, size))
    return obs, task, torch.from_numpy(rng.random(size) < 0.8)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_statistics_are_those_of_all_that_was_seen(sizes, seed):
    rng = np.random.default_rng(seed)
    batches = [draw(rng, size) for size in sizes]
    normaliser = feed(batches)
    obs, task, valid = (torch.cat(part).numpy() for part in zip(*batches, strict=True))
    for row in range(2):
        seen = obs[(task == row) & valid]
        assert normaliser.count[row] == len(seen)
        own = MASK[row].numpy()
        mean, variance = normaliser.mean[row].numpy(), normaliser.variance[row].numpy()
        if len(seen):
            np.testing.assert_allclose(mean[own], seen.mean(0, dtype=float)[own], atol=1e-9)
            np.testing.assert_allclose(variance[own], seen.var(0, dtype=float)[own], atol=1e-9)
        assert (mean[~own] == 0).all() and (variance[~own] == 1).all()


def test_observations_have_mean_0_and_variance_1():
    batch = draw(np.random.default_rng(0), 500)
    normaliser = feed([batch])
    obs, task, valid = batch
    normal = normaliser(obs, task, MASK)[valid & (task == 1)]
    assert normal.mean(0).tolist() == pytest.approx([0, 0, 0], abs=1e-5)
    assert normal.std(0, correction=0).tolist() == pytest.approx([1, 1, 1], abs=1e-5)


def test_an_entry_that_never_moved_does_not_blow_up():
    obs = torch.tensor([[1.0, 2.0, 3.0]]).expand(10, 3)
    normaliser = feed([(obs, torch.ones(10, dtype=torch.long), torch.ones(10, dtype=torch.bool))])
    moved = normaliser(obs[:1] + torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([1]), MASK)
    assert moved.tolist() == [[0.0, 0.0, 10.0]]


def test_masked_entries_change_nothing_and_come_out_as_0():
    obs, task, valid = draw(np.random.default_rng(1), 40)
    spoilt = torch.where(MASK[task], obs, torch.nan)
    spoilt = torch.where(valid[:, None], spoilt, torch.inf)  # nor do rows that do not count
    clean, other = feed([(obs, task, valid)]), feed([(spoilt, task, valid)])
    for name, value in clean.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    normal = other(spoilt[valid], task[valid], MASK)
    assert torch.equal(normal, clean(obs[valid], task[valid], MASK))
    assert (normal[~MASK[task[valid]]] == 0).all()


def test_a_new_task_starts_with_nothing_seen():
    normaliser = ObservationNormaliser(torch.ones(2, 3, dtype=torch.bool))
    obs, task = torch.randn(50, 3) * 4 + 2, torch.arange(50) % 2
    mask, valid = torch.ones(3, 3, dtype=torch.bool), torch.ones(50, dtype=torch.bool)
    normaliser.update(obs, task, mask[:2], valid)
    before = normaliser(obs, task, mask[:2])
    normaliser.add_tasks(1)
    torch.testing.assert_close(normaliser(obs, task, mask), before, rtol=0, atol=0)
    small = obs.clamp(-1, 1)
    torch.testing.assert_close(normaliser(small, torch.full((50,), 2), mask), small)
    normaliser.update(obs, torch.full((50,), 2), mask, valid)
    assert normaliser.count.tolist() == [25, 25, 50]
