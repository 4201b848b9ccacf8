"""What the methods share that learn from a replay of all tasks."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
import tyro
from torch import Tensor

from mmbench.catalog import Task
from mmbench.runs import RunError
from newt_agent import ranks
from newt_agent.chance import Chance, random_actions
from newt_agent.config import RunConfig
from newt_agent.method import LOG_EVERY_UPDATES, Method, Step
from newt_agent.replay import Replay, Weighting, bytes_per_row
from newt_agent.settings import Range
from newt_agent.system import memory_bytes
from newt_agent.tensors import entries
from newt_agent.vision import NO_IMAGE, ImageFormat

MOST_ROWS = 10_000_000
"""Of the replay by default, as in the paper."""
Rows = Annotated[Annotated[int, Range(1, 10**12)] | None, tyro.conf.arg(metavar="INT")]
"""The type of the setting ``replay_capacity``."""
MOST_UPDATES = 20
"""Most updates in one call of `learn`: between calls the loop can stop."""


@dataclass(frozen=True)
class OffPolicyConfig(RunConfig):
    """Settings of a run that learns from a replay."""

    batch_size: Annotated[int, Range(1, 2**20)] = 1024
    """Steps in a batch, each with those that follow it where the method looks at several."""
    seed_steps: Annotated[int, Range(0, 10**12)] = 1_000_000
    """Steps with random actions, before the first update."""
    replay_capacity: Rows = None
    """Rows of the replay, over all environments; by default 10M, in 1/4 of the memory at most."""
    replay_device: Literal["auto", "cpu", "cuda"] = "auto"
    """Whose memory holds the replay: auto is where the agent computes."""
    overlap: bool = False
    """Take updates while the environments step: actions are chosen a step before them."""
    sampling: Weighting = "task"
    """What counts equally in a batch: tasks, transitions, or episodes as in the published code."""

    fixed = (*RunConfig.fixed, "replay_capacity")


class OffPolicyMethod(Method):
    """Acts at random at first; then takes updates, as many as :meth:`due` says.

    A subclass says how many are due, and what an update is; its settings are an
    :class:`OffPolicyConfig`.

    Args:
        config: As of :class:`Method`.
        agent: The same.
        rows: The same.

    Attributes:
        replay: What is learned from.
        share: The part of each batch that this rank samples: by how many environments it has.
    """

    replay: Replay

    def __init__(self, config: Any, agent: Any, rows: Tensor) -> None:
        self.config = config
        self.agent = agent
        self.updates = 0
        action_mask = agent.model.action_mask
        where = replay_device(config, agent.device.type)
        self.share = ranks.Share.of(config.batch_size, len(rows))
        self._num_envs = num_envs = sum(ranks.gather(len(rows)))
        self.replay = Replay(
            config.replay_capacity // num_envs * len(rows),
            len(rows),
            self.horizon(config),
            rows,
            agent.model.observation_mask.shape[1],
            action_mask.shape[1],
            agent.device if where == agent.device.type else where,
            config.sampling,
            agent.device,
            self.keeps_terminations,
            self.image(config),
        )
        self._rows = rows
        self._action_mask = action_mask[rows].cpu().numpy()
        self._chance = Chance(config.seed, agent.device)

    @classmethod
    def horizon(cls, config: Any) -> int:
        """Steps in a row that an update looks at."""
        return 1

    @property
    def keeps_terminations(self) -> bool:
        """Whether an update looks at which steps ended their episode."""
        return False

    @classmethod
    def image(cls, config: Any) -> ImageFormat:
        """What an observation holds of a frame."""
        return NO_IMAGE

    @abstractmethod
    def due(self, step: int) -> int:
        """Updates of the run's first ``step`` steps."""

    @abstractmethod
    def update(self) -> dict[str, Tensor]:
        """Takes one update from a sample of the replay; ``updates`` counts it afterwards.

        Returns:
            Scalars to log, on the device: nothing waits for it.
        """

    @classmethod
    def complete(cls, config: Any, tasks: Sequence[Task], device: str) -> Any:
        if config.replay_capacity is not None:
            return config
        rows = rows_that_fit(replay_device(config, device), cls.image(config).bytes)
        capacity = min(MOST_ROWS, rows * ranks.count())
        return dataclasses.replace(config, replay_capacity=capacity)

    @classmethod
    def check(cls, config: Any, tasks: Sequence[Task], device: str) -> None:
        """Checks that there is something to learn from when updates begin, and room for it.

        Raises:
            RunError: A setting does not fit.
        """
        num_envs, horizon = len(tasks) * config.envs_per_task, cls.horizon(config)
        if config.steps and config.seed_steps < horizon * num_envs:
            raise RunError(
                f"seed_steps={config.seed_steps}: at least {horizon * num_envs}, so that each of "
                f"{num_envs} environments has taken the {horizon} steps that an update looks at"
            )
        if config.steps and config.seed_steps >= config.steps:
            raise RunError(
                f"seed_steps={config.seed_steps}: has to be less than steps={config.steps}, or "
                "nothing is learned; give a smaller --seed-steps"
            )
        if config.overlap and config.num_workers == 0:
            raise RunError(
                "overlap: with num_workers=0 environments step in this process; give another number"
            )
        rows, capacity = num_envs * 2 * (horizon + 1), config.replay_capacity
        if capacity < rows:
            raise RunError(
                f"replay_capacity={capacity}: at least {rows}, two windows of {horizon} "
                f"transitions of each of {num_envs} environments"
            )
        device = replay_device(config, device)
        row_bytes = bytes_per_row(image_bytes=cls.image(config).bytes)
        size, memory = capacity * row_bytes // ranks.count(), memory_of_rank(device)
        if size > memory:
            raise RunError(
                f"replay_capacity={capacity}: these rows take {size / 2**30:,.0f} GiB, and this "
                f"{'GPU' if device == 'cuda' else 'machine'} has {memory / 2**30:,.0f} GiB"
                f"{' for each process' if ranks.count() > 1 else ''}"
            )

    def begin(self, obs: np.ndarray) -> None:
        self.replay.start(torch.from_numpy(obs), np.ones(len(obs), bool))

    def act(self, obs: np.ndarray, first: np.ndarray, step: int) -> np.ndarray:
        if step < self.config.seed_steps:
            return random_actions(self._chance.numpy, self._action_mask)
        return self.agent.act_on(obs, self._rows, first, True, self._chance.acting)

    def remember(self, step: Step) -> None:
        self.replay.add(
            torch.from_numpy(step.next_obs),
            torch.from_numpy(step.action),
            torch.from_numpy(step.reward).float(),
            where=step.valid,
            terminated=step.terminated,
        )
        if step.done.any():
            self.replay.start(torch.from_numpy(step.reset_obs), step.done)

    def learn(self, step: int) -> dict[str, Tensor] | None:
        due = min(self.due(step), self.updates + MOST_UPDATES)
        latest = None
        while self.updates < due:
            metrics = self.update()
            self.updates += 1
            if self.updates % LOG_EVERY_UPDATES == 0:
                latest = metrics
        return latest

    @property
    def overlaps(self) -> bool:
        return bool(self.config.overlap)

    def behind(self, step: int) -> bool:
        # What the last step made due is done during the next one, if there is one.
        lag = self._num_envs if self.overlaps and step < self.config.steps else 0
        return self.updates < self.due(step - lag)

    def summary(self) -> str:
        rows = self.replay.rows_per_env * self.replay.num_envs
        size = rows * self.replay.row_bytes / 2**30
        where = "the GPU's memory" if self.replay.device.type == "cuda" else "memory"
        return f"the replay holds {rows:,} rows, up to {size:,.2f} GiB of {where}"

    def state(self) -> dict[str, Tensor]:
        replay = {f"replay/{name}": value for name, value in self.replay.state_dict().items()}
        return replay | self._chance.state()

    def restore(self, state: dict[str, Tensor], step: int) -> str:
        own = entries(state, "replay")
        self.replay.load_state_dict(own or self.replay.state_dict())
        if own:
            return self._chance.restore(state, step)
        self._chance.begin_anew(step)
        return ""


def rows_that_fit(device: str, image_bytes: int = 0) -> int:
    """Rows of a replay buffer that take a quarter of the memory that this rank has."""
    return memory_of_rank(device) // 4 // bytes_per_row(image_bytes=image_bytes)


def memory_of_rank(device: str) -> int:
    """Returns the memory of this rank's GPU, or its part of the machine's."""
    return memory_bytes(device) // (1 if device == "cuda" else ranks.local_count())


def replay_device(config: OffPolicyConfig, device: str) -> str:
    """Returns ``cpu`` or ``cuda``, where the replay lies.

    Raises:
        RunError: A GPU was asked for, and the agent does not compute there.
    """
    if config.replay_device == "cuda" and device != "cuda":
        raise RunError(f"replay_device=cuda: the agent computes on the {device}; use auto or cpu")
    return device if config.replay_device == "auto" else config.replay_device
