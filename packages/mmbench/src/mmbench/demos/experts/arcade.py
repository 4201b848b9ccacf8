"""MiniArcade by rules: games whose best play is a formula on the observation.

The other games are in :mod:`mmbench.demos.experts.balance`, ``arms``, ``maze`` and ``mpc``.
"""

from __future__ import annotations

import math

import numpy as np

from miniarcade.games import coinrun, landing, pong
from miniarcade.games._runner import (
    RUNNER_GROUND_Y,
    RUNNER_HEIGHT,
    RUNNER_WIDTH,
    RUNNER_X,
    SCROLL,
    move,
)
from miniarcade.rules import SIZE
from mmbench.demos.experts import Expert
from mmbench.env import TaskEnv


class Rule(Expert):
    """An action that is a function of the observation."""

    def begin(self, env: TaskEnv, obs: np.ndarray, rng: np.random.Generator) -> None:
        """Needs nothing."""


class Cowboy(Rule):
    """Jumps as high as he can, so early that he is above any cactus when he passes it."""

    name = "jump at a fixed distance"
    DISTANCE = 140.0  # px, of the obstacle's left edge from the screen's

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Jumps or runs."""
        return np.array([1.0 if obs[2] * SIZE <= self.DISTANCE else -1.0])


class Pong(Rule):
    """Keeps the paddle level with the ball, which it can, being faster."""

    name = "follow the ball"

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Follows."""
        way = (obs[1] - obs[4]) * SIZE - pong.PADDLE_HEIGHT / 2
        return np.clip([way / pong.PADDLE_SPEED], -1.0, 1.0)


class CoinRun(Rule):
    """Jumps where and as hard as takes most of the coins in sight, by trying all jumps out."""

    name = "the best of all jumps"
    STEPS = 48  # in which the farthest coins have passed
    DELAYS = 24  # steps to wait before the jump, at most
    STRENGTHS = np.arange(1, 13) / 12

    def __init__(self) -> None:
        # Height of the girl's box above its place on the ground at every step, by (delay,
        # strength). The last row has no jump.
        self._tops = np.full((self.DELAYS + 1, len(self.STRENGTHS), self.STEPS), RUNNER_GROUND_Y)
        self._tops = self._tops.astype(float)
        for i, strength in enumerate(self.STRENGTHS):
            y, vy = float(RUNNER_GROUND_Y), 0.0
            jump: list[float] = []
            while not jump or vy != 0.0:
                y, vy = move(y, vy, strength if not jump else 0.0)
                jump.append(y)
            for delay in range(self.DELAYS):
                end = min(delay + len(jump), self.STEPS)
                self._tops[delay, i, delay:end] = jump[: end - delay]

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Jumps if now is the best moment; of equally good ones the last counts."""
        coins = obs[2:].reshape(-1, 2) * SIZE
        coins = coins[coins[:, 0] > -coinrun.COIN_RADIUS - 1]
        if obs[0] < 0.0 or not len(coins):
            return np.array([-1.0])
        taken = self._count_taken(coins)
        best = taken.max()
        if taken[1:].max() == best:
            return np.array([-1.0])
        return np.array([self.STRENGTHS[taken[0].argmax()]])

    def _count_taken(self, coins: np.ndarray) -> np.ndarray:
        """Returns how many coins each jump takes: (delays + 1, strengths)."""
        left = coins[:, 0] - SCROLL * np.arange(1, self.STEPS + 1)[:, None]
        reach = coinrun.COIN_RADIUS - 1.0  # a pixel to spare
        beside = (RUNNER_X - reach < left) & (left < RUNNER_X + RUNNER_WIDTH + reach)
        tops = self._tops[..., None]
        level = (tops - reach < coins[:, 1]) & (coins[:, 1] < tops + RUNNER_HEIGHT + reach)
        return (beside & level).any(axis=-2).sum(axis=-1)


class Landing(Rule):
    """Flies above the flag, sinks slowly, and stays."""

    name = "PD control to the flag"
    TOUCHDOWN_SPEED = 0.5  # px/step
    SINKING = 0.12  # px/step per px of height
    SLOPE = 0.5  # px of height that are kept per px beside the flag

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Flies on."""
        x, y, vx, vy, ship, _, ship_v = obs.astype(float) * (SIZE, SIZE, 10, 10, SIZE, SIZE, 5)
        aside = ship - landing.WIDTH / 2 - x
        height = landing.DECK_TOP - landing.HEIGHT - y
        if height <= landing.CONTACT_GAP:
            wanted_y = 0.0  # gravity holds it down
            thrust_y = 0.0
        else:
            above = max(height - self.SLOPE * max(abs(aside) - 8.0, 0.0), -10.0)
            wanted_y = self.SINKING * above + math.copysign(self.TOUCHDOWN_SPEED, above)
            thrust_y = (wanted_y - vy) - landing.GRAVITY
        wanted_x = ship_v + 0.15 * aside
        return np.clip([(wanted_x - vx) / landing.THRUST, thrust_y / landing.THRUST], -1.0, 1.0)
