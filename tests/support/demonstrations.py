"""Demonstrations without a simulator, for tests of what learns from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mmbench import catalog
from newt_agent.demonstrations import Demonstration, Demonstrations


def make_demonstrations(
    names: Sequence[str],
    episodes: int = 2,
    steps: int = 50,
    act: Callable[[str, np.ndarray], np.ndarray] | None = None,
) -> Demonstrations:
    """Makes episodes of random observations.

    Args:
        names: The tasks.
        episodes: Of each task.
        steps: Of each episode.
        act: From a task's name and observations ``[steps, obs_dim]`` to what the demonstrator does,
            ``[steps, action_dim]``; by default it draws.
    """
    rng = np.random.default_rng(0)
    made = []
    for number, name in enumerate(names):
        task = catalog.get(name)
        for _ in range(episodes):
            obs = np.zeros((steps + 1, 128), np.float32)
            obs[:, : task.obs_dim] = rng.uniform(-1, 1, (steps + 1, task.obs_dim))
            action = np.zeros((steps, 16), np.float32)
            own = rng.uniform(-1, 1, (steps, task.action_dim))
            if act is not None:
                own = act(name, obs[:-1, : task.obs_dim])
            action[:, : task.action_dim] = own
            made.append(Demonstration(number, obs, action, np.zeros(steps), False))
    return Demonstrations(tuple(made), f"demonstrations of {len(names)} tasks")
