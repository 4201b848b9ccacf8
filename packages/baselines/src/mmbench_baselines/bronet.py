"""The networks of BRC: several residual networks at once, for tasks told apart by an embedding."""

from __future__ import annotations

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from newt_agent.maths import bounded_log_std, squashed_log_prob
from newt_agent.task_module import TaskModule, TaskTables

CRITIC_DEPTH, ACTOR_DEPTH, ACTOR_WIDTH = 2, 1, 256
LEARNED_DIM = 32
"""Entries of a task's learned vector."""
NUM_BINS, LARGEST_VALUE = 101, 10.0
"""Values lie on bins between minus and plus this, evenly."""
LOG_STD = (-10.0, 2.0)


class Dense(nn.Module):
    """Several linear layers as one batched matmul, orthogonal with a gain of sqrt(2).

    Args:
        num: How many.
        inputs: Size of the input.
        outputs: Size of the output.
        generator: Source of the initial weights (on the CPU); None is PyTorch's global one.
    """

    def __init__(
        self, num: int, inputs: int, outputs: int, generator: torch.Generator | None
    ) -> None:
        super().__init__()
        weight = torch.empty(num, outputs, inputs)
        for each in weight:
            nn.init.orthogonal_(each, gain=math.sqrt(2), generator=generator)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(num, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[num, batch, inputs]`` to ``[num, batch, outputs]``."""
        return torch.baddbmm(self.bias[:, None], x, self.weight.transpose(1, 2))


class Norm(nn.Module):
    """LayerNorm, with a scale and a shift of each of several networks."""

    def __init__(self, num: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num, 1, size))
        self.bias = nn.Parameter(torch.zeros(num, 1, size))

    def forward(self, x: Tensor) -> Tensor:
        """Normalises ``[num, batch, size]``."""
        return torch.addcmul(self.bias, F.layer_norm(x, x.shape[-1:]), self.weight)


class BroNet(nn.Module):
    """Several residual networks on one input.

    Dense, LayerNorm and ReLU; then blocks of Dense, LayerNorm, ReLU, Dense and LayerNorm, to whose
    output their input is added; then a linear layer.

    Args:
        num: How many.
        x_dim: Size of the input.
        task_dim: Size of the task's embedding, which is a second input.
        width: Of all layers.
        depth: Number of blocks.
        out_dim: Size of the output.
        generator: Source of the initial weights (on the CPU); None is PyTorch's global one.
    """

    def __init__(
        self,
        num: int,
        x_dim: int,
        task_dim: int,
        width: int,
        depth: int,
        out_dim: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.x_dim = x_dim
        self.first = Dense(num, x_dim + task_dim, width, generator)
        self.norm = Norm(num, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                Dense(num, width, width, generator),
                Norm(num, width),
                nn.ReLU(),
                Dense(num, width, width, generator),
                Norm(num, width),
            )
            for _ in range(depth)
        )
        self.last = Dense(num, width, out_dim, generator)

    def task_term(self, embedding: Tensor) -> Tensor:
        """What embeddings ``[rows, task_dim]`` add to the first layer: ``[rows, num, width]``.

        So each task's is multiplied once, however many rows of a batch have the task.
        """
        weight, bias = self.first.weight[..., self.x_dim :], self.first.bias
        return F.linear(embedding, weight.flatten(0, 1), bias.flatten()).unflatten(-1, bias.shape)

    def forward(self, x: Tensor, term: Tensor) -> Tensor:
        """Applies the networks.

        Args:
            x: ``[batch, x_dim]``.
            term: ``[batch, num, width]`` from :meth:`task_term`.

        Returns:
            ``[num, batch, out_dim]``.
        """
        weight = self.first.weight[..., : self.x_dim].flatten(0, 1)
        h = (F.linear(x, weight).view_as(term) + term).transpose(0, 1)
        h = F.relu(self.norm(h))
        for block in self.blocks:
            h = h + block(h)
        return self.last(h)


class Critic(BroNet):
    """Two networks that predict values, and the tasks' learned vectors if there are any."""

    def __init__(
        self,
        learned: int,
        x_dim: int,
        task_dim: int,
        width: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(2, x_dim, task_dim, width, CRITIC_DEPTH, NUM_BINS, generator)
        vectors = torch.randn(learned, LEARNED_DIM, generator=generator)
        self.vectors = nn.Parameter(vectors) if learned else None


class ActorCritic(TaskModule):
    """The actor, two critics and their target networks.

    Args:
        width: Of the critics.
        tables: Task embeddings, action and observation masks; see :class:`TaskModule`. Embeddings
            of 0 entries are learned vectors.
        generator: Source of the initial weights (on the CPU); None is PyTorch's global one.
    """

    bins: Tensor

    def __init__(
        self, width: int, tables: TaskTables, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(*tables)
        self.width = width
        obs_dim, action_dim = self.observation_mask.shape[1], self.action_mask.shape[1]
        language = self.task_embeddings.shape[1]
        task_dim = language or LEARNED_DIM
        self.actor = BroNet(
            1, obs_dim, task_dim, min(width, ACTOR_WIDTH), ACTOR_DEPTH, 2 * action_dim, generator
        )
        learned = 0 if language else self.num_tasks
        self.critic = Critic(learned, obs_dim + action_dim, task_dim, width, generator)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        bins = torch.linspace(-LARGEST_VALUE, LARGEST_VALUE, NUM_BINS)
        self.register_buffer("bins", bins, persistent=False)

    def embeddings(self, critic: Critic) -> Tensor:
        """What tells the tasks apart, ``[tasks, entries]``; learned vectors have norm 1."""
        if critic.vectors is None:
            return self.task_embeddings
        return F.normalize(critic.vectors, dim=1)

    def sample_action(
        self, obs: Tensor, task: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Samples actions of the policy, a Gaussian squashed by a tanh.

        Args:
            obs: ``[batch, 128]``.
            task: ``[batch]``, indices.
            generator: Source of the noise, on the model's device.

        Returns:
            The action ``[batch, 16]`` and the mode of the Gaussian squashed, 0 at masked entries,
            and the log-density of the action over the others ``[batch]``.
        """
        table = self.embeddings(self.critic).detach()  # learned by the critic alone
        term = self.per_task(self.actor.task_term, task, table)
        mask = self.action_mask[task]
        seen = torch.where(self.observation_mask[task], obs, 0.0)
        mean, raw = self.actor(seen, term).squeeze(0).chunk(2, dim=-1)
        log_std = bounded_log_std(raw, *LOG_STD)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        # Selections, not products: 0 * NaN is NaN.
        before = torch.where(mask, mean + log_std.exp() * noise, 0.0)
        log_prob = squashed_log_prob(noise, log_std, before, mask)
        return torch.tanh(before), torch.tanh(torch.where(mask, mean, 0.0)), log_prob

    def logits(self, obs: Tensor, action: Tensor, task: Tensor, target: bool = False) -> Tensor:
        """Predicts returns of divided rewards.

        Args:
            obs: ``[batch, 128]``.
            action: ``[batch, 16]``.
            task: ``[batch]``, indices.
            target: Use the target networks.

        Returns:
            Logits of the bins, ``[2, batch, bins]``.
        """
        critic = self.target_critic if target else self.critic
        term = self.per_task(critic.task_term, task, self.embeddings(critic))
        seen = torch.where(self.observation_mask[task], obs, 0.0)
        done = torch.where(self.action_mask[task], action, 0.0)
        return critic(torch.cat([seen, done], dim=-1), term)

    @torch.no_grad()
    def update_target(self, tau: float) -> None:
        """Moves the target critics a fraction ``tau`` towards the others."""
        target, online = self.target_critic.parameters(), self.critic.parameters()
        torch._foreach_lerp_(list(target), list(online), tau)
