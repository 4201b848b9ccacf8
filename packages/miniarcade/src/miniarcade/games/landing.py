"""Landing: set a helicopter down on a ship that sails back and forth.

The action is the helicopter's thrust to the right and downwards; gravity pulls it down. Standing
on the deck earns up to 1 a step, more the closer to the flag. Hovering above the flag earns a
little. Touching down hard costs, and so does flying below the deck. Once the helicopter moves with
the ship, the deck holds it until it thrusts upwards for some steps.

Source: MMBench, arXiv 2511.19584, the arcade suite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from numpy.random import Generator

from miniarcade.game import SIZE, Game, State, sample_decor_seed
from miniarcade.palette import RED, WHITE, fade, noise
from miniarcade.rules import boxes_overlap, sign, uniform

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas

WIDTH, HEIGHT = 28, 18  # px, of the helicopter
RIGHT, BOTTOM = float(SIZE - WIDTH), float(SIZE - HEIGHT)  # px, limits of its upper left corner
START = (12.0, 36.0)  # px, both coordinates of that corner at the start, least and most
START_SPEED = 0.3  # px/step, the largest of either sign
THRUST = 0.6  # px/step^2, of a full action
GRAVITY = 0.2  # px/step^2
DRAG = 0.96  # share of the speed that a step leaves

SEA_Y = 179  # px, level of the sea
DECK_WIDTH, DECK_HEIGHT = 70, 12  # px
DECK_Y = SEA_Y + 10  # px, centre of the deck
DECK_TOP, DECK_BOTTOM = DECK_Y - DECK_HEIGHT // 2, DECK_Y + DECK_HEIGHT // 2  # px
SHIP_START = 74.0  # px, centre of the deck at the start
SHIP_SPEED = 1.4  # px/step
SHIP_SPEED_SPREAD = 0.3  # px/step
SHIP_LEFT, SHIP_RIGHT = DECK_WIDTH / 2, SIZE - DECK_WIDTH / 2  # px, limits of its centre

CONTACT_MARGIN = 4  # px, that helicopter and deck must have in common sideways
CONTACT_GAP = 3  # px, between the helicopter's bottom and the deck
DECK_GRIP = 0.9  # share of the sideways speed that a collision with the deck from above leaves
CONTACT_GRIP = 0.3  # share of the ship's speed that the helicopter takes on in a step of contact
LOCK_SPEED = 0.2  # px/step, relative to the ship, below which the deck takes hold of it

CONTACT_REWARD = (0.1, 1.0)  # at the edge of the deck, at the flag
FALL_COST = 0.001  # per px/step
IMPACT_COST = 2.0  # per px/step
IMPACT_COST_LIMIT = 10.0
BELOW_COST = 0.5
ABOVE_X_REWARD = 0.025
ABOVE_Y_REWARD = 0.1


@dataclass(slots=True)
class LandingState(State):
    x: float  # px, upper left corner of the helicopter's box
    y: float  # px
    vx: float  # px/step
    vy: float  # px/step
    ship_x: float  # px, centre of the deck
    ship_v: float  # px/step
    contact: bool = False  # the helicopter stands on the deck
    locked: bool = False  # and the deck holds it
    touched_at: int = -100  # step of the last touchdown
    impact: float = 0.0  # px/step, its speed


class Landing(Game):
    """Land on the ship."""

    action_size = 2
    observation_size = 7
    state_type = LandingState
    state: LandingState

    def reset(self, rng: Generator) -> None:
        self.rng = rng
        speed = SHIP_SPEED + uniform(rng, -SHIP_SPEED_SPREAD, SHIP_SPEED_SPREAD)
        self.state = LandingState(
            t=0,
            decor_seed=sample_decor_seed(rng),
            x=uniform(rng, *START),
            y=uniform(rng, *START),
            vx=uniform(rng, -START_SPEED, START_SPEED),
            vy=uniform(rng, -START_SPEED, START_SPEED),
            ship_x=SHIP_START,
            ship_v=sign(rng) * speed,
        )

    def step(self, action: Sequence[float]) -> float:
        s = self.state
        s.t += 1
        self._fly(action)
        self._sail()
        speed = s.vy
        deck = int(s.ship_x - DECK_WIDTH / 2)
        x, y = int(s.x), int(s.y)
        if DECK_TOP - HEIGHT < y < DECK_BOTTOM and boxes_overlap(
            x, y, WIDTH, HEIGHT, deck, DECK_TOP, DECK_WIDTH, DECK_HEIGHT
        ):
            self._collide(x, y, deck)
            x, y = int(s.x), int(s.y)
        touched = s.contact
        s.contact = (
            x + WIDTH > deck + CONTACT_MARGIN
            and x < deck + DECK_WIDTH - CONTACT_MARGIN
            and abs(y + HEIGHT - DECK_TOP) <= CONTACT_GAP
        )
        if s.contact:
            self._hold()
            if not touched:
                s.touched_at = s.t
                s.impact = max(speed, 0.0)
        else:
            s.locked = False
        return self._reward(x, y, deck, first_touch=s.contact and not touched)

    def observe(self) -> list[float]:
        """Corner and velocity of the helicopter, centre of the deck, speed of the ship."""
        s = self.state
        return [
            s.x / SIZE,
            s.y / SIZE,
            s.vx / 10,
            s.vy / 10,
            s.ship_x / SIZE,
            DECK_Y / SIZE,
            s.ship_v / 5,
        ]

    def _fly(self, action: Sequence[float]) -> None:
        s = self.state
        vx = s.vx + THRUST * action[0]
        vy = s.vy + THRUST * action[1] + GRAVITY
        x, y = s.x + vx, s.y + vy
        s.vx = vx * DRAG
        s.vy = vy * DRAG
        s.x = 0.0 if x < 0.0 else RIGHT if x > RIGHT else x
        s.y = 0.0 if y < 0.0 else BOTTOM if y > BOTTOM else y

    def _sail(self) -> None:
        s = self.state
        s.ship_x += s.ship_v
        if s.ship_x < SHIP_LEFT:
            s.ship_x = SHIP_LEFT
            s.ship_v = abs(s.ship_v)
        elif s.ship_x > SHIP_RIGHT:
            s.ship_x = SHIP_RIGHT
            s.ship_v = -abs(s.ship_v)

    def _collide(self, x: int, y: int, deck: int) -> None:
        """Pushes the helicopter out of the deck, the shorter way.

        Args:
            x: Left edge of the helicopter's box, px.
            y: Its top, px.
            deck: Left edge of the deck's box, px.
        """
        s = self.state
        sideways = min(x + WIDTH - deck, deck + DECK_WIDTH - x)
        upright = min(y + HEIGHT - DECK_TOP, DECK_BOTTOM - y)
        if upright <= sideways:
            if y + HEIGHT // 2 < DECK_Y:
                s.y = float(DECK_TOP - HEIGHT)
                s.vy = min(s.vy, 0.0)
                s.vx *= DECK_GRIP
            else:
                s.y = float(DECK_BOTTOM)
                s.vy = max(s.vy, 0.0)
        elif x + WIDTH // 2 < deck + DECK_WIDTH // 2:
            s.x = float(deck - WIDTH)
            s.vx = min(s.vx, 0.0)
        else:
            s.x = float(deck + DECK_WIDTH)
            s.vx = max(s.vx, 0.0)

    def _hold(self) -> None:
        """Carries the helicopter along with the ship, and holds it once it is slow enough.

        Each step puts a held helicopter back, while upward thrust builds up its speed. It leaves
        when one step takes it out of contact.
        """
        s = self.state
        s.vx += CONTACT_GRIP * (s.ship_v - s.vx)
        if abs(s.vy) < LOCK_SPEED and abs(s.vx - s.ship_v) < LOCK_SPEED:
            s.locked = True
        if s.locked:
            s.y = float(DECK_TOP - HEIGHT)
            s.vx, s.vy = s.ship_v, min(s.vy, 0.0)

    def _reward(self, x: int, y: int, deck: int, first_touch: bool) -> float:
        """The reward of the step; helicopter and deck are those of `_collide`."""
        s = self.state
        distance = abs(x + WIDTH // 2 - deck - DECK_WIDTH // 2) / (DECK_WIDTH / 2)
        closeness = 1.0 - distance if distance < 1.0 else 0.0
        reward = 0.0
        if s.contact:
            low, high = CONTACT_REWARD
            reward += low + (high - low) * closeness
        if s.vy > 0.0:
            reward -= FALL_COST * s.vy
        if first_touch:
            reward -= min(IMPACT_COST_LIMIT, IMPACT_COST * s.impact)
        middle = y + HEIGHT // 2
        if middle > DECK_TOP:
            return reward - BELOW_COST
        height = (DECK_Y - middle) / SIZE
        return reward + ABOVE_X_REWARD * closeness + ABOVE_Y_REWARD * (1.0 - height)

    def draw(self, canvas: Canvas) -> None:
        s = self.state
        canvas.background(("landing", s.decor_seed), lambda: self._draw_sky(canvas))
        self._draw_waves(canvas, 0, 3)
        self._draw_ship(canvas)
        self._draw_dust(canvas)
        self._draw_helicopter(canvas)
        self._draw_waves(canvas, 3, 6)
        if s.contact:
            canvas.fill((70, 230, 110, 36))

    def _draw_sky(self, canvas: Canvas) -> None:
        seed = self.state.decor_seed
        canvas.gradient([(24, 44, 104), (58, 104, 178), (148, 190, 224)], 0, SEA_Y)
        for i in range(40):
            x, y = SIZE * noise(seed, i, 0), 120 * noise(seed, i, 1) ** 1.4
            opacity = (0.35 + 0.6 * noise(seed, i, 2)) * (1 - y / 130)
            canvas.circle(fade(WHITE, opacity), (x, y), 0.5 + 0.6 * noise(seed, i, 3))
        x, y = 140 + 60 * noise(seed, 50), 24 + 22 * noise(seed, 51)
        canvas.glow((220, 226, 255), (x, y), 30, 0.25)
        canvas.circle((238, 240, 250), (x, y), 9)
        canvas.circle((216, 220, 236), (x + 2.6, y - 2), 2.2)
        canvas.circle((216, 220, 236), (x - 3, y + 2.6), 1.6)
        canvas.gradient([(44, 112, 168), (22, 66, 122), (12, 40, 88)], SEA_Y, SIZE)
        canvas.rect((150, 206, 232), 0, SEA_Y - 0.5, SIZE, 1)

    def _draw_waves(self, canvas: Canvas, first: int, last: int) -> None:
        """Rows of the waves, from the horizon (0) to the front."""
        s = self.state
        for row in range(first, last):
            y = SEA_Y + 4 + 7.6 * row
            spacing = 26 + 3 * row
            drift = (0.25 + 0.09 * row) * s.t * (1 if row % 2 else -1)
            color = fade((170, 218, 240), 0.2 + 0.05 * row)
            for i in range(-1, SIZE // spacing + 2):
                x = i * spacing + drift % spacing + 9 * noise(s.decor_seed, row, 60)
                rise = 1.2 * math.sin(0.1 * s.t + 1.7 * i + row)
                half = 4 + 0.7 * row
                canvas.line(color, [(x - half, y), (x, y - 1 - rise * 0.5), (x + half, y)], 1)

    def _draw_ship(self, canvas: Canvas) -> None:
        s = self.state
        x, half = s.ship_x, DECK_WIDTH / 2
        way = 1 if s.ship_v > 0 else -1
        hull, stripe = (58, 66, 86), (176, 52, 46)
        left, right = x - half, x + half
        keel = DECK_BOTTOM + 13
        # The bow is where the ship is heading.
        bow = right if way > 0 else left
        stern = left if way > 0 else right
        canvas.ellipse((16, 50, 100, 120), (x, keel + 0.5), half + 2, 3.4)
        canvas.polygon(
            hull,
            [
                (stern, DECK_BOTTOM - 3),
                (bow, DECK_BOTTOM - 3),
                (bow + 9 * way, DECK_TOP + 4),
                (bow - 5 * way, keel),
                (stern + 4 * way, keel),
            ],
        )
        canvas.line(stripe, [(stern + 4 * way, keel - 2.4), (bow - 4.6 * way, keel - 2.4)], 1.8)
        for i in range(5):
            port = (x + (i - 2) * 10 - 2 * way, DECK_BOTTOM + 4)
            canvas.circle((24, 30, 44), port, 1.7)
            canvas.circle((250, 226, 150), port, 1.0)
        for i in range(4):
            spray = 3 + 5 * noise(s.decor_seed, s.t // 2, i)
            center = (bow + (2 * i - 2) * way, keel - 0.5 - 0.3 * spray)
            canvas.circle(fade(WHITE, 0.5), center, 0.8 + 0.16 * spray)
        self._draw_deck(canvas, left, stern, way)

    def _draw_deck(self, canvas: Canvas, left: float, stern: float, way: int) -> None:
        x = left + DECK_WIDTH / 2
        canvas.rect((206, 212, 220), left, DECK_TOP, DECK_WIDTH, DECK_HEIGHT, 1.5)
        canvas.rect((244, 246, 248), left, DECK_TOP, DECK_WIDTH, 5, 1.5)
        # The cabin is on the front of the ship's side, below the deck, so as not to be in the way.
        cabin = stern + 5 * way if way > 0 else stern - 21
        canvas.rect((172, 182, 196), cabin, DECK_TOP + 6, 16, 11, 1.5)
        for i in range(3):
            canvas.rect((52, 84, 124), cabin + 2 + 4.4 * i, DECK_TOP + 8, 3, 3.4, 0.6)
        for side in (-1, 1):
            canvas.rect((240, 180, 50), x + side * 14 - 3, DECK_TOP + 1.2, 6, 1.6, 0.6)
        self._draw_flag(canvas, x)

    def _draw_flag(self, canvas: Canvas, x: float) -> None:
        t = self.state.t
        canvas.line((90, 96, 110), [(x, DECK_TOP + 1), (x, DECK_TOP - 15)], 1.2)
        cloth = [(x + 10 * i / 5, 1.1 * math.sin(0.45 * t - 0.9 * i) * i / 5) for i in range(6)]
        upper = [(px, DECK_TOP - 15 + dy) for px, dy in cloth]
        lower = [(px, DECK_TOP - 8.6 + dy) for px, dy in reversed(cloth)]
        canvas.polygon(RED, upper + lower)

    def _draw_dust(self, canvas: Canvas) -> None:
        """Draws the dust of a touchdown, more of it after a hard one."""
        s = self.state
        age = s.t - s.touched_at
        if age >= 12:
            return
        for i in range(10):
            way = 1 if i % 2 else -1
            spread = 6 + (1.2 + 1.6 * noise(s.touched_at, i, 0)) * age
            x = s.x + WIDTH / 2 + way * spread
            y = DECK_TOP - 1 - 0.5 * age * noise(s.touched_at, i, 1)
            color = fade((236, 240, 244), 0.6 * (1 - age / 12))
            canvas.circle(color, (x, y), 1 + 0.14 * age + 0.25 * s.impact)

    def _draw_helicopter(self, canvas: Canvas) -> None:
        s = self.state
        x, y = s.x, s.y
        lean = max(-1.0, min(1.0, s.vx / 8)) * 0.16
        middle_x, middle_y = x + WIDTH / 2, y + HEIGHT
        cos, sin = math.cos(lean), math.sin(lean)

        def at(dx: float, dy: float) -> tuple[float, float]:
            """A point of the box, tilted in the direction of flight."""
            px, py = x + dx - middle_x, y + dy - middle_y
            return (middle_x + cos * px - sin * py, middle_y + sin * px + cos * py)

        body, dark, light = (104, 128, 158), (66, 84, 110), (156, 178, 202)
        canvas.polygon(dark, [at(0, 5.4), at(12, 6.2), at(12, 9.6), at(0, 7.4)])
        canvas.polygon(dark, [at(-0.5, 2.4), at(2.6, 2.4), at(3.4, 7), at(0.4, 7)])
        spin = 0.9 * s.t
        tail = at(1.4, 4.6)
        for k in range(2):
            angle = spin * 1.7 + k * math.pi / 2
            dx, dy = 3 * math.cos(angle), 3 * math.sin(angle)
            canvas.line(
                fade(WHITE, 0.8), [(tail[0] - dx, tail[1] - dy), (tail[0] + dx, tail[1] + dy)], 0.7
            )
        hull = [
            at(17.5 + 9.5 * math.cos(a), 9.2 + 5.3 * math.sin(a))
            for a in (2 * math.pi * i / 28 for i in range(28))
        ]
        canvas.polygon(dark, [(px, py + 0.7) for px, py in hull])
        canvas.polygon(body, hull)
        canvas.polygon(light, [at(10, 6.4), at(15, 4.6), at(18, 4.4), at(18, 6)])
        canvas.polygon((30, 48, 78), [at(19, 5), at(23.4, 5.6), at(26, 9), at(19, 9.4)])
        canvas.polygon((150, 212, 240), [at(19.8, 5.8), at(23, 6.2), at(24.8, 8.4), at(19.8, 8.6)])
        for dx in (13, 22):
            canvas.line(dark, [at(dx, 13.4), at(dx, 17)], 1)
        canvas.line(dark, [at(8.5, 17.2), at(25, 17.2), at(26.6, 16)], 1.4)
        canvas.line(dark, [at(17, 4.4), at(17, 1.4)], 1.8)
        reach = 13.5 * abs(math.cos(spin)) + 1.5
        canvas.line((226, 232, 240, 70), [at(17 - 15, 1.2), at(17 + 15, 1.2)], 1.6)
        canvas.line((226, 232, 240), [at(17 - reach, 1.2), at(17 + reach, 1.2)], 1)
