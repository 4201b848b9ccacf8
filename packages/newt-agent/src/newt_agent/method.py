"""What the training loop asks of a method.

The loop (:mod:`newt_agent.train`) knows environments, evaluations, the run's folder, checkpoints,
resumption, signals, display and logging. A method knows how to act, what to remember, how to learn,
and its state. A step of the loop is::

    action = method.act(obs, first, step)
    method.remember(Step(obs, action, reward, next_obs, terminated, truncated, valid, reset_obs))
    method.learn(step)

A method is one file: its settings, a dataclass on top of :class:`newt_agent.config.RunConfig`; its
agent, what is evaluated and saved; and a :class:`Method`. docs/add_a_method.md shows one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmbench.catalog import Task
from newt_agent.agent import Agent
from newt_agent.config import RunConfig
from newt_agent.saved_rows import Rows

LOG_EVERY_UPDATES = 100
"""Updates between two reads of the losses: each read waits for the device."""


class Step(NamedTuple):
    """One step of all N environments."""

    obs: np.ndarray
    """``[N, 128]`` float32, what the action was chosen from."""
    action: np.ndarray
    """``[N, 16]`` float32, 0 at masked entries."""
    reward: np.ndarray
    """``[N]`` float64."""
    next_obs: np.ndarray
    """``[N, 128]`` float32, what the step led to; where an episode ended, its last observation."""
    terminated: np.ndarray
    """``[N]`` bool: a final state, after which there is no reward. Value 0."""
    truncated: np.ndarray
    """``[N]`` bool: the episode was cut by its time limit. The state has a value: bootstrap."""
    valid: np.ndarray
    """``[N]`` bool; False where an environment failed and was rebuilt: no step happened there, and
    the row is a stand-in. An episode ends and another begins."""
    reset_obs: np.ndarray
    """``[N, 128]`` float32, what the next action is chosen from: ``next_obs``, or where an episode
    ended the first observation of the next one."""

    @property
    def done(self) -> np.ndarray:
        """``[N]`` bool, where an episode ended."""
        return self.terminated | self.truncated


class Method(ABC):
    """A learning method. The first paragraph of its docstring heads its command line's help.

    Everything random comes from generators that are made from ``config.seed`` and saved by
    :meth:`state`; so a resumed run is bitwise the one that was never stopped, on a CPU.

    Args:
        config: Settings of the run, of the class ``config_class``.
        agent: What acts and learns: made by :meth:`create_agent`, or loaded from a checkpoint.
        rows: ``[N]`` int64, the row of the agent's task table of each environment.
    """

    name: ClassVar[str]
    """How command lines, entry points and checkpoints call it."""
    config_class: ClassVar[type[RunConfig]]
    """Its settings."""
    agent_class: ClassVar[type[Agent]]
    """What it trains."""
    presets: ClassVar[tuple[str, ...]] = ("machine",)
    """Names for :meth:`preset`; the first one is taken where no tasks are given."""
    learning_rate: ClassVar[str] = "--lr"
    """The flag of the learning rate."""
    learns_terminations: ClassVar[bool] = False
    """Whether episodes may end in a terminal state."""
    sees_frames: ClassVar[bool] = False
    """Whether its setting ``obs`` may be ``rgb`` and ``state+rgb``."""
    shared_state: ClassVar[tuple[str, ...]] = ()
    """Beginnings of the names in :meth:`state` that are the same in all ranks of a run. A method
    that names some can learn in several processes; see :mod:`newt_agent.ranks`."""
    offline: ClassVar[bool] = False
    """Whether it learns without acting; see :class:`OfflineMethod`."""

    agent: Agent
    updates: int
    """Gradient updates so far."""
    unfollowed: tuple[str, ...] = ()
    """Settings that this machine could not follow; a run with any keeps to no protocol."""
    replay: Rows | None = None
    """What is too large to be part of :meth:`state`: each row is saved once."""

    @abstractmethod
    def __init__(self, config: Any, agent: Any, rows: Tensor) -> None: ...

    @classmethod
    def preset(cls, name: str, device: str, num_tasks: int) -> RunConfig:
        """Returns the settings that a preset fills in.

        Args:
            name: One of ``presets``.
            device: ``cpu`` or ``cuda``; only ``machine`` depends on it.
            num_tasks: Number of tasks to train on.
        """
        return cls.config_class()

    @classmethod
    def complete(cls, config: Any, tasks: Sequence[Task], device: str) -> Any:
        """Returns the settings of a run, with those filled in that follow from others.

        They are stored so, and a resumed run goes on with them.

        Args:
            config: As given.
            tasks: The tasks to train on.
            device: ``cpu`` or ``cuda``.
        """
        return config

    @classmethod
    @abstractmethod
    def check(cls, config: Any, tasks: Sequence[Task], device: str) -> None:
        """Checks what settings ask of tasks and machine, before anything is built.

        Raises:
            RunError: A setting does not fit; the value and the way out are named.
        """

    @classmethod
    @abstractmethod
    def create_agent(cls, config: Any, tasks: Sequence[Task], device: torch.device) -> Agent:
        """Makes an untrained agent."""

    @classmethod
    def adapted(cls, config: Any, agent: Any) -> Agent:
        """Adapts the agent of a checkpoint to a run, and returns it."""
        adapted: Agent = agent
        return adapted

    @abstractmethod
    def begin(self, obs: np.ndarray) -> None:
        """Takes in the first observations, ``[N, 128]``, at the start of a run."""

    @abstractmethod
    def act(self, obs: np.ndarray, first: np.ndarray, step: int) -> np.ndarray:
        """Chooses actions to train with.

        Args:
            obs: ``[N, 128]``.
            first: ``[N]`` bool, where an episode starts.
            step: Agent steps taken before this one, summed over the environments.

        Returns:
            ``[N, 16]`` float32 in [-1, 1], 0 at masked entries.
        """

    @abstractmethod
    def remember(self, step: Step) -> None:
        """Stores a step."""

    @abstractmethod
    def learn(self, step: int) -> dict[str, Tensor] | None:
        """Takes the updates that are due.

        Args:
            step: Agent steps taken.

        Returns:
            Scalars to log, on the device; None after most calls, as reading them waits for it.
        """

    @abstractmethod
    def broken(self) -> list[str]:
        """Names of losses and gradients that were ever NaN or infinite; waits for the device."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Returns all that exact resumption needs besides the agent and the replay's rows.

        Called between two steps of the loop, never between :meth:`act` and :meth:`remember`.
        """

    @abstractmethod
    def restore(self, state: dict[str, Tensor], step: int) -> str:
        """Restores what :meth:`state` returned; the replay has its rows already.

        Args:
            state: CPU tensors; only the ``shared_state``, where a run goes on in another number of
                processes than saved it.
            step: Agent steps taken when it was saved.

        Returns:
            Why the run will differ from one never stopped, as a sentence; empty if it will not.
        """

    def behind(self, step: int) -> bool:
        """Whether :meth:`learn` has to be called again before the next step.

        A method that owes many updates takes some at each call; between calls the loop can stop.
        The answer must follow from what :meth:`state` saves.

        Args:
            step: Agent steps taken.
        """
        return False

    @property
    def overlaps(self) -> bool:
        """Whether :meth:`learn` is called while the environments step, in their own processes."""
        return False

    def phase(self) -> tuple[str, int, int] | None:
        """What goes on before the first step, for the display.

        Returns:
            Its name, how many updates of it are done, and how many there are; None where steps are
            taken.
        """
        return None

    def summary(self) -> str:
        """Returns what to say of the networks when a run starts, as a sentence; or nothing."""
        return ""

    def evaluated(self) -> Agent:
        """Returns the agent to evaluate; acting with it changes nothing of the training."""
        return self.agent


class OfflineMethod(Method):
    """A method that learns from what is there already: its settings are an ``OfflineConfig``.

    The loop only calls :meth:`learn`, which takes one update; the run is counted in updates.
    Environments are there for the evaluations alone.
    """

    offline = True
    learns_terminations = True

    @classmethod
    def check(cls, config: Any, tasks: Sequence[Task], device: str) -> None:
        """Finds nothing to check: there are no steps that would have to fit."""

    def begin(self, obs: np.ndarray) -> None:
        """Has no use for observations."""

    def act(self, obs: np.ndarray, first: np.ndarray, step: int) -> np.ndarray:
        """Is never called."""
        raise NotImplementedError(f"{self.name} learns without acting")

    def remember(self, step: Step) -> None:
        """Is never called."""
        raise NotImplementedError(f"{self.name} learns without acting")
