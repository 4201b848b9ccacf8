"""Rocket-collect: steer a rocket to the coins and away from the asteroids.

The action is the rocket's acceleration. Touching the coin earns 1, and the next one appears
elsewhere; each step of touching an asteroid costs 0.2; being near the coin earns up to 0.002 a
step. There is one asteroid at first, two from step 150 and three from step 300. They drift in from
outside, and from then on bounce off the edges of the picture.

Source: MMBench, arXiv 2511.19584, the arcade suite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from numpy.random import Generator

from miniarcade.game import SIZE, Game, State, sample_decor_seed
from miniarcade.palette import GOLD_LIGHT, HIT, ORANGE, RED, WHITE, YELLOW, fade, mix, noise
from miniarcade.rules import integer, uniform
from miniarcade.scenery import draw_coin, draw_sparkles

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas

ROCKET_RADIUS = 10  # px
START = (112.0, 184.0)  # px
THRUST = 0.75  # px/step^2, of a full action
DRAG = 0.98  # share of the speed kept in a step
TOP_SPEED = 4.0  # px/step
LOW, HIGH = 15.0, SIZE - 15.0  # px, the rocket's centre stays between

COIN_RADIUS = 9  # px
COIN_X = (30, 193)  # px, least and most
COIN_Y = (40, 111)  # px
PICKUP = ROCKET_RADIUS + COIN_RADIUS  # px, distance of the centres

ASTEROID_RADIUS = 14  # px
ASTEROID_SPEED = (1.0, 2.2)  # px/step
ASTEROID_ALONG = (20, 203)  # px, where along its side it starts, least and most
ASTEROID_EVERY = 150  # steps from one to the next
MOST_ASTEROIDS = 3
AIM = (SIZE / 4, 3 * SIZE / 4)  # px, an asteroid is aimed at a point in the middle of the picture
OUTSIDE = 2 * ASTEROID_RADIUS  # px, how far beyond the edge it starts
EDGE_LOW, EDGE_HIGH = float(ASTEROID_RADIUS), float(SIZE - ASTEROID_RADIUS)  # px
CRASH = ROCKET_RADIUS + ASTEROID_RADIUS  # px, distance of the centres

NEAR_REWARD = 0.002  # a step, right at the coin
DIAGONAL = SIZE * math.sqrt(2)  # px
CRASH_COST = 0.2  # a step and asteroid
FLASH_STEPS = 5  # steps that a crash is seen and observed
PICKUP_STEPS = 18  # steps that a pickup is seen
NO_ASTEROID = (0.0, 0.0, 0.0, 0.0)  # observed in place of one that is not there yet


@dataclass(slots=True)
class Asteroid:
    """One asteroid."""

    x: float  # px, centre
    y: float  # px
    vx: float  # px/step
    vy: float  # px/step
    inside: bool = False  # has been wholly inside the picture, and so bounces


@dataclass(slots=True)
class RocketCollectState(State):
    coin_x: float  # px, centre
    coin_y: float  # px
    asteroids: list[Asteroid]
    x: float = START[0]  # px, centre of the rocket
    y: float = START[1]  # px
    vx: float = 0.0  # px/step
    vy: float = 0.0  # px/step
    thrust_x: float = 0.0  # the last action
    thrust_y: float = 0.0
    coins: int = 0  # collected so far
    coin_at: int = -100  # step of the last pickup
    last_coin_x: float = 0.0  # px, where that was
    last_coin_y: float = 0.0  # px
    crash_at: int = -100  # last step of touching an asteroid


class RocketCollect(Game):
    """Fly to the coins, keep clear of the asteroids."""

    action_size = 2
    observation_size = 21
    state_type = RocketCollectState
    state: RocketCollectState

    def reset(self, rng: Generator) -> None:
        self.rng = rng
        self.state = RocketCollectState(
            t=0,
            decor_seed=sample_decor_seed(rng),
            coin_x=float(integer(rng, *COIN_X)),
            coin_y=float(integer(rng, *COIN_Y)),
            asteroids=[self._spawn()],
        )

    def step(self, action: Sequence[float]) -> float:
        s = self.state
        s.t += 1
        self._fly(action[0], action[1])
        for asteroid in s.asteroids:
            _drift(asteroid)
        if s.t % ASTEROID_EVERY == 0 and len(s.asteroids) < MOST_ASTEROIDS:
            s.asteroids.append(self._spawn())

        distance = math.hypot(s.x - s.coin_x, s.y - s.coin_y)
        reward = NEAR_REWARD * (1.0 - distance / DIAGONAL)
        if distance < PICKUP:
            reward += 1.0
            s.coins += 1
            s.coin_at = s.t
            s.last_coin_x, s.last_coin_y = s.coin_x, s.coin_y
            s.coin_x = float(integer(self.rng, *COIN_X))
            s.coin_y = float(integer(self.rng, *COIN_Y))
        for asteroid in s.asteroids:
            dx, dy = s.x - asteroid.x, s.y - asteroid.y
            if dx * dx + dy * dy < CRASH * CRASH:
                reward -= CRASH_COST
                s.crash_at = s.t
        return reward

    def observe(self) -> list[float]:
        """Rocket, its velocity, the coin, the way to it, whether it flashes, the asteroids.

        An asteroid is its position and velocity; zeros stand for those not there yet.
        """
        s = self.state
        observation = [
            s.x / SIZE,
            s.y / SIZE,
            s.vx / TOP_SPEED,
            s.vy / TOP_SPEED,
            s.coin_x / SIZE,
            s.coin_y / SIZE,
            (s.coin_x - s.x) / SIZE,
            (s.coin_y - s.y) / SIZE,
            1.0 if s.t - s.crash_at < FLASH_STEPS else 0.0,
        ]
        for asteroid in s.asteroids:
            observation += (
                asteroid.x / SIZE,
                asteroid.y / SIZE,
                asteroid.vx / TOP_SPEED,
                asteroid.vy / TOP_SPEED,
            )
        observation += NO_ASTEROID * (MOST_ASTEROIDS - len(s.asteroids))
        return observation

    def _fly(self, thrust_x: float, thrust_y: float) -> None:
        s = self.state
        s.thrust_x, s.thrust_y = thrust_x, thrust_y
        vx = (s.vx + THRUST * thrust_x) * DRAG
        vy = (s.vy + THRUST * thrust_y) * DRAG
        speed = math.sqrt(vx * vx + vy * vy)
        if speed > TOP_SPEED:
            vx *= TOP_SPEED / speed
            vy *= TOP_SPEED / speed
        s.vx, s.vy = vx, vy
        s.x = _clamp(s.x + vx)
        s.y = _clamp(s.y + vy)

    def _spawn(self) -> Asteroid:
        """An asteroid just outside a random side, on its way in."""
        rng = self.rng
        side = integer(rng, 0, 3)
        along = float(integer(rng, *ASTEROID_ALONG))
        across = float(SIZE + OUTSIDE if side % 2 else -OUTSIDE)
        x, y = (along, across) if side < 2 else (across, along)
        dx, dy = uniform(rng, *AIM) - x, uniform(rng, *AIM) - y
        speed = uniform(rng, *ASTEROID_SPEED) / math.hypot(dx, dy)
        return Asteroid(x, y, dx * speed, dy * speed)

    def draw(self, canvas: Canvas) -> None:
        s = self.state
        canvas.background(("rocket-collect", s.decor_seed), lambda: self._draw_space(canvas))
        self._draw_twinkling(canvas)
        draw_coin(canvas, s.coin_x, s.coin_y, COIN_RADIUS, s.t)
        self._draw_rocket(canvas)
        for i, asteroid in enumerate(s.asteroids):
            self._draw_asteroid(canvas, asteroid, i)
        self._draw_pickup(canvas)
        crash_age = s.t - s.crash_at
        if crash_age < FLASH_STEPS:
            strength = 3.0 * (1 - crash_age / FLASH_STEPS)
            canvas.shift(
                strength * (2 * noise(s.decor_seed, s.t, 20) - 1),
                strength * (2 * noise(s.decor_seed, s.t, 21) - 1),
            )
            canvas.fill(HIT)
        canvas.text(f"Score: {s.coins}", (8, 7), 17, WHITE, "topleft")

    def _draw_space(self, canvas: Canvas) -> None:
        seed = self.state.decor_seed
        canvas.gradient([(20, 10, 44), (42, 20, 78), (26, 14, 58)])
        for i in range(3):
            center = (SIZE * noise(seed, i, 0), SIZE * noise(seed, i, 1))
            color = mix((120, 50, 160), (40, 70, 190), noise(seed, i, 2))
            canvas.glow(color, center, 50 + 40 * noise(seed, i, 3), 0.16)
        for i in range(60):
            center = (SIZE * noise(seed, i, 4), SIZE * noise(seed, i, 5))
            canvas.circle(fade((206, 200, 255), 0.5), center, 0.3 + 0.5 * noise(seed, i, 6))

    def _draw_twinkling(self, canvas: Canvas) -> None:
        s = self.state
        for i in range(14):
            center = (SIZE * noise(s.decor_seed, i, 7), SIZE * noise(s.decor_seed, i, 8))
            light = 0.5 + 0.5 * math.sin(0.09 * s.t + 2 * math.pi * noise(s.decor_seed, i, 9))
            canvas.circle(fade(WHITE, 0.25 + 0.75 * light), center, 0.7 + 0.5 * light)

    def _draw_rocket(self, canvas: Canvas) -> None:
        s = self.state
        speed = math.hypot(s.vx, s.vy)
        ux, uy = (s.vx / speed, s.vy / speed) if speed > 0.2 else (0.0, -1.0)

        def at(forward: float, side: float) -> tuple[float, float]:
            return s.x + forward * ux - side * uy, s.y + forward * uy + side * ux

        thrust = min(math.hypot(s.thrust_x, s.thrust_y), 1.0)
        if thrust > 0.05:
            flame = (5 + 9 * thrust) * (0.8 + 0.4 * noise(s.decor_seed, s.t, 10))
            canvas.glow(ORANGE, at(-9, 0), 10 + flame / 2, 0.35)
            canvas.polygon(ORANGE, [at(-7, -3.6), at(-8 - flame, 0), at(-7, 3.6)])
            canvas.polygon(YELLOW, [at(-7, -2), at(-8 - 0.55 * flame, 0), at(-7, 2)])
        fin = (206, 52, 60)
        for side in (-1, 1):
            canvas.polygon(fin, [at(-1, 4 * side), at(-9, 8 * side), at(-8, 3 * side)])
        canvas.polygon((96, 100, 116), [at(-6, -3.5), at(-8.5, -3), at(-8.5, 3), at(-6, 3.5)])
        hull = [(10.5, 0), (7, 2.9), (3, 4.6), (-3, 5), (-7, 3.8)]
        outline = [at(x, y) for x, y in hull] + [at(x, -y) for x, y in hull[:0:-1]]
        canvas.polygon((232, 234, 240), outline)
        canvas.polygon((188, 192, 206), [at(x, y) for x, y in hull] + [at(-7, 1), at(9, 0.5)])
        canvas.polygon(RED, [at(10.5, 0), at(7, 2.9), at(5.6, 3.5), at(5.6, -3.5), at(7, -2.9)])
        canvas.circle((60, 66, 86), at(0.8, 0), 2.9)
        canvas.circle((120, 208, 250), at(0.8, 0), 2.1)

    def _draw_asteroid(self, canvas: Canvas, asteroid: Asteroid, index: int) -> None:
        s = self.state
        x, y = asteroid.x, asteroid.y
        turn = (0.03 if index % 2 else -0.025) * s.t
        rim = []
        for i in range(11):
            angle = turn + 2 * math.pi * i / 11
            radius = ASTEROID_RADIUS * (0.76 + 0.3 * noise(s.decor_seed, index, i, 11))
            rim.append((x + radius * math.cos(angle), y + radius * math.sin(angle)))
        canvas.polygon((76, 72, 84), rim)
        lit = [(x + 0.86 * (px - x) - 1.3, y + 0.86 * (py - y) - 1.3) for px, py in rim]
        canvas.polygon((134, 126, 134), lit)
        for i in range(4):
            angle = turn + 2 * math.pi * (i + noise(s.decor_seed, index, i, 12)) / 4
            distance = 7 * noise(s.decor_seed, index, i, 13) + 1.5
            size = 1.4 + 1.8 * noise(s.decor_seed, index, i, 14)
            center = (x + distance * math.cos(angle), y + distance * math.sin(angle))
            canvas.circle((96, 90, 100), center, size)
            canvas.circle((112, 106, 114), (center[0] + 0.5, center[1] + 0.5), size - 0.7)

    def _draw_pickup(self, canvas: Canvas) -> None:
        s = self.state
        age = (s.t - s.coin_at) / PICKUP_STEPS
        if age < 1:
            x, y = s.last_coin_x, s.last_coin_y
            draw_sparkles(canvas, x, y, age, s.decor_seed + s.coins)
            canvas.text("+1", (x, y - 6 - 16 * age), 17, fade(GOLD_LIGHT, 1 - age * age))


def _clamp(position: float) -> float:
    return LOW if position < LOW else HIGH if position > HIGH else position


def _drift(a: Asteroid) -> None:
    """Moves an asteroid; once it has come in, the edges turn it back."""
    a.x += a.vx
    a.y += a.vy
    if not a.inside:
        a.inside = EDGE_LOW <= a.x <= EDGE_HIGH and EDGE_LOW <= a.y <= EDGE_HIGH
        return
    if a.x < EDGE_LOW or a.x > EDGE_HIGH:
        a.x = EDGE_LOW if a.x < EDGE_LOW else EDGE_HIGH
        a.vx = -a.vx
    if a.y < EDGE_LOW or a.y > EDGE_HIGH:
        a.y = EDGE_LOW if a.y < EDGE_LOW else EDGE_HIGH
        a.vy = -a.vy
