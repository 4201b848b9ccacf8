"""The tables of tasks that every network carries."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmbench.catalog import Task, action_mask, observation_mask
from newt_agent.task_input import task_vectors

TaskTables = tuple[Tensor, Tensor, Tensor]
"""Embeddings, action mask and observation mask: the arguments of :class:`TaskModule`."""
TABLES = ("task_embeddings", "action_mask", "observation_mask")
"""Their names in a module, and in a checkpoint."""


class TaskModule(nn.Module):
    """A network that knows its tasks by three tables, frozen and saved with the weights.

    Args:
        task_embeddings: ``[tasks, language]`` float, one instruction embedding a task;
            ``[tasks, 0]`` for a model without language, and for one that tells tasks apart by their
            numbers the identity matrix.
        action_mask: ``[tasks, action_dim]``, nonzero where the task uses the entry.
        observation_mask: ``[tasks, obs_dim]``, the same for observations.

    Raises:
        ValueError: A table has another shape.
    """

    task_embeddings: Tensor
    action_mask: Tensor
    observation_mask: Tensor

    def __init__(
        self, task_embeddings: Tensor, action_mask: Tensor, observation_mask: Tensor
    ) -> None:
        super().__init__()
        if task_embeddings.ndim != 2:
            raise ValueError(
                f"task_embeddings must be [tasks, language], not {list(task_embeddings.shape)}"
            )
        tasks = len(task_embeddings)
        for name, mask in (("action_mask", action_mask), ("observation_mask", observation_mask)):
            if mask.ndim != 2 or len(mask) != tasks:
                wanted = [tasks, *mask.shape[1:2]]
                raise ValueError(f"{name} must be {wanted}, not {list(mask.shape)}")
        self.register_buffer("task_embeddings", task_embeddings.detach().float().clone())
        self.register_buffer("action_mask", action_mask != 0)
        self.register_buffer("observation_mask", observation_mask != 0)

    def add_tasks(
        self, task_embeddings: Tensor, action_mask: Tensor, observation_mask: Tensor
    ) -> None:
        """Adds rows to the tables, as of the constructor; the weights stay.

        A part that holds something of each task has a method ``add_tasks`` itself, which takes how
        many there are more.
        """
        new = task_embeddings.float(), action_mask != 0, observation_mask != 0
        for name, rows in zip(TABLES, new, strict=True):
            own = getattr(self, name)
            setattr(self, name, torch.cat([own, rows.to(own.device)]))
        for part in self.children():
            if callable(grow := getattr(part, "add_tasks", None)):
                grow(len(task_embeddings))

    @property
    def num_tasks(self) -> int:
        """Rows of the task table."""
        return self.task_embeddings.shape[0]

    def per_task(
        self, function: Callable[[Tensor], Tensor], task: Tensor, table: Tensor | None = None
    ) -> Tensor:
        """Applies a function of the task's embedding, once a task where that is cheaper.

        Args:
            function: From ``[rows, language]`` to ``[rows, ...]``, such as the language part of a
                network's first layer. Without language it returns what all tasks share.
            task: Indices, any shape.
            table: ``[tasks, entries]``, learned embeddings; by default those of the instructions.

        Returns:
            ``[*task, ...]``.
        """
        table = self.task_embeddings if table is None else table
        if table.shape[1] == 0:
            return function(table)
        if task.numel() < self.num_tasks:
            return function(table[task])
        table = function(table)
        # An embedding's gradient is summed per task at once; that of an index row by row.
        return F.embedding(task, table.flatten(1)).unflatten(-1, table.shape[1:])

    @property
    def num_parameters(self) -> int:
        """Trained parameters: without target networks and frozen tables."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


def task_tables(tasks: Sequence[Task], encoder: str) -> TaskTables:
    """Makes the tables of a :class:`TaskModule` for tasks of the benchmark.

    Args:
        tasks: The tasks, in the order of the rows.
        encoder: Text encoder of the instructions; or one of the other ``TASK_INPUTS``.

    Raises:
        EncoderUnavailableError: An instruction is new, and the encoder is not here.
    """
    return torch.from_numpy(task_vectors(tasks, encoder)), *task_masks(tasks)


def task_masks(tasks: Sequence[Task]) -> tuple[Tensor, Tensor]:
    """Makes the masks of a :class:`TaskModule`, of actions and of observations."""
    return (
        torch.from_numpy(np.stack([action_mask(task) for task in tasks])),
        torch.from_numpy(np.stack([observation_mask(task) for task in tasks])),
    )
