"""Observations and rewards brought to one scale, by running statistics of each task."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

_LARGEST = 10.0
"""Normalised entries are clipped to this magnitude: one that never moved may move one day."""
_SMALLEST_VARIANCE = 1e-8


class ObservationNormaliser(nn.Module):
    """Normalises the entries that a task has, and sets the others to 0.

    Mean and variance are those of all observations that :meth:`update` has seen of the task; until
    then they are 0 and 1. They are buffers, so they are saved with the agent. Batches are merged
    by the formula of Chan et al. (1979), "Updating formulae and a pairwise algorithm for computing
    sample variances", in float64.

    Args:
        mask: ``[tasks, entries]`` bool, the entries that each task has.
    """

    count: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(len(mask), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(mask.shape, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(mask.shape, dtype=torch.float64))

    def add_tasks(self, count: int) -> None:
        """Adds tasks of which nothing was seen yet."""
        fresh = ObservationNormaliser(torch.zeros(count, self.mean.shape[1]))
        for name, new in fresh.named_buffers():
            own = getattr(self, name)
            setattr(self, name, torch.cat([own, new.to(own.device)]))

    def forward(self, obs: Tensor, task: Tensor, mask: Tensor) -> Tensor:
        """Normalises observations.

        Args:
            obs: ``[..., entries]``.
            task: Indices ``[...]``.
            mask: ``[tasks, entries]`` bool.

        Returns:
            ``[..., entries]`` in [-10, 10], 0 at masked entries, whatever they held.
        """
        mean = self.mean.float()[task]
        scale = (self.variance + _SMALLEST_VARIANCE).rsqrt().float()[task]
        normal = ((obs - mean) * scale).clamp(-_LARGEST, _LARGEST)
        # A selection, not a product: 0 * NaN is NaN.
        return torch.where(mask[task], normal, 0.0)

    @torch.no_grad()
    def update(self, obs: Tensor, task: Tensor, mask: Tensor, valid: Tensor) -> None:
        """Takes in observations.

        Args:
            obs: ``[batch, entries]``.
            task: ``[batch]``, indices.
            mask: ``[tasks, entries]`` bool; the other entries are not looked at.
            valid: ``[batch]`` bool; the other observations do not count.
        """
        weight = valid.double()
        own = torch.where(mask[task] & valid[:, None], obs, 0.0).double()
        count = torch.zeros_like(self.count).index_add_(0, task, weight)
        some = count.clamp(min=1)[:, None]
        mean = torch.zeros_like(self.mean).index_add_(0, task, own) / some
        error = (own - mean[task]).square() * weight[:, None]
        variance = torch.zeros_like(self.mean).index_add_(0, task, error) / some
        share = (count / (self.count + count).clamp(min=1))[:, None]
        # Before the first batch the variance is a stand-in, which its share of 1 takes away.
        merged = torch.lerp(self.variance, variance, share)
        merged += share * (1 - share) * (mean - self.mean).square()
        self.variance.copy_(torch.where(mask, merged, self.variance))
        self.mean.lerp_(torch.where(mask, mean, self.mean), share)
        self.count += count


class RewardNormaliser:
    """What each task's rewards are divided by, so that values fit a range (arXiv 2505.23150).

    It follows the largest discounted return from any step on, by magnitude, of all finished
    episodes. An episode that was cut by its time limit goes on, for this, with its mean reward.

    Args:
        discount: ``[tasks]``.
        target_entropy: ``[tasks]``, negative.
        largest_value: The end of the range.

    Attributes:
        largest: ``[tasks]``, that return; 0 before the first episode.
    """

    def __init__(self, discount: Tensor, target_entropy: Tensor, largest_value: float) -> None:
        self.largest = torch.zeros_like(discount)
        self._discount = discount
        self._target_entropy = target_entropy
        self._largest_value = largest_value

    def see(self, task: int, rewards: np.ndarray, discount: float, cut: bool) -> None:
        """Takes in a finished episode.

        Args:
            task: Its index.
            rewards: ``[steps]``.
            discount: Of the task.
            cut: It ended by its time limit, not in a final state.
        """
        later = rewards.mean() / (1 - discount) if cut else 0.0
        largest = 0.0
        for reward in rewards[::-1].tolist():
            later = reward + discount * later
            largest = max(largest, abs(later))
        self.largest[task].clamp_(min=largest)

    def divisors(self, temperature: Tensor) -> Tensor:
        """Returns what to divide rewards by, ``[tasks]``; the bonus for entropy fits in too."""
        bonus = -temperature * self._target_entropy / (2 * (1 - self._discount))
        return ((self.largest + bonus) / self._largest_value).clamp(min=1e-8)
