"""Chase-evade: catch the other gnome, and once caught, run away from it.

The action is the agent's speed. Each step costs 0.1 times the distance of the two in radii of the
disc while the agent pursues, and earns as much while it evades. When the pursuer has caught the
evader the roles swap: for some steps, in which actions do nothing, the new pursuer walks to the
centre and the new evader to the rim. This pause is not observed. Three obstacles circle around
the centre.

Source: MMBench, arXiv 2511.19584, the arcade suite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from numpy.random import Generator

from miniarcade.game import SIZE, Game, State, sample_decor_seed
from miniarcade.palette import GREEN, ORANGE, SKIN, WHITE, Color, fade, mix, noise
from miniarcade.rules import sign, uniform

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas

CENTER_X, CENTER_Y = 112.0, 118.0  # px, of the disc
DISC_RADIUS = 90.0  # px
GNOME_RADIUS = 8.0  # px
LIMIT = DISC_RADIUS - GNOME_RADIUS - 4.0  # px, of a gnome's distance from the centre
WALK_LIMIT = DISC_RADIUS - GNOME_RADIUS - 15.0  # px, of the new evader's, in a swap of roles
START = 75.0  # px, of the agent's at the start

SPEED = 3.5  # px/step, of a full action and of the opponent
EVADER_SHARE = 0.95  # of it for the evader
CAUGHT = 2 * GNOME_RADIUS  # px, distance of the centres

OBSTACLE_RADIUS = 12.0  # px
ORBIT = 40.0  # px, radius
ORBIT_SPEED = 0.01  # rad/step
CONTACT = GNOME_RADIUS + OBSTACLE_RADIUS  # px, distance of the centres
PUSH = 0.5  # px, beyond contact, where a gnome that runs into an obstacle is put

WARY = 36.0  # px, distance at which the opponent avoids an obstacle, or its pursuer
NEAR_RIM = 0.8  # share of the radius beyond which the evading opponent turns inwards,
INWARDS = 0.5  # by this much
HIDE = 0.02  # 1/px, pull of an obstacle that is between the two on the evading opponent
DODGE = 0.2  # sideways part of its direction, with random signs, when it is almost caught

SWAP_STEPS = 5  # steps that a swap of roles takes at least
ARRIVED = 2.0  # px, distance from the centre at which the new pursuer has arrived
AT_CENTER = 1.5  # px, distance at which it rests
AT_ORIGIN = 0.01  # px, at which the new evader has no way outwards
REWARD = 0.1  # a step and radius of distance

FLASH_STEPS = 16  # steps that a catch is seen
COUNTDOWN = 7  # steps that each number of the countdown is shown


@dataclass(slots=True)
class Gnome:
    """The agent or the opponent."""

    x: float  # px, centre
    y: float  # px
    vx: float = 0.0  # px/step
    vy: float = 0.0  # px/step


@dataclass(slots=True)
class ChaseEvadeState(State):
    agent: Gnome
    opponent: Gnome
    evading: bool  # the agent is the evader
    phase: float  # rad, of the first obstacle at the start
    spin: float  # rad/step
    swapping: int = 0  # steps since the roles swapped; 0 in the chase
    catches: int = 0
    caught_at: int = -100  # step of the last catch
    caught_x: float = 0.0  # px, where that was
    caught_y: float = 0.0  # px


class ChaseEvade(Game):
    """Catch the other gnome, or keep away from it."""

    action_size = 2
    observation_size = 15
    state_type = ChaseEvadeState
    state: ChaseEvadeState

    def reset(self, rng: Generator) -> None:
        self.rng = rng
        way = uniform(rng, 0.0, 2 * math.pi)
        self.state = ChaseEvadeState(
            t=0,
            decor_seed=sample_decor_seed(rng),
            agent=Gnome(CENTER_X + START * math.cos(way), CENTER_Y + START * math.sin(way)),
            opponent=Gnome(CENTER_X, CENTER_Y),
            evading=rng.random() < 0.5,
            phase=uniform(rng, 0.0, 2 * math.pi),
            spin=sign(rng) * ORBIT_SPEED,
        )

    def step(self, action: Sequence[float]) -> float:
        s = self.state
        s.t += 1
        if s.swapping:
            self._walk_to_places()
        else:
            self._chase(action)
        reward = REWARD * self._distance() / DISC_RADIUS
        return reward if s.evading else -reward

    def observe(self) -> list[float]:
        """Agent and opponent (position, velocity), whether the agent evades, the obstacles."""
        s = self.state
        a, o = s.agent, s.opponent
        (x1, y1), (x2, y2), (x3, y3) = self._obstacles()
        return [
            a.x / SIZE,
            a.y / SIZE,
            a.vx / SPEED,
            a.vy / SPEED,
            o.x / SIZE,
            o.y / SIZE,
            o.vx / SPEED,
            o.vy / SPEED,
            1.0 if s.evading else 0.0,
            x1 / SIZE,
            y1 / SIZE,
            x2 / SIZE,
            y2 / SIZE,
            x3 / SIZE,
            y3 / SIZE,
        ]

    def _obstacles(self) -> tuple[tuple[float, float], ...]:
        """Their centres. They start to circle after the first step."""
        s = self.state
        angle = s.phase + s.spin * (s.t - 1 if s.t else 0)
        x, y = ORBIT * math.cos(angle), ORBIT * math.sin(angle)
        # The second and third are the first turned by a third of a circle either way.
        across, along = _SIN_THIRD * y, -_SIN_THIRD * x
        return (
            (CENTER_X + x, CENTER_Y + y),
            (CENTER_X - 0.5 * x - across, CENTER_Y - 0.5 * y - along),
            (CENTER_X - 0.5 * x + across, CENTER_Y - 0.5 * y + along),
        )

    def _distance(self) -> float:
        """Of the two gnomes, px."""
        agent, opponent = self.state.agent, self.state.opponent
        return math.hypot(agent.x - opponent.x, agent.y - opponent.y)

    def _chase(self, action: Sequence[float]) -> None:
        """Moves the agent, then the opponent, and swaps the roles if one has caught the other."""
        s = self.state
        agent, opponent = s.agent, s.opponent
        obstacles = self._obstacles()
        speed = SPEED * EVADER_SHARE if s.evading else SPEED
        agent.vx, agent.vy = speed * action[0], speed * action[1]
        _move(agent, obstacles)
        if s.evading:
            self._pursue(obstacles)
        else:
            self._evade(obstacles)
        _move(opponent, obstacles)
        if self._distance() < CAUGHT:
            s.evading = not s.evading
            s.swapping = 1
            s.catches += 1
            s.caught_at = s.t
            s.caught_x, s.caught_y = (agent.x + opponent.x) / 2, (agent.y + opponent.y) / 2

    def _walk_to_places(self) -> None:
        """One step of the swap: the pursuer to the centre, the evader to the rim.

        They walk through obstacles. The observed velocities stay those of the catch.
        """
        s = self.state
        pursuer, evader = (s.opponent, s.agent) if s.evading else (s.agent, s.opponent)
        dx, dy = CENTER_X - pursuer.x, CENTER_Y - pursuer.y
        distance = math.hypot(dx, dy)
        if distance > AT_CENTER:  # the last step may lead beyond the centre
            pursuer.x += SPEED / distance * dx
            pursuer.y += SPEED / distance * dy

        dx, dy = evader.x - CENTER_X, evader.y - CENTER_Y
        distance = math.hypot(dx, dy)
        if distance > AT_ORIGIN:
            share = min(distance + SPEED * EVADER_SHARE, WALK_LIMIT) / distance
            evader.x, evader.y = CENTER_X + share * dx, CENTER_Y + share * dy

        s.swapping += 1
        arrived = math.hypot(pursuer.x - CENTER_X, pursuer.y - CENTER_Y) < ARRIVED
        if arrived and s.swapping > SWAP_STEPS:
            s.swapping = 0

    def _pursue(self, obstacles: tuple[tuple[float, float], ...]) -> None:
        """Sets the opponent's velocity: towards the agent, off the obstacles."""
        agent, opponent = self.state.agent, self.state.opponent
        dx, dy = agent.x - opponent.x, agent.y - opponent.y
        distance = math.hypot(dx, dy) or 1.0
        dx /= distance
        dy /= distance
        for x, y in obstacles:
            away_x, away_y = opponent.x - x, opponent.y - y
            gap = math.sqrt(away_x * away_x + away_y * away_y)
            if 0.0 < gap < WARY:
                weight = (WARY - gap) / (WARY * gap)
                dx += weight * away_x
                dy += weight * away_y
        _head(opponent, dx, dy, SPEED)

    def _evade(self, obstacles: tuple[tuple[float, float], ...]) -> None:
        """Sets the opponent's velocity: away from the agent, off the rim, behind obstacles."""
        agent, opponent = self.state.agent, self.state.opponent
        ox, oy = opponent.x, opponent.y
        to_x, to_y = agent.x - ox, agent.y - oy
        distance = math.hypot(to_x, to_y) or 1.0
        unit_x, unit_y = to_x / distance, to_y / distance
        dx, dy = -unit_x, -unit_y
        out_x, out_y = ox - CENTER_X, oy - CENTER_Y
        radius = math.hypot(out_x, out_y)
        if radius > NEAR_RIM * DISC_RADIUS:
            dx -= INWARDS * out_x / radius
            dy -= INWARDS * out_y / radius
        for x, y in obstacles:
            gap_x, gap_y = x - ox, y - oy
            if (x - agent.x) * gap_x + (y - agent.y) * gap_y < 0.0:  # between the two
                dx += HIDE * gap_x
                dy += HIDE * gap_y
        if distance < WARY:
            dx -= sign(self.rng) * DODGE * unit_y
            dy += sign(self.rng) * DODGE * unit_x
        _head(opponent, dx, dy, SPEED * EVADER_SHARE)

    def draw(self, canvas: Canvas) -> None:
        s = self.state
        key = ("chase-evade", s.decor_seed, s.evading)
        canvas.background(key, lambda: self._draw_disc(canvas))
        evader = ORANGE if s.evading else GREEN
        _draw_flag(canvas, evader, s.t)
        things = [(y, partial(_draw_cylinder, canvas, x, y)) for x, y in self._obstacles()]
        for gnome, color in ((s.opponent, GREEN), (s.agent, ORANGE)):
            things.append((gnome.y, partial(self._draw_gnome, canvas, gnome, color)))
        for _, draw in sorted(things, key=lambda thing: thing[0]):  # the nearer ones last
            draw()
        self._draw_catch(canvas)
        name = "orange" if s.evading else "green"
        canvas.text(f"{name} is evading", (SIZE / 2, 13), 19, mix(evader, WHITE, 0.25))

    def _draw_disc(self, canvas: Canvas) -> None:
        s = self.state
        tint = ORANGE if s.evading else GREEN
        canvas.gradient([mix((16, 74, 88), tint, 0.12), mix((56, 140, 142), tint, 0.22)])
        for i in range(9):  # clouds
            x, y = SIZE * noise(s.decor_seed, i, 0), SIZE * noise(s.decor_seed, i, 1)
            for k in range(3):
                width = 16 + 12 * noise(s.decor_seed, i, k, 2)
                canvas.ellipse(fade(WHITE, 0.06), (x + 13 * (k - 1), y - 3 * (k % 2)), width, 6)
        center = (CENTER_X, CENTER_Y)
        canvas.circle((10, 34, 42), (CENTER_X, CENTER_Y + 5), DISC_RADIUS + 3)
        canvas.circle(WHITE, center, DISC_RADIUS + 2.5)
        canvas.circle((34, 46, 58), center, DISC_RADIUS)
        for radius, shade in (
            (74, (38, 51, 64)),
            (ORBIT + 1, (42, 56, 69)),
            (ORBIT - 1, (38, 51, 64)),
        ):
            canvas.circle(shade, center, radius)
        for i in range(70):
            angle, distance = (
                6.28 * noise(s.decor_seed, i, 3),
                86 * noise(s.decor_seed, i, 4) ** 0.5,
            )
            at = (CENTER_X + distance * math.cos(angle), CENTER_Y + distance * math.sin(angle))
            canvas.circle((50, 66, 78), at, 0.4 + 0.6 * noise(s.decor_seed, i, 5))

    def _draw_gnome(self, canvas: Canvas, gnome: Gnome, color: Color) -> None:
        """A gnome seen from above at a slant, as wide as its circle."""
        s, x, y = self.state, gnome.x, gnome.y
        speed = SPEED if s.swapping else math.hypot(gnome.vx, gnome.vy)
        walk = math.sin(0.8 * s.t) * min(1.0, speed / SPEED)
        side = 1.5 * gnome.vx / SPEED
        dark = mix(color, (30, 20, 20), 0.45)
        canvas.ellipse((14, 20, 28, 120), (x, y + 6.5), 7.5, 3)
        for way in (-1, 1):
            canvas.ellipse((70, 44, 32), (x + 3 * way + side, y + 6.5 - 1.3 * way * walk), 2.7, 1.9)
        canvas.ellipse(dark, (x, y + 2), 6.6, 5.6)
        canvas.ellipse(color, (x, y + 1.5), 5.8, 4.8)
        canvas.line((60, 40, 34), [(x - 5, y + 3.4), (x + 5, y + 3.4)], 1.4)
        for way in (-1, 1):
            canvas.circle(SKIN, (x + 6.2 * way, y + 2.2 + 1.2 * way * walk), 1.7)
        canvas.circle(SKIN, (x + 0.5 * side, y - 2), 4.6)
        beard = [(x - 4.2, y - 1.4), (x + 4.2, y - 1.4), (x + 2, y + 3), (x + side, y + 5.2)]
        canvas.polygon((240, 240, 236), [*beard, (x - 2, y + 3)])
        canvas.circle((236, 160, 124), (x + side, y - 1.2), 1.3)
        for way in (-1, 1):
            canvas.circle((40, 30, 30), (x + side + 1.9 * way, y - 3), 0.7)
        tip = (x - 2.2 * side, y - 13 + 0.6 * abs(walk))
        canvas.polygon(dark, [(x - 5.8, y - 3.6), (x + 5.8, y - 3.6), tip])
        canvas.polygon(
            color, [(x - 4.6, y - 4.2), (x + 3.6, y - 4.2), (tip[0] - 0.2, tip[1] + 1.2)]
        )
        canvas.line(mix(color, WHITE, 0.45), [(x - 5, y - 4), (x + 5, y - 4)], 1.8)
        canvas.circle(WHITE, tip, 1.5)

    def _draw_catch(self, canvas: Canvas) -> None:
        s = self.state
        age = (s.t - s.caught_at) / FLASH_STEPS
        if age < 1:
            center = (s.caught_x, s.caught_y)
            canvas.circle(fade((255, 244, 170), 0.9 * (1 - age)), center, 10 + 34 * age, 3)
            canvas.circle(fade(WHITE, 0.6 * (1 - age)), center, 6 + 20 * age, 2)
        if s.swapping:
            pursuer = s.opponent if s.evading else s.agent
            left = math.hypot(pursuer.x - CENTER_X, pursuer.y - CENTER_Y) / SPEED
            number = min(3, 1 + int(left / COUNTDOWN))
            canvas.text(str(number), (CENTER_X + 1, CENTER_Y - 41), 46, (10, 20, 26, 150))
            canvas.text(str(number), (CENTER_X, CENTER_Y - 42), 46, WHITE)


