"""Coconut-dodge: stay on your feet and out of the way of falling coconuts.

The action pushes the traveller left or right. A step in which a falling coconut touches them
costs 1. There is one coconut at first, and one more with every fifth of the episode. They fall
faster over time. One that has cracked on the ground is harmless.

Source: MMBench, arXiv 2511.19584, the arcade suite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from numpy.random import Generator

from miniarcade.game import SIZE, Game, State, sample_decor_seed
from miniarcade.palette import WHITE, Color, fade, mix, noise
from miniarcade.rules import integer, uniform

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas

LENGTH = 500  # steps of an episode, over which the game gets harder

ARENA = 200.0  # px, side of the square that positions are counted in
OFFSET = (SIZE - ARENA) / 2  # px, its upper left corner in the picture, either way

AGENT_Y = 188.0  # px, of the agent's centre in the arena
AGENT_RADIUS = 9.0  # px
PUSH = 0.85  # px/step^2, of a full action
DRAG = 0.97  # share of the speed kept in a step
TOP_SPEED = 5.0  # px/step

MOST_COCONUTS = 6
RADII = (6, 8)  # px, of a coconut, least and most
DRIFT = 0.5  # px/step, to either side at most, of a coconut at the start of the episode
FALL = (1.4, 2.6)  # px/step, downwards, least and most
HARDER_DRIFT = 0.6  # share by which these grow over the episode
HARDER_FALL = 0.8
CRACKED_STEPS = 10  # steps that a coconut lies on the ground before the next falls
HIT_STEPS = 5  # steps that a hit is seen and observed

GROUND_Y = OFFSET + AGENT_Y + AGENT_RADIUS  # px, under the traveller's feet in the picture


@dataclass(slots=True)
class Coconut:
    """One coconut, falling or on the ground."""

    x: float  # px, centre
    y: float  # px
    vx: float  # px/step; of its fall, also on the ground
    vy: float  # px/step
    radius: int  # px
    number: int  # how many fell before it, for its looks
    cracked: int = 0  # steps that it still lies on the ground; 0 while it falls


@dataclass(slots=True)
class CoconutDodgeState(State):
    coconuts: list[Coconut]
    x: float = ARENA / 2  # px, centre of the agent
    v: float = 0.0  # px/step
    dropped: int = 0  # coconuts so far
    hit_at: int = -100  # last step with a hit


class CoconutDodge(Game):
    """Keep out of the way of falling coconuts."""

    action_size = 1
    observation_size = 29
    state_type = CoconutDodgeState
    state: CoconutDodgeState

    def reset(self, rng: Generator) -> None:
        self.rng = rng
        self.state = CoconutDodgeState(t=0, decor_seed=sample_decor_seed(rng), coconuts=[])
        self.state.coconuts.append(self._drop(0))

    def step(self, action: Sequence[float]) -> float:
        s = self.state
        t = s.t
        self._run(action[0])
        coconuts = s.coconuts
        hit = False
        for i, coconut in enumerate(coconuts):
            if not coconut.cracked:
                _fall(coconut)
                hit = hit or (not coconut.cracked and self._touches(coconut))
            elif coconut.cracked > 1:
                coconut.cracked -= 1
            else:
                coconuts[i] = self._drop(t)
        s.t = t = t + 1
        if len(coconuts) <= (MOST_COCONUTS - 1) * t // LENGTH < MOST_COCONUTS:
            coconuts.append(self._drop(t))
        if not hit:
            return 0.0
        s.hit_at = t
        return -1.0

    def observe(self) -> list[float]:
        """Agent, its speed, the way to the nearest falling coconut, a recent hit, the coconuts.

        A coconut is its position and velocity. The nearest comes first; those on the ground
        count. Zeros stand for coconuts that are not there yet.
        """
        s = self.state
        agent_x = s.x
        order = s.coconuts
        if len(order) > 1:
            order = sorted(order, key=lambda c: (c.x - agent_x) ** 2 + (c.y - AGENT_Y) ** 2)
        falling = next((c for c in order if not c.cracked), None)
        observation = [
            agent_x / ARENA,
            s.v / TOP_SPEED,
            (falling.x - agent_x) / ARENA if falling else 0.0,
            (falling.y - AGENT_Y) / ARENA if falling else -1.0,
            1.0 if s.t - s.hit_at < HIT_STEPS else 0.0,
        ]
        for c in order:
            observation += (c.x / ARENA, c.y / ARENA, c.vx / TOP_SPEED, c.vy / TOP_SPEED)
        observation += (0.0,) * (4 * (MOST_COCONUTS - len(order)))
        return observation

    def _run(self, push: float) -> None:
        s = self.state
        v = (s.v + PUSH * push) * DRAG
        s.v = v = -TOP_SPEED if v < -TOP_SPEED else TOP_SPEED if v > TOP_SPEED else v
        x = s.x + v
        if x < AGENT_RADIUS:
            x = AGENT_RADIUS
        elif x > ARENA - AGENT_RADIUS:
            x = ARENA - AGENT_RADIUS
        s.x = x

    def _drop(self, t: int) -> Coconut:
        """A new coconut at the top, as fast as it is at step `t`."""
        s, rng = self.state, self.rng
        s.dropped += 1
        difficulty = t / LENGTH
        radius = integer(rng, *RADII)
        return Coconut(
            x=uniform(rng, radius, ARENA - radius),
            y=radius + 1.0,
            vx=uniform(rng, -DRIFT, DRIFT) * (1 + HARDER_DRIFT * difficulty),
            vy=uniform(rng, *FALL) * (1 + HARDER_FALL * difficulty),
            radius=radius,
            number=s.dropped,
        )

    def _touches(self, coconut: Coconut) -> bool:
        dx, dy = coconut.x - self.state.x, coconut.y - AGENT_Y
        reach = coconut.radius + AGENT_RADIUS
        return dx * dx + dy * dy < reach * reach

    def draw(self, canvas: Canvas) -> None:
        s = self.state
        canvas.background(("coconut-dodge", s.decor_seed), lambda: self._draw_beach(canvas))
        self._draw_shadows(canvas)
        self._draw_traveller(canvas)
        for coconut in s.coconuts:
            x, y = OFFSET + coconut.x, OFFSET + coconut.y
            if coconut.cracked:
                self._draw_cracked(canvas, coconut, x, y)
            else:
                self._draw_coconut(canvas, coconut, x, y)
        hit_age = s.t - s.hit_at
        if hit_age < HIT_STEPS:
            strength = 3.0 * (1 - hit_age / HIT_STEPS)
            canvas.shift(
                strength * (2 * noise(s.decor_seed, s.t, 30) - 1),
                strength * (2 * noise(s.decor_seed, s.t, 31) - 1),
            )
            canvas.fill((255, 110, 20, 84 - 8 * hit_age))

    def _draw_beach(self, canvas: Canvas) -> None:
        seed = self.state.decor_seed
        canvas.gradient([(38, 28, 84), (122, 52, 116), (232, 104, 92), (255, 184, 106)], 0, 170)
        for i in range(40):
            height = noise(seed, i, 1)
            center = (SIZE * noise(seed, i, 0), 70 * height)
            canvas.circle(fade(WHITE, 0.8 - 0.7 * height), center, 0.4 + 0.6 * noise(seed, i, 2))
        sun = (40 + 144 * noise(seed, 3), 148.0)
        canvas.glow((255, 170, 90), sun, 62, 0.4)
        canvas.circle((255, 226, 150), sun, 17)
        for i, color in enumerate([(198, 108, 84), (222, 146, 94)]):
            _draw_dune(canvas, color, 158 + 14 * i, 8 - 2 * i, 6.3 * noise(seed, i, 4))
        for side, palm_x in ((1, 22), (-1, 204)):
            _draw_palm(canvas, palm_x, side, 86 + 26 * noise(seed, palm_x, 5))
        canvas.gradient([(246, 200, 134), (224, 164, 100)], 188, SIZE)
        _draw_dune(canvas, (246, 200, 134), 187, 2.5, 6.3 * noise(seed, 6))
        for i in range(30):
            x, y = SIZE * noise(seed, i, 7), 196 + 26 * noise(seed, i, 8)
            color = (206, 146, 88) if i % 2 else (255, 218, 160)
            canvas.ellipse(color, (x, y), 1.2 + 3 * noise(seed, i, 9), 0.6)

    def _draw_shadows(self, canvas: Canvas) -> None:
        s = self.state
        for coconut in s.coconuts:
            near = coconut.y / ARENA
            center = (OFFSET + coconut.x, GROUND_Y + 1)
            size = coconut.radius * (0.5 + 0.6 * near)
            canvas.ellipse(fade((110, 60, 40), 0.1 + 0.35 * near), center, size, 0.3 * size)

    def _draw_traveller(self, canvas: Canvas) -> None:
        s = self.state
        x, ground = OFFSET + s.x, GROUND_Y
        stride = s.v / TOP_SPEED
        for i in range(1, 6):  # footprints where the traveller came from
            at = x - 7 * i * stride
            if abs(stride) > 0.1 and OFFSET < at < SIZE - OFFSET:
                print_color = fade((176, 112, 70), 0.8 - 0.14 * i)
                canvas.ellipse(print_color, (at, ground + 2.6 + 1.8 * (i % 2)), 1.9, 0.9)
        canvas.ellipse(fade((110, 60, 40), 0.4), (x, ground + 0.5), 8, 1.8)
        swing = math.sin(0.55 * s.t) * min(1.0, 0.25 + abs(stride))
        lean, look = 2.2 * stride, 1 if stride >= 0 else -1
        hip, neck = (x, ground - 6.5), (x + lean, ground - 12.5)
        for way in (-1, 1):
            foot = (x + way * (1.5 + 3 * swing), ground - 0.8 - max(0.0, way * swing))
            canvas.line((58, 62, 112), [hip, foot], 2.8)
            canvas.line((84, 46, 28), [foot, (foot[0] + 1.8 * look, foot[1])], 2.2)
        for way in (-1, 1):
            hand = (neck[0] + way * 6.2, neck[1] + 3.5 - 5 * way * swing)
            canvas.line((232, 240, 244), [(neck[0], neck[1] + 1), hand], 2.3)
            canvas.circle((206, 130, 84), hand, 1.5)
        canvas.line((14, 106, 120), [hip, neck], 7)
        canvas.line((28, 152, 164), [hip, neck], 5.4)
        canvas.line((236, 84, 76), [(hip[0] - 2.6, hip[1]), (hip[0] + 2.6, hip[1])], 1.8)
        head_x, head_y = x + 1.4 * lean, ground - 17
        canvas.circle((120, 66, 44), (head_x, head_y), 4.5)
        canvas.circle((214, 142, 96), (head_x, head_y), 3.8)
        canvas.circle((50, 34, 30), (head_x + 1.7 * look, head_y + 0.3), 0.75)
        hat, band = (122, 74, 40), (226, 70, 60)
        canvas.line(hat, [(head_x - 6.6, head_y - 1.8), (head_x + 6.6, head_y - 1.8)], 1.7)
        canvas.ellipse(hat, (head_x, head_y - 3.2), 4.2, 3)
        canvas.line(band, [(head_x - 3.6, head_y - 2.6), (head_x + 3.6, head_y - 2.6)], 1.1)

    def _tone(self, coconut: Coconut) -> Color:
        light = noise(self.state.decor_seed, coconut.number, 20)
        return mix((92, 56, 32), (142, 94, 56), light)

    def _draw_coconut(self, canvas: Canvas, coconut: Coconut, x: float, y: float) -> None:
        s, r, tone = self.state, coconut.radius, self._tone(coconut)
        turn = s.t * coconut.vx * 0.25 + coconut.number
        canvas.circle(mix(tone, (30, 16, 10), 0.6), (x, y), r)
        canvas.circle(tone, (x - 0.3, y - 0.3), r - 0.8)
        dark, light = mix(tone, (40, 22, 12), 0.55), mix(tone, (255, 220, 170), 0.3)
        kind = coconut.number % 3
        if kind == 1:  # stripes
            for offset in (-0.45, 0.0, 0.45):
                half = 0.75 * r * math.sqrt(1 - offset * offset)
                cos, sin = math.cos(turn), math.sin(turn)
                middle = (x - sin * offset * r, y + cos * offset * r)
                ends = [(middle[0] + k * half * cos, middle[1] + k * half * sin) for k in (-1, 1)]
                canvas.line(dark, ends, 0.9)
        elif kind == 2:  # speckles
            for i in range(8):
                angle = turn + 6.28 * noise(s.decor_seed, coconut.number, i, 21)
                distance = 0.75 * r * math.sqrt(noise(s.decor_seed, coconut.number, i, 22))
                center = (x + distance * math.cos(angle), y + distance * math.sin(angle))
                canvas.circle(light, center, 0.7)
        for i in (-1, 0, 1):
            angle = turn + 0.75 * i
            center = (x + 0.5 * r * math.cos(angle), y + 0.5 * r * math.sin(angle))
            canvas.circle((44, 24, 14), center, 0.14 * r)
        canvas.arc(light, (x, y), 0.72 * r, math.pi * 1.1, math.pi * 1.5, 1.1)

    def _draw_cracked(self, canvas: Canvas, coconut: Coconut, x: float, y: float) -> None:
        s, r, tone = self.state, coconut.radius, self._tone(coconut)
        age = 1 - coconut.cracked / CRACKED_STEPS
        for i in range(7):
            spread = 2 * noise(s.decor_seed, coconut.number, i, 23) - 1
            rise = 4 + 9 * noise(s.decor_seed, coconut.number, i, 24)
            center = (x + spread * (6 + 14 * age), y + r - 1 - rise * age)
            canvas.circle(fade((240, 208, 156), 0.7 * (1 - age)), center, 1.5 + 2.5 * age)
        for way in (-1, 1):
            middle = (x + way * (0.35 * r + 3.5 * age), y + 0.35 * r)
            angles = [math.pi / 2 + way * (0.35 - math.pi * i / 12) for i in range(13)]
            shell = [(middle[0] + r * math.cos(a), middle[1] + r * math.sin(a)) for a in angles]
            canvas.polygon(tone, shell)
            flesh = [
                (middle[0] + 0.72 * r * math.cos(a), middle[1] + 0.72 * r * math.sin(a))
                for a in angles
            ]
            canvas.polygon((250, 244, 230), flesh)


def _fall(coconut: Coconut) -> None:
    """Moves a coconut, off the sides and to the ground, where it cracks."""
    radius = coconut.radius
    x = coconut.x + coconut.vx
    coconut.y += coconut.vy
    if x < radius or x > ARENA - radius:
        x = float(radius) if x < radius else ARENA - radius
        coconut.vx = -coconut.vx
    coconut.x = x
    if coconut.y >= ARENA - radius:
        coconut.y = ARENA - radius
        coconut.cracked = CRACKED_STEPS


def _draw_dune(canvas: Canvas, color: Color, y: float, height: float, phase: float) -> None:
    ridge = [
        (
            x,
            y
            - height * math.sin(0.028 * x + phase)
            - 0.4 * height * math.sin(0.07 * x + 2 * phase),
        )
        for x in range(-4, SIZE + 8, 4)
    ]
    canvas.polygon(color, [*ridge, (SIZE + 8.0, SIZE + 8.0), (-4.0, SIZE + 8.0)])


def _draw_palm(canvas: Canvas, x: float, side: int, top: float) -> None:
    """The silhouette of a palm that leans to `side`."""
    dark = (52, 26, 52)
    trunk = [(x + side * 16 * (i / 8) ** 2, 192 - (192 - top) * i / 8) for i in range(9)]
    for i in range(8):
        canvas.line(dark, trunk[i : i + 2], 5.5 - 0.35 * i)
    head = trunk[-1]
    for i in range(8):
        angle = math.pi * (1.02 + 0.96 * i / 7)
        reach, sag = 30 - 5 * (i % 2), 20 if i in (0, 7) else 13
        spine = [
            (
                head[0] + reach * k / 6 * math.cos(angle),
                head[1] + reach * k / 6 * math.sin(angle) * 0.7 + sag * (k / 6) ** 2,
            )
            for k in range(7)
        ]
        below = [
            (px - 0.5, py + 4.5 * math.sin(math.pi * k / 6)) for k, (px, py) in enumerate(spine)
        ]
        canvas.polygon(dark, spine + below[::-1])
        canvas.line(dark, spine, 1)
    for dx, dy in ((-3, 3), (2.5, 4)):
        canvas.circle(dark, (head[0] + dx, head[1] + dy), 2.8)
