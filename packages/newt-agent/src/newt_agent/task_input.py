"""What tells an agent's tasks apart: their instructions, their numbers, or nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmbench.catalog import Task
from mmbench.language import ENCODERS, embed, encoder_dim

INDEX = "index"
"""A number for each task: a vector with a one, which a first layer makes a learned vector of."""
NOTHING = "none"
"""Nothing but what is observed."""
TASK_INPUTS = (*ENCODERS, INDEX, NOTHING)
"""The values of the setting ``encoder``: text encoders of instructions, and ablations."""


def reads_instructions(encoder: str) -> bool:
    """Whether tasks are told apart by their instructions, so that new ones can be added."""
    return encoder in ENCODERS


def task_vectors(tasks: Sequence[Task], encoder: str) -> np.ndarray:
    """Returns what the networks read of each task, ``[tasks, entries]`` float32.

    Args:
        tasks: The tasks.
        encoder: One of :data:`TASK_INPUTS`.

    Raises:
        EncoderUnavailableError: An instruction is new, and the text encoder is not here.
    """
    if reads_instructions(encoder):
        return embed([task.instruction for task in tasks], encoder=encoder)
    return np.eye(len(tasks), input_dim(encoder, len(tasks)), dtype=np.float32)


def input_dim(encoder: str, num_tasks: int) -> int:
    """Entries of the vector of each task."""
    if reads_instructions(encoder):
        return encoder_dim(encoder)
    return num_tasks if encoder == INDEX else 0
