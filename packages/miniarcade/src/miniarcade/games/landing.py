"""Landing: set a helicopter down on a ship that sails back and forth.

The action is the helicopter's thrust to the right and downwards; gravity pulls it down. Standing
on the deck earns up to 1 a step, the more the closer to the flag, and hovering above the flag a
little; touching down hard costs, and so does flying below the deck.

Source: MMBench, arXiv 2511.19584, the arcade suite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from numpy.random import Generator

from miniarcade.game import SIZE, Game, State, draw_decor_seed
from miniarcade.palette import RED, WHITE, fade, mix, noise
from miniarcade.randomness import sign, uniform

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
DECK_Y = SEA_Y + 10.0  # px, centre of the deck
DECK_TOP = DECK_Y - DECK_HEIGHT / 2  # px
DECK_BOTTOM = DECK_Y + DECK_HEIGHT / 2  # px
SHIP_START = 74.0  # px, centre of the deck at the start
SHIP_SPEED = 1.4  # px/step
SHIP_SPEED_SPREAD = 0.3  # px/step
SHIP_LEFT, SHIP_RIGHT = DECK_WIDTH / 2, SIZE - DECK_WIDTH / 2  # px, limits of its centre

CONTACT_MARGIN = 4  # px, that helicopter and deck must have in common sideways
CONTACT_GAP = 3  # px, between the helicopter's bottom and the deck
# Largest distance of the centres sideways with contact.
REACH = (WIDTH + DECK_WIDTH) / 2 - CONTACT_MARGIN  # px
DECK_GRIP = 0.9  # share of the sideways speed that falling onto the deck leaves
CONTACT_GRIP = 0.3  # share of the ship's speed that the helicopter takes on in a step of contact
LOCK_SPEED = 0.2  # px/step, relative to the ship, below which it stands still on the deck

CONTACT_REWARD = (0.1, 1.0)  # at the edge of the deck, at the flag
FALL_COST = 0.001  # per px/step
IMPACT_COST = 2.0  # per px/step
IMPACT_COST_LIMIT = 10.0
BELOW_COST = 0.5
ABOVE_X_REWARD = 0.025
ABOVE_Y_REWARD = 0.1


@dataclass(slots=True)
class LandingState(State):
    """See `State`."""

    x: float  # px, upper left corner of the helicopter's box
    y: float  # px
    vx: float  # px/step
    vy: float  # px/step
    ship_x: float  # px, centre of the deck
    ship_v: float  # px/step
    contact: bool = False  # the helicopter stands on the deck
    touched_at: int = -100  # step of the last touchdown
    impact: float = 0.0  # px/step, its speed


class Landing(Game):
    """Land on the ship."""

    action_size = 2
    observation_size = 7
    state_type = LandingState
    state: LandingState

    def reset(self, rng: Generator) -> None:
        """See `Game`."""
        self.rng = rng
        speed = SHIP_SPEED + uniform(rng, -SHIP_SPEED_SPREAD, SHIP_SPEED_SPREAD)
        self.state = LandingState(
            t=0,
            decor_seed=draw_decor_seed(rng),
            x=uniform(rng, *START),
            y=uniform(rng, *START),
            vx=uniform(rng, -START_SPEED, START_SPEED),
            vy=uniform(rng, -START_SPEED, START_SPEED),
            ship_x=SHIP_START,
            ship_v=sign(rng) * speed,
        )

    def step(self, action: Sequence[float]) -> float:
        """See `Game`."""
        s = self.state
        s.t += 1
        self._fly(action)
        self._sail()
        speed = s.vy
        if DECK_TOP - HEIGHT < s.y < DECK_BOTTOM:
            self._collide()
        touched = s.contact
        s.contact = self._stands()
        if s.contact:
            self._hold()
            if not touched:
                s.touched_at = s.t
                s.impact = max(speed, 0.0)
        return self._reward(first_touch=s.contact and not touched)

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

    def _collide(self) -> None:
        """Pushes the helicopter out of the deck, the shorter way."""
        s = self.state
        dx, dy = s.x + WIDTH / 2 - s.ship_x, s.y + HEIGHT / 2 - DECK_Y
        depth_x = (WIDTH + DECK_WIDTH) / 2 - abs(dx)
        depth_y = (HEIGHT + DECK_HEIGHT) / 2 - abs(dy)
        if depth_x <= 0.0 or depth_y <= 0.0:
            return
        if depth_x < depth_y:
            s.x += depth_x if dx > 0.0 else -depth_x
            s.x = min(max(s.x, 0.0), RIGHT)
            s.vx = 0.0
        elif dy < 0.0:
            s.y -= depth_y
            if s.vy > 0.0:
                s.vy = 0.0
                s.vx *= DECK_GRIP
        else:
            s.y += depth_y
            s.vy = max(s.vy, 0.0)

    def _stands(self) -> bool:
        """Whether the helicopter is in contact with the deck."""
        s = self.state
        return (
            abs(s.y + HEIGHT - DECK_TOP) <= CONTACT_GAP
            and abs(s.x + WIDTH / 2 - s.ship_x) < REACH
        )

    def _hold(self) -> None:
        """The ship carries the helicopter along, and once it is slow enough, holds it."""
        s = self.state
        s.vx += CONTACT_GRIP * (s.ship_v - s.vx)
        if abs(s.vy) < LOCK_SPEED and abs(s.vx - s.ship_v) < LOCK_SPEED:
            s.y = DECK_TOP - HEIGHT
            s.vx, s.vy = s.ship_v, 0.0

    def _reward(self, first_touch: bool) -> float:
        s = self.state
        y = s.y + HEIGHT / 2
        closeness = max(0.0, 1.0 - abs(s.x + WIDTH / 2 - s.ship_x) / (DECK_WIDTH / 2))
        reward = 0.0
        if s.contact:
            low, high = CONTACT_REWARD
            reward += low + (high - low) * closeness
        if s.vy > 0.0:
            reward -= FALL_COST * s.vy
        if first_touch:
            reward -= min(IMPACT_COST_LIMIT, IMPACT_COST * s.impact)
        if y > DECK_TOP:
            return reward - BELOW_COST
        return reward + ABOVE_X_REWARD * closeness + ABOVE_Y_REWARD * (1.0 - (DECK_Y - y) / SIZE)
