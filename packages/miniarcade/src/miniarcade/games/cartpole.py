"""Cart-pole: balance a pole on a mine cart, or swing it up first.

The action pushes the cart. The reward of a step is 1 with the pole upright and falls to 0 with
the pole level. In the sparse variants it is 1 close to upright and else 0. A cart may leave the
2.4 m of rail on either side, but earns nothing there. The angle is not wrapped: a pole that has
gone round once is no longer upright. In the tremor variant the mine shakes now and then and pushes
the pole.

Source: MMBench, arXiv 2511.19584, the arcade suite; the equations of motion are those of Barto,
Sutton and Anderson (1983).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from numpy.random import Generator

from miniarcade.game import SIZE, Game, State, sample_decor_seed
from miniarcade.palette import BROWN, DARK_GREY, GREY, ORANGE, Color, fade, mix, noise
from miniarcade.rules import integer, sign, uniform

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas

GRAVITY = 9.81  # m/s^2
CART_MASS = 0.9  # kg
POLE_MASS = 0.11  # kg
HALF_LENGTH = 0.6  # m, from the hinge to the pole's centre of mass
FORCE = 11.0  # N, of a full action
DT = 0.025  # s/step

TOTAL_MASS = CART_MASS + POLE_MASS  # kg
POLE_MOMENT = POLE_MASS * HALF_LENGTH  # kg m

START_SPREAD = 0.065  # m, m/s, rad, rad/s: the four start values differ by up to this
RAIL = 2.4  # m, half the length of the rail that counts
LEVEL = math.pi / 2  # rad, angle without reward
SPARSE_ANGLE = 0.15  # rad, largest angle with reward in the sparse variants

FIRST_SHAKE = (40, 80)  # steps before the first tremor, least and most
SHAKE_STEPS = (5, 10)  # steps that a tremor lasts
SHAKE_PAUSE = (50, 90)  # steps between two tremors
SHAKE_STRENGTH = 5.0  # rad/s^2, added to the pole's acceleration by the strongest tremor
SHAKE_WEAKEST = 0.35  # share of it by the weakest

PIXELS_PER_METRE = 32.5
POLE_PIXELS = 2 * HALF_LENGTH * PIXELS_PER_METRE  # px
RAIL_Y = 168  # px
HINGE_Y = RAIL_Y - 22  # px
VIEW = SIZE / 2 / PIXELS_PER_METRE  # m, half the width of the picture


@dataclass(slots=True)
class CartPoleState(State):
    x: float  # m, cart
    x_dot: float  # m/s
    theta: float  # rad, pole, 0 upright, positive to the right, not wrapped
    theta_dot: float  # rad/s
    shake_in: int = 0  # steps before the next tremor, not counting those of one that lasts
    shake_left: int = 0  # steps that the tremor still lasts
    shake: float = 0.0  # rad/s^2, its push, else 0


def accelerations(
    sin: float, cos: float, theta_dot: float, action: float, shake: float
) -> tuple[float, float]:
    """Accelerations of the cart (m/s^2) and of the pole (rad/s^2).

    Args:
        sin: Sine of the pole's angle.
        cos: Its cosine.
        theta_dot: The pole's angular speed, rad/s.
        action: The push, in [-1, 1].
        shake: What a tremor adds to the pole's, rad/s^2.
    """
    push = (FORCE * action + POLE_MOMENT * theta_dot * theta_dot * sin) / TOTAL_MASS
    theta_acc = (GRAVITY * sin - cos * push) / (
        HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * cos * cos / TOTAL_MASS)
    )
    theta_acc += shake
    return push - POLE_MOMENT * theta_acc * cos / TOTAL_MASS, theta_acc


def sample_tremor(rng: Generator) -> tuple[int, float, int]:
    """Samples a tremor: its steps, its push in rad/s^2, and the steps until the next one."""
    steps = integer(rng, *SHAKE_STEPS)
    push = sign(rng) * SHAKE_STRENGTH * uniform(rng, SHAKE_WEAKEST, 1.0)
    return steps, push, integer(rng, *SHAKE_PAUSE)


class CartPole(Game):
    """Keep a pole upright."""

    action_size = 1
    observation_size = 4
    state_type = CartPoleState
    state: CartPoleState

    def __init__(
        self,
        start: Literal["up", "down"] = "up",
        sparse: bool = False,
        tremor: bool = False,
    ) -> None:
        """Chooses the variant.

        Args:
            start: Where the pole points at the start of an episode.
            sparse: Reward only close to upright.
            tremor: The mine shakes.
        """
        self.start_angle = {"up": 0.0, "down": math.pi}[start]
        self.sparse = sparse
        self.tremor = tremor

    def reset(self, rng: Generator) -> None:
        self.rng = rng
        x, x_dot, theta, theta_dot = (uniform(rng, -START_SPREAD, START_SPREAD) for _ in range(4))
        self.state = CartPoleState(
            t=0,
            decor_seed=sample_decor_seed(rng),
            x=x,
            x_dot=x_dot,
            theta=self.start_angle + theta,
            theta_dot=theta_dot,
            shake_in=integer(rng, *FIRST_SHAKE) if self.tremor else 0,
        )

    def step(self, action: Sequence[float]) -> float:
        s = self.state
        s.t += 1
        shake = self._shake() if self.tremor else 0.0
        x_acc, theta_acc = accelerations(
            math.sin(s.theta), math.cos(s.theta), s.theta_dot, action[0], shake
        )
        s.x += DT * s.x_dot
        s.x_dot += DT * x_acc
        s.theta += DT * s.theta_dot
        s.theta_dot += DT * theta_acc

        if not -RAIL <= s.x <= RAIL:
            return 0.0
        angle = abs(s.theta)
        if self.sparse:
            return 1.0 if angle < SPARSE_ANGLE else 0.0
        return 1.0 - angle / LEVEL if angle < LEVEL else 0.0

    def observe(self) -> list[float]:
        """Cart position and velocity, pole angle and velocity. Tremors are not observed."""
        s = self.state
        return [s.x, s.x_dot, s.theta, s.theta_dot]

    def _shake(self) -> float:
        """What the tremor adds to the pole's acceleration at this step."""
        s = self.state
        if s.shake_left > 0:
            push = s.shake
            s.shake_left -= 1
            if s.shake_left == 0:
                s.shake = 0.0
            return push
        s.shake_in -= 1
        if s.shake_in == 0:  # it pushes from the next step on
            s.shake_left, s.shake, s.shake_in = sample_tremor(self.rng)
        return 0.0

    def draw(self, canvas: Canvas) -> None:
        s = self.state
        canvas.background(("cartpole", s.decor_seed), lambda: self._draw_shaft(canvas))
        for i, x in enumerate((44, 180)):
            self._draw_lantern(canvas, i, x)
        if -VIEW < s.x < VIEW:
            self._draw_cart(canvas, SIZE / 2 + PIXELS_PER_METRE * s.x)
        else:
            _draw_arrow(canvas, right=s.x > 0)
        if s.shake:
            self._draw_tremor(canvas)

    def _draw_shaft(self, canvas: Canvas) -> None:
        seed = self.state.decor_seed
        canvas.gradient([(58, 42, 32), (112, 82, 58), (84, 60, 44)])
        for i in range(26):
            x, y = SIZE * noise(seed, i, 0), 34 + 126 * noise(seed, i, 1)
            size = 3 + 8 * noise(seed, i, 2)
            canvas.ellipse(fade((60, 42, 32), 0.25), (x, y), size * 1.5, size * 0.6)
        ceiling = [(-2.0, -2.0)]
        for i in range(24):
            ceiling.append((i * 10 - 2, 12 + 14 * noise(seed, i, 3) + 6 * (i % 2)))
        ceiling.append((SIZE + 12.0, -2.0))
        canvas.polygon((58, 42, 34), [(x, y + 5) for x, y in ceiling])
        canvas.polygon((34, 25, 22), ceiling)
        for x in (12, 206):
            _draw_beam(canvas, x)
        canvas.gradient([(70, 50, 38), (44, 32, 26)], RAIL_Y + 6)
        for i in range(16):
            x, y = SIZE * noise(seed, i, 4), RAIL_Y + 16 + 34 * noise(seed, i, 5)
            _draw_rock(canvas, x, y, 3 + 7 * noise(seed, i, 6), seed + i)
        for i in range(-1, 16):
            canvas.rect((82, 54, 34), i * 15 + 3, RAIL_Y + 2, 8, 5, 1)
        for edge in (-RAIL, RAIL):
            x = SIZE / 2 + edge * PIXELS_PER_METRE
            canvas.rect((206, 60, 48), x - 1.5, RAIL_Y - 9, 3, 10, 1)
        canvas.rect((96, 98, 106), 0, RAIL_Y, SIZE, 3)
        canvas.rect((176, 178, 186), 0, RAIL_Y, SIZE, 1)

    def _draw_lantern(self, canvas: Canvas, index: int, x: float) -> None:
        s = self.state
        flicker = 0.75 + 0.25 * math.sin(0.37 * s.t + 2 * index) * math.sin(0.11 * s.t + index)
        flicker -= 0.12 * noise(s.decor_seed, index, s.t // 3)
        y = 50.0
        canvas.line((30, 24, 22), [(x, 14), (x, y - 6)], 1)
        canvas.glow((255, 176, 80), (x, y), 44, 0.34 * flicker)
        canvas.rect((44, 36, 32), x - 4.5, y - 7, 9, 14, 2)
        canvas.rect(mix((180, 96, 30), (255, 226, 130), flicker), x - 3, y - 4.5, 6, 9, 1.5)
        canvas.line((44, 36, 32), [(x - 3, y - 8), (x + 3, y - 8)], 1.6)

    def _draw_cart(self, canvas: Canvas, x: float) -> None:
        s = self.state
        wood, plank, iron = (150, 98, 54), (112, 70, 38), (70, 72, 80)
        top = HINGE_Y + 2
        for wheel in (x - 12, x + 12):
            canvas.circle(iron, (wheel, RAIL_Y - 5), 5)
            canvas.circle(GREY, (wheel, RAIL_Y - 5), 2.6)
            turn = s.x * PIXELS_PER_METRE / 5
            dx, dy = 3.6 * math.cos(turn), 3.6 * math.sin(turn)
            canvas.line(iron, [(wheel - dx, RAIL_Y - 5 - dy), (wheel + dx, RAIL_Y - 5 + dy)], 1)
        canvas.polygon(
            wood, [(x - 21, top), (x + 21, top), (x + 17, RAIL_Y - 6), (x - 17, RAIL_Y - 6)]
        )
        for i in range(-2, 3):
            canvas.line(plank, [(x + i * 8.4, top + 1), (x + i * 7, RAIL_Y - 7)], 0.8)
        canvas.rect(iron, x - 22, top - 1, 44, 3, 1)
        canvas.line(iron, [(x - 16.5, RAIL_Y - 7), (x + 16.5, RAIL_Y - 7)], 2)

        tip = (x + POLE_PIXELS * math.sin(s.theta), HINGE_Y - POLE_PIXELS * math.cos(s.theta))
        canvas.line(BROWN, [(x, HINGE_Y), tip], 5)
        canvas.line((208, 152, 92), [(x, HINGE_Y), tip], 3)
        canvas.circle(self._tip_color(), tip, 3.6)
        canvas.circle(DARK_GREY, (x, HINGE_Y), 4)
        canvas.circle(GREY, (x, HINGE_Y), 2)

    def _tip_color(self) -> Color:
        """Green where the pole earns reward, orange where not."""
        s = self.state
        limit = SPARSE_ANGLE if self.sparse else LEVEL
        good = abs(s.theta) < limit and abs(s.x) <= RAIL
        return (120, 220, 110) if good else ORANGE

    def _draw_tremor(self, canvas: Canvas) -> None:
        s = self.state
        for i in range(34):
            x = SIZE * noise(s.decor_seed, s.t // 4, i)
            fall = 18 + 130 * ((noise(s.decor_seed, i, 7) + s.t / 18) % 1.0)
            size = 0.7 + 1.6 * noise(s.decor_seed, i, 8)
            canvas.circle(fade((190, 160, 124), 0.65), (x, fall), size)
        for i in range(5):
            x = SIZE * noise(s.decor_seed, i, 9)
            canvas.ellipse(fade((170, 140, 106), 0.2), (x, RAIL_Y - 4), 26, 9)
        strength = 2.4 * abs(s.shake) / SHAKE_STRENGTH
        dx = 2 * noise(s.decor_seed, s.t, 10) - 1
        dy = 2 * noise(s.decor_seed, s.t, 11) - 1
        canvas.shift(strength * dx, strength * dy)


def _draw_beam(canvas: Canvas, x: float) -> None:
    wood, dark = (94, 64, 40), (66, 44, 28)
    canvas.rect(wood, x - 5, 22, 10, RAIL_Y - 14)
    canvas.rect(dark, x + 3, 22, 2, RAIL_Y - 14)
    canvas.line(dark, [(x - 2, 30), (x - 2, RAIL_Y - 4)], 0.7)


def _draw_rock(canvas: Canvas, x: float, y: float, size: float, seed: int) -> None:
    count = 8
    outline = []
    for i in range(count):
        angle = 2 * math.pi * i / count
        r = size * (0.75 + 0.4 * noise(seed, i, 20))
        outline.append((x + r * math.cos(angle), y + 0.6 * r * math.sin(angle)))
    canvas.polygon((58, 48, 44), outline)
    canvas.polygon((90, 78, 70), [(px - 0.1 * size, py - 0.15 * size) for px, py in outline[3:7]])


def _draw_arrow(canvas: Canvas, right: bool) -> None:
    """Where the cart is when it has left the picture."""
    x, way = (SIZE - 10, 1) if right else (10, -1)
    points = [(x + 5 * way, HINGE_Y), (x - 5 * way, HINGE_Y - 8), (x - 5 * way, HINGE_Y + 8)]
    canvas.polygon(ORANGE, points)
