"""The replay buffer: it keeps every transition, and its size does not slow sampling down.

Each environment has a ring buffer of rows. An episode of T steps takes T + 1 consecutive rows; row
k holds the k-th observation and the action and reward that led to it (zeros in row 0). A sample is
a window of ``horizon + 1`` consecutive rows of one episode.

How often a window is sampled (the paper gives no weights):

* ``task``, the default: all environments equally often, and all windows of one. So a task with
  short episodes counts as much as one with long episodes.
* ``transition``: all windows equally often, whatever their task.
* ``episode``: all episodes equally often, and all windows of one, as in the published code. There a
  task with episodes of 25 steps is sampled 40 times more often than one with episodes of 1000.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from newt_agent.losses import Batch
from newt_agent.vision import NO_IMAGE, ImageFormat

Weighting = Literal["task", "transition", "episode"]
"""What counts equally in a sample."""

_MAX_TRIES = 1000
"""Even where only one window in ten lies within an episode, this many tries find one."""


def bytes_per_row(obs_dim: int = 128, action_dim: int = 16, image_bytes: int = 0) -> int:
    """Memory that a row takes: observation, action and reward in float32, its step, an image."""
    return 4 * (obs_dim + action_dim + 2) + image_bytes


class Steps(NamedTuple):
    """A batch of n-step sequences; shorter ones where an episode ends."""

    obs: Tensor
    """``[B, obs_dim]``, before the first of them."""
    action: Tensor
    """``[B, action_dim]``, of the first."""
    reward: Tensor
    """``[n, B]``, of each; 0 after the last."""
    length: Tensor
    """``[B]`` int64, how many there are; at least 1."""
    last_obs: Tensor
    """``[B, obs_dim]``, after the last."""
    task: Tensor
    """``[B]``, indices into the model's table."""


class NoWindowError(ValueError):
    """An environment's rows hold no window of one episode; ``environment`` is its number."""

    def __init__(self, environment: int, horizon: int) -> None:
        super().__init__(
            f"environment {environment} has taken no {horizon} steps in a row, or hardly ever: its "
            "episodes end too early"
        )
        self.environment = environment


