"""What is random in an update and in a plan, as tensors.

All of it is drawn before the arithmetic begins. So losses and plans are functions of tensors, which
can be compiled, recorded as a CUDA graph, and given the same draws twice.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor


class UpdateNoise(NamedTuple):
    """The draws of one update; made empty, and drawn anew for each.

    H transitions a window, B windows.
    """

    next_action: Tensor
    """``[H, B, action_dim]`` standard normal: the actions after which targets bootstrap."""
    target_heads: Tensor
    """``[num_q]`` uniform, for :func:`newt_agent.maths.two_heads`."""
    model_dropout: Tensor | None
    """``[H, B, num_q, hidden]``, 1 with the probability of keeping, else 0; None drops nothing."""
    action: Tensor
    """``[H + 1, B, action_dim]`` standard normal: the policy's actions."""
    heads: Tensor
    """``[num_q]`` uniform: the heads that rate them."""
    dropout: Tensor | None
    """``[H + 1, B, 2, hidden]``, the same for the two heads that rate them."""

    @classmethod
    def empty(
        cls,
        horizon: int,
        batch_size: int,
        action_dim: int,
        num_q: int,
        dropout_dim: int = 0,
        device: torch.device | str = "cpu",
    ) -> Self:
        """Makes it, with any numbers.

        Args:
            horizon: H.
            batch_size: B.
            action_dim: Size of a padded action.
            num_q: Heads of the value ensemble.
            dropout_dim: Width of the layer that is dropped out; 0 for none.
            device: Where they are.
        """

        def make(*shape: int) -> Tensor:
            return torch.empty(shape, device=device)

        return cls(
            next_action=make(horizon, batch_size, action_dim),
            target_heads=make(num_q),
            model_dropout=make(horizon, batch_size, num_q, dropout_dim) if dropout_dim else None,
            action=make(horizon + 1, batch_size, action_dim),
            heads=make(num_q),
            dropout=make(horizon + 1, batch_size, 2, dropout_dim) if dropout_dim else None,
        )

    def part(self, begin: int, end: int) -> Self:
        """Returns the draws of some of the windows, of those from ``begin`` to ``end``."""
        return self._replace(
            **{
                name: draws[:, begin:end]
                for name, draws in self._asdict().items()
                if draws is not None and draws.ndim > 1
            }
        )

    def draw(self, generator: torch.Generator | None, keep: float = 1.0) -> Self:
        """Draws all anew, in place.

        Args:
            generator: Source, on the device of the tensors; None is the global one.
            keep: Probability that dropout keeps an entry.

        Returns:
            Itself.
        """
        self.next_action.normal_(generator=generator)
        self.target_heads.uniform_(generator=generator)
        if self.model_dropout is not None:
            self.model_dropout.bernoulli_(keep, generator=generator)
        self.action.normal_(generator=generator)
        self.heads.uniform_(generator=generator)
        if self.dropout is not None:
            self.dropout.bernoulli_(keep, generator=generator)
        return self


class PlanNoise(NamedTuple):
    """The draws of one plan; made empty, and drawn anew for each.

    E environments, I iterations, N candidates drawn from the Gaussian and P from the policy, K
    elites.
    """

    heads: Tensor
    """``[num_q]`` uniform, for :func:`newt_agent.maths.two_heads`: they rate the last states."""
    policy: Tensor
    """``[horizon + 1, E, P, action_dim]`` standard normal: the policy's sequences."""
    candidates: Tensor
    """``[I, horizon, E, N, action_dim]`` standard normal."""
    last: Tensor
    """``[I, E, N, action_dim]`` standard normal: the policy's actions in the last states."""
    race: Tensor
    """``[E, K]``, from Exp(1): which elite is carried out."""
    explore: Tensor
    """``[E, action_dim]`` standard normal: what is added to it."""

    @classmethod
    def empty(
        cls,
        num_envs: int,
        horizon: int,
        iterations: int,
        candidates: int,
        pi_trajs: int,
        elites: int,
        action_dim: int,
        num_q: int,
        device: torch.device | str = "cpu",
    ) -> Self:
        """Makes it, with any numbers; the arguments are the sizes above."""

        def make(*shape: int) -> Tensor:
            return torch.empty(shape, device=device)

        return cls(
            heads=make(num_q),
            policy=make(horizon + 1, num_envs, pi_trajs, action_dim),
            candidates=make(iterations, horizon, num_envs, candidates, action_dim),
            last=make(iterations, num_envs, candidates, action_dim),
            race=make(num_envs, elites),
            explore=make(num_envs, action_dim),
        )

    def draw(self, generator: torch.Generator | None) -> Self:
        """Draws all anew, in place.

        Args:
            generator: Source, on the device of the tensors; None is the global one.

        Returns:
            Itself.
        """
        self.heads.uniform_(generator=generator)
        self.policy.normal_(generator=generator)
        for candidates, last in zip(self.candidates, self.last, strict=True):
            candidates.normal_(generator=generator)
            last.normal_(generator=generator)
        self.race.exponential_(generator=generator)
        self.explore.normal_(generator=generator)
        return self
