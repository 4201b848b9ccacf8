"""Statistics of our own episodes, to compare with recorded fingerprints as distributions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmbench.env import TaskEnv

HOLD_STEPS = 10
SIGMAS = 6.0
"""A fingerprint has up to several hundred numbers, each compared once."""


class Episodes(NamedTuple):
    """Episode-level statistics of one policy; all moments are means over an episode.

    Attributes:
        returns: [episodes].
        rewards: [episodes, 2], mean of the reward and of its square.
        obs: [episodes, 2, obs_dim], mean of each entry and of its square.
        low: [obs_dim], smallest value seen.
        high: [obs_dim], largest value seen.
    """

    returns: np.ndarray
    rewards: np.ndarray
    obs: np.ndarray
    low: np.ndarray
    high: np.ndarray


def roll(
    env: TaskEnv,
    policy: str,
    episodes: int,
    seed: int = 0,
    transform: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Episodes:
    """Runs whole episodes of ``random``, ``zero`` or ``hold`` in an un-padded environment."""
    rng = np.random.default_rng(seed)
    returns, rewards, moments, lows, highs = [], [], [], [], []
    for episode in range(episodes):
        obs, _ = env.reset(seed=seed + episode)
        observations, episode_rewards = [obs], []
        action = np.zeros(env.action_space.shape, np.float32)
        truncated = False
        while not truncated:
            held = policy == "hold" and len(episode_rewards) % HOLD_STEPS
            if policy != "zero" and not held:
                action = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
            sent = transform(action) if transform else action
            obs, reward, _, truncated, _ = env.step(sent)
            observations.append(obs)
            episode_rewards.append(reward)
        stacked = np.asarray(observations, np.float64)
        r = np.asarray(episode_rewards)
        returns.append(r.sum())
        rewards.append([r.mean(), (r**2).mean()])
        moments.append([stacked.mean(0), (stacked**2).mean(0)])
        lows.append(stacked.min(0))
        highs.append(stacked.max(0))
    return Episodes(
        np.asarray(returns),
        np.asarray(rewards),
        np.asarray(moments),
        np.min(lows, axis=0),
        np.max(highs, axis=0),
    )


def differences(
    ours: Episodes,
    recorded: dict[str, Any],
    floor: float = 1e-3,
    rare: bool = False,
    stuck: bool = False,
) -> list[str]:
    """Compares our episodes with a recorded policy's statistics.

    A mean may differ by ``SIGMAS`` standard errors, computed from the spread between our own
    episodes and both numbers of episodes; ``floor`` (relative to the quantity's size) allows for
    rounding in the record and for spreads too small to estimate.

    Args:
        ours: Our episodes.
        recorded: One policy of a fingerprint.
        floor: See above.
        rare: Whether one recorded episode may have held something that none of ours did, such
            as a fall that happens once in a hundred episodes. Observations beyond our extremes
            may then shift a mean as far as one episode of them can.
        stuck: Whether episodes get stuck (a finished game, a walker on its back), and one
            recorded episode may have spent all its time at any value that was seen.

    Returns:
        One line for every statistic that differs by more; empty where all agree.
    """
    count = len(ours.returns)
    scale = np.sqrt(1.0 / count + 1.0 / recorded["episodes"])
    found: list[str] = []

    def compare(
        name: str, values: np.ndarray, theirs: np.ndarray, spread: Any = 0.0, beyond: Any = 0.0
    ) -> None:
        theirs = np.asarray(theirs, np.float64)
        deviation = np.maximum(values.std(0, ddof=1) if count > 1 else 0.0, spread)
        allowed = SIGMAS * deviation * scale + floor * np.maximum(1.0, np.abs(theirs))
        allowed = allowed + np.maximum(0.0, beyond) / recorded["episodes"]
        excess = np.abs(values.mean(0) - theirs) - allowed
        if np.any(excess > 0):
            worst = int(np.argmax(excess))
            found.append(
                f"{name}[{worst}]: ours {np.ravel(values.mean(0))[worst]:.5g}, recorded "
                f"{np.ravel(theirs)[worst]:.5g}, allowed {np.ravel(allowed)[worst]:.3g}"
            )

    compare("return", ours.returns, recorded["return_mean"], recorded["return_std"])
    mean, std = np.asarray(recorded["obs_mean"]), np.asarray(recorded["obs_std"])
    # The record shows how its own episodes differ only in their returns; as r^2 <= max|r| |r|,
    # that bounds the spread of the squares too, which one rare episode may dominate.
    spread = recorded["return_std"] / recorded["length"]
    largest = max(abs(recorded["reward_min"]), abs(recorded["reward_max"]))
    compare("reward mean", ours.rewards[:, 0], recorded["reward_mean"], spread)
    compare(
        "reward square",
        ours.rewards[:, 1],
        recorded["reward_mean"] ** 2 + recorded["reward_std"] ** 2,
        largest * spread,
    )
    low, high = np.asarray(recorded["obs_min"]), np.asarray(recorded["obs_max"])
    beyond = rare * np.maximum(ours.low - low, high - ours.high)
    largest, recorded_largest = np.maximum(ours.low**2, ours.high**2), np.maximum(low**2, high**2)
    beyond_square = rare * (recorded_largest - largest)
    if stuck:
        beyond = np.maximum(high, ours.high) - np.minimum(low, ours.low)
        beyond_square = np.maximum(largest, recorded_largest)
    compare("obs mean", ours.obs[:, 0], mean, beyond=beyond)
    compare("obs square", ours.obs[:, 1], mean**2 + std**2, beyond=beyond_square)
    return found
