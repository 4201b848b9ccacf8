"""Returns and observations against measurements of the published implementation.

Generators differ, so what is compared are means over episodes. A bound is five standard errors of
the difference, from the spread between our own episodes and the number of episodes on each side.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import miniarcade

REFERENCE = Path(__file__).parent / "reference"
SIGMAS = 5
EPISODES = 40
FINGERPRINT_STEPS = 40_000  # enough episodes to see what happens in one of fifty
MEASURED_EPISODES = 5

# Mean return of five episodes of the published game.
MEASURED_RETURNS = {
    ("cowboy", "random"): -0.4,
    ("cowboy", "zero"): -458.0,
    ("coinrun", "random"): 30.2,
    ("coinrun", "zero"): 12.2,
    ("spaceship", "random"): -5.8,
    ("spaceship", "zero"): -20.4,
    ("pong", "random"): -2.0,
    ("pong", "zero"): -0.8,
    ("bird-attack", "random"): -1.4,
    ("bird-attack", "zero"): -19.2,
    ("highway", "random"): 0.02,
    ("highway", "zero"): 2.84,
    ("landing", "random"): 22.0,
    ("landing", "zero"): -42.0,
    ("air-hockey", "random"): -0.2,
    ("air-hockey", "zero"): -0.4,
    ("rocket-collect", "random"): -7.6,
    ("rocket-collect", "zero"): -9.6,
    ("chase-evade", "random"): -44.0,
    ("chase-evade", "zero"): -44.0,
    ("coconut-dodge", "random"): -14.8,
    ("coconut-dodge", "zero"): -12.2,
    ("cartpole-balance", "random"): 34.0,
    ("cartpole-swingup", "random"): 0.0,
    ("cartpole-balance-sparse", "random"): 18.0,
    ("cartpole-swingup-sparse", "random"): 0.0,
    ("cartpole-tremor", "random"): 31.0,
    # The point-mazes were measured together: 105 to 140, of which this is the middle.
    ("point-maze-var1", "random"): 122.5,
    ("point-maze-var2", "random"): 122.5,
    ("point-maze-var3", "random"): 122.5,
    ("point-maze-var4", "random"): 122.5,
    ("reacher-hard", "random"): 1.6,
    ("reacher-easy", "random"): 19.0,
}


def bound(per_episode: np.ndarray, count: int, rounding: float) -> np.ndarray:
    """Largest difference of two means over `count` and over our episodes."""
    spread = per_episode.std(axis=0, ddof=1)
    return SIGMAS * spread * np.sqrt(1 / count + 1 / len(per_episode)) + rounding


@pytest.mark.parametrize(("name", "policy"), MEASURED_RETURNS)
def test_returns(name, policy, episodes):
    returns = episodes(name, policy, EPISODES)[1].sum(axis=1)
    difference = abs(returns.mean() - MEASURED_RETURNS[name, policy])
    assert difference <= bound(returns, MEASURED_EPISODES, rounding=0.5)


def test_every_task_is_calibrated():
    assert {name for name, _ in MEASURED_RETURNS} == {task.name for task in miniarcade.tasks()}


@pytest.mark.parametrize("policy", ["random", "zero", "hold"])
@pytest.mark.parametrize("name", sorted(path.stem for path in REFERENCE.glob("*.json")))
def test_fingerprint(name, policy, episodes):
    recorded = json.loads((REFERENCE / f"{name}.json").read_text())
    expected = recorded["fingerprint"][policy]
    count = expected["episodes"]
    observations, rewards, scores = episodes(name, policy, FINGERPRINT_STEPS // expected["length"])
    assert observations.shape[1:] == (expected["length"] + 1, recorded["obs_dim"])
    assert rewards.shape[1] == recorded["max_episode_steps"]

    def same_mean(ours, theirs, rounding, what):
        difference = np.abs(ours.mean(axis=0) - theirs)
        limit = bound(ours, count, rounding)
        assert (difference <= limit).all(), (what, ours.mean(axis=0), theirs, limit)

    same_mean(rewards.sum(axis=1), expected["return_mean"], 1e-3, "return")
    same_mean(scores, expected["score_mean"], 1e-4, "score")
    moment = expected["reward_mean"] ** 2 + expected["reward_std"] ** 2
    same_mean((rewards**2).mean(axis=1), moment, 1e-4, "squared reward")
    mean, std = np.array(expected["obs_mean"]), np.array(expected["obs_std"])
    same_mean(observations.mean(axis=1), mean, 1e-5, "observation")
    rounding = 1e-5 * (1 + 2 * np.abs(mean) + 2 * std)
    same_mean((observations**2).mean(axis=1), mean**2 + std**2, rounding, "squared observation")
