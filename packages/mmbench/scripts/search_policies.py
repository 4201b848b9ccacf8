"""Searches linear policies, and saves their weights.

    OMP_NUM_THREADS=1 uv run packages/mmbench/scripts/search_policies.py POLICY ... [--minutes M]

Augmented random search (Mania, Guy and Recht 2018, "Simple random search provides a competitive
approach to reinforcement learning", algorithm 2, V2-t): each iteration tries the weights with
random directions added and taken away, and moves along the best ones. Every half minute the policy
plays a few new episodes; the best so far is what is saved, in ``--out``. A search goes on from the
weights that are there, unless ``--anew``.
"""

import argparse
import io
import math
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmbench.catalog import TASKS, get
from mmbench.demos.experts import on_grid
from mmbench.demos.experts.linear import MAZES, POLICIES, Body, Policy, body_of
from mmbench.env import TaskEnv
from mmbench.runs import EXIT_INTERRUPTED
from mmbench.runs.files import write_atomically

_CHECK_EVERY = 30.0  # seconds
_CHECK_EPISODES = 4
_NUMBERS = ("weights", "mean", "scale")  # of a policy


@dataclass(frozen=True)
class Settings:
    """How one policy is searched.

    Attributes:
        task: In which it is searched; by default the one whose name it has.
        start: The policy from whose weights it begins; by default all are 0.
        directions: Tried in an iteration, each forward and backward.
        best: Of them, along which the weights move.
        step: Of the weights.
        noise: Standard deviation of what is added to the weights for a trial.
        frequency: Of the policy's clock, periods per action.
        length: Agent steps of a trial; by default the whole episode.
        hold: Agent steps that an action is held.
    """

    task: str | None = None
    start: str | None = None
    directions: int = 24
    best: int = 12
    step: float = 0.02
    noise: float = 0.03
    frequency: float = 0.0
    length: int | None = None
    hold: int = 1


SETTINGS: dict[str, Settings] = {
    "og-ant": Settings(step=0.04, noise=0.04, frequency=0.2, length=300),
    MAZES: Settings(task="og-ant", start="og-ant", frequency=0.4, length=200, hold=2),
}
"""By policy; a task's own policy has its name and, without a row here, the defaults."""


class Statistics:
    """Mean and standard deviation of all features that were seen."""

    def __init__(self, features: int) -> None:
        self.count = 0.0
        self.mean = np.zeros(features)
        self._squares = np.zeros(features)

    def add(self, seen: np.ndarray) -> None:
        """Takes features (n, features)."""
        mean, total = seen.mean(0), self.count + len(seen)
        apart = mean - self.mean
        self._squares += ((seen - mean) ** 2).sum(0)
        self._squares += apart**2 * self.count * len(seen) / total
        self.mean = self.mean + apart * len(seen) / total
        self.count = total

    def go_on(self, mean: np.ndarray, scale: np.ndarray, count: float) -> None:
        """Takes up earlier statistics."""
        self.mean, self.count, self._squares = mean.astype(np.float64), count, count * scale**2

    def scale(self) -> np.ndarray:
        """Returns the standard deviations; infinite for a feature that never changes."""
        variance = self._squares / max(self.count, 1.0)
        return np.where(variance < 1e-8, np.inf, np.sqrt(variance))


def read(path: Path) -> dict[str, np.ndarray]:
    """Reads saved weights, with what is needed to go on."""
    try:
        with np.load(path) as stored:
            return {key: stored[key] for key in ("earned", "trials", *_NUMBERS, "count")}
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        raise SystemExit(f"{path} is damaged ({error}): move it away to begin anew") from error


