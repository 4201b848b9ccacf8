"""The lunar lander: its tilt moves it aside, its main engine lifts it.

Source of the form: the heuristic of Gymnasium's ``LunarLander``.
"""

from __future__ import annotations

import numpy as np

from mmbench.demos.experts import Expert
from mmbench.env import TaskEnv

_TILT = np.array((1.0, 1.5))  # wanted rad per observed distance and speed aside
_MOST_TILT = 0.4  # rad
_TURN = np.array((20.0, 10.0))  # action per rad and per observed angular speed
_LIFT = np.array((20.0, 20.0))  # action per observed distance and speed


class Lander(Expert):
    """Flies to the goal and stays."""

    name = "PD control"

    def begin(self, env: TaskEnv, obs: np.ndarray, rng: np.random.Generator) -> None:
        """Needs nothing."""

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Flies on: main engine, side engines."""
        aside, up, vx, vy, angle, turning = *self._way(obs), *obs[2:6]
        tilt = np.clip(_TILT @ (-aside, vx), -_MOST_TILT, _MOST_TILT)
        turn = _TURN @ (tilt - angle, -turning)
        return np.clip([_LIFT @ (up, -vy), -turn], -1.0, 1.0)

    def _way(self, obs: np.ndarray) -> tuple[float, float]:
        """To the goal, aside and up, as observed."""
        return obs[8], obs[9]


class PadLander(Lander):
    """Sinks onto the pad, the slower the lower it is, and switches the engines off."""

    SINKING = 1.3  # observed speed per observed height

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Flies on, or rests."""
        return np.array((-1.0, 0.0)) if obs[6:].all() else super().act(obs)

    def _way(self, obs: np.ndarray) -> tuple[float, float]:
        return -obs[0], -self.SINKING * obs[1]