class Replay:
    """A ring buffer of rows for each environment.

    Args:
        capacity: Rows in all, shared equally between the environments.
        num_envs: Number of environments.
        horizon: Transitions in a sampled window.
        task: [num_envs] int64, each environment's index into the model's task table.
        obs_dim: Size of a padded observation.
        action_dim: Size of a padded action.
        device: Where the rows are stored.
        weighting: What counts equally in a sample.
        sample_device: Where the samples go; None is where the rows are.
        terminations: Keep which steps ended their episode.
        image: What an observation holds of a frame, behind its first ``obs_dim`` entries.

    Raises:
        ValueError: The capacity is too small for one window an environment.
    """

    def __init__(
        self,
        capacity: int,
        num_envs: int,
        horizon: int,
        task: Tensor,
        obs_dim: int = 128,
        action_dim: int = 16,
        device: torch.device | str = "cpu",
        weighting: Weighting = "task",
        sample_device: torch.device | str | None = None,
        terminations: bool = False,
        image: ImageFormat = NO_IMAGE,
    ) -> None:
        self.rows_per_env = capacity // num_envs
        # With fewer, every window of a ring buffer could cross a reset.
        if self.rows_per_env < 2 * (horizon + 1):
            raise ValueError(
                f"capacity={capacity} leaves {self.rows_per_env} rows for each of {num_envs} "
                f"environments, fewer than two windows need ({2 * (horizon + 1)})"
            )
        self.num_envs = num_envs
        self.horizon = horizon
        self.weighting = weighting
        self.device = torch.device(device)
        self._sample_device = torch.device(sample_device or device)
        self._task = task.to(self._sample_device)
        size = num_envs * self.rows_per_env
        # The system provides the pages of zeros only when rows are written.
        self._obs = torch.zeros(size, obs_dim, device=self.device)
        self._action = torch.zeros(size, action_dim, device=self.device)
        self._reward = torch.zeros(size, device=self.device)
        self._columns = {"obs": self._obs, "action": self._action, "reward": self._reward}
        self._image = torch.zeros(size, image.entries, dtype=image.dtype, device=self.device)
        if image.entries:
            self._columns["image"] = self._image
        # The bookkeeping is on the CPU, so that nothing waits for a GPU.
        self._row_step = np.zeros((num_envs, self.rows_per_env), np.int32)  # of its episode
        self._terminated = np.zeros_like(self._row_step, bool) if terminations else None
        self._rows_written = np.zeros(num_envs, np.int64)
        self._steps_since_reset = np.zeros(num_envs, np.int32)
        self._episodes = _Episodes(num_envs, self.rows_per_env) if weighting == "episode" else None

    def __len__(self) -> int:
        """Rows held."""
        return int(np.minimum(self._rows_written, self.rows_per_env).sum())

    def start(self, obs: Tensor, where: np.ndarray) -> None:
        """Adds the first observations of new episodes.

        Args:
            obs: [num_envs, obs_dim], and an image behind it if there are any.
            where: [num_envs] bool, which environments start one.
        """
        zeros = torch.zeros(self.num_envs, self._action.shape[1])
        self._steps_since_reset[where] = 0
        if self._episodes is not None:
            self._episodes.begin(np.flatnonzero(where), self._rows_written)
        self._add(obs, zeros, torch.zeros(self.num_envs), np.flatnonzero(where))

    def add(
        self,
        obs: Tensor,
        action: Tensor,
        reward: Tensor,
        where: np.ndarray | None = None,
        terminated: np.ndarray | None = None,
    ) -> None:
        """Adds one step of every environment.

        Args:
            obs: As of :meth:`start`, the observations after the step; where an episode ended,
                its last one (call :meth:`start` next).
            action: [num_envs, action_dim], as executed.
            reward: [num_envs].
            where: [num_envs] bool, which environments took the step; None is all.
            terminated: [num_envs] bool, where it ended the episode; None is nowhere.
        """
        envs = np.arange(self.num_envs) if where is None else np.flatnonzero(where)
        self._steps_since_reset[envs] += 1
        self._add(obs, action, reward, envs, terminated)

    def _add(
        self,
        obs: Tensor,
        action: Tensor,
        reward: Tensor,
        envs: np.ndarray,
        terminated: np.ndarray | None = None,
    ) -> None:
        slot = self._rows_written[envs] % self.rows_per_env
        self._row_step[envs, slot] = self._steps_since_reset[envs]
        if self._terminated is not None:
            self._terminated[envs, slot] = False if terminated is None else terminated[envs]
        self._rows_written[envs] += 1
        if self._episodes is not None:
            self._episodes.forget(envs, self._rows_written)
        rows = torch.from_numpy(envs * self.rows_per_env + slot).to(self.device)
        chosen = torch.from_numpy(envs)
        state = self._obs.shape[1]
        self._obs[rows] = obs[chosen, :state].to(self.device)
        if "image" in self._columns:
            image = obs[chosen, state:].to(self._image.dtype)  # exact, and less to move
            self._image[rows] = image.to(self.device)
        self._action[rows] = action[chosen].to(self.device)
        self._reward[rows] = reward[chosen].to(self.device)

    def sample(self, batch_size: int, rng: np.random.Generator) -> Batch:
        """Samples windows; the cost does not depend on how many rows are held.

        Args:
            batch_size: Number of windows.
            rng: Source of chance.

        Returns:
            The windows, with obs [horizon + 1, batch, obs_dim], action and reward
            [horizon, batch, ...], task [batch]; images as they are stored, and terminated
            [horizon, batch], if there are any.

        Raises:
            NoWindowError: An environment holds no whole window, or next to none.
        """
        envs, starts = self._sample(batch_size, rng)
        offsets = np.arange(self.horizon + 1)[:, None]
        rows = envs * self.rows_per_env + (starts + offsets) % self.rows_per_env
        index = torch.from_numpy(rows).to(self.device, non_blocking=True)
        return Batch(
            obs=self._taken(self._obs, index),
            action=self._taken(self._action, index[1:]),
            reward=self._taken(self._reward, index[1:]),
            task=self._task_of(envs),
            image=self._taken(self._image, index) if "image" in self._columns else None,
            terminated=self._terminations_of(rows[1:]),
        )

    def sample_steps(self, batch_size: int, n: int, rng: np.random.Generator) -> Steps:
        """Samples steps, with those that follow each in its episode; for a replay of horizon 1.

        Every step is sampled equally often, the last ones of an episode too. A running episode
        ends here with its newest step.

        Args:
            batch_size: Number of steps.
            n: The most steps in a row, the sampled one included.
            rng: Source of chance.

        Raises:
            ValueError: Some environment has no step yet.
        """
        envs, starts = self._sample(batch_size, rng)
        offsets = np.arange(n + 1)[:, None]
        slots = (starts + offsets) % self.rows_per_env
        follows = self._row_step[envs, slots] == self._row_step[envs, slots[0]] + offsets
        follows &= starts + offsets < self._rows_written[envs]  # what lies there is not older
        # None follows again: a later episode is at an earlier step there.
        count = follows.sum(0) - 1
        rows = envs * self.rows_per_env + (starts + np.minimum(offsets, count)) % self.rows_per_env
        index = torch.from_numpy(rows).to(self.device, non_blocking=True)
        length = torch.from_numpy(count).to(self._sample_device, non_blocking=True)
        within = torch.arange(n, device=self._sample_device)[:, None] < length
        return Steps(
            obs=self._taken(self._obs, index[0]),
            action=self._taken(self._action, index[1]),
            reward=torch.where(within, self._taken(self._reward, index[1:]), 0.0),
            length=length,
            last_obs=self._taken(self._obs, index[-1]),
            task=self._task_of(envs),
        )

    def _taken(self, column: Tensor, index: Tensor) -> Tensor:
        """Some rows of a column, where samples go."""
        taken = column[index]
        if self._sample_device.type == self.device.type:
            return taken
        # From pinned memory a GPU copies while the host goes on.
        return taken.pin_memory().to(self._sample_device, non_blocking=True)

    def _terminations_of(self, rows: np.ndarray) -> Tensor | None:
        if self._terminated is None:
            return None
        ends = torch.from_numpy(self._terminated.reshape(-1)[rows])
        return ends.to(self._sample_device, non_blocking=True)

    def _task_of(self, envs: np.ndarray) -> Tensor:
        return self._task[torch.from_numpy(envs).to(self._sample_device, non_blocking=True)]

    def _sample(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Samples environments, and the row at which a window of each starts."""
        held = np.minimum(self._rows_written, self.rows_per_env)
        if held.min() <= self.horizon:
            raise NoWindowError(int(held.argmin()), self.horizon)
        chosen_envs = rng.integers(self.num_envs, size=count)
        chosen_starts = np.empty(count, np.int64)
        rejected = np.arange(count)
        for _ in range(_MAX_TRIES):
            envs = chosen_envs[rejected]
            if self.weighting == "task":
                # A window that would cross a reset is sampled again, from the same environment.
                oldest = self._rows_written[envs] - held[envs]
                starts = oldest + rng.integers(held[envs] - self.horizon)
            elif self._episodes is None:
                envs, within = _pick(held - self.horizon, len(envs), rng)
                starts = self._rows_written[envs] - held[envs] + within
            else:
                envs, starts = self._episodes.sample(
                    len(envs), self._rows_written, held, self.horizon, rng
                )
            last = self._row_step[envs, (starts + self.horizon) % self.rows_per_env]
            whole = (last >= self.horizon) & (starts + self.horizon < self._rows_written[envs])
            chosen_envs[rejected], chosen_starts[rejected] = envs, starts
            rejected = rejected[~whole]
            if not len(rejected):
                return chosen_envs, chosen_starts
        raise NoWindowError(int(chosen_envs[rejected[0]]), self.horizon)

    # Saving: the rows by themselves (see newt_agent.saved_rows), and what else there is

    @property
    def row_bytes(self) -> int:
        """Memory that a row takes."""
        image_bytes = self._image.shape[1] * self._image.element_size()
        return bytes_per_row(self._obs.shape[1], self._action.shape[1], image_bytes)

    @property
    def held(self) -> tuple[np.ndarray, np.ndarray]:
        """``[num_envs]`` each: the oldest row held, and how many were ever written."""
        return np.maximum(self._rows_written - self.rows_per_env, 0), self._rows_written.copy()

    def rows(self, begin: np.ndarray, end: np.ndarray) -> dict[str, Tensor]:
        """Returns copies of rows, on the CPU, one environment after the other.

        Args:
            begin: [num_envs], of each environment the first row, counted from its first ever.
            end: [num_envs], the one after the last.
        """
        places = self._places(begin, end)
        index = torch.from_numpy(places).to(self.device)
        rows = {name: column[index].cpu() for name, column in self._columns.items()}
        rows["row_step"] = torch.from_numpy(self._row_step.reshape(-1)[places])
        if self._terminated is not None:
            rows["terminated"] = torch.from_numpy(self._terminated.reshape(-1)[places])
        return rows

    def put_rows(self, begin: np.ndarray, end: np.ndarray, rows: dict[str, Tensor]) -> None:
        """Puts back what :meth:`rows` returned, older ones first; :meth:`load_state_dict` next.

        Raises:
            ValueError: The number of environments differs.
        """
        if len(end) != self.num_envs:
            raise ValueError(
                f"a replay of {len(end)} environments cannot be loaded into one of {self.num_envs}"
            )
        places = self._places(begin, end)
        index = torch.from_numpy(places).to(self.device)
        for name, column in self._columns.items():
            column[index] = rows[name].to(self.device)
        self._row_step.reshape(-1)[places] = rows["row_step"].numpy()
        if self._terminated is not None:
            self._terminated.reshape(-1)[places] = rows["terminated"].numpy()
        self._rows_written[:] = end

    def _places(self, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Where rows are stored, one environment after the other."""
        count = end - begin
        envs = np.repeat(np.arange(self.num_envs), count)
        within = np.arange(len(envs)) - np.repeat(np.cumsum(count) - count, count)
        slots = (begin[envs] + within) % self.rows_per_env
        return envs * self.rows_per_env + slots

    def state_dict(self) -> dict[str, Tensor]:
        """Returns what is to be saved besides the rows, as CPU tensors."""
        return {
            "rows_written": torch.from_numpy(self._rows_written.copy()),
            "steps_since_reset": torch.from_numpy(self._steps_since_reset.copy()),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restores :meth:`state_dict`, after the rows.

        Raises:
            ValueError: The rows are not those of then.
        """
        if state["rows_written"].tolist() != self._rows_written.tolist():
            raise ValueError("the rows of the replay are not those that were saved with it")
        self._steps_since_reset[:] = state["steps_since_reset"].numpy()
        if self._episodes is not None:
            self._episodes.rebuild(self._row_step, self._rows_written)


def _pick(counts: np.ndarray, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Samples among things in groups, each as often: its group, and its number there."""
    ends = np.cumsum(counts)
    chosen = rng.integers(ends[-1], size=size)
    groups = np.searchsorted(ends, chosen, side="right")
    return groups, chosen - (ends - counts)[groups]


class _Episodes:
    """Where the episodes begin of which a ring buffer holds a row, for each environment.

    Rows are counted from the first one ever written.
    """

    def __init__(self, num_envs: int, rows_per_env: int) -> None:
        self._rows_per_env = rows_per_env
        # As many as rows, if each were of another episode, and the next one that begins.
        self._begins = np.zeros((num_envs, rows_per_env + 1), np.int64)
        self._oldest = np.zeros(num_envs, np.int64)
        self._count = np.zeros(num_envs, np.int64)  # ever begun

    def begin(self, envs: np.ndarray, rows_written: np.ndarray) -> None:
        """Begins episodes with the next row."""
        self._begins[envs, self._slot(self._count[envs])] = rows_written[envs]
        self._count[envs] += 1

    def forget(self, envs: np.ndarray, rows_written: np.ndarray) -> None:
        """Forgets episodes whose last row was overwritten; after each row, so it is one at most."""
        second = self._begins[envs, self._slot(self._oldest[envs] + 1)]
        gone = (self._oldest[envs] + 1 < self._count[envs]) & (
            second <= rows_written[envs] - self._rows_per_env
        )
        self._oldest[envs] += gone

    def sample(
        self,
        size: int,
        rows_written: np.ndarray,
        held: np.ndarray,
        horizon: int,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Samples episodes, and of each a row at which a window starts, if it holds a window."""
        envs, within = _pick(self._count - self._oldest, size, rng)
        number = self._oldest[envs] + within
        running = number + 1 == self._count[envs]
        later = self._begins[envs, self._slot(number + 1)]
        end = np.where(running, rows_written[envs], later)
        begin = np.maximum(self._begins[envs, self._slot(number)], (rows_written - held)[envs])
        return envs, begin + rng.integers(np.maximum(1, end - begin - horizon))

    def rebuild(self, row_step: np.ndarray, rows_written: np.ndarray) -> None:
        """Finds the episodes again from the steps of the rows, ``[num_envs, rows_per_env]``."""
        self._oldest[:] = 0
        for env, written in enumerate(rows_written):
            oldest = max(0, written - self._rows_per_env)
            rows = np.arange(oldest, written)
            begins = rows[(row_step[env, rows % self._rows_per_env] == 0) | (rows == oldest)]
            self._begins[env, : len(begins)] = begins
            self._count[env] = len(begins)

    def _slot(self, number: np.ndarray) -> np.ndarray:
        return number % self._begins.shape[1]
