"""How far ahead an agent sees: one plan, executed without looking, beside planning at each step."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mmbench.catalog import Task
from mmbench.runs import RunError
from newt_agent.evaluate import MAX_ENVS_PER_TASK, Policy, a_few_at_a_time, obs_to_evaluate
from newt_agent.finite import check_numbers
from newt_agent.planner import Planner
from newt_agent.planning_agent import PlanningAgent

PARTS = (33, 66, 100)
"""Percent of the plan after which both are compared."""


def compare_open_loop(
    agent: PlanningAgent,
    tasks: Sequence[Task],
    horizon: int,
    episodes: int,
    seed: int,
    **settings: Any,
) -> dict[str, Any]:
    """Compares the returns of a plan that is executed whole with those of planning at each step.

    Both start from the same first observations. The plan is the mean of the planner's last fit,
    made with the budget of the agent's planner but for its horizon.

    Args:
        agent: The agent; its own planner acts at each step.
        tasks: The tasks.
        horizon: Steps of the plan.
        episodes: Starts of each task.
        seed: Seed of the environments and of the planner.
        **settings: Of the vector environment.

    Returns:
        ``horizon``, ``steps`` (after which is compared), ``episodes``, ``tasks`` (per task the mean
        returns until then, ``closed_loop`` and ``open_loop``, and ``fraction``, the second over the
        first, NaN where the first is not positive), ``fraction`` (the mean over the tasks that have
        one) and ``missing`` (tasks that ``skip_missing`` left out).

    Raises:
        RunError: Episodes of a task are shorter than the plan.
    """
    for task in tasks:
        if task.max_episode_steps < horizon:
            raise RunError(
                f"--open-loop {horizon}: an episode of {task.versioned_name} has only "
                f"{task.max_episode_steps} steps"
            )
    steps = [max(1, round(horizon * part / 100)) for part in PARTS]
    per_task = min(episodes, MAX_ENVS_PER_TASK)
    rows: dict[str, dict[str, Any]] = {}
    settings["obs"] = obs_to_evaluate(agent, tasks)
    with a_few_at_a_time(tasks, per_task, settings) as groups:
        for env in map(agent.seen, groups):
            closed, blind = (
                _returns(env, make(agent, env, horizon, seed), horizon, episodes, seed)[steps]
                for make in (_looking, _blind)
            )
            for task in dict.fromkeys(env.tasks):
                own = [each == task for each in env.tasks]
                rows[task.versioned_name] = {
                    "domain": task.domain,
                    **_row(closed[:, :, own], blind[:, :, own], episodes),
                }
    fractions = np.array([row["fraction"] for row in rows.values()]).reshape(-1, len(PARTS))
    known = [column[~np.isnan(column)] for column in fractions.T]
    return {
        "horizon": horizon,
        "steps": steps,
        "episodes": episodes,
        "tasks": rows,
        "fraction": [float(column.mean()) if len(column) else float("nan") for column in known],
        "missing": [t.versioned_name for t in tasks if t.versioned_name not in rows],
    }


def _row(closed: np.ndarray, blind: np.ndarray, episodes: int) -> dict[str, list[float]]:
    """Means of a task, from returns ``[parts, rounds, environments]``."""
    means = [part.reshape(len(PARTS), -1)[:, :episodes].mean(1) for part in (closed, blind)]
    fraction = np.divide(means[1], means[0], out=np.full(len(PARTS), np.nan), where=means[0] > 0)
    return {
        "closed_loop": means[0].tolist(),
        "open_loop": means[1].tolist(),
        "fraction": fraction.tolist(),
    }


def _returns(env: Any, policy: Policy, horizon: int, episodes: int, seed: int) -> np.ndarray:
    """Acts from as many starts as asked for.

    Returns:
        The returns after each step, ``[horizon + 1, rounds, N]``; the k-th environment of a task
        starts its r-th round as the ``r * environments of the task + k``-th start.
    """
    names = [task.versioned_name for task in env.tasks]
    number = np.array([names[:i].count(name) for i, name in enumerate(names)])
    copies = number.max() + 1
    rounds = -(-episodes // copies)
    returns = np.zeros((horizon + 1, rounds, env.num_envs))
    for r in range(rounds):
        obs, _ = env.reset(seed=(seed + r * copies + number).tolist())
        check_numbers(env.tasks, np.zeros(env.num_envs), obs)
        alive = np.ones(env.num_envs, bool)
        for step in range(horizon):
            first = np.full(env.num_envs, step == 0)
            obs, reward, terminated, truncated, _ = env.step(policy(obs, first))
            check_numbers(env.tasks, reward, obs)
            returns[step + 1, r] = returns[step, r] + np.where(alive, reward, 0.0)
            alive &= ~(terminated | truncated)
    return returns


def _looking(agent: PlanningAgent, env: Any, horizon: int, seed: int) -> Policy:
    """Plans at each step."""
    agent, rows, generator = _alone(agent, env, seed)
    return lambda obs, first: agent.act_on(obs, rows, first, generator=generator)


def _blind(agent: PlanningAgent, env: Any, horizon: int, seed: int) -> Policy:
    """Plans once, at an episode's start, and executes the plan."""
    agent, rows, generator = _alone(agent, env, seed)
    config = dataclasses.replace(agent.planner.config, horizon=horizon)
    precision, agent.planner = agent.planner.precision, Planner(agent.model, config)
    agent.run_by(agent.execution, precision)
    rest: list[np.ndarray] = []

    def policy(obs: np.ndarray, first: np.ndarray) -> np.ndarray:
        if first.any():
            agent.act_on(obs, rows, first, generator=generator)
            assert agent.memory is not None
            rest[:] = agent.memory.transpose(0, 1).cpu().numpy()
        return rest.pop(0)

    return policy


def _alone(
    agent: PlanningAgent, env: Any, seed: int
) -> tuple[PlanningAgent, torch.Tensor, torch.Generator]:
    rows = agent.index([task.versioned_name for task in env.tasks])
    return agent.independent(), rows, torch.Generator(agent.device).manual_seed(seed)
