"""Coconut-dodge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from numpy.random import Generator

from miniarcade.game import SIZE, Game, State, draw_decor_seed
from miniarcade.randomness import integer, uniform

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas

LENGTH = 500  # steps of an episode, over which the game gets harder
ARENA = 200.0  # px, side of the square that positions are counted in
OFFSET = (SIZE - ARENA) / 2  # px, of its upper left corner in the picture

AGENT_RADIUS = 9.0  # px
AGENT_Y = 188.0  # px, of the agent's centre in the arena
PUSH = 0.85  # px/step^2, of a full action
DRAG = 0.97  # share of the speed kept in a step
TOP_SPEED = 5.0  # px/step

RADII = (6, 8)  # px, of a coconut, least and most
SPAWN_Y = 7.0
DRIFT = 0.5  # px/step, a new coconut's speed to either side, at first
FALL = (1.4, 2.6)  # px/step, its speed downwards, least and most, at first
HARDER_DRIFT = 0.6  # by which share these grow until the end
HARDER_FALL = 0.8
MORE = 5  # coconuts that come in addition to the first
MOST = 6
CRACKED_STEPS = 10  # steps that a coconut lies on the ground
HIT_STEPS = 6


@dataclass(slots=True)
class Coconut:
    x: float
    y: float
    vx: float
    vy: float
    radius: int
    seed: int
    cracked: int = 0  # steps that it still lies on the ground; 0 while it falls


@dataclass(slots=True)
class CoconutDodgeState(State):
    """See `State`."""

    coconuts: list[Coconut]
    x: float = ARENA / 2
    v: float = 0.0
    hit_at: int = -100


class CoconutDodge(Game):
    action_size = 1
    observation_size = 29
    state_type = CoconutDodgeState
    state: CoconutDodgeState

    def reset(self, rng: Generator) -> None:
        """See `Game`."""
        self.rng = rng
        self.state = CoconutDodgeState(t=0, decor_seed=draw_decor_seed(rng), coconuts=[])
        self.state.coconuts.append(self._spawn())

    def step(self, action: Sequence[float]) -> float:
        """See `Game`."""
        s = self.state
        s.t += 1
        v = (s.v + PUSH * action[0]) * DRAG
        s.v = v = -TOP_SPEED if v < -TOP_SPEED else TOP_SPEED if v > TOP_SPEED else v
        x = s.x + v
        s.x = x = min(max(x, AGENT_RADIUS), ARENA - AGENT_RADIUS)
        if len(s.coconuts) < 1 + MORE * s.t // LENGTH:
            s.coconuts.append(self._spawn())
        hit = False
        for i, c in enumerate(s.coconuts):
            if c.cracked:
                c.cracked -= 1
                if c.cracked == 0:
                    s.coconuts[i] = self._spawn()
                continue
            c.x += c.vx
            c.y += c.vy
            if c.x < c.radius or c.x > ARENA - c.radius:
                c.x = float(c.radius if c.x < c.radius else ARENA - c.radius)
                c.vx = -c.vx
            if c.y >= ARENA - c.radius:
                c.y = ARENA - c.radius
                c.cracked = CRACKED_STEPS
                continue
            dx, dy, r = c.x - x, c.y - AGENT_Y, c.radius + AGENT_RADIUS
            if dx * dx + dy * dy < r * r:
                hit = True
        if hit:
            s.hit_at = s.t
            return -1.0
        return 0.0

    def observe(self) -> list[float]:
        s = self.state
        x = s.x
        order = sorted(s.coconuts, key=lambda c: (c.x - x) ** 2 + (c.y - AGENT_Y) ** 2)
        dx, dy = 0.0, -1.0
        for c in order:
            if not c.cracked:
                dx, dy = (c.x - x) / ARENA, (c.y - AGENT_Y) / ARENA
                break
        observation = [
            x / ARENA,
            s.v / TOP_SPEED,
            dx,
            dy,
            1.0 if s.t - s.hit_at < HIT_STEPS else 0.0,
        ]
        for c in order:
            observation += (c.x / ARENA, c.y / ARENA, c.vx / TOP_SPEED, c.vy / TOP_SPEED)
        observation += [0.0] * (4 * (MOST - len(order)))
        return observation

    def _spawn(self) -> Coconut:
        rng = self.rng
        d = self.state.t / LENGTH
        radius = integer(rng, *RADII)
        return Coconut(
            x=uniform(rng, radius, ARENA - radius),
            y=SPAWN_Y,
            vx=uniform(rng, -DRIFT, DRIFT) * (1 + HARDER_DRIFT * d),
            vy=uniform(rng, *FALL) * (1 + HARDER_FALL * d),
            radius=radius,
            seed=0,
        )

    def draw(self, canvas: Canvas) -> None:
        """See `Game`."""
