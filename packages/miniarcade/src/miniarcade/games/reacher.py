"""Reacher: hold the tip of a two-jointed arm on the target.

The actions are the torques at the shoulder and at the elbow. A step earns 1 with the tip on the
target, which is smaller in the hard variant. The shoulder turns freely and its angle is not
wrapped; the elbow has stops.

Source: MMBench, arXiv 2511.19584, the arcade suite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from numpy.random import Generator

from miniarcade.game import SIZE, Game, State, draw_decor_seed
from miniarcade.palette import GREY, ORANGE, RED, WHITE, Color, fade, mix, noise
from miniarcade.randomness import uniform

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas

LINK = 0.11  # m, length of either link
ELBOW_LIMIT = math.radians(160)  # rad, to either side
SHOULDER_GAIN, ELBOW_GAIN = 90.0, 180.0  # rad/s^2, of a full action
SHOULDER_DAMPING, ELBOW_DAMPING = 4.0, 38.0  # 1/s
SHOULDER_DRAG, ELBOW_DRAG = 1.2, 0.05  # 1/rad, slows in proportion to the speed squared
TOP_SPEED = 30.0  # rad/s
DT = 0.02  # s/step

TARGET_DISTANCE = (0.05, 0.2)  # m from the shoulder, least and most
EASY_RADIUS = 0.04  # m, of the target
HARD_RADIUS = 0.025  # m

PIXELS_PER_METRE = 380.0
CENTER = SIZE / 2  # px, of the shoulder, either way
TRAIL_STEPS = 8  # past steps that the trail of the tip goes back


@dataclass(slots=True)
class ReacherState(State):
    """See `State`."""

    q1: float  # rad, shoulder, from the right towards the bottom, not wrapped
    q2: float  # rad, elbow, from the upper arm's direction, the same way round
    target_x: float  # m, from the shoulder
    target_y: float  # m
    w1: float = 0.0  # rad/s
    w2: float = 0.0  # rad/s
    reached: bool = False  # the tip is on the target


class Reacher(Game):
    """Hold the tip of the arm on the target."""

    action_size = 2
    observation_size = 6
    state_type = ReacherState
    state: ReacherState

    def __init__(self, hard: bool = False) -> None:
        """Chooses the variant.

        Args:
            hard: A smaller target.
        """
        self.target_radius = HARD_RADIUS if hard else EASY_RADIUS

    def reset(self, rng: Generator) -> None:
        """See `Game`."""
        self.rng = rng
        q1 = uniform(rng, -math.pi, math.pi)
        q2 = uniform(rng, -ELBOW_LIMIT, ELBOW_LIMIT)
        angle = uniform(rng, 0.0, 2 * math.pi)
        distance = uniform(rng, *TARGET_DISTANCE)
        self.state = ReacherState(
            t=0,
            decor_seed=draw_decor_seed(rng),
            q1=q1,
            q2=q2,
            target_x=distance * math.cos(angle),
            target_y=distance * math.sin(angle),
        )

    def step(self, action: Sequence[float]) -> float:
        """See `Game`."""
        s = self.state
        s.t += 1
        w1, w2 = s.w1, s.w2
        w1 += DT * (SHOULDER_GAIN * action[0] - (SHOULDER_DAMPING + SHOULDER_DRAG * abs(w1)) * w1)
        w2 += DT * (ELBOW_GAIN * action[1] - (ELBOW_DAMPING + ELBOW_DRAG * abs(w2)) * w2)
        s.w1 = -TOP_SPEED if w1 < -TOP_SPEED else TOP_SPEED if w1 > TOP_SPEED else w1
        s.w2 = -TOP_SPEED if w2 < -TOP_SPEED else TOP_SPEED if w2 > TOP_SPEED else w2
        s.q1 += DT * s.w1
        s.q2 += DT * s.w2
        if not -ELBOW_LIMIT <= s.q2 <= ELBOW_LIMIT:
            s.q2 = ELBOW_LIMIT if s.q2 > 0 else -ELBOW_LIMIT
            s.w2 = 0.0
        dx = s.target_x - LINK * (math.cos(s.q1) + math.cos(s.q1 + s.q2))
        dy = s.target_y - LINK * (math.sin(s.q1) + math.sin(s.q1 + s.q2))
        s.reached = dx * dx + dy * dy <= self.target_radius * self.target_radius
        return 1.0 if s.reached else 0.0

    def observe(self) -> list[float]:
        """Both angles, the way from the tip to the target in metres, both angular speeds."""
        s = self.state
        q = s.q1 + s.q2
        return [
            s.q1,
            s.q2,
            s.target_x - LINK * (math.cos(s.q1) + math.cos(q)),
            s.target_y - LINK * (math.sin(s.q1) + math.sin(q)),
            s.w1,
            s.w2,
        ]