_SIN_THIRD = math.sin(2 * math.pi / 3)


def _head(gnome: Gnome, dx: float, dy: float, speed: float) -> None:
    """Sets a gnome's velocity in a direction of any length."""
    length = math.sqrt(dx * dx + dy * dy)
    if length > 0.0:
        speed /= length
    gnome.vx, gnome.vy = speed * dx, speed * dy


def _move(gnome: Gnome, obstacles: tuple[tuple[float, float], ...]) -> None:
    """Moves a gnome by its velocity, keeps it on the disc and out of the obstacles."""
    x, y = gnome.x + gnome.vx, gnome.y + gnome.vy
    dx, dy = x - CENTER_X, y - CENTER_Y
    if dx * dx + dy * dy > LIMIT * LIMIT:
        share = LIMIT / math.sqrt(dx * dx + dy * dy)
        x, y = CENTER_X + share * dx, CENTER_Y + share * dy
    for obstacle_x, obstacle_y in obstacles:
        dx, dy = x - obstacle_x, y - obstacle_y
        squared = dx * dx + dy * dy
        if squared < CONTACT * CONTACT:
            distance = math.sqrt(squared)
            nx, ny = (dx / distance, dy / distance) if distance else (1.0, 0.0)
            x = obstacle_x + (CONTACT + PUSH) * nx
            y = obstacle_y + (CONTACT + PUSH) * ny
            inwards = gnome.vx * nx + gnome.vy * ny
            if inwards < 0.0:
                gnome.vx -= 2 * inwards * nx
                gnome.vy -= 2 * inwards * ny
    gnome.x, gnome.y = x, y


