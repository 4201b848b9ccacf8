"""A small convolutional network, which reads images without anything to download."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHANNELS = (3, 32, 32, 32, 32)
KERNELS = ((7, 2), (5, 2), (3, 2), (3, 1))
"""Size and stride of each layer, those of TD-MPC2 (arXiv 2310.16828, appendix)."""


class CNN(nn.Module):
    """Convolutions with ReLU between them, and a LayerNorm at the end.

    Args:
        pixels: Side of the images.
        generator: Source of the initial weights (on the CPU); None is PyTorch's global one.

    Attributes:
        out_dim: Size of the output; 288 for images of 56 x 56.
    """

    def __init__(self, pixels: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.pixels = pixels
        self.layers = nn.ModuleList()
        side = pixels
        for (before, after), (kernel, stride) in zip(pairwise(CHANNELS), KERNELS, strict=True):
            layer = nn.Conv2d(before, after, kernel, stride)
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
            layer.bias = nn.Parameter(torch.zeros(after))
            self.layers.append(layer)
            side = (side - kernel) // stride + 1
        self.out_dim = CHANNELS[-1] * side * side
        self.norm = nn.LayerNorm(self.out_dim)

    def forward(self, image: Tensor) -> Tensor:
        """Reads images.

        Args:
            image: ``[..., 3 * pixels**2]``, red, green and blue one after the other, in [0, 255].

        Returns:
            ``[..., out_dim]``.
        """
        x = image.reshape(-1, 3, self.pixels, self.pixels).float() / 255 - 0.5
        for i, layer in enumerate(self.layers):
            x = layer(F.relu(x) if i else x)
        return self.norm(x.flatten(1)).unflatten(0, image.shape[:-1])
