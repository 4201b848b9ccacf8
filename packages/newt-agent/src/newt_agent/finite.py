"""Refuses numbers that would ruin an agent, before it learns, saves or acts on them.

A reward or an observation that is not finite makes every weight NaN within an update or two. So
does one whose square overflows. Weights that are NaN stay NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from mmbench.catalog import LARGEST, Task, is_usable
from mmbench.runs import RunError


class BrokenAgentError(RunError):
    """A loss, a gradient, a weight or an action of the agent is NaN or infinite."""


class UnusableNumberError(RunError):
    """An environment returned a number that cannot be learned from."""


def check_numbers(tasks: Sequence[Task], reward: np.ndarray, *observations: np.ndarray) -> None:
    """Checks what environments returned.

    Args:
        tasks: The task of each environment.
        reward: [N], in the precision of the environments.
        observations: [N, 128] each.

    Raises:
        UnusableNumberError: A number is NaN or beyond `LARGEST`; the message names it, the task
            and the environment.
    """
    named = (("reward", reward[:, None]), *(("observation", obs) for obs in observations))
    for kind, values in named:
        usable = is_usable(values)
        if not usable.all():
            row, entry = np.argwhere(~usable)[0].tolist()
            place = f" in entry {entry}" if kind == "observation" else ""
            raise UnusableNumberError(
                f"task {tasks[row].versioned_name!r} (environment {row}) returned the {kind} "
                f"{values[row, entry]!s}{place}; the magnitude may be {LARGEST:g} at most"
            )


def non_finite(tensors: Mapping[str, Tensor]) -> dict[str, float]:
    """Finds tensors that hold NaN or infinity, with one such value each; waits for the device."""
    numbers = {n: t for n, t in tensors.items() if t.is_floating_point() and t.numel()}
    # Unlike a mask of the finite numbers, the least and the greatest take no memory.
    ends = [torch.stack(torch.aminmax(t.detach())) for t in numbers.values()]
    found = [pair.tolist() for pair in ends]  # of more than one device, it may be
    broken = {
        name: [end for end in pair if not math.isfinite(end)]
        for name, pair in zip(numbers, found, strict=True)
    }
    return {name: values[0] for name, values in broken.items() if values}
