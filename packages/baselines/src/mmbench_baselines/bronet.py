"""The networks of BRC: several residual networks at once, for tasks told apart by an embedding."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
