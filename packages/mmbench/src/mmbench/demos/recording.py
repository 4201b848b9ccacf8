"""Playing episodes: by an expert, and again from seeds and actions."""

from __future__ import annotations

import platform
import reprlib
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmbench.catalog import Task, domain
from mmbench.demos.experts import Expert, on_grid
from mmbench.demos.tape import Episode
from mmbench.env import TaskEnv


class Played(NamedTuple):
    """An episode as a simulator plays it.

    Attributes:
        observations: (T + 1, obs_dim) float32.
        actions: (T, action_dim) float16.
        rewards: (T,) float64.
        checksums: (T + 1,) uint32; see :mod:`mmbench.demos.tape`.
        episode_return: Summed reward.
        score: Of the last step; NaN where the task has none.
        success: Of the last step; NaN where the task has none.
        terminated: Whether it ended by itself (never in the benchmark).
        over: Whether it has ended.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    checksums: np.ndarray
    episode_return: float
    score: float
    success: float
    terminated: bool
    over: bool


def checksum(obs: np.ndarray, reward: float | None = None) -> int:
    """The checksum of a step, or of a reset.

    Args:
        obs: (obs_dim,) float32.
        reward: None for a reset.
    """
    sums = zlib.crc32(obs.tobytes())
    return sums if reward is None else zlib.crc32(np.float64(reward).tobytes(), sums)


def play(env: TaskEnv, seed: int, actions: np.ndarray) -> Played:
    """Plays actions from a seed, until they or the episode end.

    Args:
        env: An environment made with ``unify=False``.
        seed: Of the reset.
        actions: (T, action_dim) float16.
    """
    obs, info = env.reset(seed=seed)
    observations, rewards, checksums = [obs], [], [checksum(obs)]
    terminated, over, total = False, False, 0.0
    for action in actions:
        obs, reward, terminated, truncated, info = env.step(action)
        total += reward
        observations.append(obs)
        rewards.append(reward)
        checksums.append(checksum(obs, reward))
        over = terminated or truncated
        if over:
            break
    return Played(
        np.array(observations, np.float32),
        np.array(actions[: len(rewards)], np.float16),
        np.array(rewards, np.float64),
        np.array(checksums, np.uint32),
        total,
        float(info["score"]),
        float(info["success"]),
        terminated,
        over,
    )


def record(
    expert: Expert, own: TaskEnv, env: TaskEnv, seed: int, rng: np.random.Generator
) -> Episode:
    """Lets an expert play an episode, and plays its actions again: that is what is stored.

    So whatever an expert does to its environment, a tape is what the actions alone lead to.

    Args:
        expert: Who plays.
        own: Its environment.
        env: Another one of the same task. Both are made with ``unify=False``.
        seed: Of the reset.
        rng: Of the expert.

    Raises:
        RuntimeError: The expert has left its environment at a later step than it was given it.
        ValueError: Something that the expert returned is no action.
    """
    obs, _ = own.reset(seed=seed)
    expert.begin(own, obs, rng)
    actions, over = [], False
    while not over:
        action = _action(expert, obs, own.task)
        actions.append(action)
        obs, _, terminated, truncated, _ = own.step(action)
        over = terminated or truncated
    played = play(env, seed, np.array(actions, np.float16))
    if not played.over:
        raise RuntimeError(
            f"{expert.name} has played {len(actions)} steps of {own.task.versioned_name}, which "
            "are no episode: it has to leave its environment at the step where it was"
        )
    return Episode(
        seed,
        played.actions,
        played.checksums,
        played.episode_return,
        played.score,
        played.success,
    )


def _action(expert: Expert, obs: np.ndarray, task: Task) -> np.ndarray:
    """Asks an expert for an action, as a tape holds it."""
    given = expert.act(obs)
    action = np.asarray(given)
    real = action.dtype.kind in "fiu"
    if not real or action.shape != (task.action_dim,) or not np.isfinite(action).all():
        raise ValueError(
            f"{type(expert).__name__}.act returned {reprlib.repr(given)}: an action of "
            f"{task.versioned_name} is {task.action_dim} finite numbers"
        )
    return on_grid(action)


def divergence(tape: np.ndarray, replay: np.ndarray) -> int | None:
    """The first step whose checksums differ (0: the reset); None where all are equal."""
    length = min(len(tape), len(replay))
    differs = np.flatnonzero(tape[:length] != replay[:length])
    if len(differs):
        return int(differs[0])
    return None if len(tape) == len(replay) else length


def simulator_versions(task: Task) -> dict[str, str]:
    """The versions that decide what an episode is: mmbench's, NumPy's, and the simulator's."""
    import importlib.metadata

    from packaging.requirements import Requirement

    names = [Requirement(line).name for line in domain(task.domain).packages]
    found = {}
    for name in dict.fromkeys(("mmbench", "numpy", *names)):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """The processor's name, such as ``AMD EPYC 9B14``."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
