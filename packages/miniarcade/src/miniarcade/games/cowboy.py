"""Cowboy: run through the desert and jump over cacti.

The cowboy runs by himself; a positive action on the ground jumps, the higher the greater it is.
A step costs 1 while he is stuck in a cactus and earns 1 otherwise. He may land on top of a
cactus and run over it. If he comes down half inside one, he is put on top of it.

Source: MMBench, arXiv 2511.19584, the arcade suite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from numpy.random import Generator

from miniarcade.game import SIZE, Game, State, sample_decor_seed
from miniarcade.games._runner import (
    GROUND_Y,
    JUMP_Y,
    RUNNER_GROUND_Y,
    RUNNER_HEIGHT,
    RUNNER_WIDTH,
    RUNNER_X,
    SCROLL,
    move,
)
from miniarcade.palette import BROWN, HIT, RED, SKIN, Color, fade, mix, noise
from miniarcade.rules import boxes_overlap, integer

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas

OBSTACLE_X = 264  # px, left edge of a new obstacle
# The four obstacles, equally likely: their cacti as (offset from the left edge, width, height).
OBSTACLES = (
    ((0, 15, 25),),
    ((0, 20, 40),),
    ((0, 15, 25), (20, 20, 40)),
    ((0, 20, 40), (25, 15, 25)),
)
OBSTACLE_WIDTHS = (15, 20, 40, 40)  # px, of the hitbox, which bounds the group
OBSTACLE_HEIGHTS = (25, 40, 40, 40)  # px
LANDING_OVERLAP = RUNNER_WIDTH / 2  # px, more than that and a falling runner lands on top
DUST_STEPS = 10  # steps that the dust of a jump is seen


@dataclass(slots=True)
class CowboyState(State):
    y: float = float(RUNNER_GROUND_Y)  # px, top of the cowboy's box
    vy: float = 0.0  # px/step
    kind: int = 0  # index into OBSTACLES
    obstacle_x: int = OBSTACLE_X  # px, left edge of the hitbox
    collided: bool = False  # stuck in the obstacle at this step
    scrolled: int = 0  # px that the world has moved
    jumped_at: int = -DUST_STEPS  # step of the last jump


def sample_kind(rng: Generator) -> int:
    """Chooses an obstacle: an index into OBSTACLES."""
    return integer(rng, 0, len(OBSTACLES) - 1)


class Cowboy(Game):
    """Jump over the cacti."""

    action_size = 1
    observation_size = 3
    state_type = CowboyState
    state: CowboyState

    def reset(self, rng: Generator) -> None:
        self.rng = rng
        self.state = CowboyState(t=0, decor_seed=sample_decor_seed(rng), kind=sample_kind(rng))

    def step(self, action: Sequence[float]) -> float:
        s = self.state
        s.t += 1
        if action[0] > 0.0 and s.y >= JUMP_Y:
            s.jumped_at = s.t
        s.y, s.vy = move(s.y, s.vy, action[0])

        s.collided = self._collide()
        if s.collided:
            return -1.0
        s.scrolled += SCROLL
        s.obstacle_x -= SCROLL
        if s.obstacle_x + OBSTACLE_WIDTHS[s.kind] < 0:
            s.kind = sample_kind(self.rng)
            s.obstacle_x = OBSTACLE_X
        return 1.0

    def observe(self) -> list[float]:
        """Height above the ground, vertical speed, left edge of the obstacle."""
        s = self.state
        return [(s.y - RUNNER_GROUND_Y) / SIZE, s.vy / 10, s.obstacle_x / SIZE]

    def _collide(self) -> bool:
        """Lands a falling runner on the obstacle; else whether he is stuck in it."""
        s = self.state
        left, width, height = s.obstacle_x, OBSTACLE_WIDTHS[s.kind], OBSTACLE_HEIGHTS[s.kind]
        if left >= RUNNER_X + RUNNER_WIDTH or left + width <= RUNNER_X:
            return False
        top = GROUND_Y - height
        if not boxes_overlap(RUNNER_X, s.y, RUNNER_WIDTH, RUNNER_HEIGHT, left, top, width, height):
            return False
        horizontal = min(RUNNER_X + RUNNER_WIDTH, left + width) - max(RUNNER_X, left)
        if s.vy > 0.0 and horizontal > LANDING_OVERLAP:
            s.y = float(top - RUNNER_HEIGHT)
            s.vy = 0.0
            return False
        return True

    def draw(self, canvas: Canvas) -> None:
        s = self.state
        canvas.background(("cowboy", s.decor_seed), lambda: self._draw_backdrop(canvas))
        self._draw_pebbles(canvas)
        for offset, width, height in OBSTACLES[s.kind]:
            _draw_cactus(canvas, s.obstacle_x + offset, width, height)
        self._draw_dust(canvas)
        self._draw_cowboy(canvas)
        if s.collided:
            canvas.fill(HIT)

    def _draw_backdrop(self, canvas: Canvas) -> None:
        seed = self.state.decor_seed
        canvas.gradient([(74, 146, 222), (150, 200, 240), (236, 226, 206)], 0, GROUND_Y)
        x, y = 40 + 150 * noise(seed, 0), 28 + 40 * noise(seed, 1)
        radius = 11 + 8 * noise(seed, 2)
        color = mix((255, 240, 150), (255, 176, 80), noise(seed, 3))
        canvas.glow(color, (x, y), 3.2 * radius, 0.35)
        canvas.circle(color, (x, y), radius)
        canvas.gradient([(238, 202, 140), (208, 160, 98)], GROUND_Y, SIZE)
        canvas.rect((190, 142, 84), 0, GROUND_Y, SIZE, 1.5)

    def _draw_pebbles(self, canvas: Canvas) -> None:
        s = self.state
        spacing = 26
        first = s.scrolled // spacing - 1
        for i in range(first, first + SIZE // spacing + 4):
            x = i * spacing + 18 * noise(s.decor_seed, i, 4) - s.scrolled
            y = GROUND_Y + 6 + 30 * noise(s.decor_seed, i, 5)
            size = 1.2 + 2.0 * noise(s.decor_seed, i, 6)
            canvas.ellipse((172, 128, 78), (x + 0.6, y + 0.8), size * 1.4, size)
            canvas.ellipse((226, 190, 134), (x, y), size * 1.3, size * 0.8)

    def _draw_dust(self, canvas: Canvas) -> None:
        s = self.state
        age = s.t - s.jumped_at
        if age >= DUST_STEPS:
            return
        for i in range(6):
            spread = (noise(s.decor_seed, s.jumped_at, i) - 0.5) * 26
            x = RUNNER_X + RUNNER_WIDTH / 2 + spread - age * 2.5
            y = GROUND_Y - 1 - age * (0.3 + 0.9 * noise(s.decor_seed, s.jumped_at, i, 1))
            color = fade((224, 190, 140), 0.8 * (1 - age / DUST_STEPS))
            canvas.circle(color, (x, y), 1.5 + 0.35 * age)

    def _draw_cowboy(self, canvas: Canvas) -> None:
        s = self.state
        x, y = RUNNER_X + RUNNER_WIDTH / 2, s.y
        hip, neck = (x, y + 19), (x + 1, y + 10)
        airborne = s.y < RUNNER_GROUND_Y
        pose = 1 if airborne or s.scrolled // (3 * SCROLL) % 2 else 0
        jeans, shirt = (44, 70, 128), (176, 50, 44)
        feet = (((-7, 28), (7, 26)), ((-2, 29), (3, 30)))[1 - pose]
        for foot_x, foot_y in feet:
            knee = (x + foot_x / 2 + 2, y + 24)
            foot = (x + foot_x, y + foot_y - 1)
            canvas.line(jeans, [hip, knee, foot], 2.6)
            canvas.line(BROWN, [foot, (foot[0] + 2.2, foot[1])], 2.4)
        for hand in (((6, 15), (-6, 16)), ((3, 19), (-3, 19)))[1 - pose]:
            canvas.line(shirt, [(x + 0.5, y + 12), (x + hand[0], y + hand[1])], 2.2)
            canvas.circle(SKIN, (x + hand[0], y + hand[1]), 1.5)
        canvas.line(shirt, [neck, hip], 5)
        canvas.line((250, 214, 90), [(x - 1, y + 10.2), (x + 3, y + 10.2)], 1.6)
        canvas.circle(SKIN, (x + 1, y + 5.5), 4)
        canvas.circle((40, 30, 26), (x + 3, y + 5.4), 0.7)
        canvas.line((96, 58, 30), [(x - 6, y + 3), (x + 9, y + 3)], 1.8)
        canvas.polygon(
            (120, 74, 40),
            [(x - 3, y + 3), (x - 2, y - 2), (x + 1, y - 1), (x + 4, y - 2), (x + 5, y + 3)],
        )
        canvas.line(RED, [(x - 3, y + 1.7), (x + 5, y + 1.7)], 1.0)


def _draw_cactus(canvas: Canvas, x: float, width: float, height: float) -> None:
    """A cactus whose outer edges are those of its box."""
    dark, body, light = (30, 104, 56), (48, 142, 74), (104, 188, 110)
    stem = width * 0.4
    center, top = x + width / 2, GROUND_Y - height

    def limb(points: list[tuple[float, float]], thickness: float, color: Color) -> None:
        canvas.line(color, points, thickness)

    arm = width * 0.22
    left, right = x + arm / 2, x + width - arm / 2
    for color, grow in ((dark, 1.4), (body, 0.0)):
        limb([(center, GROUND_Y), (center, top + stem / 2)], stem + grow - 1, color)
        for side, low, high in ((left, 0.55, 0.28), (right, 0.68, 0.42)):
            elbow = (side, top + height * low)
            limb([(center, elbow[1]), elbow, (side, top + height * high)], arm + grow - 1, color)
    for i in range(math.ceil(height / 7)):
        y = top + stem / 2 + 7 * i
        if y < GROUND_Y - 3:
            canvas.line(light, [(center - stem * 0.15, y), (center - stem * 0.15, y + 2.5)], 0.8)