class Search:
    """The search for one policy.

    Args:
        name: Of the policy.
        settings: How it is searched.
        seed: Of all random numbers.
    """

    def __init__(self, name: str, settings: Settings, seed: int) -> None:
        self.task = get(settings.task or name)
        self._settings = settings
        self._env = TaskEnv(self.task, unify=False)
        self.body: Body = body_of(self.task)
        self._rng = np.random.default_rng(seed)
        self._statistics = Statistics(self.body.features)
        self._seen: list[np.ndarray] = []
        self.weights = np.zeros((self.body.outputs, self.body.features + 1))
        self.trials = 0

    def policy(self, weights: np.ndarray) -> Policy:
        """Returns the policy with these weights and today's scales."""
        scale = self._statistics.scale()
        if not self._statistics.count:
            scale = np.ones_like(scale)
        return Policy(weights, self._statistics.mean, scale, self._settings.frequency)

    def play(self, policy: Policy, seed: int, length: int | None = None) -> tuple[float, float]:
        """Plays an episode; returns what it earns, with the body's bonus, and its score."""
        env, body, hold = self._env, self.body, self._settings.hold
        obs, _ = env.reset(seed=seed)
        obs = obs.copy()
        total, score = 0.0, 0.0
        for step in range(length or self.task.max_episode_steps):
            if step % hold == 0:
                seen = body.see(obs, policy.phase(step // hold))
                action = on_grid(body.act(policy.outputs(seen))).astype(np.float32)
            if step % 10 == 0:
                self._seen.append(seen.copy())
            reward, _, _, score, _ = env.advance(action)
            env.observe(obs)
            total += reward + body.bonus
        return total, score

    def improve(self) -> float:
        """Makes an iteration; returns the trials' mean return."""
        settings = self._settings
        directions = self._rng.standard_normal((settings.directions, *self.weights.shape))
        returns = np.empty((settings.directions, 2))
        self._seen = []
        for i, direction in enumerate(directions):
            seed = int(self._rng.integers(2**31))
            for j, sign in enumerate((1.0, -1.0)):
                policy = self.policy(self.weights + sign * settings.noise * direction)
                returns[i, j], _ = self.play(policy, seed, settings.length)
        best = np.argsort(-returns.max(1))[: settings.best]
        spread = returns[best].std() + 1e-6
        slope = np.tensordot(returns[best, 0] - returns[best, 1], directions[best], 1)
        self.weights = self.weights + settings.step / (settings.best * spread) * slope
        self._statistics.add(np.concatenate(self._seen))
        self.trials += 2 * settings.directions
        return float(returns.mean())

    def check(self) -> tuple[float, float]:
        """Returns the mean return and the mean score of a few new episodes."""
        self._seen = []
        seeds = self._rng.integers(2**31, size=_CHECK_EPISODES)
        played = [self.play(self.policy(self.weights), int(seed)) for seed in seeds]
        returns, scores = zip(*played, strict=True)
        return float(np.mean(returns)), float(np.mean(scores))

    def go_on_from(self, path: Path) -> float:
        """Takes up saved weights; returns what they earned."""
        stored = read(path)
        self.weights = stored["weights"].astype(np.float64)
        self.trials = int(stored["trials"])
        scale = np.where(np.isinf(stored["scale"]), 0.0, stored["scale"])
        self._statistics.go_on(stored["mean"], scale, float(stored["count"]))
        return float(stored["earned"])

    def save(self, path: Path, earned: float) -> None:
        """Saves the weights, with what is needed to go on."""
        policy = self.policy(self.weights)
        numbers = {k: getattr(policy, k).astype(np.float32) for k in _NUMBERS}
        file = io.BytesIO()
        np.savez(
            file,
            **numbers,
            frequency=policy.frequency,
            count=self._statistics.count,
            trials=self.trials,
            earned=earned,
        )
        write_atomically(path, file.getvalue())


def search(name: str, minutes: float, seed: int, folder: Path, anew: bool) -> None:
    """Searches one policy, and tells how it goes."""
    settings = SETTINGS.get(name, Settings())
    found = Search(name, settings, seed)
    path, best = folder / f"{name}.npz", -math.inf
    if path.exists():
        best = float(read(path)["earned"]) if anew else found.go_on_from(path)
    elif settings.start is not None:
        start = folder / f"{settings.start}.npz"
        found.go_on_from(start if start.exists() else POLICIES / start.name)
        found.trials = 0
    folder.mkdir(parents=True, exist_ok=True)
    began = checked = time.monotonic()
    over = False
    while not over:
        mean = found.improve()
        over = time.monotonic() - began >= 60 * minutes
        if time.monotonic() - checked < _CHECK_EVERY and not over:
            continue
        earned, score = found.check()
        print(
            f"{name}: {found.trials} trials, {time.monotonic() - began:.0f} s, trials earn "
            f"{mean:.1f}, the policy {earned:.1f}, its score {score:.3f}",
            flush=True,
        )
        if earned > best:
            best = earned
            found.save(path, best)
        checked = time.monotonic()


def main() -> None:
    """Searches the policies that are asked for, one after another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("policies", nargs="+", help="tasks, or rows of SETTINGS")
    parser.add_argument("--minutes", type=float, default=10.0, help="for each policy")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=POLICIES, help="the folder of the weights")
    parser.add_argument(
        "--anew",
        action="store_true",
        help="not from the weights that are there; only better ones replace them",
    )
    given = parser.parse_args()
    known = {*SETTINGS, *(task.versioned_name for task in TASKS)}
    for name in given.policies:
        if name not in known:
            parser.error(f"no task or policy {name!r}: `mmbench tasks` lists the tasks")
    if not 0 < given.minutes < math.inf:
        parser.error(f"--minutes {given.minutes}: a number above 0")
    for name in given.policies:
        try:
            search(name, given.minutes, given.seed, given.out, given.anew)
        except KeyboardInterrupt:
            print(f"{name}: interrupted; the same command goes on from its best", file=sys.stderr)
            raise SystemExit(EXIT_INTERRUPTED) from None


if __name__ == "__main__":
    main()
