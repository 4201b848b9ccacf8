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

from miniarcade.game import SIZE, Game, State, sample_decor_seed
from miniarcade.palette import GREY, ORANGE, RED, WHITE, Color, fade, mix
from miniarcade.rules import uniform

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
    q1: float  # rad, shoulder, from the right towards the bottom, not wrapped
    q2: float  # rad, elbow, from the upper arm's direction, the same way round
    target_x: float  # m, from the shoulder
    target_y: float  # m
    w1: float = 0.0  # rad/s
    w2: float = 0.0  # rad/s


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
        self.rng = rng
        q1 = uniform(rng, -math.pi, math.pi)
        q2 = uniform(rng, -ELBOW_LIMIT, ELBOW_LIMIT)
        angle = uniform(rng, 0.0, 2 * math.pi)
        distance = uniform(rng, *TARGET_DISTANCE)
        self.state = ReacherState(
            t=0,
            decor_seed=sample_decor_seed(rng),
            q1=q1,
            q2=q2,
            target_x=distance * math.cos(angle),
            target_y=distance * math.sin(angle),
        )

    def step(self, action: Sequence[float]) -> float:
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
        return 1.0 if self._reached() else 0.0

    def observe(self) -> list[float]:
        """Both angles, the way from the tip to the target in metres, both angular speeds."""
        s = self.state
        dx, dy = self._way()
        return [s.q1, s.q2, dx, dy, s.w1, s.w2]

    def _way(self) -> tuple[float, float]:
        """From the tip to the target, m."""
        s = self.state
        q = s.q1 + s.q2
        return (
            s.target_x - LINK * (math.cos(s.q1) + math.cos(q)),
            s.target_y - LINK * (math.sin(s.q1) + math.sin(q)),
        )

    def _reached(self) -> bool:
        dx, dy = self._way()
        return dx * dx + dy * dy <= self.target_radius * self.target_radius

    def draw(self, canvas: Canvas) -> None:
        s = self.state
        canvas.background("reacher", lambda: _draw_neon(canvas))
        target = (_to_pixels(s.target_x), _to_pixels(s.target_y))
        radius = self.target_radius * PIXELS_PER_METRE
        pulse = 0.5 + 0.5 * math.sin(0.2 * s.t)
        reached = self._reached()
        if reached:
            canvas.glow((255, 230, 140), target, radius + 16 + 4 * pulse, 0.7)
        canvas.circle(mix(RED, (60, 0, 20), 0.35), target, radius)
        canvas.circle(RED, target, radius - 1)
        canvas.circle(mix(RED, WHITE, 0.3), target, radius * 0.62, outline=1.2)
        canvas.circle(mix(RED, WHITE, 0.3), target, radius * 0.2)
        canvas.circle(WHITE, target, radius + (2 + 2 * pulse if reached else 0.8), outline=1)

        tip = self._tip(0.0)
        for i in range(TRAIL_STEPS, 0, -1):
            back = i * DT / 2
            canvas.circle(fade(WHITE, 0.42 * (1 - i / (TRAIL_STEPS + 1))), self._tip(back), 3.6)
        elbow = (
            CENTER + PIXELS_PER_METRE * LINK * math.cos(s.q1),
            CENTER + PIXELS_PER_METRE * LINK * math.sin(s.q1),
        )
        _draw_link(canvas, GREY, (CENTER, CENTER), elbow, 9)
        _draw_link(canvas, ORANGE, elbow, tip, 7)
        _draw_joint(canvas, (CENTER, CENTER), 7)
        _draw_joint(canvas, elbow, 5.5)
        canvas.glow(WHITE, tip, 9, 0.35)
        canvas.circle((70, 40, 80), tip, 4.8)
        canvas.circle(WHITE, tip, 4)

    def _tip(self, ago: float) -> tuple[float, float]:
        """Where the tip was (px) some seconds ago, had the joints turned as fast as now."""
        s = self.state
        q1 = s.q1 - ago * s.w1
        q = q1 + s.q2 - ago * s.w2
        return (
            _to_pixels(LINK * (math.cos(q1) + math.cos(q))),
            _to_pixels(LINK * (math.sin(q1) + math.sin(q))),
        )


def _to_pixels(metres: float) -> float:
    return CENTER + PIXELS_PER_METRE * metres


def _draw_neon(canvas: Canvas) -> None:
    canvas.gradient([(12, 116, 128), (72, 46, 128), (206, 74, 142)], diagonal=True)
    reach = 2 * LINK * PIXELS_PER_METRE
    for radius in (reach, reach / 2):
        canvas.circle((255, 255, 255, 26), (CENTER, CENTER), radius, outline=1)
    for inset, color in ((6.0, (60, 236, 236)), (11.0, (255, 120, 220))):
        side = SIZE - 2 * inset
        for width, opacity in ((5.0, 0.12), (3.0, 0.22), (1.3, 1.0)):
            out = width / 2
            box = (inset - out, inset - out, side + width, side + width)
            canvas.rect(fade(color, opacity), *box, radius=8, outline=width)


def _draw_link(
    canvas: Canvas,
    color: Color,
    start: tuple[float, float],
    end: tuple[float, float],
    width: float,
) -> None:
    canvas.line(mix(color, (30, 16, 44), 0.6), [start, end], width + 2)
    canvas.line(color, [start, end], width)
    canvas.line(mix(color, WHITE, 0.4), [start, end], width * 0.25)


def _draw_joint(canvas: Canvas, center: tuple[float, float], radius: float) -> None:
    canvas.circle((46, 40, 64), center, radius)
    canvas.circle((196, 198, 210), center, radius - 1.6)
    canvas.circle((86, 84, 104), center, radius * 0.35)
