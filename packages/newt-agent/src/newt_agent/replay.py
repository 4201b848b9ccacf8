"""The replay buffer: every transition is kept, and sampling costs the same however many there are.

Each environment of the vector has a lane of its own, a ring of rows. An episode of T steps is
T + 1 consecutive rows of its lane; row k holds the k-th observation and the action and reward
that led to it (zeros in row 0). A sample is a window of ``horizon + 1`` consecutive rows of one
episode.

Sampling weights: every environment counts the same, and within one every window does. With one
environment a task, as many windows are drawn of a task with short episodes as of one with long
episodes (weights are not in the paper; uniform over episodes, as in the published code, would
draw a 25-step task 40 times more often than a 1000-step one).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from newt_agent.losses import Batch

_STORED = ("obs", "action", "reward")
_MAX_DRAWS = 1000
"""Even where only one window in ten lies within an episode, this many draws find one."""


def bytes_per_row(obs_dim: int = 128, action_dim: int = 16) -> int:
    """Memory that a row takes: observation, action and reward in float32, and its step."""
    return 4 * (obs_dim + action_dim + 2)


class Replay:
    """A ring of rows for each environment.

    Args:
        capacity: Rows in all, shared equally between the environments.
        num_envs: Number of environments.
        horizon: Transitions in a sampled window.
        task: [num_envs] int64, each environment's index into the model's task table.
        obs_dim: Size of a padded observation.
        action_dim: Size of a padded action.
        device: Where the rows are stored, and the samples come from.

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
    ) -> None:
        self.rows_per_env = capacity // num_envs
        # With fewer, every window that a lane holds could cross a reset.
        if self.rows_per_env < 2 * (horizon + 1):
            raise ValueError(
                f"capacity={capacity} leaves {self.rows_per_env} rows for each of {num_envs} "
                f"environments, fewer than two windows need ({2 * (horizon + 1)})"
            )
        self.num_envs = num_envs
        self.horizon = horizon
        self.device = torch.device(device)
        self._task = task.to(self.device)
        size = num_envs * self.rows_per_env
        # Zeros are given by the system page by page, as rows are written.
        self._obs = torch.zeros(size, obs_dim, device=self.device)
        self._action = torch.zeros(size, action_dim, device=self.device)
        self._reward = torch.zeros(size, device=self.device)
        # Where rows are is decided on the CPU, so that a GPU is never waited for.
        self._since_reset = np.zeros((num_envs, self.rows_per_env), np.int32)
        self._written = np.zeros(num_envs, np.int64)
        self._fresh = np.zeros(num_envs, np.int32)

    def __len__(self) -> int:
        """Rows held."""
        return int(np.minimum(self._written, self.rows_per_env).sum())

    def start(self, obs: Tensor, where: np.ndarray) -> None:
        """Adds the first observations of new episodes.

        Args:
            obs: [num_envs, obs_dim].
            where: [num_envs] bool, which environments start one.
        """
        zeros = torch.zeros(self.num_envs, self._action.shape[1])
        self._fresh[where] = 0
        self._add(obs, zeros, torch.zeros(self.num_envs), np.flatnonzero(where))

    def add(
        self, obs: Tensor, action: Tensor, reward: Tensor, where: np.ndarray | None = None
    ) -> None:
        """Adds one step of every environment.

        Args:
            obs: [num_envs, obs_dim], the observations after the step; where an episode ended,
                its last one (call :meth:`start` next).
            action: [num_envs, action_dim], as executed.
            reward: [num_envs].
            where: [num_envs] bool, which environments took the step; None is all.
        """
        envs = np.arange(self.num_envs) if where is None else np.flatnonzero(where)
        self._fresh[envs] += 1
        self._add(obs, action, reward, envs)

    def _add(self, obs: Tensor, action: Tensor, reward: Tensor, envs: np.ndarray) -> None:
        slot = self._written[envs] % self.rows_per_env
        self._since_reset[envs, slot] = self._fresh[envs]
        self._written[envs] += 1
        rows = torch.from_numpy(envs * self.rows_per_env + slot).to(self.device)
        picked = torch.from_numpy(envs)
        self._obs[rows] = obs[picked].to(self.device)
        self._action[rows] = action[picked].to(self.device)
        self._reward[rows] = reward[picked].to(self.device)

    def sample(self, batch_size: int, rng: np.random.Generator) -> Batch:
        """Draws windows; the cost does not depend on how many rows are held.

        Args:
            batch_size: Number of windows.
            rng: Source of chance.

        Returns:
            The windows, with obs [horizon + 1, batch, obs_dim], action and reward
            [horizon, batch, ...], task [batch].

        Raises:
            ValueError: No environment has a whole window yet.
        """
        envs, starts = self._windows(batch_size, rng)
        offsets = np.arange(self.horizon + 1)[:, None]
        rows = envs * self.rows_per_env + (starts + offsets) % self.rows_per_env
        index = torch.from_numpy(rows).to(self.device, non_blocking=True)
        lanes = torch.from_numpy(envs).to(self.device, non_blocking=True)
        return Batch(
            obs=self._obs[index],
            action=self._action[index[1:]],
            reward=self._reward[index[1:]],
            task=self._task[lanes],
        )

    def _windows(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draws environments, and the row at which a window of each starts."""
        held = np.minimum(self._written, self.rows_per_env)
        if held.min() <= self.horizon:
            raise ValueError(
                f"the replay has no window of {self.horizon} transitions for every environment yet"
            )
        chosen_envs = np.empty(count, np.int64)
        chosen_starts = np.empty(count, np.int64)
        wanted = np.arange(count)
        chosen_envs[:] = rng.integers(self.num_envs, size=count)
        # A window that would cross a reset is drawn again, from the same environment.
        for _ in range(_MAX_DRAWS):
            envs = chosen_envs[wanted]
            oldest = self._written[envs] - held[envs]
            starts = oldest + rng.integers(held[envs] - self.horizon)
            last = self._since_reset[envs, (starts + self.horizon) % self.rows_per_env]
            chosen_starts[wanted] = starts
            wanted = wanted[last < self.horizon]
            if not len(wanted):
                return chosen_envs, chosen_starts
        raise ValueError(
            f"environment {chosen_envs[wanted[0]]} holds almost no window of {self.horizon} "
            "transitions: its episodes end too early"
        )

    def running_actions(self, env: int, limit: int) -> Tensor:
        """Returns the actions of an environment's running episode, [steps, action_dim].

        Args:
            env: The environment.
            limit: The most steps an episode has.

        Raises:
            ValueError: The lane is too short to hold the episode.
        """
        steps = int(self._fresh[env])
        if min(steps, limit) >= self.rows_per_env:
            raise ValueError(
                f"environment {env} is {steps} steps into its episode and its lane holds "
                f"{self.rows_per_env} rows: give the replay a larger capacity"
            )
        order = np.arange(self._written[env] - steps, self._written[env]) % self.rows_per_env
        return self._action[torch.from_numpy(env * self.rows_per_env + order)].cpu()

    def state_dict(self) -> dict[str, Tensor]:
        """Returns what is held, as CPU tensors that share no memory with the replay."""
        filled = torch.from_numpy(self._filled())
        rows = filled.to(self.device)
        return {
            **{name: getattr(self, f"_{name}")[rows].cpu() for name in _STORED},
            "since_reset": torch.from_numpy(self._since_reset.reshape(-1)[filled.numpy()]),
            "written": torch.from_numpy(self._written.copy()),
            "fresh": torch.from_numpy(self._fresh.copy()),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restores :meth:`state_dict` into a replay of the same capacity and environments.

        Raises:
            ValueError: The number of environments or rows differs.
        """
        if state["written"].shape != self._written.shape:
            raise ValueError(
                f"a replay of {len(state['written'])} environments cannot be loaded into one of "
                f"{self.num_envs}"
            )
        self._written[:] = state["written"].numpy()
        self._fresh[:] = state["fresh"].numpy()
        filled = self._filled()
        if len(filled) != len(state["obs"]):
            raise ValueError(
                f"a replay with {len(state['obs'])} rows was saved with another capacity than "
                f"{self.rows_per_env * self.num_envs}"
            )
        rows = torch.from_numpy(filled).to(self.device)
        for name in _STORED:
            getattr(self, f"_{name}")[rows] = state[name].to(self.device)
        self._since_reset.reshape(-1)[filled] = state["since_reset"].numpy()

    def _filled(self) -> np.ndarray:
        """Indices of the rows in use, lane by lane in storage order."""
        held = np.minimum(self._written, self.rows_per_env)
        return np.concatenate(
            [env * self.rows_per_env + np.arange(count) for env, count in enumerate(held)]
        )