def _draw_flag(canvas: Canvas, color: Color, t: int) -> None:
    """The flag at the centre, in the colour of the evader."""
    x, y = CENTER_X, CENTER_Y
    canvas.ellipse((20, 28, 36), (x, y), 4, 1.8)
    canvas.line((214, 214, 208), [(x, y), (x, y - 17)], 1.4)
    top, bottom = [], []
    for i in range(6):
        wave = 0.9 * math.sin(0.3 * t - 1.1 * i) * i / 5
        top.append((x + 0.5 + 2.2 * i, y - 17 + wave))
        bottom.append((x + 0.5 + 2.2 * i, y - 10 + wave))
    canvas.polygon(color, top + bottom[::-1])


def _draw_cylinder(canvas: Canvas, x: float, y: float) -> None:
    r, height = OBSTACLE_RADIUS, 7
    canvas.ellipse((14, 20, 28, 110), (x + 2, y + 3), r + 1, r)
    canvas.circle((88, 92, 104), (x, y + 1), r - 1)
    canvas.rect((88, 92, 104), x - r + 1, y - height, 2 * r - 2, height + 1)
    canvas.rect((116, 120, 132), x - r + 3, y - height, 4, height + 6)
    canvas.circle((168, 172, 182), (x, y - height), r - 1)
    canvas.circle((186, 190, 200), (x, y - height), r - 3)
