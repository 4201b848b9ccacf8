import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from newt_agent.maths import (
    RunningScale,
    decode_two_hot,
    gaussian_log_prob,
    symexp,
    symlog,
    tanh_log_det,
    time_weights,
    two_heads,
    two_hot,
    two_hot_cross_entropy,
)

VMIN, VMAX, BINS = -10.0, 10.0, 101
TOP = math.expm1(VMAX)  # the largest value that the bins can express

values = st.floats(-22_025, 22_025, width=32)


@settings(deadline=None)
@given(st.lists(values, min_size=1, max_size=20))
def test_symlog_and_symexp_are_inverse(xs):
    x = torch.tensor(xs)
    torch.testing.assert_close(symexp(symlog(x)), x, rtol=1e-4, atol=1e-6)
    expected = np.sign(xs) * np.log1p(np.abs(xs))
    np.testing.assert_allclose(symlog(x).numpy(), expected, rtol=1e-5, atol=1e-6)


@settings(deadline=None)
@given(st.lists(values, min_size=1, max_size=20))
def test_two_hot_round_trip(xs):
    x = torch.tensor(xs)
    weights = two_hot(x, BINS, VMIN, VMAX)
    assert weights.shape == (len(xs), BINS)
    assert (weights >= 0).all() and ((weights > 0).sum(-1) <= 2).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(len(xs)))
    bins = torch.linspace(VMIN, VMAX, BINS)
    torch.testing.assert_close(weights @ bins, symlog(x), rtol=0, atol=1e-5)
    decoded = decode_two_hot(weights.clamp(min=1e-30).log(), bins)
    torch.testing.assert_close(decoded, x, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("x, index", [(0.0, 50), (1e30, 100), (-1e30, 0), (TOP, 100), (-TOP, 0)])
def test_two_hot_at_bins_and_past_the_ends(x, index):
    weights = two_hot(torch.tensor(x), BINS, VMIN, VMAX)
    assert weights[index] == pytest.approx(1, abs=1e-4)


def test_two_hot_splits_between_neighbours():
    # symlog(x) = 0.25: between the bins at 0.2 and 0.4, a quarter of the way.
    weights = two_hot(torch.tensor(math.expm1(0.25)), BINS, VMIN, VMAX)
    assert weights[51] == pytest.approx(0.75, abs=1e-4)
    assert weights[52] == pytest.approx(0.25, abs=1e-4)


def test_cross_entropy_is_that_of_the_dense_target():
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, 5, BINS, generator=g, dtype=torch.float64)
    target = 50 * torch.randn(4, 5, generator=g, dtype=torch.float64)
    dense = two_hot(target, BINS, VMIN, VMAX)
    expected = -(dense * torch.log_softmax(logits, -1)).sum(-1)
    torch.testing.assert_close(two_hot_cross_entropy(logits, target, VMIN, VMAX), expected)


def test_nan_targets_stay_visible_and_alone():
    loss = two_hot_cross_entropy(
        torch.zeros(3, BINS), torch.tensor([0.0, float("nan"), 1.0]), VMIN, VMAX
    )
    assert torch.isnan(loss).tolist() == [False, True, False]


def test_time_weights_are_the_published_ones():
    expected = torch.tensor([0.53333336, 0.26666668, 0.13333334, 0.06666667])
    torch.testing.assert_close(time_weights(4, 0.5), expected)
    torch.testing.assert_close(time_weights(3, 1.0), torch.full((3,), 1 / 3))


def test_log_densities_match_torch_distributions():
    g = torch.Generator().manual_seed(0)
    noise, mean, log_std = torch.randn(3, 100, generator=g, dtype=torch.float64)
    x = mean + noise * log_std.exp()
    normal = torch.distributions.Normal(mean, log_std.exp())
    torch.testing.assert_close(gaussian_log_prob(noise, log_std), normal.log_prob(x))
    torch.testing.assert_close(tanh_log_det(x), torch.log(1 - torch.tanh(x) ** 2))
    # No cancellation far out, where 1 - tanh(x)^2 rounds to 0.
    assert tanh_log_det(torch.tensor(50.0)).item() == pytest.approx(2 * math.log(2) - 100)


def test_drawn_heads_differ_and_are_uniform():
    g = torch.Generator().manual_seed(0)
    counts = torch.zeros(5, 5)
    for _ in range(2000):
        i, j = two_heads(torch.rand(5, generator=g)).tolist()
        counts[i, j] += 1
    assert counts.diagonal().sum() == 0
    off = counts[~torch.eye(5, dtype=torch.bool)]
    assert (abs(off - 100) < 5 * math.sqrt(100)).all()


def test_running_scale_follows_the_percentile_range():
    scale = RunningScale(tau=0.01)
    assert scale.value == 1 and scale.value.shape == ()
    x = torch.randn(10_000, generator=torch.Generator().manual_seed(0)) * 7 + 3
    spread = scale.spread(x)
    low, high = np.percentile(x.numpy(), [5, 95])
    assert spread.item() == pytest.approx(high - low, rel=1e-4)
    scale.update(spread)
    assert scale.value.item() == pytest.approx(0.99 + 0.01 * (high - low), rel=1e-4)
    torch.testing.assert_close(scale(x), x / scale.value)


def test_running_scale_never_falls_below_one_and_ignores_nan():
    scale = RunningScale(tau=0.5)
    scale.update(torch.tensor(0.1))
    assert scale.value == 1
    scale.update(torch.tensor(5.0))
    assert scale.value == 3
    scale.update(torch.tensor(float("nan")))
    scale.update(torch.tensor(float("inf")))
    assert scale.value == 3
    other = RunningScale()
    other.load_state_dict(scale.state_dict())
    assert other.value == 3


@pytest.mark.parametrize(("spread", "value"), [(300.0, 300), (0.1, 1), (math.nan, 1)])
def test_running_scale_can_begin_with_a_spread(spread, value):
    scale = RunningScale()
    scale.start(torch.tensor(spread))
    assert scale.value == value
