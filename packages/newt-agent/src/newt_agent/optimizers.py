"""What every learner keeps beside its weights: the state of optimizers, and whether it broke."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim import Optimizer

from newt_agent.tensors import entries


def optimizer_state(optimizers: Mapping[str, Optimizer]) -> dict[str, Tensor]:
    """Returns moments and step counts of optimizers, named ``<optimizer>/<parameter>/<slot>``."""
    return {
        f"{name}/{index}/{slot}": value
        for name, optimizer in optimizers.items()
        for index, slots in optimizer.state_dict()["state"].items()
        for slot, value in slots.items()
    }


def restore_optimizers(optimizers: Mapping[str, Optimizer], tensors: Mapping[str, Tensor]) -> None:
    """Brings back :func:`optimizer_state`; ``tensors`` may hold more."""
    for name, optimizer in optimizers.items():
        state: dict[int, dict[str, Tensor]] = {}
        for place, value in entries(tensors, name).items():
            index, _, slot = place.partition("/")
            state.setdefault(int(index), {})[slot] = value.clone()
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


class FiniteWatch:
    """Remembers which losses and gradients were ever NaN or infinite, without synchronising."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._finite: Tensor | None = None

    def see(self, numbers: Mapping[str, Tensor]) -> None:
        """Looks at the losses and gradients of an update: scalars, always of the same names."""
        finite = torch.isfinite(torch.stack(list(numbers.values())))
        self._names = list(numbers)
        self._finite = finite if self._finite is None else self._finite & finite

    @property
    def broken(self) -> list[str]:
        """Names of the numbers that were not finite; waits for the device."""
        finite = [] if self._finite is None else self._finite.tolist()
        return [name for name, good in zip(self._names, finite, strict=True) if not good]
