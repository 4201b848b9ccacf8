"""The episodes that a run is in the middle of, and how they are brought back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from newt_agent.agent import Agent


class RunningEpisodes:
    """Where each of N environments stands: its observation, and all that led there.

    Args:
        env: A multitask vector environment, as the agent sees it.
        agent: What sees it.

    Attributes:
        obs: [N, 128] (more of an agent that sees frames), what the next action is chosen from.
        first: [N] bool, where it starts an episode.
        returns: [N], summed rewards of the running episodes.
        lengths: [N] int64, their steps so far.
        lost: [N] bool, where the episode that was saved did not come back; see :meth:`end_lost`.
    """

    def __init__(self, env: Any, agent: Agent) -> None:
        self._env = env
        self._agent = agent
        count = env.num_envs
        longest = max(task.max_episode_steps for task in env.tasks)
        self.obs = np.zeros((count, agent.row_entries), np.float32)
        self.first = np.ones(count, bool)
        self.returns = np.zeros(count)
        self.lengths = np.zeros(count, np.int64)
        self.lost = np.zeros(count, bool)
        # Zeros are given by the system page by page, as rows are written.
        self._actions = np.zeros((count, longest, env.action_space.shape[-1]), np.float32)

    def reset(self, seed: int) -> None:
        """Starts an episode in every environment."""
        self.obs, _ = self._env.reset(seed=seed)

    def step(
        self, actions: np.ndarray, reward: np.ndarray, done: np.ndarray, obs: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Takes in a step.

        Args:
            actions: [N, 16].
            reward: [N].
            done: [N] bool, where an episode ended.
            obs: [N, 128], what the next action is chosen from.

        Returns:
            Returns and lengths with this step, [N] each: of the whole episode where it ended.
        """
        rows = np.arange(len(done))
        self._actions[rows, self.lengths] = actions
        returns, lengths = self.returns + reward, self.lengths + 1
        self.returns, self.lengths = np.where(done, 0.0, returns), np.where(done, 0, lengths)
        self.obs, self.first = obs, done
        return returns, lengths

    def end_lost(
        self,
        obs: np.ndarray,
        reward: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
        infos: Mapping[str, Any],
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Ends lost episodes in the results of a step, as if their environments had failed in it.

        What came back there continues nothing that the method has seen, so the step that it has
        just taken is dropped, and another episode begins.

        Args:
            obs: [N, 128], and so on, what the environments returned.
            reward: [N].
            terminated: [N] bool.
            truncated: [N] bool.
            infos: With ``final_obs``, where an episode ended.

        Returns:
            The same; the last observations of lost episodes are those that were saved.
        """
        lost, self.lost = self.lost, np.zeros_like(self.lost)
        final = infos.get("final_obs", np.full(len(lost), None, object)).copy()
        for i in np.flatnonzero(lost):
            final[i] = self.obs[i]
        obs, _ = self._env.reset(options={"reset_mask": lost})
        reward = np.where(lost, 0.0, reward)
        return obs, reward, terminated & ~lost, truncated | lost, {**infos, "final_obs": final}

    def state(self) -> dict[str, Tensor]:
        """Returns what :meth:`restore` needs, as CPU tensors."""
        running = np.arange(self._actions.shape[1]) < self.lengths[:, None]
        return {
            "obs": torch.from_numpy(self.obs),
            "first": torch.from_numpy(self.first),
            "returns": torch.from_numpy(self.returns),
            "lengths": torch.from_numpy(self.lengths),
            "actions": torch.from_numpy(self._actions[running]),
            "episode_rng": torch.from_numpy(self._env.episode_rng.view(np.int64)),
        }

    def restore(self, state: Mapping[str, Tensor]) -> str:
        """Brings the environments back to where they were.

        Args:
            state: What :meth:`state` returned.

        Returns:
            What did not come back, as a sentence; empty where all did.
        """
        self.first = state["first"].numpy().copy()
        self.returns = state["returns"].numpy().copy()
        self.lengths = state["lengths"].numpy().copy()
        running = np.arange(self._actions.shape[1]) < self.lengths[:, None]
        self._actions[running] = state["actions"].numpy()
        generators = state["episode_rng"].numpy().view(np.uint64)
        actions = [own[:n] for own, n in zip(self._actions, self.lengths, strict=True)]
        obs = self._agent.see(replay_episodes(self._env.unwrapped, generators, actions))
        self.obs = state["obs"].numpy().copy()
        self.lost = (obs != self.obs).any(1)
        if not self.lost.any():
            return ""
        return (
            f"task {self._env.tasks[int(self.lost.argmax())].name!r} did not come back exactly as "
            "it was (another version of its simulator, or a failure around the save): its episode "
            "ends here. The run goes on, but will differ from one never stopped"
        )


def replay_episodes(env: Any, generators: np.ndarray, actions: list[np.ndarray]) -> np.ndarray:
    """Brings environments back to where they were by taking their actions again.

    Works for every simulator, also for those whose state cannot be saved.

    Args:
        env: A multitask vector environment.
        generators: [N, 6] uint64, from which each running episode started.
        actions: For each environment, [steps, 16], its actions since then.

    Returns:
        The observations, as the environment has them.
    """
    lengths = np.array([len(own) for own in actions])
    longest = int(lengths.max())
    obs, _ = env.reset(options={"rng": generators})
    batch = np.zeros(env.action_space.shape, np.float32)
    for tick in range(longest):
        # Shorter episodes start later, so that all arrive together. What an environment does
        # before its start is thrown away.
        positions = tick - (longest - lengths)
        for i in np.flatnonzero(positions >= 0):
            batch[i] = actions[i][positions[i]]
        if tick and (positions == 0).any():
            env.reset(options={"rng": generators, "reset_mask": positions == 0})
        obs, *_ = env.step(batch)
    if longest and (lengths == 0).any():
        obs, _ = env.reset(options={"rng": generators, "reset_mask": lengths == 0})
    return obs
