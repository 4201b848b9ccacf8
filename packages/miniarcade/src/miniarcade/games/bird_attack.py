"""Bird attack: shoot down a formation of birds before they get you.

The first action entry moves the gunship, a positive second one fires when the gun is loaded. A
bird takes two hits; each one shot down earns 1. Being hit costs 2 and stuns: for a while the ship
is slow and does not fire. Half way through the episode a boss joins the birds. It cannot be hurt
and throws balls that bounce off the walls. Once all birds are gone every step earns 1, so being
quick pays.

Source: MMBench, arXiv 2511.19584, the arcade suite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from numpy.random import Generator

from miniarcade.game import SIZE, Game, State, sample_decor_seed
from miniarcade.palette import BLACK, GREEN, GREY, HIT, ORANGE, WHITE, fade, mix, noise
from miniarcade.rules import uniform

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas

LOW, HIGH = 20, 204  # px, edges of the square arena
ARENA = HIGH - LOW  # px
CENTER = (LOW + HIGH) / 2  # px

SHIP_WIDTH, SHIP_HEIGHT = 14, 8  # px
SHIP_TOP = 184  # px
SHIP_Y = SHIP_TOP + SHIP_HEIGHT // 2  # px, centre of the ship
SHIP_SPEED = 6.0  # px/step, of a full action
SHIP_START = CENTER - SHIP_WIDTH / 2  # px, left edge
SHIP_LEFT, SHIP_RIGHT = float(LOW), float(HIGH - SHIP_WIDTH)  # px, limits of its left edge
MUZZLE = 6  # px, from the ship's top up to where bullets leave it
RELOAD = 8  # steps from one bullet to the next
BULLET_SPEED = 7  # px/step, of both sides

STUN = 16  # steps that a hit stuns, and that the gun needs after it
STUNNED_SPEED = 0.2  # share of the ship's speed

BIRD_WIDTH, BIRD_HEIGHT = 14, 12  # px
COLUMNS, ROWS = 8, 2
BIRDS = COLUMNS * ROWS
BIRD_SPACING = 20  # px
FIRST_BIRD = 40  # px, both coordinates of the first bird's upper left corner
BIRD_SPEED = 1  # px/step
DROP = 4  # px, that the formation falls when it touches a side
HIT_POINTS = 2  # of a bird
SHOT_CHANCE = 0.0075  # of a bird at a step
LOG_NO_SHOT = math.log1p(-SHOT_CHANCE)
# Where each bird is, seen from the first one.
COLUMN_X = tuple(BIRD_SPACING * (i % COLUMNS) for i in range(BIRDS))  # px
ROW_Y = tuple(BIRD_SPACING * (i // COLUMNS) for i in range(BIRDS))  # px

BOSS_STEP = 251  # step in which the boss appears, the first of an episode being 1
BOSS_X, BOSS_Y = 112.0, 40.0  # px, centre of the boss
BOSS_FADE = 5  # steps that it takes to appear, that one included
BOSS_JITTER_X, BOSS_JITTER_Y = 0.03 * ARENA, 0.01 * ARENA  # px
BOSS_DIP = 8.0  # px, from its centre down to where balls leave it
BOSS_PAUSE = 50  # steps before its first ball and from one to the next, at least
BALL_SPEED = 5.0  # px/step
BALL_RADIUS = 10  # px

SHOWN_BULLETS = 5  # agent's bullets in the observation
SHOWN_SHOTS = 10  # birds' bullets in the observation


@dataclass(slots=True)
class Ball:
    """What the boss throws."""

    x: float  # px, centre
    y: float  # px
    vx: float  # px/step
    vy: float  # px/step


@dataclass(slots=True)
class Kill:
    """Where and when a bird was shot down."""

    x: int  # px, centre of the bird
    y: int  # px
    at: int  # step


@dataclass(slots=True)
class BirdAttackState(State):
    x: float = SHIP_START  # px, left edge of the ship
    reload: int = 0  # steps until it can fire
    stun: int = 0  # steps that it is still stunned
    bullet_x: list[float] = field(default_factory=list)  # px, the agent's bullets
    bullet_y: list[int] = field(default_factory=list, metadata={"pairs_with": "bullet_x"})  # px

    birds: list[int] = field(default_factory=lambda: list(range(BIRDS)))  # numbers of those alive
    hit_points: list[int] = field(  # of all birds
        default_factory=lambda: [HIT_POINTS] * BIRDS, metadata={"length": BIRDS}
    )
    first_x: int = FIRST_BIRD  # px, upper left corner of the first bird, alive or not
    first_y: int = FIRST_BIRD  # px
    leftmost: int = 0  # px, from the first bird to the leftmost one alive
    rightmost: int = BIRD_SPACING * (COLUMNS - 1)  # px, to the rightmost one
    way: int = 1  # 1 when the formation moves to the right, -1 to the left
    until_shot: int = 0  # birds that do not fire before the next one that does
    shot_x: list[int] = field(default_factory=list)  # px, the birds' bullets
    shot_y: list[int] = field(default_factory=list, metadata={"pairs_with": "shot_x"})  # px

    boss_x: float = BOSS_X  # px, centre of the boss
    boss_y: float = BOSS_Y  # px
    boss_pause: int = BOSS_PAUSE  # steps until it may throw
    ball: Ball | None = None

    points: int = 0  # sum of the rewards
    kills: list[Kill] = field(default_factory=list)


class BirdAttack(Game):
    """Shoot down all birds, soon."""

    action_size = 2
    observation_size = 55
    state_type = BirdAttackState
    state: BirdAttackState

    def reset(self, rng: Generator) -> None:
        self.rng = rng
        self.state = BirdAttackState(t=0, decor_seed=sample_decor_seed(rng))
        self.state.until_shot = self._sample_pause()

    def step(self, action: Sequence[float]) -> float:
        s = self.state
        s.t += 1
        self._move_ship(action)
        if s.bullet_y:
            self._move_bullets()
        if s.birds:
            self._move_birds()
        reward = self._hit_birds() if s.bullet_y else 0
        if s.shot_y:
            reward -= self._move_shots()
        if s.t >= BOSS_STEP:
            reward -= self._move_boss()
        if not s.birds:
            reward += 1
        s.points += reward
        return float(reward)

    def observe(self) -> list[float]:
        """Ship, gun, birds, bullets of both sides, stun and the boss's ball.

        Of the birds: how many there are, their x positions, and the height of the lowest.
        """
        s = self.state
        birds = s.birds
        values = [s.x / SIZE, s.reload / 5, len(birds) / BIRDS]
        first_x = s.first_x
        values += [(first_x + COLUMN_X[i]) / SIZE for i in birds]
        if len(birds) < BIRDS:
            values += [0.0] * (BIRDS - len(birds))
        values.append((s.first_y + ROW_Y[birds[-1]] if birds else LOW) / SIZE)
        bullets = 0
        for x, y in zip(s.bullet_x[:SHOWN_BULLETS], s.bullet_y, strict=False):
            values += (x / SIZE, y / SIZE)
            bullets += 1
        values += (0.0, 0.0) * (SHOWN_BULLETS - bullets)
        shots = 0
        for x, y in zip(s.shot_x[:SHOWN_SHOTS], s.shot_y, strict=False):
            values += (x / SIZE, y / SIZE)
            shots += 1
        values += (0.0, 0.0) * (SHOWN_SHOTS - shots)
        values.append(s.stun / 10)
        ball = s.ball
        if ball is None:
            values += (0.0, 0.0, 0.0, 0.0)
        else:
            values += (
                min(max(ball.x / SIZE, 0.0), 1.0),
                min(max(ball.y / SIZE, 0.0), 1.0),
                min(max(ball.vx / BALL_SPEED, -1.0), 1.0),
                min(max(ball.vy / BALL_SPEED, -1.0), 1.0),
            )
        return values

    def _move_ship(self, action: Sequence[float]) -> None:
        """Moves the ship and fires its gun."""
        s = self.state
        speed = SHIP_SPEED * action[0]
        if s.stun:
            speed *= STUNNED_SPEED
            s.stun -= 1
        x = s.x + speed
        s.x = x = SHIP_LEFT if x < SHIP_LEFT else SHIP_RIGHT if x > SHIP_RIGHT else x
        if action[1] > 0.0 and s.reload == 0:
            s.bullet_x.append(x + SHIP_WIDTH / 2)
            s.bullet_y.append(SHIP_TOP - MUZZLE)
            s.reload = RELOAD
        if s.reload:
            s.reload -= 1

    def _move_bullets(self) -> None:
        """Moves the agent's bullets up and drops those that leave the arena."""
        s = self.state
        s.bullet_y = [y - BULLET_SPEED for y in s.bullet_y]
        if min(s.bullet_y) <= LOW:
            s.bullet_x = [x for x, y in zip(s.bullet_x, s.bullet_y, strict=True) if y > LOW]
            s.bullet_y = [y for y in s.bullet_y if y > LOW]

    def _move_birds(self) -> None:
        """Moves the formation and lets its birds fire."""
        s = self.state
        x, move = s.first_x, BIRD_SPEED * s.way
        if x + s.rightmost + BIRD_WIDTH + move > HIGH or x + s.leftmost + move < LOW:
            s.way = -s.way
            s.first_y += DROP
        else:
            s.first_x = x = x + move
        count = len(s.birds)
        while s.until_shot < count:
            bird = s.birds[s.until_shot]
            s.shot_x.append(x + COLUMN_X[bird] + BIRD_WIDTH // 2)
            s.shot_y.append(s.first_y + ROW_Y[bird] + BIRD_HEIGHT)
            s.until_shot += 1 + self._sample_pause()
        s.until_shot -= count

    def _sample_pause(self) -> int:
        """Samples how many birds in turn hold their fire until one shoots.

        One sample serves many birds and steps, with the same odds as one sample for each.
        """
        return int(math.log(1.0 - self.rng.random()) / LOG_NO_SHOT)

    def _hit_birds(self) -> int:
        """Lets the agent's bullets hit; returns how many birds they shot down."""
        s = self.state
        killed = 0
        hit: list[int] = []  # birds; a bird takes one bullet a step
        spent = []
        bottom = s.first_y + BIRD_SPACING * (ROWS - 1) + BIRD_HEIGHT
        for i, y in enumerate(s.bullet_y):
            if y >= bottom:
                continue
            bird = self._bird_at(s.bullet_x[i], y)
            if bird < 0 or bird in hit:
                continue
            hit.append(bird)
            spent.append(i)
            s.hit_points[bird] -= 1
            if s.hit_points[bird] == 0:
                self._kill(bird)
                killed += 1
        for i in reversed(spent):
            del s.bullet_x[i], s.bullet_y[i]
        return killed

    def _bird_at(self, x: float, y: int) -> int:
        """The living bird inside whose box a point is, or -1."""
        s = self.state
        dx, dy = x - s.first_x - BIRD_WIDTH / 2, y - s.first_y - BIRD_HEIGHT // 2
        column = int(dx + BIRD_SPACING // 2) // BIRD_SPACING
        row = (dy + BIRD_SPACING // 2) // BIRD_SPACING
        if not (0 <= column < COLUMNS and 0 <= row < ROWS):
            return -1
        bird = column + COLUMNS * row
        if (
            s.hit_points[bird] > 0
            and abs(dx - COLUMN_X[bird]) < BIRD_WIDTH / 2
            and abs(dy - ROW_Y[bird]) < BIRD_HEIGHT / 2
        ):
            return bird
        return -1

    def _kill(self, bird: int) -> None:
        s = self.state
        s.birds.remove(bird)
        x = s.first_x + COLUMN_X[bird] + BIRD_WIDTH // 2
        y = s.first_y + ROW_Y[bird] + BIRD_HEIGHT // 2
        s.kills.append(Kill(x, y, s.t))
        if s.birds:
            s.leftmost = min(COLUMN_X[i] for i in s.birds)
            s.rightmost = max(COLUMN_X[i] for i in s.birds)

    def _move_shots(self) -> int:
        """Lets the birds' bullets fall; returns what their hits cost.

        A hit shields the ship from the next bullet, in firing order, in the same step.
        """
        s = self.state
        s.shot_y = [y + BULLET_SPEED for y in s.shot_y]
        if max(s.shot_y) <= SHIP_TOP:
            return 0
        middle = s.x + SHIP_WIDTH / 2
        cost = 0
        passes = False
        shot_x, shot_y = [], []
        for x, y in zip(s.shot_x, s.shot_y, strict=True):
            if y >= HIGH:
                continue
            if (
                not passes
                and abs(x - middle) < SHIP_WIDTH / 2
                and abs(y - SHIP_Y) < SHIP_HEIGHT / 2
            ):
                self._stun()
                cost += 2
                passes = True
                continue
            passes = False
            shot_x.append(x)
            shot_y.append(y)
        s.shot_x, s.shot_y = shot_x, shot_y
        return cost

    def _move_boss(self) -> int:
        """Moves the boss and its ball; returns what a hit costs."""
        s = self.state
        if s.t >= BOSS_STEP + BOSS_FADE:
            s.boss_x = BOSS_X + uniform(self.rng, -BOSS_JITTER_X, BOSS_JITTER_X)
            s.boss_y = BOSS_Y + uniform(self.rng, -BOSS_JITTER_Y, BOSS_JITTER_Y)
            s.boss_pause -= 1
            if s.boss_pause <= 0 and s.ball is None:
                self._throw_ball()
        ball = s.ball
        if ball is None:
            return 0
        ball.x += ball.vx
        ball.y += ball.vy
        if ball.x - BALL_RADIUS < LOW or ball.x + BALL_RADIUS > HIGH:
            ball.vx = -ball.vx
        if ball.y - BALL_RADIUS >= HIGH:
            s.ball = None
        elif (
            abs(ball.x - s.x - SHIP_WIDTH / 2) < SHIP_WIDTH / 2 + BALL_RADIUS
            and abs(ball.y - SHIP_Y) < SHIP_HEIGHT / 2 + BALL_RADIUS
        ):
            s.ball = None
            self._stun()
            return 2
        return 0

    def _throw_ball(self) -> None:
        s = self.state
        x, y = s.boss_x, s.boss_y + BOSS_DIP
        dx, dy = s.x + SHIP_WIDTH / 2 - x, SHIP_Y - y
        scale = BALL_SPEED / math.hypot(dx, dy)
        s.ball = Ball(x, y, scale * dx, scale * dy)
        s.boss_pause = BOSS_PAUSE

    def _stun(self) -> None:
        self.state.stun = self.state.reload = STUN

    def draw(self, canvas: Canvas) -> None:
        s = self.state
        canvas.background(("bird-attack", s.decor_seed), lambda: self._draw_arena(canvas))
        for bird in s.birds:
            self._draw_bird(canvas, bird)
        for kill in s.kills:
            self._draw_burst(canvas, kill)
        if s.t >= BOSS_STEP:
            self._draw_boss(canvas)
        for shot_x, shot_y in zip(s.shot_x, s.shot_y, strict=True):
            canvas.rect((176, 180, 192), shot_x - 1, shot_y - 4, 2, 7, 1)
        for x, y in zip(s.bullet_x, s.bullet_y, strict=True):
            canvas.rect(fade(ORANGE, 0.35), x - 0.8, y + 2, 1.6, 6, 0.8)
            canvas.rect((255, 196, 110), x - 1.1, y - 4, 2.2, 7, 1.1)
        if s.ball is not None:
            _draw_ball(canvas, s.ball)
        self._draw_ship(canvas)
        canvas.text(str(s.points), (CENTER, 10), 17, WHITE if s.birds else GREEN)
        if s.stun:
            canvas.rect(fade(HIT, 0.34 * s.stun / STUN), LOW, LOW, ARENA, ARENA)

    def _draw_arena(self, canvas: Canvas) -> None:
        seed = self.state.decor_seed
        canvas.fill(BLACK)
        for i in range(46):
            x, y = LOW + ARENA * noise(seed, i, 0), LOW + ARENA * noise(seed, i, 1)
            canvas.circle(mix(BLACK, WHITE, 0.12 + 0.22 * noise(seed, i, 2)), (x, y), 0.5)
        canvas.rect(WHITE, LOW - 2, LOW - 2, ARENA + 4, ARENA + 4, 2, outline=2)

    def _draw_bird(self, canvas: Canvas, bird: int) -> None:
        """A V that flaps its wings; an outline once it is damaged."""
        s = self.state
        x = s.first_x + COLUMN_X[bird] + BIRD_WIDTH / 2
        y = s.first_y + ROW_Y[bird] + BIRD_HEIGHT / 2
        flap = 1.8 * math.sin(0.35 * s.t + 0.9 * bird)
        tip_y, half = y - 4.2 + flap, BIRD_WIDTH / 2
        shape = [
            (x - half, tip_y),
            (x - 2.2, y - 1.2),
            (x, y - 2.4),
            (x + 2.2, y - 1.2),
            (x + half, tip_y),
            (x + 2.4, y + 3.2),
            (x, y + 5.6),
            (x - 2.4, y + 3.2),
        ]
        color = (126, 190, 255) if bird < COLUMNS else (178, 156, 255)
        if s.hit_points[bird] < HIT_POINTS:
            canvas.line(mix(color, BLACK, 0.15), [*shape, shape[0]], 0.9)
        else:
            canvas.polygon(color, shape)
            canvas.line(mix(color, WHITE, 0.5), [shape[0], shape[1], shape[2]], 0.7)
            canvas.line(mix(color, WHITE, 0.5), [shape[2], shape[3], shape[4]], 0.7)
            for side in (-1, 1):
                canvas.circle(BLACK, (x + 1.1 * side, y + 0.8), 0.7)

    def _draw_burst(self, canvas: Canvas, kill: Kill) -> None:
        age = (self.state.t - kill.at) / 12
        if age >= 1:
            return
        canvas.circle(fade(WHITE, 0.8 * (1 - age) ** 2), (kill.x, kill.y), 3 + 8 * age, outline=1)
        for i in range(8):
            angle = 2 * math.pi * (i + noise(kill.at, kill.x, i)) / 8
            r = 3 + 12 * math.sqrt(age) * (0.6 + 0.4 * noise(kill.at, kill.x, i, 1))
            center = (kill.x + r * math.cos(angle), kill.y + r * math.sin(angle) + 5 * age * age)
            canvas.circle(fade((255, 210, 120), 1 - age), center, 1.5 * (1 - 0.6 * age))

    def _draw_boss(self, canvas: Canvas) -> None:
        """A large M whose middle dips down."""
        s = self.state
        opacity = min(1.0, (s.t - BOSS_STEP + 1) / BOSS_FADE)
        x, y = s.boss_x, s.boss_y
        glare = 0.5 + 0.5 * math.sin(0.3 * s.t)
        shape = [
            (x - 24, y + 8),
            (x - 20, y - 9),
            (x - 11, y - 9),
            (x, y),
            (x + 11, y - 9),
            (x + 20, y - 9),
            (x + 24, y + 8),
            (x + 15, y + 1),
            (x + 8, y + 3),
            (x, y + BOSS_DIP + 2),
            (x - 8, y + 3),
            (x - 15, y + 1),
        ]
        canvas.polygon(fade((196, 198, 208), opacity), shape)
        canvas.polygon(
            fade((120, 122, 136), opacity),
            [(x - 8, y + 3), (x, y + 3.5), (x + 8, y + 3), (x, y + BOSS_DIP + 2)],
        )
        for side in (-1, 1):
            eye = [(x + side * 13, y - 4.6), (x + side * 6.4, y - 1.4), (x + side * 12, y - 0.8)]
            canvas.polygon(fade(mix((150, 24, 20), (255, 70, 50), glare), opacity), eye)

    def _draw_ship(self, canvas: Canvas) -> None:
        s = self.state
        x, y = s.x + SHIP_WIDTH / 2, SHIP_Y
        if s.stun and s.t % 4 < 2:
            body, light = (150, 92, 40), (190, 130, 70)
        else:
            body, light = ORANGE, (255, 204, 130)
        half = SHIP_WIDTH / 2
        canvas.polygon(
            body,
            [
                (x - half, y + 4),
                (x - half, y + 0.5),
                (x - 3, y - 1.5),
                (x + 3, y - 1.5),
                (x + half, y + 0.5),
                (x + half, y + 4),
            ],
        )
        canvas.rect(body, x - 1.5, SHIP_TOP - MUZZLE, 3, y - 1 - SHIP_TOP + MUZZLE, 0.8)
        canvas.line(light, [(x - half + 0.8, y + 0.9), (x - 2.8, y - 0.9)], 0.8)
        canvas.ellipse((60, 40, 26), (x, y + 1), 2.6, 1.6)
        for side in (-1, 1):
            glow = 2 + 1.6 * noise(s.decor_seed, s.t, side)
            canvas.line(
                (255, 236, 170), [(x + side * 4.4, y + 4.6), (x + side * 4.4, y + 4.6 + glow)], 1.4
            )
        if RELOAD > s.reload > RELOAD - 3 and not s.stun and s.bullet_y:
            canvas.circle(fade((255, 240, 190), 0.8), (x, SHIP_TOP - MUZZLE - 1), 2.2)


def _draw_ball(canvas: Canvas, ball: Ball) -> None:
    for i in range(1, 4):
        center = (ball.x - ball.vx * i, ball.y - ball.vy * i)
        if LOW + BALL_RADIUS < center[0] < HIGH - BALL_RADIUS:
            canvas.circle(fade(GREY, 0.24 - 0.06 * i), center, BALL_RADIUS - i)
    canvas.circle((98, 102, 114), (ball.x, ball.y), BALL_RADIUS)
    canvas.circle(GREY, (ball.x - 0.8, ball.y - 0.9), BALL_RADIUS - 1.6)
    canvas.circle((182, 186, 196), (ball.x - 2.6, ball.y - 3), 3.2)
