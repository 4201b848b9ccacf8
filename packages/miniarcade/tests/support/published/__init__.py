"""The published games as they were recorded, and ours put into the same states.

One module a game, named like the one in `miniarcade.games`, translates the published state: its
function `state(game, published)` returns the state of `game` that means the same as `published`,
the recorded attributes by their published names. It may hold `DEVIATES`, a dictionary from the
entries of the observation that differ on purpose to the reason.
"""

from __future__ import annotations

import gzip
import importlib
import json
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from miniarcade.game import Game, State
from miniarcade.registry import Task

REFERENCE = Path(__file__).parents[2] / "reference"
TOLERANCE = 2e-5  # of |ours - published| / max(1, |published|)


class Scripted(np.random.Generator):
    """A generator that answers every draw with the number `u`, and noise with its mean, 0."""

    def __init__(self, u: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.u = u

    def random(self, size=None, dtype=np.float64, out=None):
        if out is not None:
            out[...] = self.u
            return out
        return self.u if size is None else np.full(size, self.u)

    def standard_normal(self, size=None, dtype=np.float64, out=None):
        return 0.0


class Outcome(NamedTuple):
    """What a step returns; in vector games, of N environments."""

    observation: np.ndarray
    reward: np.ndarray
    success: np.ndarray


def recorded(task: Task) -> dict[str, Any]:
    """`constants`, `steps` and `resets` of a task: see the README beside the data."""
    return _read(task.name)


def distribution(task: Task, policy: str) -> dict[str, Any]:
    """Statistics of 300 episodes."""
    return _read("distributions")[task.name][policy]


def translation(task: Task) -> ModuleType:
    """The module of this package that translates the states of a task's game."""
    return importlib.import_module(f"{__name__}.{task.game.partition(':')[0]}")


def state(task: Task, game: Game, published: dict[str, Any]) -> State:
    """A recorded state as one of ours."""
    return translation(task).state(game, published)


def compared(task: Task) -> np.ndarray:
    """The entries of the observation that are meant to be those of the published game."""
    entries = np.arange(task.game_class().observation_size)
    return np.setdiff1d(entries, list(getattr(translation(task), "DEVIATES", ())))


def difference(task: Task, ours: np.ndarray, published: list[float]) -> float:
    """How far an observation is from a published one, at its worst entry."""
    entries = compared(task)
    a, b = np.asarray(ours, float)[entries], np.asarray(published, float)[entries]
    return float(np.max(np.abs(a - b) / np.maximum(1.0, np.abs(b))))


def mistake(task: Task, ours: Outcome, results: list[list[Any]]) -> str | None:
    """What is wrong with the outcome of a step, None if it is one of the recorded results."""
    best = (np.inf, "")
    for observation, reward, success in results:
        wrong = max(
            difference(task, ours.observation, observation),
            abs(float(ours.reward) - reward) / max(1.0, abs(reward)),
            float(task.score_metric == "success" and ours.success != success),
        )
        best = min(best, (wrong, _compare(task, ours, (observation, reward, success))))
    return None if best[0] <= TOLERANCE else best[1]


def play(task: Task, step: dict[str, Any]) -> tuple[np.ndarray, Outcome]:
    """The observation before a recorded step, and what our game makes of the step."""
    game = task.make_game()
    game.rng = Scripted(step["u"])
    game.state = state(task, game, step["state"])
    before = np.array(game.observe())
    reward = game.step(step["action"])
    return before, Outcome(np.array(game.observe()), np.array(reward), np.array(game.success()))


def play_vector(task: Task, steps: list[dict[str, Any]]) -> tuple[np.ndarray, Outcome]:
    """The same of the task's vector game, with one environment for each step."""
    games = task.make_vector_game(len(steps))
    for i, step in enumerate(steps):
        games.reset(i, np.random.default_rng(0))
        games.rngs[i] = games.game.rng = Scripted(step["u"])
        games.write(i, state(task, games.game, step["state"]))
    before = games.observe()
    rewards = games.step(np.array([step["action"] for step in steps]))
    return before, Outcome(games.observe(), rewards, games.success())


def _compare(task: Task, ours: Outcome, published: tuple[list[float], float, float]) -> str:
    """The two sides of an outcome, as far as they differ."""
    observation, reward, success = published
    lines = [
        f"obs[{i}] {ours.observation[i]:.7g}, published {observation[i]:.7g}"
        for i in compared(task)
        if abs(ours.observation[i] - observation[i]) > TOLERANCE * max(1.0, abs(observation[i]))
    ]
    lines.append(f"reward {float(ours.reward):.7g}, published {reward:.7g}")
    if task.score_metric == "success":
        lines.append(f"success {float(ours.success)}, published {success}")
    return "; ".join(lines)


@cache
def _read(name: str) -> Any:
    with gzip.open(REFERENCE / f"{name}.json.gz", "rt") as file:
        return json.load(file)
