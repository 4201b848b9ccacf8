"""The infos of the multitask vector environment, in the form that Gymnasium's own have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from miniarcade.vector.infos import final_infos, infos_of, infos_of_all
from mmbench.catalog import Task, action_mask, observation_mask
from mmbench.vector.arrays import SharedArrays


class Infos:
    """Makes infos of what lies in the shared arrays.

    Args:
        tasks: The task of each environment.
        content: ``score``, ``rng`` or ``full``, see :class:`mmbench.env.TaskEnv`.
        mode: When environments are reset.
        arrays: The shared arrays.
    """

    def __init__(
        self, tasks: Sequence[Task], content: str, mode: AutoresetMode, arrays: SharedArrays
    ) -> None:
        self._mode = mode
        self._arrays = arrays
        self._now = {"score": arrays.score, "success": arrays.success}
        self._last = {"score": arrays.final_score, "success": arrays.final_success}
        if content != "score":
            self._now["rng"], self._last["rng"] = arrays.rng, arrays.final_rng
        self._of_tasks: dict[str, np.ndarray] = {}
        if content == "full":
            self._of_tasks = {
                "task": np.array([task.name for task in tasks], object),
                "instruction": np.array([task.instruction for task in tasks], object),
                "action_mask": np.stack([action_mask(task) for task in tasks]),
                "observation_mask": np.stack([observation_mask(task) for task in tasks]),
            }
        self._everywhere = np.ones(len(tasks), bool)
        self._resets = np.zeros(len(tasks), bool)  # environments that the next step resets

    def of_reset(self, mask: np.ndarray) -> dict[str, Any]:
        """Infos of a reset of the environments of a mask (N,)."""
        self._resets[mask] = False
        return infos_of({**self._now, **self._of_tasks}, mask)

    def of_step(self, rows: slice, ended: np.ndarray) -> dict[str, Any]:
        """Infos of a step of some rows, (n,) of which have ended their episodes."""
        now = {name: column[rows].copy() for name, column in self._now.items()}
        infos = infos_of_all(now, self._everywhere[rows])
        if self._mode is AutoresetMode.SAME_STEP:
            if ended.any():
                last = self._last_observations(rows, ended)
                infos |= final_infos(last, _take(self._last, rows), ended)
                infos |= infos_of(_take(self._of_tasks, rows), ended)
        elif self._mode is AutoresetMode.NEXT_STEP:
            if self._resets[rows].any():
                infos |= infos_of(_take(self._of_tasks, rows), self._resets[rows])
            self._resets[rows] = ended
        return infos

    def _last_observations(self, rows: slice, ended: np.ndarray) -> list[Any]:
        parts = {
            name: array[rows][ended]
            for name, array in (
                ("state", self._arrays.final_state),
                ("rgb", self._arrays.final_frames),
            )
            if array is not None
        }
        if len(parts) == 1:
            return list(next(iter(parts.values())))
        return [{name: array[i] for name, array in parts.items()} for i in range(ended.sum())]


def _take(columns: dict[str, np.ndarray], rows: slice) -> dict[str, np.ndarray]:
    return {name: column[rows] for name, column in columns.items()}
