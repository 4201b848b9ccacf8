"""Batches of noise to learn from."""

import torch

from newt_agent.losses import Batch


def noise_batch(steps: int, rows: int = 16, seed: int = 1) -> Batch:
    """Windows of so many steps, of two tasks in turn."""
    generator = torch.Generator().manual_seed(seed)
    return Batch(
        obs=torch.randn(steps + 1, rows, 128, generator=generator),
        action=torch.rand(steps, rows, 16, generator=generator) * 2 - 1,
        reward=torch.rand(steps, rows, generator=generator),
        task=torch.arange(rows) % 2,
    )
