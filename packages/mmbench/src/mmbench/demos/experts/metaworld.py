"""Meta-World: the package's scripted policies, and a hold where they would lose what they won.

The policies of ``metaworld.policies`` reach nearly every goal, but many of them move on afterwards,
and the score counts the last step only. So the whole episode is tried out first; where success
does not last, the policy is replaced by a constant action from the earliest step after which that
keeps success until the end.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from metaworld.policies import ENV_POLICY_MAP

from mmbench.demos.experts import Expert, on_grid
from mmbench.env import TaskEnv

# Directions of the hand to hold with, tried in this order: staying there, and pressing on down,
# up, and along the table. The same for all episodes, so that those of a task resemble each other.
_DIRECTIONS = ((0, 0, 0), (0, 0, -1), (0, 0, 1), (0, -1, 0), (0, 1, 0), (-1, 0, 0), (1, 0, 0))
_RANDOM_HOLDS = 8  # tried where none of these keeps success
_MOST_STARTS = 25  # steps with success from which a hold is tried


class ScriptedPolicy(Expert):
    """Meta-World's own policy, then a constant action.

    Source: Yu et al. 2019, arXiv 1910.10897.
    """

    name = "Meta-World's scripted policy with a hold"

    def begin(self, env: TaskEnv, obs: np.ndarray, rng: np.random.Generator) -> None:
        """Plans the whole episode."""
        start = env.get_state()
        self._plan = iter(_plan(env, obs, rng))
        env.set_state(start)

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Follows the plan."""
        return next(self._plan)


def _plan(env: TaskEnv, obs: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Returns the episode's actions. Leaves the environment anywhere.

    Args:
        env: Just reset.
        obs: Its observation, (39,).
        rng: For the random holds.
    """
    policy = ENV_POLICY_MAP[f"{env.task.native}-v3"]()
    length = env.task.max_episode_steps
    actions, states, successes = [], [], []
    for _ in range(length):
        action = on_grid(policy.get_action(obs.astype(np.float64)))
        obs, _, _, _, info = env.step(action)
        actions.append(action)
        states.append(env.get_state())
        successes.append(info["success"] == 1.0)
    if successes[-1]:
        return actions
    starts = [step for step in range(length) if successes[step]][:_MOST_STARTS]
    for hold in _holds(rng):
        for start in starts:
            held = hold if np.isfinite(hold[3]) else np.append(hold[:3], actions[start][3])
            left = length - start - 1
            if _keeps_success(env, states[start], held, left):
                return actions[: start + 1] + [held] * left
    return actions  # refused by whoever asks for success


def _holds(rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yields constant actions, (4,); NaN for a gripper that stays as it was."""
    for direction in _DIRECTIONS:
        for gripper in (np.nan, 0.0):
            yield np.array((*direction, gripper), np.float32)
    for _ in range(_RANDOM_HOLDS):
        yield on_grid(rng.uniform(-1.0, 1.0, 4))


def _keeps_success(
    env: TaskEnv, state: dict[str, np.ndarray], action: np.ndarray, steps: int
) -> bool:
    env.set_state(state)
    return all(env.step(action)[4]["success"] == 1.0 for _ in range(steps))
