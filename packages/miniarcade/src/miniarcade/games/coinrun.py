"""Coinrun: run through a meadow and jump for coins.

The girl runs by herself; a positive action on the ground jumps, the higher the greater it is.
Coins come in rows that climb and fall. The next row comes when the last coin was taken or has
passed. Each coin earns 1.

Source: MMBench, arXiv 2511.19584, the arcade suite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from numpy.random import Generator

from miniarcade.game import SIZE, Game, State, sample_decor_seed
from miniarcade.games._runner import (
    GROUND_Y,
    RUNNER_GROUND_Y,
    RUNNER_HEIGHT,
    RUNNER_WIDTH,
    RUNNER_X,
    SCROLL,
    move,
)
from miniarcade.palette import SKIN, WHITE, fade, mix, noise
from miniarcade.rules import boxes_overlap, integer, sign
from miniarcade.scenery import draw_coin, draw_sparkles

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas

COIN_RADIUS = 9  # px
MIN_COINS, MAX_COINS = 2, 5  # coins a row
ROW_GAP = (20, 59)  # px, first coin's distance beyond the right edge, least and most
COIN_SPACING = 27  # px
COIN_STEP = 18  # px, climb or fall from one coin to the next
COIN_STEP_CHANCE = 0.6
LOWEST_COIN_Y = GROUND_Y - COIN_RADIUS - 2  # px
HIGHEST_COIN_Y = LOWEST_COIN_Y - 90  # px
START_STEPS = (1, 4)  # steps that a row begins above the lowest height, least and most
SPARKLE_STEPS = 12  # steps that a taken coin sparkles


@dataclass(slots=True)
class CoinRunState(State):
    y: float = float(RUNNER_GROUND_Y)  # px, top of the girl's box
    vy: float = 0.0  # px/step
    coin_x: list[int] = field(default_factory=list)  # px, centres of the row's coins
    coin_y: list[int] = field(default_factory=list, metadata={"pairs_with": "coin_x"})  # px
    # Step at which each was taken, or -1.
    taken_at: list[int] = field(default_factory=list, metadata={"pairs_with": "coin_x"})
    scrolled: int = 0  # px that the world has moved
    sparkle_at: int = -SPARKLE_STEPS  # step at which the last coin was taken
    sparkle_y: int = 0  # px, where that was
    sparkle_x: int = 0  # px


class CoinRun(Game):
    """Jump for the coins."""

    action_size = 1
    observation_size = 12
    state_type = CoinRunState
    state: CoinRunState

    def reset(self, rng: Generator) -> None:
        self.rng = rng
        self.state = CoinRunState(t=0, decor_seed=sample_decor_seed(rng))
        self._place_row()

    def step(self, action: Sequence[float]) -> float:
        s = self.state
        s.t += 1
        s.y, s.vy = move(s.y, s.vy, action[0])
        s.scrolled += SCROLL
        s.coin_x = coin_x = [x - SCROLL for x in s.coin_x]

        reward = 0.0
        over = True
        for i, x in enumerate(coin_x):
            if s.taken_at[i] >= 0 or x < -COIN_RADIUS:
                continue
            over = False
            if self._touches(x, s.coin_y[i]):
                s.taken_at[i] = s.sparkle_at = s.t
                s.sparkle_x, s.sparkle_y = x, s.coin_y[i]
                reward += 1.0
        if over:
            self._place_row()
        return reward

    def observe(self) -> list[float]:
        """Height above the ground, vertical speed, five coins (-1, -1 where there is none)."""
        s = self.state
        values = [(s.y - RUNNER_GROUND_Y) / SIZE, s.vy / 10]
        for x, y, taken_at in zip(s.coin_x, s.coin_y, s.taken_at, strict=True):
            if taken_at < 0:
                values += (x / SIZE, y / SIZE)
            else:
                values += (-1.0, -1.0)
        return values + [-1.0] * (self.observation_size - len(values))

    def _touches(self, x: int, y: int) -> bool:
        if not RUNNER_X - COIN_RADIUS < x < RUNNER_X + RUNNER_WIDTH + COIN_RADIUS:
            return False
        return boxes_overlap(
            RUNNER_X,
            self.state.y,
            RUNNER_WIDTH,
            RUNNER_HEIGHT,
            x - COIN_RADIUS,
            y - COIN_RADIUS,
            2 * COIN_RADIUS,
            2 * COIN_RADIUS,
        )

    def _place_row(self) -> None:
        """Puts a new row of coins beyond the right edge."""
        s, rng = self.state, self.rng
        count = integer(rng, MIN_COINS, MAX_COINS)
        x = SIZE + integer(rng, *ROW_GAP)
        y = LOWEST_COIN_Y - COIN_STEP * integer(rng, *START_STEPS)
        s.coin_x, s.coin_y = [], []
        s.taken_at = [-1] * count
        for _ in range(count):
            s.coin_x.append(x)
            s.coin_y.append(y)
            x += COIN_SPACING
            if rng.random() < COIN_STEP_CHANCE:
                y += COIN_STEP * sign(rng)
                y = min(max(y, HIGHEST_COIN_Y), LOWEST_COIN_Y)

    def draw(self, canvas: Canvas) -> None:
        s = self.state
        canvas.background(("coinrun", s.decor_seed), lambda: _draw_backdrop(canvas))
        self._draw_clouds(canvas)
        self._draw_meadow(canvas)
        for i, (x, y) in enumerate(zip(s.coin_x, s.coin_y, strict=True)):
            if s.taken_at[i] < 0:
                draw_coin(canvas, x, y, COIN_RADIUS, s.t + 4 * i)
        self._draw_girl(canvas)
        age = s.t - s.sparkle_at
        if age < SPARKLE_STEPS:
            draw_sparkles(canvas, s.sparkle_x, s.sparkle_y, age / SPARKLE_STEPS, s.sparkle_at)

    def _draw_clouds(self, canvas: Canvas) -> None:
        s = self.state
        offset = s.scrolled * 0.08
        spacing = 82
        first = math.floor(offset / spacing) - 1
        for i in range(first, first + 5):
            x = i * spacing + 40 * noise(s.decor_seed, i, 0) - offset
            y = 26 + 62 * noise(s.decor_seed, i, 1)
            size = 7 + 5 * noise(s.decor_seed, i, 2)
            for dx, dy, r in ((-1.3, 0.2, 0.8), (0, -0.3, 1.1), (1.3, 0.1, 0.9), (0.2, 0.4, 1.0)):
                color = (255, 206, 222, 150)
                canvas.ellipse(
                    color, (x + dx * size, y + dy * size), r * size * 1.2, r * size * 0.8
                )

    def _draw_meadow(self, canvas: Canvas) -> None:
        """Grass and flowers in two layers, the far one slower, and pebbles."""
        s = self.state
        for layer, speed, y0, size, green in (
            (0, 0.5, GROUND_Y + 1, 4.0, (52, 132, 66)),
            (1, 1.0, GROUND_Y + 20, 7.0, (36, 108, 54)),
        ):
            offset = s.scrolled * speed
            spacing = 15 + 6 * layer
            first = math.floor(offset / spacing) - 1
            for i in range(first, first + SIZE // spacing + 4):
                x = i * spacing + spacing * noise(s.decor_seed, i, layer, 3) - offset
                y = y0 + 8 * noise(s.decor_seed, i, layer, 4)
                kind = noise(s.decor_seed, i, layer, 5)
                if kind < 0.62:
                    for lean in (-0.55, 0.0, 0.55):
                        canvas.line(green, [(x, y), (x + lean * size, y - size)], 1.2)
                elif kind < 0.86:
                    pick = int(noise(s.decor_seed, i, layer, 6) * 3)
                    petals = ((250, 238, 246), (255, 170, 196), (255, 226, 110))[pick]
                    canvas.line(green, [(x, y), (x, y - size)], 1)
                    for a in range(5):
                        angle = a * 2 * math.pi / 5
                        petal = (
                            x + 0.25 * size * math.cos(angle),
                            y - size + 0.25 * size * math.sin(angle),
                        )
                        canvas.circle(petals, petal, 0.22 * size)
                    canvas.circle((240, 176, 40), (x, y - size), 0.18 * size)
                else:
                    canvas.ellipse((120, 138, 112), (x, y), 0.5 * size, 0.3 * size)
                    canvas.ellipse((166, 180, 156), (x - 0.3, y - 0.4), 0.4 * size, 0.2 * size)

    def _draw_girl(self, canvas: Canvas) -> None:
        s = self.state
        x, y = RUNNER_X + RUNNER_WIDTH / 2, s.y
        airborne = s.y < RUNNER_GROUND_Y
        phase = 0.0 if airborne else math.sin(s.scrolled / SCROLL * 0.9)
        hair, hair_light = (188, 58, 30), (226, 98, 48)
        dress, hem = (96, 84, 196), (140, 126, 232)
        hip = (x, y + 19)
        for side in (-1, 1):
            swing = side * (5 if airborne else 6 * phase)
            foot = (x + swing, y + 29 - (2 if airborne else 2.2 * max(0.0, -side * phase)))
            canvas.line(SKIN, [hip, (x + swing * 0.4 + 1.5, y + 24), foot], 2.2)
            canvas.line((150, 44, 70), [foot, (foot[0] + 2, foot[1])], 2.2)
        sway = 0.6 * math.sin(s.t * 0.8)
        canvas.line(hair, [(x - 2, y + 4), (x - 6, y + 7 + sway), (x - 8.5, y + 11 - sway)], 3.4)
        arm = 4.5 * phase if not airborne else 4.0
        for side in (-1, 1):
            hand = (x + side * arm + 1, y + (11 if airborne else 17))
            canvas.line(SKIN, [(x + 0.5, y + 11), hand], 1.9)
        canvas.polygon(
            dress, [(x - 2.2, y + 9), (x + 2.8, y + 9), (x + 6, y + 22), (x - 6, y + 22)]
        )
        canvas.line(hem, [(x - 5.6, y + 21.6), (x + 5.6, y + 21.6)], 1.4)
        canvas.line(hem, [(x - 2.8, y + 14.5), (x + 3.4, y + 14.5)], 1.2)
        canvas.circle(hair, (x - 0.3, y + 4.6), 4.8)
        canvas.circle(SKIN, (x + 1.2, y + 5.4), 3.7)
        canvas.line(hair_light, [(x - 2.5, y + 2.6), (x + 1, y + 1.2), (x + 4, y + 3)], 1.8)
        canvas.circle((40, 40, 60), (x + 3.1, y + 5.4), 0.7)
        canvas.line((210, 96, 96), [(x + 2.4, y + 7.4), (x + 3.6, y + 7.2)], 0.6)


def _draw_backdrop(canvas: Canvas) -> None:
    canvas.gradient([(104, 170, 236), (176, 196, 240), (250, 196, 214)], 0, GROUND_Y)
    canvas.circle(fade(WHITE, 0.25), (184, 40), 20)
    canvas.circle((255, 246, 226), (184, 40), 14)
    hill = mix((126, 190, 130), (250, 196, 214), 0.3)
    canvas.ellipse(hill, (50, GROUND_Y + 12), 90, 36)
    canvas.ellipse(mix(hill, WHITE, 0.12), (180, GROUND_Y + 14), 100, 44)
    canvas.gradient([(116, 196, 98), (66, 152, 76)], GROUND_Y, SIZE)
