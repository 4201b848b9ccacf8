"""Air hockey: play the puck into the goal at the top and defend the one at the bottom.

The action is the velocity of the lower mallet, which cannot leave its half. A goal earns 1 or
costs 1, and the puck then starts from the centre towards the side that conceded it. The opponent
sees the puck late: it reacts some steps after the puck has come up to it, sooner to a fast puck.
Otherwise it returns to its place before the goal. A goal does not make it forget what it has seen.

Source: MMBench, arXiv 2511.19584, the arcade suite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from numpy.random import Generator

from miniarcade.game import SIZE, Game, State, sample_decor_seed
from miniarcade.palette import BLACK, DARK_GREY, GREY, ORANGE, WHITE, Color, fade, mix
from miniarcade.rules import integer, sign, uniform

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas

CENTER = SIZE / 2  # px, both coordinates of the rink's centre
WIDTH, HEIGHT = 158, 176  # px, of the rink
LEFT, RIGHT = CENTER - WIDTH / 2, CENTER + WIDTH / 2  # px
TOP, BOTTOM = CENTER - HEIGHT / 2, CENTER + HEIGHT / 2  # px
MOUTH = 56  # px, width of a goal, in which the puck's centre has to be
MOUTH_LEFT, MOUTH_RIGHT = CENTER - MOUTH / 2, CENTER + MOUTH / 2  # px
DEPTH = 10  # px, how far beyond the line the puck's centre must go

PUCK = 6  # px, radius
MALLET = 10  # px, radius
REACH = PUCK + MALLET  # px, distance of the centres in contact

SERVE_SPEED = 6.0  # px/step
SERVE_ANGLE = 0.35 * math.pi  # rad, largest angle to the horizontal
SERVE_VY = (0.3, 0.7)  # shares of the speed along the rink: always, times the angle's sine
MAX_SPEED = 12.0  # px/step, of the puck
GLIDE = 1.0 - 0.002  # share of the puck's speed that a step leaves
BOUNCE = 0.9  # restitution of walls and mallets
PUSH = 0.35  # share of a mallet's velocity that a hit adds to the puck's
SEPARATION = 0.5  # px, between puck and mallet after a hit

MALLET_SPEED = 7.5  # px/step, of each component of the agent's velocity at a full action
START = 30  # px, from a mallet's own line to its place at the start
AGENT_START = BOTTOM - START  # px
OPPONENT_START = TOP + START  # px

OPPONENT_HOME = TOP + 28  # px, where it returns to
OPPONENT_SPEED = 0.85 * MALLET_SPEED  # px/step
OPPONENT_JITTER = 0.25  # px/step, standard deviation of each component of its velocity
AT_TARGET = 1e-5  # px, nearer than that it rests
SIGHT = CENTER + 8.0  # px, above which the opponent sees the puck
SLOW_DELAY = (5, 10)  # steps until it reacts to a puck of at most SLOW, least and most
FAST_DELAY = (1, 4)  # steps, to one of at least FAST
SLOW, FAST = 2.0, 10.0  # px/step
BEHIND = 12.0  # px, from the puck down to where the opponent goes
ADVANCE = TOP + int(0.35 * HEIGHT) - 2.0  # px, as far as it comes out


@dataclass(slots=True)
class AirHockeyState(State):
    x: float = CENTER  # px, centre of the puck
    y: float = CENTER  # px
    vx: float = 0.0  # px/step
    vy: float = 0.0  # px/step
    agent_x: float = CENTER  # px, centre of the agent's mallet
    agent_y: float = AGENT_START  # px
    agent_vx: float = 0.0  # px/step
    agent_vy: float = 0.0  # px/step
    opponent_x: float = CENTER  # px, centre of the opponent's mallet
    opponent_y: float = OPPONENT_START  # px
    opponent_vx: float = 0.0  # px/step
    opponent_vy: float = 0.0  # px/step
    alert: bool = False  # the opponent has seen the puck
    delay: int = 0  # steps until it reacts
    agent_points: int = 0
    opponent_points: int = 0
    scored_at: int = -100  # step of the last goal
    hit_at: int = -100  # step at which a mallet last hit the puck
    hit_x: float = CENTER  # px, where they touched
    hit_y: float = CENTER  # px


class AirHockey(Game):
    """Play the puck into the upper goal."""

    action_size = 2
    observation_size = 12
    state_type = AirHockeyState
    state: AirHockeyState

    def reset(self, rng: Generator) -> None:
        self.rng = rng
        self.state = AirHockeyState(t=0, decor_seed=sample_decor_seed(rng))
        self._serve(sign(rng))

    def step(self, action: Sequence[float]) -> float:
        s = self.state
        s.t += 1
        self._move_agent(action)
        self._move_opponent()
        s.x += s.vx
        s.y += s.vy
        self._hit(s.agent_x, s.agent_y, s.agent_vx, s.agent_vy)
        self._hit(s.opponent_x, s.opponent_y, s.opponent_vx, s.opponent_vy)
        self._bounce_off_sides()
        reward = self._cross_lines()
        self._slow_down()
        return reward

    def observe(self) -> list[float]:
        """Position and velocity of the puck, of the agent's and of the opponent's mallet."""
        s = self.state
        return [
            s.x / SIZE,
            s.y / SIZE,
            s.vx / MAX_SPEED,
            s.vy / MAX_SPEED,
            s.agent_x / SIZE,
            s.agent_y / SIZE,
            s.agent_vx / MALLET_SPEED,
            s.agent_vy / MALLET_SPEED,
            s.opponent_x / SIZE,
            s.opponent_y / SIZE,
            s.opponent_vx / MALLET_SPEED,
            s.opponent_vy / MALLET_SPEED,
        ]

    def _serve(self, towards: int) -> None:
        """Launches the puck from the centre, upwards (-1) or downwards (1)."""
        s, rng = self.state, self.rng
        angle = uniform(rng, -SERVE_ANGLE, SERVE_ANGLE)
        always, angled = SERVE_VY
        s.x = s.y = CENTER
        s.vx = sign(rng) * SERVE_SPEED * math.cos(angle)
        s.vy = towards * SERVE_SPEED * abs(always + angled * math.sin(angle))

    def _restart(self, towards: int) -> None:
        s = self.state
        s.scored_at = s.t
        s.agent_x = s.opponent_x = CENTER
        s.agent_y, s.opponent_y = AGENT_START, OPPONENT_START
        s.agent_vx = s.agent_vy = s.opponent_vx = s.opponent_vy = 0.0
        self._serve(towards)

    def _move_agent(self, action: Sequence[float]) -> None:
        s = self.state
        s.agent_vx, s.agent_vy = vx, vy = MALLET_SPEED * action[0], MALLET_SPEED * action[1]
        x, y = s.agent_x + vx, s.agent_y + vy
        s.agent_x = _clamp(x, LEFT + MALLET, RIGHT - MALLET)
        s.agent_y = _clamp(y, CENTER + MALLET, BOTTOM - MALLET)

    def _bounce_off_sides(self) -> None:
        s = self.state
        if s.x < LEFT + PUCK:
            s.x = LEFT + PUCK
            s.vx *= -BOUNCE
        elif s.x > RIGHT - PUCK:
            s.x = RIGHT - PUCK
            s.vx *= -BOUNCE

    def _cross_lines(self) -> float:
        """Lets the puck score, or bounce off the end walls; returns the reward.

        The goals have no sides: a puck that leaves a mouth sideways is put back before the line.
        """
        s = self.state
        if TOP + PUCK <= s.y <= BOTTOM - PUCK:
            return 0.0
        if not MOUTH_LEFT <= s.x <= MOUTH_RIGHT:
            s.y = TOP + PUCK if s.y < CENTER else BOTTOM - PUCK
            s.vy *= -BOUNCE
        elif s.y <= TOP - DEPTH:
            s.agent_points += 1
            self._restart(towards=-1)
            return 1.0
        elif s.y >= BOTTOM + DEPTH:
            s.opponent_points += 1
            self._restart(towards=1)
            return -1.0
        return 0.0

    def _slow_down(self) -> None:
        s = self.state
        s.vx *= GLIDE
        s.vy *= GLIDE
        speed = math.sqrt(s.vx * s.vx + s.vy * s.vy)
        if speed > MAX_SPEED:
            s.vx *= MAX_SPEED / speed
            s.vy *= MAX_SPEED / speed

    def _hit(self, x: float, y: float, vx: float, vy: float) -> None:
        """Lets a mallet hit the puck if they touch."""
        s = self.state
        dx, dy = s.x - x, s.y - y
        distance = math.sqrt(dx * dx + dy * dy)
        if distance >= REACH:
            return
        nx, ny = (dx / distance, dy / distance) if distance > 0.0 else (0.0, -1.0)
        s.x = x + nx * (REACH + SEPARATION)
        s.y = y + ny * (REACH + SEPARATION)
        approach = (s.vx - vx) * nx + (s.vy - vy) * ny
        if approach < 0.0:
            s.vx += PUSH * vx - (1.0 + BOUNCE) * approach * nx
            s.vy += PUSH * vy - (1.0 + BOUNCE) * approach * ny
        s.hit_at = s.t
        s.hit_x, s.hit_y = x + nx * MALLET, y + ny * MALLET

    def _move_opponent(self) -> None:
        """Moves the opponent, which sees the puck where it was after the last step."""
        s = self.state
        x, y = self._opponent_target()
        dx, dy = x - s.opponent_x, y - s.opponent_y
        distance = math.sqrt(dx * dx + dy * dy)
        if distance <= AT_TARGET:
            s.opponent_vx = s.opponent_vy = 0.0
            return
        if distance > OPPONENT_SPEED:
            dx *= OPPONENT_SPEED / distance
            dy *= OPPONENT_SPEED / distance
        s.opponent_vx = dx + OPPONENT_JITTER * self.rng.standard_normal()
        s.opponent_vy = dy + OPPONENT_JITTER * self.rng.standard_normal()
        s.opponent_x = _clamp(s.opponent_x + s.opponent_vx, LEFT + MALLET, RIGHT - MALLET)
        s.opponent_y = _clamp(s.opponent_y + s.opponent_vy, TOP + MALLET, CENTER - MALLET)

    def _opponent_target(self) -> tuple[float, float]:
        """Where the opponent wants to be: at a puck it has reacted to, else at its place."""
        s = self.state
        if s.y >= SIGHT or s.vy >= 0.0:
            s.alert = False
            return CENTER, OPPONENT_HOME
        if not s.alert:
            s.alert = True
            s.delay = self._reaction_delay()
        if s.delay > 0:
            s.delay -= 1
            return CENTER, OPPONENT_HOME
        return _clamp(s.x, LEFT + MALLET, RIGHT - MALLET), min(s.y + BEHIND, ADVANCE)

    def _reaction_delay(self) -> int:
        """Steps until the opponent reacts, fewer for a fast puck."""
        s = self.state
        speed = math.sqrt(s.vx * s.vx + s.vy * s.vy)
        fast = _clamp((speed - SLOW) / (FAST - SLOW), 0.0, 1.0)
        low, high = (
            int(slow + (quick - slow) * fast)
            for slow, quick in zip(SLOW_DELAY, FAST_DELAY, strict=True)
        )
        return integer(self.rng, low, high)

    def draw(self, canvas: Canvas) -> None:
        s = self.state
        canvas.background("air-hockey", lambda: _draw_rink(canvas))
        fresh = 1 - (s.t - s.scored_at) / 15
        if fresh > 0:  # the puck starts towards the side that conceded
            scorer, line = (ORANGE, TOP) if s.vy < 0 else (GREY, BOTTOM)
            canvas.rect(fade(scorer, 0.14 * fresh), LEFT, TOP, WIDTH, HEIGHT)
            canvas.line(fade(scorer, fresh), [(CENTER - 26, line), (CENTER + 26, line)], 3)
        canvas.text(str(s.opponent_points), (CENTER + 54, 11), 18, GREY)
        canvas.text(str(s.agent_points), (CENTER + 54, SIZE - 11), 18, ORANGE)
        age = s.t - s.hit_at
        if age < 6:
            opacity = 0.5 * (1 - age / 6)
            canvas.circle(fade(WHITE, opacity), (s.hit_x, s.hit_y), 4 + 2.2 * age, outline=0.8)
        for i in range(1, 5):
            ghost = (s.x - 0.55 * i * s.vx, s.y - 0.55 * i * s.vy)
            if abs(ghost[0] - CENTER) < WIDTH / 2 - PUCK and abs(ghost[1] - CENTER) < HEIGHT / 2:
                canvas.circle(fade(WHITE, 0.2 - 0.04 * i), ghost, PUCK - 0.7 * i)
        canvas.circle(GREY, (s.x, s.y), PUCK)
        canvas.circle(WHITE, (s.x, s.y), PUCK - 0.9)
        canvas.circle((206, 208, 212), (s.x, s.y), PUCK - 2.6, outline=0.7)
        _draw_mallet(canvas, GREY, s.opponent_x, s.opponent_y)
        _draw_mallet(canvas, ORANGE, s.agent_x, s.agent_y)


def _clamp(value: float, low: float, high: float) -> float:
    return low if value < low else high if value > high else value


def _draw_rink(canvas: Canvas) -> None:
    border = (112, 116, 128)
    canvas.fill(BLACK)
    canvas.rect(mix(BLACK, DARK_GREY, 0.16), LEFT, TOP, WIDTH, HEIGHT)
    canvas.line(DARK_GREY, [(LEFT, CENTER), (RIGHT, CENTER)], 1.4)
    canvas.circle(DARK_GREY, (CENTER, CENTER), 24, outline=1.4)
    canvas.circle(DARK_GREY, (CENTER, CENTER), 2.4)
    canvas.rect(border, LEFT - 3, TOP - 3, WIDTH + 6, HEIGHT + 6, 4, outline=3)
    for line, way, color in ((TOP, -1, GREY), (BOTTOM, 1, ORANGE)):
        edge = line - DEPTH - 3 if way < 0 else line
        canvas.rect(BLACK, CENTER - MOUTH / 2, edge, MOUTH, DEPTH + 3)
        canvas.rect(mix(BLACK, color, 0.18), CENTER - MOUTH / 2, edge, MOUTH, DEPTH + 3)
        for side in (-1, 1):
            x = CENTER + side * (MOUTH / 2 + 1.5)
            canvas.line(border, [(x, line), (x, line + way * (DEPTH + 1.5))], 3)
        back = line + way * (DEPTH + 1.5)
        canvas.line(
            mix(BLACK, color, 0.75), [(CENTER - MOUTH / 2, back), (CENTER + MOUTH / 2, back)], 1.6
        )
        canvas.arc(
            DARK_GREY,
            (CENTER, line),
            38,
            0 if way < 0 else math.pi,
            math.pi if way < 0 else 2 * math.pi,
            1.2,
        )


def _draw_mallet(canvas: Canvas, color: Color, x: float, y: float) -> None:
    canvas.circle(mix(color, BLACK, 0.45), (x, y), MALLET)
    canvas.circle(color, (x, y), MALLET - 1)
    canvas.circle(mix(color, BLACK, 0.3), (x, y), 5.4)
    canvas.circle(mix(color, WHITE, 0.25), (x - 0.3, y - 0.4), 4.2)
    canvas.circle(mix(color, WHITE, 0.6), (x - 1.2, y - 1.5), 1.4)
