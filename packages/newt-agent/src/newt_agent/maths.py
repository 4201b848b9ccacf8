"""Scalar transforms, distributions over bins, squashed Gaussians and running statistics.

Rewards and values are regressed as distributions over bins that are uniform in symlog space
(arXiv 2511.19584, section 3; the transform is that of DreamerV3, arXiv 2301.04104). Everything
here waits for no device, and nothing is random.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def symlog(x: Tensor) -> Tensor:
    """Compress magnitudes: ``sign(x) * log(1 + |x|)``, the inverse of `symexp`."""
    return torch.sign(x) * torch.log1p(torch.abs(x))


def symexp(x: Tensor) -> Tensor:
    """Undo `symlog`: ``sign(x) * (exp(|x|) - 1)``."""
    return torch.sign(x) * torch.expm1(torch.abs(x))


def _neighbours(x: Tensor, num_bins: int, vmin: float, vmax: float) -> tuple[Tensor, Tensor]:
    """The lower of the two bins around each `x`, and the weight of the upper one."""
    position = (symlog(x).clamp(vmin, vmax) - vmin) * ((num_bins - 1) / (vmax - vmin))
    # A NaN must stay visible in the weight, but as an index it would be out of bounds.
    lower = torch.nan_to_num(position, nan=0.0).floor().clamp(max=num_bins - 2)
    return lower.long(), position - lower


def two_hot(x: Tensor, num_bins: int, vmin: float, vmax: float) -> Tensor:
    """Encode scalars as weights of the two nearest bins.

    Args:
        x: Scalars, any shape. Those beyond the range of the bins count as its ends.
        num_bins: Number of bins, uniform between `vmin` and `vmax`.
        vmin: Centre of the first bin, in symlog space.
        vmax: Centre of the last bin, in symlog space.

    Returns:
        Weights ``[*x.shape, num_bins]``, at least 0, summing to 1 along the last dimension.
    """
    lower, weight = _neighbours(x, num_bins, vmin, vmax)
    index = torch.stack([lower, lower + 1], dim=-1)
    weights = torch.stack([1 - weight, weight], dim=-1)
    return weights.new_zeros(*x.shape, num_bins).scatter(-1, index, weights)


def two_hot_cross_entropy(logits: Tensor, target: Tensor, vmin: float, vmax: float) -> Tensor:
    """Cross-entropy between predicted bins and two-hot targets.

    Equal to ``-(two_hot(target) * log_softmax(logits)).sum(-1)`` without building the target.

    Args:
        logits: ``[..., num_bins]``.
        target: Scalars, of a shape that broadcasts to ``logits.shape[:-1]``.
        vmin: Centre of the first bin, in symlog space.
        vmax: Centre of the last bin, in symlog space.

    Returns:
        The loss in nats, ``logits.shape[:-1]``; NaN where the target is.
    """
    lower, weight = _neighbours(target, logits.shape[-1], vmin, vmax)
    index = torch.stack([lower, lower + 1], dim=-1)
    log_prob = F.log_softmax(logits, dim=-1)
    log_lower, log_upper = log_prob.gather(-1, index.expand(*logits.shape[:-1], 2)).unbind(-1)
    return -torch.lerp(log_lower, log_upper, weight.expand_as(log_lower))


def decode_two_hot(logits: Tensor, bins: Tensor) -> Tensor:
    """Read scalars from bin logits: the mean of the bins under the softmax, then `symexp`.

    Args:
        logits: ``[..., num_bins]``.
        bins: ``[num_bins]``, the bin centres in symlog space.

    Returns:
        Scalars ``logits.shape[:-1]``.
    """
    return symexp(logits.softmax(dim=-1) @ bins)


def project(probability: Tensor, value: Tensor, atoms: Tensor) -> Tensor:
    """Moves a distribution onto fixed atoms, and preserves its mass and its mean.

    Each value's probability is divided between the two atoms around it, the nearer one getting the
    greater part (C51, arXiv 1707.06887). Values beyond the atoms count as the outermost ones.

    Args:
        probability: ``[B, n]``, of each value.
        value: ``[B, n]``.
        atoms: ``[K]``, at least 2, rising; their distances may differ.

    Returns:
        ``[B, K]``, the probability of each atom.
    """
    value = value.clamp(atoms[0], atoms[-1])
    upper = torch.searchsorted(atoms, value).clamp(1, len(atoms) - 1)
    low, high = atoms[upper - 1], atoms[upper]
    share = (value - low) / (high - low)
    result = probability.new_zeros(len(probability), len(atoms))
    result.scatter_add_(1, upper - 1, probability * (1 - share))
    return result.scatter_add_(1, upper, probability * share)


def time_weights(
    steps: int, rho: float, device: torch.device | None = None, normalise: bool = True
) -> Tensor:
    """Weights ``rho**t`` of the steps of a rollout, divided by their sum if asked."""
    weights = rho ** torch.arange(steps, dtype=torch.get_default_dtype(), device=device)
    return weights / weights.sum() if normalise else weights


def gaussian_log_prob(noise: Tensor, log_std: Tensor) -> Tensor:
    """Log-density of ``mean + noise * exp(log_std)`` per dimension, `noise` standard normal."""
    return -0.5 * noise.square() - log_std - HALF_LOG_2PI


def tanh_log_det(x: Tensor) -> Tensor:
    """``log(1 - tanh(x)**2)`` without cancellation: what squashing adds to a density."""
    return 2 * (math.log(2) - x - F.softplus(-2 * x))


def bounded_log_std(raw: Tensor, low: float, high: float) -> Tensor:
    """A log standard deviation in [low, high] from what a network says; 0 is the middle."""
    return low + 0.5 * (high - low) * (torch.tanh(raw) + 1)


def squashed_log_prob(noise: Tensor, log_std: Tensor, before: Tensor, mask: Tensor) -> Tensor:
    """Log-density of ``tanh(before)`` under a Gaussian squashed by a tanh.

    Args:
        noise: ``[..., n]``, such that ``before`` is ``mean + noise * exp(log_std)``.
        log_std: ``[..., n]``.
        before: ``[..., n]``, the action before squashing.
        mask: ``[..., n]`` bool; the other entries do not count, whatever they hold.

    Returns:
        ``[...]``.
    """
    density = gaussian_log_prob(noise, log_std) - tanh_log_det(before)
    return torch.where(mask, density, 0.0).sum(-1)


def two_heads(uniform: Tensor) -> Tensor:
    """Two different heads of the value ensemble, indices ``[2]``, from ``[num_q]`` draws."""
    return uniform.topk(2).indices


class RunningScale(nn.Module):
    """A moving estimate of the spread of values, by which the policy loss divides them.

    Starts at 1 and never falls below it, so that small values are not blown up
    (arXiv 2511.19584, appendix; TD-MPC2, arXiv 2310.16828). The estimate is a buffer: it
    travels in ``state_dict``.
    """

    value: Tensor

    def __init__(self, tau: float = 0.01):
        super().__init__()
        self.tau = tau
        self.register_buffer("value", torch.ones(()))

    @staticmethod
    @torch.no_grad()
    def spread(x: Tensor) -> Tensor:
        """The distance between the 5th and 95th percentile of all of `x`, a scalar tensor."""
        # Not torch.quantile, which looks at numbers: it would wait for the device.
        ordered = x.detach().flatten().float().sort().values

        def quantile(q: float) -> Tensor:
            whole, part = divmod(q * (len(ordered) - 1), 1)
            after = min(int(whole) + 1, len(ordered) - 1)
            return torch.lerp(ordered[int(whole)], ordered[after], part)

        return quantile(0.95) - quantile(0.05)

    @torch.no_grad()
    def update(self, spread: Tensor) -> None:
        """Move a fraction `tau` towards ``max(spread, 1)``; a NaN or infinity changes nothing."""
        self.value.lerp_(self._bounded(spread), self.tau)

    @torch.no_grad()
    def start(self, spread: Tensor) -> None:
        """Begin with ``max(spread, 1)`` instead of 1; a NaN or infinity changes nothing."""
        self.value.copy_(self._bounded(spread))

    def _bounded(self, spread: Tensor) -> Tensor:
        return torch.where(torch.isfinite(spread), spread.clamp(min=1.0), self.value)

    def forward(self, x: Tensor) -> Tensor:
        """Divide `x` by the current estimate."""
        return x / self.value
