"""Steps that one policy took, and what they teach: for PPO."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Rollout(NamedTuple):
    """T steps of N environments, on the device."""

    obs: Tensor
    """``[T, N, 128]``."""
    before: Tensor
    """``[T, N, 16]``, actions before squashing."""
    log_prob: Tensor
    """``[T, N]``, of the actions when they were drawn."""
    reward: Tensor
    """``[T, N]``, scaled."""
    next_obs: Tensor
    """``[T, N, 128]``; where an episode ended, its last one."""
    terminated: Tensor
    """``[T, N]`` bool."""
    ended: Tensor
    """``[T, N]`` bool, where the next step is of another episode."""
    valid: Tensor
    """``[T, N]`` bool, on the CPU; the others are no steps."""


def advantages(
    rollout: Rollout, value: Tensor, next_value: Tensor, discount: Tensor, gae_lambda: float
) -> Tensor:
    """Generalised advantage estimates (arXiv 1506.02438).

    A step's error is ``reward + discount * next value - value``, where a terminal state has no
    value. Errors of later steps count less by ``discount * lambda`` each, up to the end of the
    episode; where it was cut by its time limit the state that follows has a value all the same.

    Args:
        rollout: The steps.
        value: ``[T, N]``, of ``rollout.obs``.
        next_value: ``[T, N]``, of ``rollout.next_obs``.
        discount: ``[N]``.
        gae_lambda: Decay of the weight of later errors, besides the discount.

    Returns:
        ``[T, N]``; 0 where no step happened.
    """
    valid = rollout.valid.to(value.device)
    error = rollout.reward + discount * torch.where(rollout.terminated, 0.0, next_value) - value
    error = torch.where(valid, error, 0.0)
    decay = torch.where(valid & ~rollout.ended, discount * gae_lambda, 0.0)
    result, later = torch.empty_like(error), torch.zeros_like(error[0])
    for t in reversed(range(len(error))):
        later = error[t] + decay[t] * later
        result[t] = later
    return result
