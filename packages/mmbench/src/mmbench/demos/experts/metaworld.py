"""Meta-World: the package's scripted policies, and a hold where they would lose what they won.

The policies of ``metaworld.policies`` reach nearly every goal, but many of them move on afterwards,
and the score counts the last step only. So the whole episode is tried out first. Where success does
not last, the hand stays where it was at the earliest success that lasts then. Where none does, the
policy is slowed down, so that it does not rush past the goal.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from metaworld.policies import ENV_POLICY_MAP

from mmbench.demos.experts import Expert, on_grid
from mmbench.env import TaskEnv

_SPEEDS = (1.0, 0.5, 0.75)  # shares of the policy's own actions of the hand, tried in turn
_GAIN = 10.0  # action per m, as the package's policies have it
_MOST_STARTS = 20  # steps with success from which a hold is tried


class Step(NamedTuple):
    """A step of the policy that ended in success, and what a hold starts from."""

    number: int
    state: dict[str, np.ndarray]
    obs: np.ndarray
    gripper: float


class ScriptedPolicy(Expert):
    """Meta-World's own policy, then a hold.

    Source: Yu et al. 2019, arXiv 1910.10897.
    """

    name = "Meta-World's scripted policy with a hold"

    def begin(self, env: TaskEnv, obs: np.ndarray, rng: np.random.Generator) -> None:
        """Plans the whole episode."""
        start = env.get_state()
        with warnings.catch_warnings():  # the policies warn of every action that is clipped
            warnings.simplefilter("ignore", UserWarning)
            for speed in _SPEEDS:
                env.set_state(start)
                actions, succeeded = _plan(env, obs, speed)
                if succeeded:
                    break
        self._actions = iter(actions)  # if none succeeded, whoever asks for success refuses it
        env.set_state(start)

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Follows the plan."""
        return next(self._actions)


def _plan(env: TaskEnv, obs: np.ndarray, speed: float) -> tuple[list[np.ndarray], bool]:
    """Returns an episode's actions, and whether they end in success. Leaves the environment there.

    Args:
        env: At the start of the episode.
        obs: Its observation, (39,).
        speed: Of the hand, as a share of the policy's.
    """
    policy_class: Any = ENV_POLICY_MAP[f"{env.task.native}-v3"]
    policy = policy_class()
    actions: list[np.ndarray] = []
    successes: list[Step] = []
    for number in range(env.task.max_episode_steps):
        action = policy.get_action(obs.astype(np.float64))
        action[:3] = speed * np.clip(action[:3], -1.0, 1.0)
        actions.append(on_grid(action))
        obs, _, _, _, info = env.step(actions[-1])
        if info["success"]:
            successes.append(Step(number, env.get_state(), obs, action[3]))
    if info["success"]:
        return actions, True
    for step in successes[:_MOST_STARTS]:
        held = _hold(env, step)
        if held is not None:
            return actions[: step.number + 1] + held, True
    return actions, False


def _hold(env: TaskEnv, start: Step) -> list[np.ndarray] | None:
    """Holds the hand until the end: the actions, or None as soon as success is lost."""
    env.set_state(start.state)
    obs, actions = start.obs, []
    for _ in range(start.number + 1, env.task.max_episode_steps):
        actions.append(on_grid(np.append(_GAIN * (start.obs[:3] - obs[:3]), start.gripper)))
        obs, _, _, _, info = env.step(actions[-1])
        if not info["success"]:
            return None
    return actions
