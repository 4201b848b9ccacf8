"""The record of one task, its masks, and what can go wrong with it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from numbers import Integral, Real

import numpy as np

from miniarcade.episode import linear_score, linear_scores

MAX_OBS_DIM = 128
"""Length of a padded state observation: the largest of any task (Atari's RAM)."""

MAX_ACTION_DIM = 16
"""Length of a padded action (the largest in use is 12)."""

LARGEST = 1e18
"""Greatest magnitude of a reward or observation: its square still fits float32 (3.4e38)."""

NAMESPACE = "mmbench"

SPLITS = ("train", "test", "extra")

METRICS = ("return", "success", "none")

_KINDS: dict[str, type] = {"str": str, "int": Integral, "float": Real, "bool": bool}
"""What a field may hold, by its annotation; NumPy's numbers too."""


@dataclass(frozen=True, slots=True)
class Task:
    """Everything the benchmark says about one task, without its simulator.

    Attributes:
        name: The paper's name, such as ``walker-walk``. Versions share it.
        domain: Name of its :class:`mmbench.catalog.Domain`.
        split: ``train`` (200 tasks of the benchmark), ``test`` (20 held out) or ``extra`` (8 more
            that the benchmark defines but neither trains on nor tests with).
        instruction: Embodiment and action space, then the goal, in plain English.
        native: What the domain's adapter builds, in the simulator's own terms.
        obs_dim: Entries of the state observation before padding to 128. 0 where there is no
            state, only frames (never in the benchmark).
        action_dim: Entries of the action before padding to 16.
        max_episode_steps: Length of every episode, in agent steps (see ``terminates``).
        action_repeat: Native control steps per agent step.
        discount: The paper's discount factor, per agent step.
        score_metric: ``return`` (the episode's summed reward, mapped linearly),
            ``success`` (of the last step), or ``none`` (nobody has said what a good return is:
            the score is NaN, and the return is what to look at; never in the benchmark).
        score_low: Return at which the score is 0.
        score_high: Return at which the score is 1.
        score_clipped: Whether the score is clipped to [0, 1]. Where it is not, the reward's
            own range keeps it there.
        native_kwargs: Further settings for the adapter, as (name, value) pairs.
        version: 0 for the published task, 1 for a corrected one.
        differs: What a version above 0 changes, in one sentence; else empty.
        terminates: Whether an episode may end before its length (never in the benchmark).
    """

    name: str
    domain: str
    split: str
    instruction: str
    native: str
    obs_dim: int
    action_dim: int
    max_episode_steps: int
    action_repeat: int
    discount: float
    score_metric: str
    score_low: float
    score_high: float
    score_clipped: bool = True
    native_kwargs: tuple[tuple[str, str | float | bool], ...] = ()
    version: int = 0
    differs: str = ""
    terminates: bool = False

    @property
    def id(self) -> str:
        """The Gymnasium id, such as ``mmbench/walker-walk-v0``."""
        return f"{NAMESPACE}/{re.sub('[:/]', '-', self.name)}-v{self.version}"

    @property
    def versioned_name(self) -> str:
        """The name, with the version where it is not 0: ``ms-ant-run-v1``."""
        return self.name if self.version == 0 else f"{self.name}-v{self.version}"

    @property
    def has_success(self) -> bool:
        """Whether success is defined; elsewhere it is reported as NaN."""
        return self.score_metric == "success"

    @property
    def has_score(self) -> bool:
        """Whether a score is defined; elsewhere it is NaN."""
        return self.score_metric != "none"

    @property
    def problem(self) -> str:
        """What of the record is not possible, or empty."""
        for field in fields(self):
            value, kind = getattr(self, field.name), _KINDS.get(str(field.type), object)
            if not isinstance(value, kind):
                return f"{field.name} {value!r}: has to be {field.type}"
        checks = {
            f"split {self.split!r}: one of {', '.join(SPLITS)}": self.split in SPLITS,
            f"obs_dim {self.obs_dim}: 0 to {MAX_OBS_DIM}": 0 <= self.obs_dim <= MAX_OBS_DIM,
            f"action_dim {self.action_dim}: 1 to {MAX_ACTION_DIM}": (
                1 <= self.action_dim <= MAX_ACTION_DIM
            ),
            f"max_episode_steps {self.max_episode_steps}: at least 1": self.max_episode_steps >= 1,
            f"action_repeat {self.action_repeat}: at least 1": self.action_repeat >= 1,
            f"version {self.version}: at least 0": self.version >= 0,
            f"discount {self.discount}: above 0, at most 1": 0 < self.discount <= 1,
            f"score_metric {self.score_metric!r}: one of {', '.join(METRICS)}": (
                self.score_metric in METRICS
            ),
            f"score_low {self.score_low:g} has to be below score_high {self.score_high:g}": (
                self.score_metric != "return"
                or -math.inf < self.score_low < self.score_high < math.inf
            ),
            "it has no instruction": bool(self.instruction.strip()),
            "native is empty": bool(self.native),
            f"version {self.version}: `differs` has to say what it changes": (
                self.version == 0 or bool(self.differs)
            ),
        }
        return next((problem for problem, good in checks.items() if not good), "")

    def score(self, episode_return: float, success: float) -> float:
        """Maps an episode's return so far, or its last success, to the score in [0, 1].

        Args:
            episode_return: Undiscounted sum of rewards since the reset.
            success: Success of the last step: 0.0, 1.0, or NaN where the task has none.

        Returns:
            The normalised score (paper, section 4); NaN where the task defines none.
        """
        if self.score_metric == "success":
            return success
        if self.score_metric == "none":
            return math.nan
        return linear_score(episode_return, self.score_low, self.score_high, self.score_clipped)

    def scores(self, returns: np.ndarray, successes: np.ndarray) -> np.ndarray:
        """Maps returns and successes as :meth:`score` does, to the last bit."""
        if self.score_metric == "success":
            return successes
        if self.score_metric == "none":
            return np.full(len(returns), math.nan)
        return linear_scores(returns, self.score_low, self.score_high, self.score_clipped)


def is_usable(values: np.ndarray) -> np.ndarray:
    """Tells which numbers of an environment can be used: those of at most :data:`LARGEST`."""
    return np.abs(values) <= LARGEST


def action_mask(task: Task) -> np.ndarray:
    """Returns ``(16,)`` float32: 1 for the task's own action entries, else 0."""
    return (np.arange(MAX_ACTION_DIM) < task.action_dim).astype(np.float32)


def observation_mask(task: Task) -> np.ndarray:
    """Returns ``(128,)`` float32: 1 for the task's own observation entries, else 0."""
    return (np.arange(MAX_OBS_DIM) < task.obs_dim).astype(np.float32)


class UnknownTaskError(ValueError):
    """No task, domain, preset or group has this name."""


class InvalidTaskError(ValueError):
    """A task or domain from outside that cannot be one, or a module that should bring it.

    Its name is taken, a number is out of range, an environment has other spaces than a task can
    have, its module cannot be imported.
    """


class TaskUnavailableError(RuntimeError):
    """A task exists and cannot run here: its simulator or an asset of it is missing."""


class EnvironmentFailure(RuntimeError):
    """An environment raised, hung, died with its process, or returned NaN or infinite numbers.

    Attributes:
        task: Name of its task.
        index: Its row in the vector environment.
        cause: What happened, with the worker's traceback where there is one.
        lost: Number of the worker process that was lost with it; -1 if none was.
    """

    def __init__(self, task: Task, index: int, cause: str, lost: int = -1) -> None:
        super().__init__(f"task {task.versioned_name!r} (environment {index}) {cause}")
        self.task = task.versioned_name
        self.index = index
        self.cause = cause
        self.lost = lost
