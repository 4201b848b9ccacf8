"""The two networks Newt is made of: an MLP, and an ensemble of MLPs as batched matmuls.

A hidden layer is linear, LayerNorm, Mish (arXiv 2511.19584, section 3). The first layer reads
up to three inputs: ``x``, an optional ``extra`` input (an action, or image features), and the
embedding of the task's instruction. Its weights are kept apart by input instead of
concatenating the inputs, which is the same function but lets the language part, which is
constant per task, be computed once per task (`language_term`), and lets ``x`` and ``extra``
broadcast against each other: one state with many candidate actions is multiplied once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

INIT_STD = 0.02


def simnorm(x: Tensor, group: int = 8) -> Tensor:
    """Simplicial normalisation: softmax over consecutive groups of the last dimension.

    Args:
        x: ``[..., n]`` with `n` a multiple of `group`.
        group: Entries per group.

    Returns:
        The same shape, in (0, 1), each group summing to 1.
    """
    groups = x.unflatten(-1, (-1, group))
    if x.device.type != "cpu":
        return groups.softmax(dim=-1).flatten(-2)
    # Over the second-last dimension of a transposed view, because the CPU kernel over a last
    # dimension of 8 is not vectorised: 12 times slower.
    return groups.transpose(-1, -2).softmax(dim=-2).transpose(-1, -2).flatten(-2)


class _MishOfMinus(torch.autograd.Function):
    """Mish of ``-x``, with one sigmoid.

    With ``s = sigmoid(x)``: ``tanh(softplus(-x)) = (1 - s^2) / (1 + s^2)``.
    """

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        s = x.sigmoid()
        ctx.save_for_backward(x, s)
        return torch.addcdiv(x, x, s.square().add_(1), value=-2)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> Tensor:
        x, s = ctx.saved_tensors
        square = s.square()
        inverse = (square + 1).reciprocal_()
        # The ratio is 2 * inverse - 1, and its slope -4 * square * (1 - s) * inverse^2.
        slope = torch.addcmul(square, square, s, value=-1).mul_(inverse).mul_(x)
        return slope.mul_(2).sub_(1).mul_(inverse).mul_(2).add_(1).mul_(grad)


def norm_mish(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``mish(layer_norm(x) * weight + bias)``, by the faster way on each device.

    Args:
        x: ``[..., n]``.
        weight: ``[n]``; or of more dimensions, if they broadcast to those of `x`.
        bias: The same.

    Returns:
        The same shape; mish is ``y * tanh(softplus(y))``.
    """
    # PyTorch's own mish takes an exp, a log1p and a tanh on a CPU: 4 times slower.
    by_hand = x.device.type == "cpu" and not torch.compiler.is_compiling()
    if by_hand:
        weight, bias = -weight, -bias
    if weight.ndim == 1:
        y = F.layer_norm(x, weight.shape, weight, bias)
    else:
        y = torch.addcmul(bias, F.layer_norm(x, x.shape[-1:]), weight)
    if not by_hand:
        return F.mish(y)
    if torch.is_grad_enabled():
        return _MishOfMinus.apply(y)
    s = y.sigmoid()
    return y.addcdiv_(y, s.mul_(s).add_(1), value=-2)


def sum_of_inputs(
    x: Tensor, weight_x: Tensor, extra: Tensor | None, weight_extra: Tensor | None, term: Tensor
) -> Tensor:
    """What a first layer makes of its inputs, ``x @ weight_x.T + extra @ weight_extra.T + term``.

    Args:
        x: ``[..., x_dim]``.
        weight_x: ``[n, x_dim]``.
        extra: ``[..., extra_dim]``; None for none.
        weight_extra: ``[n, extra_dim]``.
        term: ``[..., n]``.

    Returns:
        ``[..., n]``; the leading dimensions are those of the three inputs broadcast.
    """
    if extra is None or weight_extra is None:
        return F.linear(x, weight_x) + term
    if x.ndim == 1 or x.shape[:-1] != extra.shape[:-1]:
        return F.linear(x, weight_x) + F.linear(extra, weight_extra) + term
    # The second product is added while it is computed: one pass over memory less.
    h = F.linear(x.flatten(0, -2), weight_x)
    h.addmm_(extra.flatten(0, -2).to(h.dtype), weight_extra.t().to(h.dtype))  # autocast does not
    h = h.view(*x.shape[:-1], h.shape[-1])
    if torch.is_grad_enabled() or term.ndim > h.ndim:
        return h + term
    return h.add_(term)


