"""What is random in a method: two generators, made from one seed, saved and brought back."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


def environment_seed(seed: int) -> int:
    """Returns the seed of a run's environments."""
    return int(np.random.SeedSequence(seed).generate_state(1)[0])


class Chance:
    """The generators of a method.

    Args:
        seed: The run's.
        device: Where the second one draws.

    Attributes:
        numpy: Draws on the CPU: random actions, rows of a replay.
        torch: Draws noise, on the device.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed = seed
        # The first of the three seeds is the environments'.
        _, sampler, noise = np.random.SeedSequence(seed).generate_state(3)
        self.numpy = np.random.default_rng(int(sampler))
        self.torch = torch.Generator(device).manual_seed(int(noise))

    def state(self) -> dict[str, Tensor]:
        """Returns the state of both, as CPU tensors."""
        numpy_state = json.dumps(self.numpy.bit_generator.state).encode()
        return {
            "chance/numpy": torch.tensor(list(numpy_state), dtype=torch.uint8),
            "chance/torch": self.torch.get_state(),
        }

    def restore(self, state: Mapping[str, Tensor], step: int) -> str:
        """Brings back :meth:`state`.

        Args:
            state: What :meth:`state` returned; further keys are ignored.
            step: The checkpoint's step. Where the device is of another kind, it seeds the noise.

        Returns:
            Why the draws will differ from those of a run never stopped; empty if they will not.
        """
        self.numpy.bit_generator.state = json.loads(bytes(state["chance/numpy"].tolist()))
        noise = state["chance/torch"]
        if noise.shape == self.torch.get_state().shape:
            self.torch.set_state(noise)
            return ""
        words = np.random.SeedSequence([self._seed, step]).generate_state(1)
        self.torch.manual_seed(int(words[0]))
        return (
            "the checkpoint is from another kind of device, whose generator this one cannot go on "
            f"with: noise is drawn anew from step {step}, and the run will differ from one "
            "never stopped"
        )


def random_actions(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """Draws uniform actions.

    Args:
        rng: Source of chance.
        mask: [N, 16] bool.

    Returns:
        [N, 16] float32 in [-1, 1), 0 at masked entries.
    """
    return rng.uniform(-1.0, 1.0, mask.shape).astype(np.float32) * mask
