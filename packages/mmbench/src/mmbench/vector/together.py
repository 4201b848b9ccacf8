"""Environments of one task that step together, as arrays, where their domain can do that."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from mmbench.domains.simulator import VectorSimulator
from mmbench.env import TaskEnv
from mmbench.vector.arrays import SharedArrays

LEAST = 10
"""Environments of a task from which arrays are faster (docs/results/speed.md)."""


class Team:
    """Environments of one task, whose episodes are held by arrays while they step together.

    Nothing else is to use the environments meanwhile: :meth:`release` gives them their episodes
    back, and the next step takes them again.

    Args:
        envs: The environments, by index.
        simulators: Their simulators as arrays.
        arrays: Where actions are read and everything else is written.
        begin: Starts the next episode of an environment in the step that ended the last one; None
            where that is left to a later step.
    """

    def __init__(
        self,
        envs: Mapping[int, TaskEnv],
        simulators: VectorSimulator,
        arrays: SharedArrays,
        begin: Callable[[int, TaskEnv], None] | None,
    ) -> None:
        self.rows = np.array(list(envs))
        self._envs = list(envs.values())
        self._task = self._envs[0].task
        self._simulators = simulators
        self._arrays = arrays
        self._begin = begin
        self._elapsed = np.zeros(len(envs), np.int64)
        self._returns = np.zeros(len(envs))
        self._unknown = np.full(len(envs), np.nan)
        self._holds = False
        self._broken = False  # an exception came in the middle of a step

    def step(self) -> bool:
        """Steps all.

        Returns:
            False where nothing was done, for they are to go one by one: one is to do something
            else than a step.
        """
        arrays, rows = self._arrays, self.rows
        if arrays.skip[rows].any() or arrays.over[rows].any():
            return False
        if not self._holds and not self._take():
            return False
        self._broken = True
        own = arrays.actions[rows, : self._task.action_dim]  # the parent has refused NaN
        rewards, successes = self._simulators.step(own.clip(-1.0, 1.0))
        if not self._task.has_success:
            successes = self._unknown
        self._elapsed += 1
        self._returns += rewards
        ended = self._elapsed >= self._task.max_episode_steps
        arrays.reward[rows], arrays.terminated[rows], arrays.truncated[rows] = rewards, False, ended
        arrays.score[rows] = self._task.scores(self._returns, successes)
        arrays.success[rows] = successes
        if ended.any():
            self._end(ended.nonzero()[0])
        self._write(arrays.state, slice(None))
        self._broken = False
        return True

    def release(self) -> None:
        """Gives the environments their episodes back; after an exception in a step there are none.

        An episode that is over stays over.
        """
        if not self._holds:
            return
        whole, self._broken = not self._broken, True
        for k, env in enumerate(self._envs):
            if whole:
                self._simulators.give(k, env.simulator)
                env.carry_on(int(self._elapsed[k]), float(self._returns[k]))
            else:
                env.carry_on(None)
        self._holds = self._broken = False

    def _take(self) -> bool:
        if any(env.elapsed < 0 for env in self._envs):
            return False
        for k, env in enumerate(self._envs):
            self._simulators.take(k, env.simulator)
            self._elapsed[k], self._returns[k] = env.elapsed, env.episode_return
        self._holds = True
        return True

    def _end(self, ended: np.ndarray) -> None:
        if self._begin is None:
            self._arrays.over[self.rows[ended]] = True
            return
        self._write(self._arrays.final_state, ended)
        for k in ended:
            env = self._envs[k]
            self._begin(int(self.rows[k]), env)
            self._simulators.take(k, env.simulator)
        self._elapsed[ended] = 0
        self._returns[ended] = 0.0

    def _write(self, states: np.ndarray | None, which: Any) -> None:
        assert states is not None
        states[self.rows[which], : self._task.obs_dim] = self._simulators.observe()[which]


def teams_of(
    envs: Mapping[int, TaskEnv],
    alone: Collection[int],
    arrays: SharedArrays,
    begin: Callable[[int, TaskEnv], None] | None,
) -> list[Team]:
    """Makes the teams of some environments.

    Args:
        envs: The environments, by index.
        alone: Indices of environments that step by themselves.
        arrays: As of :class:`Team`.
        begin: The same.

    Returns:
        One for each task that has enough environments, if its simulator can step as arrays.
    """
    by_task: dict[object, dict[int, TaskEnv]] = {}
    for i, env in envs.items():
        if i not in alone and type(env) is TaskEnv:
            by_task.setdefault(env.task, {})[i] = env
    teams = []
    for members in by_task.values():
        first = next(iter(members.values()))
        simulators = first.simulator.together(len(members)) if len(members) >= LEAST else None
        if simulators is not None:
            teams.append(Team(members, simulators, arrays, begin))
    return teams
