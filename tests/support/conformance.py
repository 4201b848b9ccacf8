"""Checks of a task against the recorded data that several domains share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import reference
import rollouts

from mmbench.env import TaskEnv

TOLERANCE = 1e-6
"""Of max(1, |recorded|)."""


def transition_tests(domain: str) -> tuple[Callable[[str], None], Callable[[str], None]]:
    """Makes the tests of a domain's recorded steps: those shipped, and (slow) the full recording.

    A module that assigns them to names that begin with `test_` has them run.
    """
    names = reference.recorded(domain, ".npz")

    @pytest.mark.parametrize("name", names)
    def shipped(name):
        check_transitions(reference.SHIPPED / domain / f"{name}.npz")

    @pytest.mark.slow
    @pytest.mark.parametrize("name", names)
    def full(name):
        check_transitions(reference.full_recording() / domain / f"{name}.npz")

    return shipped, full


def check_transitions(path: Path) -> None:
    """From each recorded state, the recorded action gives the recorded step."""
    env = TaskEnv(path.stem, unify=False)
    env.reset(seed=0)
    for transition in reference.transitions(path):
        env.set_state(transition.state)
        obs, reward, _, _, info = env.step(transition.action)
        assert reference.relative_error(obs, transition.next_obs) <= TOLERANCE
        assert reference.relative_error(reward, transition.reward) <= TOLERANCE
        if "success" in transition.extra:
            assert info["success"] == transition.extra["success"]


def check_fingerprint(path: Path, episodes: dict[str, int], **differences: bool) -> None:
    """Whole episodes are distributed as the recorded ones.

    Args:
        path: The recorded fingerprint; its name is the task's.
        episodes: How many of ours to run, by policy.
        **differences: Of `rollouts.differences`.
    """
    env = TaskEnv(path.stem, unify=False)
    recorded = reference.fingerprint(path)
    for policy, count in episodes.items():
        ours = rollouts.roll(env, policy, count)
        assert rollouts.differences(ours, recorded[policy], **differences) == []
    env.close()
