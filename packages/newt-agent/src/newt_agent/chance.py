"""What is random in a method: generators made from one seed, saved and brought back."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from newt_agent import ranks


def environment_seed(*entropy: int) -> int:
    """Returns the seed of the environments of this rank, from that of the run."""
    return _words(*entropy, *ranks.own_entropy())[0]


class Chance:
    """The generators of a method.

    Args:
        seed: The run's.
        device: Where noise is drawn.

    Attributes:
        numpy: Draws on the CPU: random actions, rows of a replay. Each rank has its own.
        torch: Draws the noise of updates, on the device; the same in all ranks.
        acting: Draws the noise of actions, on the device. Each rank has its own; where there is
            only one, it is ``torch``.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed = seed
        # The first of the three seeds is the environments'.
        self.numpy = np.random.default_rng(_words(seed, *ranks.own_entropy())[1])
        self.torch = self.acting = torch.Generator(device).manual_seed(_words(seed)[2])
        if ranks.count() > 1:
            self.acting = torch.Generator(device)
            self._reseed_acting(0)

    def state(self) -> dict[str, Tensor]:
        """Returns the states of all, as CPU tensors."""
        numpy_state = json.dumps(self.numpy.bit_generator.state).encode()
        state = {
            "chance/numpy": torch.tensor(list(numpy_state), dtype=torch.uint8),
            "chance/torch": self.torch.get_state(),
        }
        if self.acting is not self.torch:
            state["chance/acting"] = self.acting.get_state()
        return state

    def restore(self, state: Mapping[str, Tensor], step: int) -> str:
        """Brings back :meth:`state`.

        Args:
            state: What :meth:`state` returned; further keys are ignored.
            step: The checkpoint's step. Where the device is of another kind, it seeds the noise.

        Returns:
            Why the draws will differ from those of a run never stopped; empty if they will not.
        """
        self.numpy.bit_generator.state = json.loads(bytes(state["chance/numpy"].tolist()))
        if state["chance/torch"].shape == self.torch.get_state().shape:
            self.torch.set_state(state["chance/torch"])
            self.acting.set_state(state.get("chance/acting", self.acting.get_state()))
            return ""
        self._reseed_noise(step)
        return (
            "the checkpoint is from another kind of device, whose generator this one cannot go on "
            f"with: noise is drawn anew from step {step}, and the run will differ from one "
            "never stopped"
        )

    def begin_anew(self, step: int) -> None:
        """Seeds all for a run that goes on from a step, otherwise than it would have."""
        self.numpy = np.random.default_rng(_words(self._seed, step, *ranks.own_entropy())[1])
        self._reseed_noise(step)

    def _reseed_noise(self, step: int) -> None:
        self.torch.manual_seed(_words(self._seed, step)[0])
        if self.acting is not self.torch:
            self._reseed_acting(step)

    def _reseed_acting(self, step: int) -> None:
        self.acting.manual_seed(_words(self._seed, step, ranks.rank(), 1)[0])


def random_actions(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """Draws uniform actions.

    Args:
        rng: Source of chance.
        mask: [N, 16] bool.

    Returns:
        [N, 16] float32 in [-1, 1), 0 at masked entries.
    """
    return rng.uniform(-1.0, 1.0, mask.shape).astype(np.float32) * mask


def _words(*entropy: int) -> list[int]:
    """Three seeds."""
    return [int(word) for word in np.random.SeedSequence(entropy).generate_state(3)]
