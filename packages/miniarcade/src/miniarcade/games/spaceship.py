"""Spaceship: fly through space, gather coins and keep clear of asteroids.

The action is the ship's thrust to the right and downwards. Coins come towards it in rows, now and
then with an asteroid behind them. The next row comes when the last coin was taken or has passed.
Each coin earns 1, each step in contact with the asteroid costs 2.

Source: MMBench, arXiv 2511.19584, the arcade suite. The published game does not clear the
asteroid between episodes; here every episode starts without what the last one left behind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from numpy.random import Generator

from miniarcade.game import SIZE, Game, State, sample_decor_seed
from miniarcade.palette import BLUE, HIT, WHITE, fade, mix, noise
from miniarcade.rules import boxes_overlap, whole
from miniarcade.scenery import draw_coin, draw_sparkles

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas

SHIP_WIDTH, SHIP_HEIGHT = 28, 18  # px
START_X, START_Y = 40.0, 112.0  # px, upper left corner of the ship
THRUST = 0.65  # px/step^2, of a full action
DRAG = 0.95  # share of the speed that a step leaves
RIGHT, BOTTOM = float(SIZE - SHIP_WIDTH), float(SIZE - SHIP_HEIGHT)  # px, the corner's limits
SCROLL = 12  # px/step, of coins and asteroid

COIN_RADIUS = 9  # px
MIN_COINS, MAX_COINS = 2, 4  # coins a row
ROW_GAP = (20, 59)  # px, first coin's distance beyond the right edge, least and most
ROW_Y = (30, 193)  # px, height of the first coin, least and most
COIN_SPACING = 27  # px
COIN_STEPS = (-18, -18, -18, 18, 18, 18, 0, 0, 0, 0)  # px, from a coin's height to the next one's
HIGHEST_COIN_Y, LOWEST_COIN_Y = 20, 204  # px

ASTEROID_RADIUS = 18  # px
ASTEROID_CHANCE = 0.5  # with each row, unless there is one already
# px from the last coin to the asteroid, least and most: too many for it to touch a coin
ASTEROID_GAP = (3.0 * COIN_SPACING - 30.0, 3.0 * COIN_SPACING + 30.0)
ASTEROID_Y = (40, 183)  # px, least and most

ROW_NUMBERS = 9  # random numbers that a row takes

SPARKLE_STEPS = 12  # steps that a taken coin sparkles


@dataclass(slots=True)
class Asteroid:
    """A rock that moves with the coins."""

    x: float  # px, centre
    y: int  # px
    born: int  # step at which it appeared


@dataclass(slots=True)
class SpaceshipState(State):
    x: float = START_X  # px, upper left corner of the ship
    y: float = START_Y  # px
    vx: float = 0.0  # px/step
    vy: float = 0.0  # px/step
    row_x: int = 0  # px, centre of the row's first coin
    coin_y: list[int] = field(default_factory=list)  # px, centres of the row's coins
    # Step at which each was taken, or -1.
    taken_at: list[int] = field(default_factory=list, metadata={"pairs_with": "coin_y"})
    asteroid: Asteroid | None = None
    hit_at: int = -1  # step of the last contact with the asteroid
    sparkle_at: int = -SPARKLE_STEPS  # step at which the last coin was taken
    sparkle_x: int = 0  # px, where that was
    sparkle_y: int = 0  # px


class Spaceship(Game):
    """Gather coins, avoid asteroids."""

    action_size = 2
    observation_size = 14
    state_type = SpaceshipState
    state: SpaceshipState

    def reset(self, rng: Generator) -> None:
        self.rng = rng
        self.state = SpaceshipState(t=0, decor_seed=sample_decor_seed(rng))
        self._place_row()

    def step(self, action: Sequence[float]) -> float:
        s = self.state
        s.t += 1
        self._fly(action)
        s.row_x -= SCROLL
        asteroid = s.asteroid
        if asteroid is not None:
            asteroid.x -= SCROLL
            if asteroid.x < -ASTEROID_RADIUS:
                s.asteroid = asteroid = None

        reward = 0.0
        if asteroid is not None and self._touches(asteroid.x, asteroid.y, ASTEROID_RADIUS):
            s.hit_at = s.t
            reward -= 2.0
        return reward + self._take_coins()

    def observe(self) -> list[float]:
        """Position and velocity, four coins and the asteroid (-1, -1 where there is none)."""
        s = self.state
        values = [s.x / SIZE, s.y / SIZE, s.vx / 10, s.vy / 10]
        x = s.row_x
        for y, taken_at in zip(s.coin_y, s.taken_at, strict=True):
            if taken_at < 0:
                values += (x / SIZE, y / SIZE)
            else:
                values += (-1.0, -1.0)
            x += COIN_SPACING
        values += (-1.0, -1.0) * (MAX_COINS - len(s.coin_y))
        if s.asteroid is None:
            values += (-1.0, -1.0)
        else:
            values += (s.asteroid.x / SIZE, s.asteroid.y / SIZE)
        return values

    def _fly(self, action: Sequence[float]) -> None:
        s = self.state
        vx = s.vx + THRUST * action[0]
        vy = s.vy + THRUST * action[1]
        x, y = s.x + vx, s.y + vy
        s.vx = vx * DRAG
        s.vy = vy * DRAG
        s.x = 0.0 if x < 0.0 else RIGHT if x > RIGHT else x
        s.y = 0.0 if y < 0.0 else BOTTOM if y > BOTTOM else y

    def _take_coins(self) -> float:
        """Takes the coins that the ship touches and returns their number.

        If there were none left in the picture before, it puts a new row beyond the ship's reach.
        """
        s = self.state
        taken = 0.0
        over = True
        x = s.row_x
        for i, y in enumerate(s.coin_y):
            if s.taken_at[i] < 0 and x >= -COIN_RADIUS:
                over = False
                if self._touches(x, y, COIN_RADIUS):
                    s.taken_at[i] = s.sparkle_at = s.t
                    s.sparkle_x, s.sparkle_y = x, y
                    taken += 1.0
            x += COIN_SPACING
        if over:
            self._place_row()
        return taken

    def _touches(self, x: float, y: int, radius: int) -> bool:
        """Whether the ship's box touches the box around a circle."""
        s = self.state
        if not -radius - 1 <= x - s.x <= SHIP_WIDTH + radius + 1:
            return False
        left, top, side = x - radius, y - radius, 2 * radius
        return boxes_overlap(s.x, s.y, SHIP_WIDTH, SHIP_HEIGHT, left, top, side, side)

    def _place_row(self) -> None:
        """Puts a new row of coins beyond the right edge, and perhaps an asteroid behind it."""
        s = self.state
        # Every row takes the same number of them: one block costs less, and suits arrays.
        u = self.rng.random(ROW_NUMBERS).tolist()
        count = whole(u[0], MIN_COINS, MAX_COINS)
        s.row_x = SIZE + whole(u[1], *ROW_GAP)
        y = whole(u[2], *ROW_Y)
        s.coin_y = [y]
        for i in range(3, 2 + count):
            y += COIN_STEPS[int(len(COIN_STEPS) * u[i])]
            y = min(max(y, HIGHEST_COIN_Y), LOWEST_COIN_Y)
            s.coin_y.append(y)
        s.taken_at = [-1] * count
        if s.asteroid is None and u[7] < ASTEROID_CHANCE:
            last = s.row_x + (count - 1) * COIN_SPACING
            low, high = ASTEROID_GAP
            s.asteroid = Asteroid(last + (low + (high - low) * u[8]), whole(u[6], *ASTEROID_Y), s.t)

    def draw(self, canvas: Canvas) -> None:
        s = self.state
        canvas.background(("spaceship", s.decor_seed), lambda: self._draw_space(canvas))
        self._draw_stars(canvas)
        if s.asteroid is not None:
            self._draw_asteroid(canvas, s.asteroid)
        for i, (y, taken_at) in enumerate(zip(s.coin_y, s.taken_at, strict=True)):
            if taken_at < 0:
                draw_coin(canvas, s.row_x + COIN_SPACING * i, y, COIN_RADIUS, s.t + 4 * i)
        self._draw_ship(canvas)
        age = s.t - s.sparkle_at
        if age < SPARKLE_STEPS:
            x = s.sparkle_x - 0.3 * SCROLL * age
            draw_sparkles(canvas, x, s.sparkle_y, age / SPARKLE_STEPS, s.sparkle_at)
        if s.hit_at == s.t:
            canvas.fill(HIT)

    def _draw_space(self, canvas: Canvas) -> None:
        seed = self.state.decor_seed
        canvas.gradient([(5, 6, 14), (10, 9, 26), (6, 7, 16)], diagonal=True)
        for i, color in enumerate(((60, 40, 130), (20, 70, 120), (110, 40, 90))):
            x, y = SIZE * noise(seed, i, 30), SIZE * noise(seed, i, 31)
            canvas.glow(color, (x, y), 60 + 50 * noise(seed, i, 32), 0.35)

    def _draw_stars(self, canvas: Canvas) -> None:
        """Draws three layers of stars; the nearer ones are faster, larger and brighter."""
        s = self.state
        for layer, (count, speed, size) in enumerate(
            ((34, 0.08, 0.55), (18, 0.25, 0.8), (9, 0.6, 1.1))
        ):
            for i in range(count):
                span = SIZE + 16
                offset = span * noise(s.decor_seed, i, layer, 0) - SCROLL * speed * s.t
                x = offset % span - 8
                y = SIZE * noise(s.decor_seed, i, layer, 1)
                tint = mix((170, 190, 255), (255, 236, 200), noise(s.decor_seed, i, layer, 2))
                twinkle = 0.7 + 0.3 * math.sin(0.2 * s.t + 6.3 * noise(s.decor_seed, i, layer, 3))
                color = mix((12, 12, 28), tint, (0.45, 0.7, 0.95)[layer] * twinkle)
                canvas.line(color, [(x, y), (x + 8 * speed * layer, y)], size)

    def _draw_asteroid(self, canvas: Canvas, asteroid: Asteroid) -> None:
        seed, x, y = self.state.decor_seed + asteroid.born, asteroid.x, asteroid.y
        spin = (0.03 + 0.05 * noise(seed, 40)) * (1 if noise(seed, 41) < 0.5 else -1)
        turn = spin * self.state.t

        def around(angle: float, distance: float) -> tuple[float, float]:
            return (x + distance * math.cos(angle + turn), y + distance * math.sin(angle + turn))

        count = 13
        rim = [
            (2 * math.pi * i / count, ASTEROID_RADIUS * (0.8 + 0.22 * noise(seed, i, 42)))
            for i in range(count)
        ]
        canvas.polygon((74, 74, 84), [around(angle, r + 0.6) for angle, r in rim])
        lit = [around(angle, 0.9 * r) for angle, r in rim]
        canvas.polygon((126, 125, 132), [(px - 1.2, py - 1.4) for px, py in lit])
        canvas.polygon(
            (148, 147, 152),
            [(x + 0.62 * (px - x) - 3, y + 0.62 * (py - y) - 3.6) for px, py in lit],
        )
        for i in range(5):
            angle, r = 2 * math.pi * (i + noise(seed, i, 43)) / 5, 4 + 7 * noise(seed, i, 44)
            size = 1.8 + 1.9 * noise(seed, i, 45)
            cx, cy = around(angle, r)
            canvas.circle((92, 91, 100), (cx, cy), size)
            canvas.circle((112, 111, 119), (cx + 0.5, cy + 0.6), 0.75 * size)

    def _draw_ship(self, canvas: Canvas) -> None:
        s = self.state
        x, y = s.x + SHIP_WIDTH / 2, s.y + SHIP_HEIGHT / 2
        back, front = s.x, s.x + SHIP_WIDTH
        flame = 8 + 7 * noise(s.decor_seed, s.t, 50) + max(-4.0, min(4.0, s.vx))
        canvas.glow((255, 140, 40), (back - 2, y), 14, 0.5)
        for color, length, half in (
            ((255, 110, 30), flame, 4.2),
            ((255, 190, 60), 0.68 * flame, 3.0),
            ((255, 246, 210), 0.36 * flame, 1.8),
        ):
            root = back + 4
            flicker = 1.6 * (noise(s.decor_seed, s.t, 51) - 0.5)
            canvas.polygon(
                color, [(root, y - half), (root, y + half), (root - length, y + flicker)]
            )
        top, bottom = s.y, s.y + SHIP_HEIGHT
        canvas.polygon(
            mix(BLUE, (10, 20, 60), 0.45), [(back, top), (front, y), (back, bottom), (back + 6, y)]
        )
        canvas.polygon(BLUE, [(back, top), (front, y), (back + 6, y)])
        canvas.polygon(
            mix(BLUE, WHITE, 0.25),
            [(back + 4, y - 4), (front - 1, y), (back + 4, y + 4), (back + 7, y)],
        )
        canvas.line(mix(BLUE, WHITE, 0.55), [(back + 0.6, top + 0.6), (front - 1, y - 0.4)], 0.8)
        canvas.ellipse((20, 36, 84), (x + 2.5, y), 4.6, 2.4)
        canvas.ellipse((170, 226, 255), (x + 3.0, y - 0.3), 3.6, 1.6)
        canvas.line(fade(WHITE, 0.8), [(x + 2.5, y - 1), (x + 5, y - 0.6)], 0.6)