def _parameter(*shape: int, generator: torch.Generator | None, zero: bool = False) -> nn.Parameter:
    weight = torch.zeros(*shape)
    if not zero:
        nn.init.trunc_normal_(weight, std=INIT_STD, generator=generator)
    return nn.Parameter(weight)


class MLP(nn.Module):
    """Hidden layers and a linear output, optionally normalised to a simplex.

    Args:
        x_dim: Size of the main input.
        extra_dim: Size of the second input, 0 for none.
        language_dim: Size of the task embedding, 0 for none.
        hidden: Sizes of the hidden layers, at least one.
        out_dim: Size of the output.
        simnorm_group: If not 0, the output is ``simnorm(layer_norm(.))`` in groups of this size.
        zero_last: Start with an output of 0.
        generator: Source of the initial weights (on the CPU); None is PyTorch's global one.
    """

    def __init__(
        self,
        x_dim: int,
        extra_dim: int,
        language_dim: int,
        hidden: Sequence[int],
        out_dim: int,
        *,
        simnorm_group: int = 0,
        zero_last: bool = False,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        first = hidden[0]
        self.simnorm_group = simnorm_group
        self.weight_x = _parameter(first, x_dim, generator=generator)
        self.weight_extra = _parameter(first, extra_dim, generator=generator) if extra_dim else None
        self.weight_language = (
            _parameter(first, language_dim, generator=generator) if language_dim else None
        )
        self.bias = nn.Parameter(torch.zeros(first))
        self.norms: Any = nn.ModuleList(nn.LayerNorm(size) for size in hidden)
        sizes = [*hidden, out_dim]
        self.linears = nn.ModuleList()
        for i in range(len(hidden)):
            linear = nn.Linear(sizes[i], sizes[i + 1])
            zero = zero_last and i == len(hidden) - 1
            linear.weight = _parameter(sizes[i + 1], sizes[i], generator=generator, zero=zero)
            nn.init.zeros_(linear.bias)
            self.linears.append(linear)
        if simnorm_group:
            self.norms.append(nn.LayerNorm(out_dim))

    def language_term(self, embedding: Tensor) -> Tensor:
        """What the embedding ``[..., language_dim]`` and the bias add to the first layer."""
        if self.weight_language is None:
            return self.bias
        return F.linear(embedding, self.weight_language, self.bias)

    def forward(self, x: Tensor, extra: Tensor | None, term: Tensor) -> Tensor:
        """Apply the network.

        Args:
            x: ``[..., x_dim]``.
            extra: ``[..., extra_dim]``, or None if the network has no second input.
            term: ``[..., hidden[0]]`` from `language_term`.

        Returns:
            ``[..., out_dim]``; the leading dimensions are those of the three broadcast.
        """
        h = sum_of_inputs(x, self.weight_x, extra, self.weight_extra, term)
        # One norm a linear layer, and after the last linear layer the one of the output, if any.
        for norm, linear in zip(self.norms, self.linears, strict=False):
            h = linear(norm_mish(h, norm.weight, norm.bias))
        if self.simnorm_group:
            h = simnorm(self.norms[-1](h), self.simnorm_group)
        return h


class MLPEnsemble(nn.Module):
    """Several MLPs with two hidden layers on one input, each layer one batched matmul.

    Args:
        num: Number of members.
        x_dim: Size of the main input.
        extra_dim: Size of the second input.
        language_dim: Size of the task embedding, 0 for none.
        hidden_dim: Size of both hidden layers.
        out_dim: Size of the output, which is 0 initially.
        dropout: Part of the first layer's outputs (before its norm) that training leaves out.
        generator: Source of the initial weights (on the CPU); None is PyTorch's global one.
    """

    def __init__(
        self,
        num: int,
        x_dim: int,
        extra_dim: int,
        language_dim: int,
        hidden_dim: int,
        out_dim: int,
        *,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.num = num
        self.dropout = dropout
        self.weight_x = _parameter(num, hidden_dim, x_dim, generator=generator)
        self.weight_extra = _parameter(num, hidden_dim, extra_dim, generator=generator)
        self.weight_language = (
            _parameter(num, hidden_dim, language_dim, generator=generator) if language_dim else None
        )
        self.bias = nn.Parameter(torch.zeros(num, hidden_dim))
        self.norm1_weight = nn.Parameter(torch.ones(num, hidden_dim))
        self.norm1_bias = nn.Parameter(torch.zeros(num, hidden_dim))
        self.weight2 = _parameter(num, hidden_dim, hidden_dim, generator=generator)
        self.bias2 = nn.Parameter(torch.zeros(num, hidden_dim))
        self.norm2_weight = nn.Parameter(torch.ones(num, hidden_dim))
        self.norm2_bias = nn.Parameter(torch.zeros(num, hidden_dim))
        self.weight3 = _parameter(num, out_dim, hidden_dim, generator=generator, zero=True)
        self.bias3 = nn.Parameter(torch.zeros(num, out_dim))

    def language_term(self, embedding: Tensor) -> Tensor:
        """What the embedding ``[..., language_dim]`` and the bias add: ``[..., num, hidden]``."""
        if self.weight_language is None:
            return self.bias
        term = F.linear(embedding, self.weight_language.flatten(0, 1), self.bias.flatten())
        return term.unflatten(-1, self.bias.shape)

    def forward(
        self,
        x: Tensor,
        extra: Tensor,
        term: Tensor,
        heads: Tensor | None = None,
        detach: bool = False,
        kept: Tensor | None = None,
    ) -> Tensor:
        """Apply the members.

        Args:
            x: ``[..., x_dim]``.
            extra: ``[..., extra_dim]``.
            term: ``[..., num, hidden_dim]`` from `language_term`.
            heads: Indices of the members to compute; None is all.
            detach: Let gradients reach the inputs but not the weights.
            kept: ``[..., num or len(heads), hidden_dim]``, 1 where training keeps an output of
                the first layer, 0 where it drops it; None keeps all.

        Returns:
            ``[num or len(heads), ..., out_dim]``; the leading dimensions are those of the three
            inputs broadcast.
        """

        def pick(parameter: Tensor) -> Tensor:
            parameter = parameter.detach() if detach else parameter
            return parameter if heads is None else parameter.index_select(0, heads)

        weight_x, weight_extra = pick(self.weight_x), pick(self.weight_extra)
        num, hidden = weight_x.shape[:2]
        if heads is not None:
            term = term.index_select(-2, heads)
        # The input is common to all members, so the first layer is one plain matmul.
        weight_x, weight_extra = weight_x.flatten(0, 1), weight_extra.flatten(0, 1)
        h = sum_of_inputs(x, weight_x, extra, weight_extra, term.flatten(-2))
        lead = h.shape[:-1]
        h = h.view(-1, num, hidden)
        if kept is not None:
            h = h * kept.reshape(h.shape) / (1.0 - self.dropout)
        h = norm_mish(h, pick(self.norm1_weight), pick(self.norm1_bias)).transpose(0, 1)
        h = torch.baddbmm(pick(self.bias2)[:, None], h, pick(self.weight2).transpose(1, 2))
        h = norm_mish(h, pick(self.norm2_weight)[:, None], pick(self.norm2_bias)[:, None])
        h = torch.baddbmm(pick(self.bias3)[:, None], h, pick(self.weight3).transpose(1, 2))
        return h.view(num, *lead, h.shape[-1])
