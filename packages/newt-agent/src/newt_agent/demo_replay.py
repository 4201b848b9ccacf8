"""A replay of demonstrations: held once, never overwritten."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch

from newt_agent.demonstrations import Demonstration
from newt_agent.losses import Batch
from newt_agent.replay import Weighting


class DemoReplay:
    """Windows of demonstrations.

    Rows are as in :class:`newt_agent.replay.Replay`: an episode of T steps takes T + 1.

    Args:
        episodes: At least one, each of ``horizon`` steps or more; shorter ones hold no window.
        rows: The row of the model's table of each of the tasks that the episodes count.
        horizon: Transitions in a sampled window.
        device: Where the rows are stored, and the samples come from.
        weighting: What counts equally in a sample: a task that has demonstrations, a window, or an
            episode.
        terminations: Tell which steps ended their episode.

    Attributes:
        checksum: Tells these demonstrations from others.

    Raises:
        ValueError: No episode holds a window.
    """

    def __init__(
        self,
        episodes: Sequence[Demonstration],
        rows: Sequence[int],
        horizon: int,
        device: torch.device | str = "cpu",
        weighting: Weighting = "task",
        terminations: bool = False,
    ) -> None:
        self.horizon = horizon
        self.device = torch.device(device)
        kept = sorted((e for e in episodes if len(e.action) >= horizon), key=lambda e: e.task)
        if not kept:
            raise ValueError(f"no demonstration has {horizon} steps, the length of a window")
        first = np.concatenate([[0], np.cumsum([len(e.obs) for e in kept])])
        actions, rewards = np.zeros((first[-1], 16), np.float32), np.zeros(first[-1], np.float32)
        for episode, start in zip(kept, first, strict=False):
            within = slice(start + 1, start + len(episode.obs))
            actions[within], rewards[within] = episode.action, episode.reward
        obs = np.concatenate([episode.obs for episode in kept])
        task = np.repeat([rows[e.task] for e in kept], np.diff(first))
        self.checksum = zlib.crc32(b"".join(array.tobytes() for array in (obs, actions, task)))
        self._obs, self._action, self._reward, self._task = (
            torch.from_numpy(array).to(self.device) for array in (obs, actions, rewards, task)
        )
        self._terminated = None
        if terminations:
            ends = np.zeros(first[-1], bool)
            ends[first[1:] - 1] = [episode.terminated for episode in kept]
            self._terminated = torch.from_numpy(ends).to(self.device)
        # The rows at which a window starts, in groups that are sampled equally often.
        windows = [first[i] + np.arange(len(e.action) - horizon + 1) for i, e in enumerate(kept)]
        self._starts = np.concatenate(windows)
        counts = np.array([len(own) for own in windows])
        if weighting == "transition":
            counts = counts.sum(keepdims=True)
        elif weighting == "task":
            _, begins = np.unique([e.task for e in kept], return_index=True)
            counts = np.add.reduceat(counts, begins)
        self._group_size = counts
        self._group_start = np.cumsum(counts) - counts

    def __len__(self) -> int:
        """Rows held."""
        return len(self._task)

    def sample(self, batch_size: int, rng: np.random.Generator) -> Batch:
        """Samples windows; see :meth:`newt_agent.replay.Replay.sample`."""
        groups = rng.integers(len(self._group_size), size=batch_size)
        within = rng.integers(self._group_size[groups])
        starts = self._starts[self._group_start[groups] + within]
        rows = starts + np.arange(self.horizon + 1)[:, None]
        index = torch.from_numpy(rows).to(self.device, non_blocking=True)
        return Batch(
            obs=self._obs[index],
            action=self._action[index[1:]],
            reward=self._reward[index[1:]],
            task=self._task[index[0]],
            terminated=None if self._terminated is None else self._terminated[index[1:]],
        )


def join(batches: Sequence[Batch]) -> Batch:
    """Puts batches of windows beside each other; without images."""
    ends = [batch.terminated for batch in batches if batch.terminated is not None]
    return Batch(
        obs=torch.cat([batch.obs for batch in batches], 1),
        action=torch.cat([batch.action for batch in batches], 1),
        reward=torch.cat([batch.reward for batch in batches], 1),
        task=torch.cat([batch.task for batch in batches]),
        terminated=torch.cat(ends, 1) if ends else None,
    )
