"""Pong: play the ball past the paddle on the other side.

The action is the speed of the left paddle. Each ball that passes the right edge earns 1 and each
one that passes the left edge costs 1; the next is served from the centre at once. The opponent
sees the ball late: it reacts some steps after the ball has come near enough. Then it follows the
ball's place of a step ago, faster the closer the ball is. While it is alert, it follows the next
serve without a delay.

Source: MMBench, arXiv 2511.19584, the arcade suite. In the published game the opponent also stays
alert from one episode to the next; here every episode starts fresh.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from numpy.random import Generator

from miniarcade.game import SIZE, Game, State, sample_decor_seed
from miniarcade.palette import BLACK, DARK_GREY, GREY, ORANGE, WHITE, fade
from miniarcade.rules import boxes_overlap, integer, sign, uniform

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas

LOW, HIGH = 20, 204  # px, edges of the square arena
CENTER = (LOW + HIGH) / 2  # px
ARENA = HIGH - LOW  # px

PADDLE_WIDTH = 6  # px
PADDLE_HEIGHT = 40  # px
AGENT_X = 30  # px, left edge of the paddles
OPPONENT_X = 188  # px
PADDLE_SPEED = 8.5  # px/step

BALL_RADIUS = 7  # px, at which the walls meet it
BALL_BOX = 7  # px, side of the box around its centre that the paddles meet
BALL_SPEED = 8.0  # px/step
SERVE_ANGLE = 0.5 * math.pi  # rad, largest angle to the horizontal

SIGHT = 0.3  # share of the arena's width behind which the opponent ignores the ball
SLOWEST, HASTE = 0.5, 0.35  # shares of PADDLE_SPEED: the opponent's, and what the ball adds to it
APPROACH = 0.65  # share of the arena's width over which it adds that
DELAY = (2, 6)  # steps until the opponent reacts, least and most


@dataclass(slots=True)
class PongState(State):
    x: float  # px, centre of the ball
    y: float  # px
    vx: float  # px/step
    vy: float  # px/step
    agent_y: float  # px, top of the paddles
    opponent_y: float  # px
    alert: bool  # the opponent has seen the ball
    delay: int  # steps until it moves
    agent_points: int
    opponent_points: int
    scored_at: int  # step of the last point
    agent_scored: bool  # that was the agent's


def sample_serve(rng: Generator) -> tuple[float, float]:
    """The velocity of a served ball, px/step."""
    angle = uniform(rng, -SERVE_ANGLE, SERVE_ANGLE)
    return sign(rng) * BALL_SPEED * math.cos(angle), BALL_SPEED * math.sin(angle)


def sample_delay(rng: Generator) -> int:
    """Steps until the opponent reacts to a ball that it has just seen."""
    return integer(rng, *DELAY)


class Pong(Game):
    """Play the ball past the other paddle."""

    action_size = 1
    observation_size = 6
    state_type = PongState
    state: PongState

    def reset(self, rng: Generator) -> None:
        self.rng = rng
        decor_seed = sample_decor_seed(rng)
        vx, vy = sample_serve(rng)
        self.state = PongState(
            t=0,
            decor_seed=decor_seed,
            x=CENTER,
            y=CENTER,
            vx=vx,
            vy=vy,
            agent_y=CENTER - PADDLE_HEIGHT / 2,
            opponent_y=CENTER - PADDLE_HEIGHT / 2,
            alert=False,
            delay=0,
            agent_points=0,
            opponent_points=0,
            scored_at=-100,
            agent_scored=False,
        )

    def step(self, action: Sequence[float]) -> float:
        s = self.state
        s.t += 1
        s.agent_y = _clamp_paddle(s.agent_y + PADDLE_SPEED * action[0])
        self._move_opponent()
        self._move_ball()
        if s.x > HIGH:
            s.agent_points += 1
            reward = 1.0
        elif s.x < LOW:
            s.opponent_points += 1
            reward = -1.0
        else:
            return 0.0
        s.scored_at, s.agent_scored = s.t, reward > 0
        s.x = s.y = CENTER
        s.vx, s.vy = sample_serve(self.rng)
        return reward

    def observe(self) -> list[float]:
        """Ball position and velocity, top of the agent's and of the opponent's paddle."""
        s = self.state
        return [
            s.x / SIZE,
            s.y / SIZE,
            s.vx / BALL_SPEED,
            s.vy / BALL_SPEED,
            s.agent_y / SIZE,
            s.opponent_y / SIZE,
        ]

    def _move_ball(self) -> None:
        s = self.state
        s.x += s.vx
        s.y += s.vy
        if not LOW + BALL_RADIUS <= s.y <= HIGH - BALL_RADIUS:
            s.vy = -s.vy
        if s.vx < 0:
            if s.x < AGENT_X + PADDLE_WIDTH + BALL_BOX and self._touches(AGENT_X, s.agent_y):
                s.vx = -s.vx
        elif s.x > OPPONENT_X - BALL_BOX and self._touches(OPPONENT_X, s.opponent_y):
            s.vx = -s.vx

    def _touches(self, paddle_x: int, paddle_y: float) -> bool:
        s = self.state
        return boxes_overlap(
            paddle_x,
            paddle_y,
            PADDLE_WIDTH,
            PADDLE_HEIGHT,
            s.x - BALL_BOX / 2,
            s.y - BALL_BOX / 2,
            BALL_BOX,
            BALL_BOX,
        )

    def _move_opponent(self) -> None:
        s = self.state
        progress = (s.x - LOW) / ARENA
        if progress <= SIGHT:
            s.alert = False
            return
        if not s.alert:
            s.alert = True
            s.delay = sample_delay(self.rng)
        if s.delay > 0:
            s.delay -= 1
            return
        speed = PADDLE_SPEED * (SLOWEST + HASTE * min((progress - SIGHT) / APPROACH, 1.0))
        if s.y - PADDLE_HEIGHT / 2 <= s.opponent_y:
            speed = -speed
        s.opponent_y = _clamp_paddle(s.opponent_y + speed)

    def draw(self, canvas: Canvas) -> None:
        s = self.state
        canvas.background("pong", lambda: _draw_arena(canvas))
        fresh = max(0.0, 1 - (s.t - s.scored_at) / 15)
        scorer = ORANGE if s.agent_scored else GREY
        if fresh:
            canvas.rect(fade(scorer, 0.15 * fresh), LOW, LOW, ARENA, ARENA)
        canvas.text(str(s.agent_points), (CENTER - 24, 11), 18, ORANGE)
        canvas.text(str(s.opponent_points), (CENTER + 24, 11), 18, GREY)
        for i in range(1, 4):
            x, y = s.x - s.vx * 0.6 * i, s.y - s.vy * 0.6 * i
            size = 2 * (BALL_RADIUS - i)
            if LOW + size < x < HIGH - size and LOW + size < y < HIGH - size:
                ghost = fade(WHITE, 0.28 - 0.07 * i)
                canvas.rect(ghost, x - size / 2, y - size / 2, size, size, 1)
        for x, y, color in ((AGENT_X, s.agent_y, ORANGE), (OPPONENT_X, s.opponent_y, GREY)):
            canvas.rect(color, x, y, PADDLE_WIDTH, PADDLE_HEIGHT, 2)
        size = 2 * BALL_RADIUS
        canvas.rect(WHITE, s.x - BALL_RADIUS, s.y - BALL_RADIUS, size, size, 2)


def _clamp_paddle(y: float) -> float:
    if y < LOW:
        return float(LOW)
    if y > HIGH - PADDLE_HEIGHT:
        return float(HIGH - PADDLE_HEIGHT)
    return y


def _draw_arena(canvas: Canvas) -> None:
    canvas.fill(BLACK)
    for y in range(LOW + 4, HIGH - 4, 12):
        canvas.rect(DARK_GREY, CENTER - 0.75, y, 1.5, 6)
    canvas.rect(WHITE, LOW - 2, LOW - 2, ARENA + 4, ARENA + 4, 2, outline=2)
