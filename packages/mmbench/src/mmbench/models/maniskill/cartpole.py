"""Cartpoles with sparse rewards.

Source: arXiv 2511.19584, appendix (new ManiSkill tasks).
"""

from __future__ import annotations

from typing import Any

import torch
from mani_skill.envs.tasks.control.cartpole import CartpoleBalanceEnv, CartpoleSwingUpEnv

_UPRIGHT = 0.85  # of (cos(angle) + 1) / 2: 45.6 degrees from the vertical


class _SparseReward:
    """1 while the pole is nearly upright, else 0; the cart and the action do not count."""

    pole_angle_cosine: torch.Tensor

    def compute_dense_reward(self, obs: Any, action: torch.Tensor, info: dict) -> torch.Tensor:
        return ((self.pole_angle_cosine + 1) / 2 > _UPRIGHT).float()


class CartpoleBalanceSparseEnv(_SparseReward, CartpoleBalanceEnv):
    """Keep the pole upright, which starts almost upright.

    Observation (10): positions of cart (m) and pole (rad) 2 and their velocities 2; the pole's
    linear velocity 3 and angular velocity 3. Reward: 1 while (cos angle + 1) / 2 > 0.85, else 0.
    """


class CartpoleSwingUpSparseEnv(_SparseReward, CartpoleSwingUpEnv):
    """Swing the pole up, which starts hanging down, and keep it there.

    Observation and reward are those of :class:`CartpoleBalanceSparseEnv`.
    """
