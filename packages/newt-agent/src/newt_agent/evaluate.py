"""Evaluation: whole episodes, counted the same for every task."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from mmbench.catalog import Task, TaskUnavailableError
from mmbench.evaluation import Episode
from mmbench.runs import RunError
from newt_agent.agent import Agent
from newt_agent.finite import check_numbers

MULTITASK = "mmbench:mmbench/multitask-v0"
MAX_ENVS_PER_TASK = 10
MAX_ENVS = 64
"""Environments that are open at once for an evaluation: a few tasks at a time."""


Policy = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Actions [N, 16] from observations [N, 128] and where episodes start [N]."""


def make_environments(**settings: Any) -> Any:
    """Makes the multitask vector environment; see its documentation for the settings."""
    return gym.make_vec(MULTITASK, **settings).unwrapped


def run_episodes(
    env: Any,
    policy: Policy,
    episodes: int,
    seed: int,
    on_episode: Callable[[Episode], None] | None = None,
    on_step: Callable[[], None] | None = None,
) -> list[Episode]:
    """Runs a fixed number of episodes of every task.

    Args:
        env: A multitask vector environment (``env.tasks`` names the task of each row).
        policy: Chooses the actions.
        episodes: Episodes of each task, however long they are, divided evenly among its
            environments: of those that finish first there would be more short ones. One that a
            failure has ended (``infos["restarted"]``) does not count.
        seed: The k-th environment of each task starts from ``seed + k``, whatever tasks it is
            evaluated with.
        on_episode: Called with each episode that counts.
        on_step: Called before each step of all environments; may raise, to stop.

    Returns:
        The episodes, in the order in which they ended.

    Raises:
        UnusableNumberError: A reward or an observation is NaN or beyond 1e18.
    """
    names = [task.versioned_name for task in env.tasks]
    copies = {name: names.count(name) for name in names}
    number = [names[:i].count(name) for i, name in enumerate(names)]
    left = [
        episodes // copies[name] + (k < episodes % copies[name])
        for name, k in zip(names, number, strict=True)
    ]
    returns = np.zeros(env.num_envs)
    lengths = np.zeros(env.num_envs, np.int64)
    first = np.ones(env.num_envs, bool)
    finished: list[Episode] = []
    obs, _ = env.reset(seed=[seed + k for k in number])
    check_numbers(env.tasks, returns, obs)
    while any(left):
        if on_step:
            on_step()
        obs, reward, terminated, truncated, infos = env.step(policy(obs, first))
        check_numbers(env.tasks, reward, obs)
        returns += reward
        lengths += 1
        first = terminated | truncated
        restarted = infos.get("restarted", np.zeros_like(truncated))
        for i in np.flatnonzero(first):
            # An episode that a failure cut short says nothing of the policy.
            if left[i] and not restarted[i]:
                left[i] -= 1
                last = infos["final_info"]
                score, success = float(last["score"][i]), float(last["success"][i])
                done = Episode(names[i], score, success, float(returns[i]), int(lengths[i]))
                finished.append(done)
                if on_episode:
                    on_episode(done)
            returns[i] = lengths[i] = 0
    return finished


def evaluate(
    agent: Agent | None,
    tasks: Sequence[Task],
    episodes: int,
    seed: int,
    on_episode: Callable[[Episode], None] | None = None,
    on_step: Callable[[], None] | None = None,
    **settings: Any,
) -> list[Episode]:
    """Evaluates an agent, or the random policy, on a few tasks at a time.

    Args:
        agent: The agent, acting without the noise of training; None acts at random, uniformly.
        tasks: The tasks.
        episodes: Episodes of each.
        seed: Seed of the environments and of the actions.
        on_episode: Called with each episode.
        on_step: Called before each step; may raise, to stop.
        **settings: Of the vector environment, such as ``workers`` to share or ``num_workers``.

    Returns:
        ``episodes`` episodes of each task, those left out by ``skip_missing`` aside.
    """
    finished = []
    settings["obs"] = obs_to_evaluate(agent, tasks)
    with a_few_at_a_time(tasks, min(episodes, MAX_ENVS_PER_TASK), settings) as groups:
        for env in groups:
            env = env if agent is None else agent.seen(env)
            policy = _random(env, seed) if agent is None else _acting(agent, env, seed)
            finished += run_episodes(env, policy, episodes, seed, on_episode, on_step)
    return finished


def obs_to_evaluate(agent: Agent | None, tasks: Sequence[Task]) -> str:
    """Returns what environments have to show: what the agent sees, to the random policy little.

    Raises:
        RunError: A task has no state, which the agent sees.
    """
    stateless = [task.versioned_name for task in tasks if task.obs_dim == 0]
    if agent is None:
        return "rgb" if stateless else "state"
    if stateless and agent.obs != "rgb":
        raise RunError(
            f"task {stateless[0]!r}: its observations are images, and the agent sees {agent.obs}"
        )
    return agent.obs


def a_few_at_a_time(
    tasks: Sequence[Task], envs_per_task: int, settings: dict[str, Any]
) -> contextlib.closing[Generator[Any, None, None]]:
    """Makes the environments of a few tasks after those of others, with the same workers.

    Tasks with shorter episodes come first: beside long ones, theirs would begin again and again.

    Args:
        tasks: The tasks.
        envs_per_task: Environments of each.
        settings: Of the vector environment.

    Returns:
        A context with an iterator over multitask vector environments, of which one is open at a
        time; none is when the context ends.
    """
    return contextlib.closing(_groups(tasks, envs_per_task, settings))


def _groups(
    tasks: Sequence[Task], envs_per_task: int, settings: dict[str, Any]
) -> Generator[Any, None, None]:
    tasks = sorted(tasks, key=lambda task: task.max_episode_steps)
    at_once = max(1, MAX_ENVS // envs_per_task)
    with contextlib.ExitStack() as kept:
        for start in range(0, len(tasks), at_once):
            some = tasks[start : start + at_once]
            try:
                env = make_environments(tasks=some, envs_per_task=envs_per_task, **settings)
            except TaskUnavailableError:
                if not settings.get("skip_missing"):
                    raise
                continue  # none of these can run here
            if "workers" not in settings:
                # Keeps the workers for the next tasks, while the environments come and go.
                kept.callback(env.pool.leave, env.pool.join())
                settings = {**settings, "workers": env}
            with contextlib.closing(env):
                yield env


def _random(env: Any, seed: int) -> Policy:
    rng = np.random.default_rng(seed)

    def policy(obs: np.ndarray, first: np.ndarray) -> np.ndarray:
        actions = rng.uniform(-1.0, 1.0, env.action_space.shape).astype(np.float32)
        return actions * env.action_mask

    return policy


def _acting(agent: Agent, env: Any, seed: int) -> Policy:
    rows = agent.index([task.versioned_name for task in env.tasks])
    generator = torch.Generator(agent.device).manual_seed(seed)

    def policy(obs: np.ndarray, first: np.ndarray) -> np.ndarray:
        return agent.act_on(obs, rows, first, explore=False, generator=generator)

    return policy
