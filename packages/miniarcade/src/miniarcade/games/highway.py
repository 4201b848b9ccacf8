"""Highway: drive in the middle of a lane and do not run into the slower cars.

The action is the car's thrust along the road and across it. Every step earns a little for
the middle of a lane and for free road ahead, and loses a little for steering hard. Running into a
car costs 1 and takes control away: for a few steps that car drags the agent's back with it, and
then disappears.

Source: MMBench, arXiv 2511.19584, the arcade suite. In the published game the observed flash
after a crash only wears off while pictures are drawn; here it wears off with the steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from numpy.random import Generator

from miniarcade.game import SIZE, Game, State, sample_decor_seed
from miniarcade.palette import HIT, RED, WHITE, YELLOW, Color, fade, mix, noise
from miniarcade.rules import boxes_overlap, integer, uniform

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas

LANES = 5
ROAD_TOP, ROAD_BOTTOM = 18.0, 206.0  # px
LANE_HEIGHT = (ROAD_BOTTOM - ROAD_TOP) / LANES  # px
HALF_LANE = LANE_HEIGHT / 2  # px
LANE_Y = tuple(ROAD_TOP + LANE_HEIGHT * (lane + 0.5) for lane in range(LANES))  # px, centres

WIDTH, HEIGHT = 28, 18  # px, of the agent's car; all others are as high
START_X = (20.0, 60.0)  # px, left edge of the car at the start, least and most
START_LANES = (1, 3)
START_SPEED = 0.2  # px/step, the largest of either sign
THRUST = 0.65  # px/step^2, of a full action
DRAG = 0.95  # share of the speed that a step leaves
RIGHT = float(SIZE - WIDTH)  # px, limit of the car's left edge
BOTTOM = ROAD_BOTTOM - HEIGHT  # px, limit of its top

PLACES = 4  # most cars at a time
NO_LANE = -9  # lane of a place without a car
BLUE_CAR, YELLOW_CAR, TRUCK = 0, 1, 2  # kinds, equally likely
LENGTHS = (28, 28, 56)  # px, by kind
SCROLL = 6.0  # px/step, at which cars come nearer
YELLOW_SPEED = 7.2  # px/step, of a yellow one that is more than a car's length behind another
FOLLOW_GAP = 1.0  # px to the car before it, that a yellow one keeps
FIRST_CAR_X = 264.0  # px, left edge of the first car
SPAWN_GAP = (20.0, 60.0)  # px, from the right edge to a new car
SPAWN_TRIES = 8
SPAWN_DISTANCE = 18  # px, in addition to the longer one's length, between left edges in a lane
FIRST_PAUSE = (0, 6)  # steps before a car appears in a free place at first, least and most
PAUSE = (4, 10)  # steps, later

EPISODE = 500  # steps over which the traffic grows
MORE_CARS = PLACES - 1  # cars that come in addition to the first by then

STICKY_STEPS = 5  # steps that a car drags the agent's
STICKY_OVERLAP = 1.0  # px, that it is drawn into that car while it is dragged
FLASH_STEPS = 3

LANE_REWARD = 0.01  # in the middle of a lane
FREE_REWARD = 0.01  # with no car ahead in the lane
FAR_REWARD = 0.005  # with one that is far enough
NEAR_COST = 0.02  # with one as near as can be
NEAR = 84.0  # px, gap below which a car is near
ACTION_COST = 0.0005
SIDE_CLEAR = 70.0  # px ahead, within which a car blocks the next lane


@dataclass(slots=True)
class Car:
    """A place for one of the other cars."""

    pause: int  # steps until a car may appear in the free place
    lane: int = NO_LANE
    kind: int = BLUE_CAR
    x: float = 0.0  # px, left edge


@dataclass(slots=True)
class HighwayState(State):
    x: float  # px, left edge of the agent's car
    y: float  # px, its top
    vx: float  # px/step
    vy: float  # px/step
    cars: list[Car] = field(default_factory=list, metadata={"length": PLACES})
    sticky: int = -1  # place of the car that drags the agent's, or -1
    sticky_left: int = 0  # steps that it still does
    crashed_at: int = -FLASH_STEPS  # step of the last crash


class Highway(Game):
    """Keep to the lanes and do not crash."""

    action_size = 2
    observation_size = 24
    state_type = HighwayState
    state: HighwayState

    def reset(self, rng: Generator) -> None:
        self.rng = rng
        self.state = HighwayState(
            t=0,
            decor_seed=sample_decor_seed(rng),
            x=uniform(rng, *START_X),
            y=LANE_Y[integer(rng, *START_LANES)] - HEIGHT / 2,
            vx=uniform(rng, -START_SPEED, START_SPEED),
            vy=uniform(rng, -START_SPEED, START_SPEED),
            cars=[Car(pause=integer(rng, *FIRST_PAUSE)) for _ in range(PLACES)],
        )
        first = self.state.cars[0]
        first.kind = integer(rng, BLUE_CAR, TRUCK)
        first.lane = integer(rng, 0, LANES - 1)
        first.x = FIRST_CAR_X

    def step(self, action: Sequence[float]) -> float:
        s = self.state
        s.t += 1
        self._drive(action)
        if s.sticky >= 0:
            self._drag()
        crashed = self._run_traffic()
        ax, ay = action
        reward = self._lane_reward() - ACTION_COST * (ax * ax + ay * ay)
        return reward - 1.0 if crashed else reward

    def observe(self) -> list[float]:
        """The agent's car, the lanes and gaps around it, and the four places of cars.

        Left edge, centre height and velocity; the flash; gap ahead in the lane (-1: no car);
        whether the lanes to the left and right are clear; the gaps ahead in them; offset from
        the lane's middle; number of the lane; of each car left edge, centre height and whether
        it is a truck (-1, -1, -1: no car). Cars beside the agent's and behind it do not count.
        """
        s = self.state
        y = s.y + HEIGHT / 2
        lane = self._lane()
        flash = FLASH_STEPS - (s.t - s.crashed_at)
        ahead, left, right = self._gap(lane), self._gap(lane - 1), self._gap(lane + 1)
        values = [
            s.x / SIZE,
            y / SIZE,
            s.vx / 10,
            s.vy / 10,
            flash / FLASH_STEPS if flash > 0 else 0.0,
            _show_gap(ahead),
            1.0 if lane > 0 and left > SIDE_CLEAR else 0.0,
            1.0 if lane < LANES - 1 and right > SIDE_CLEAR else 0.0,
            _show_gap(left),
            _show_gap(right),
            (y - LANE_Y[lane]) / HALF_LANE,
            lane / (LANES - 1),
        ]
        for car in s.cars:
            if car.lane == NO_LANE:
                values += (-1.0, -1.0, -1.0)
            else:
                values += (
                    car.x / SIZE,
                    LANE_Y[car.lane] / SIZE,
                    1.0 if car.kind == TRUCK else 0.0,
                )
        return values

    def _drive(self, action: Sequence[float]) -> None:
        s = self.state
        vx = s.vx + THRUST * action[0]
        vy = s.vy + THRUST * action[1]
        x, y = s.x + vx, s.y + vy
        s.vx = vx * DRAG
        s.vy = vy * DRAG
        s.x = 0.0 if x < 0.0 else RIGHT if x > RIGHT else x
        s.y = ROAD_TOP if y < ROAD_TOP else BOTTOM if y > BOTTOM else y

    def _drag(self) -> None:
        """Drags the agent's car back with the car that it hit, which then disappears."""
        s = self.state
        car = s.cars[s.sticky]
        speed, car_x = self._advance(car)
        x = s.x - speed
        behind = car.x - speed - WIDTH + STICKY_OVERLAP
        if x >= 0.0 and behind >= 0.0:
            car.x = car_x
            s.x = min(x, behind)
            s.sticky_left -= 1
            if s.sticky_left > 0:
                return
        self._remove(car)
        s.sticky, s.sticky_left = -1, 0
        s.vx = s.vy = 0.0

    def _advance(self, car: Car) -> tuple[float, float]:
        """Returns a car's speed in this step and its left edge, px, behind the car ahead."""
        if car.kind != YELLOW_CAR:
            return SCROLL, car.x - SCROLL
        edge, room = -math.inf, 0  # right edge and length of the car before this one
        for other in self.state.cars:
            if other.lane == car.lane and other.x < car.x:
                length = LENGTHS[other.kind]
                if edge < other.x + length <= car.x:
                    edge, room = other.x + length, length
        speed = SCROLL if car.x - edge <= room else YELLOW_SPEED
        return speed, max(car.x - speed, edge + FOLLOW_GAP)

    def _run_traffic(self) -> bool:
        """Moves the cars and puts new ones on the road, place by place.

        A free place is filled only while the places before it hold fewer cars than allowed.

        Returns:
            Whether the agent's car has run into one.
        """
        s = self.state
        allowed = 1 + MORE_CARS * (s.t - 1) // (EPISODE - 1)
        count = 0
        crashed = False
        for i, car in enumerate(s.cars):
            if car.lane == NO_LANE:
                if car.pause > 0:
                    car.pause -= 1
                if car.pause == 0 and count < allowed:
                    count += self._place(car)
                continue
            count += 1
            if i == s.sticky:
                continue
            _, x = self._advance(car)
            car.x = x
            length = LENGTHS[car.kind]
            if s.sticky < 0 and self._hits(x, car.lane, length):
                s.sticky, s.sticky_left, s.crashed_at = i, STICKY_STEPS, s.t
                crashed = True
            elif x + length < 0.0:
                self._remove(car)
        return crashed

    def _hits(self, x: float, lane: int, length: int) -> bool:
        """Whether a car there overlaps with the agent's."""
        s = self.state
        return s.x - length - 1.0 < x < s.x + WIDTH + 1.0 and boxes_overlap(
            s.x, s.y, WIDTH, HEIGHT, x, LANE_Y[lane] - HEIGHT / 2, length, HEIGHT
        )

    def _remove(self, car: Car) -> None:
        car.lane = NO_LANE
        car.pause = integer(self.rng, *PAUSE)

    def _place(self, car: Car) -> bool:
        """Puts a car beyond the right edge if there is room; returns whether there was."""
        s, rng = self.state, self.rng
        kind = integer(rng, BLUE_CAR, TRUCK)
        for _ in range(SPAWN_TRIES):
            lane = integer(rng, 0, LANES - 1)
            x = SIZE + uniform(rng, *SPAWN_GAP)
            if all(
                other.lane != lane
                or abs(other.x - x) >= max(LENGTHS[kind], LENGTHS[other.kind]) + SPAWN_DISTANCE
                for other in s.cars
            ):
                car.lane, car.kind, car.x = lane, kind, x
                return True
        return False

    def _lane_reward(self) -> float:
        """The reward for the distance to the lane's middle and for the road ahead."""
        s = self.state
        lane = self._lane()
        offset = (s.y + HEIGHT / 2 - LANE_Y[lane]) / HALF_LANE
        reward = LANE_REWARD * math.exp(-offset * offset)
        gap = self._gap(lane)
        if gap == math.inf:
            return reward + FREE_REWARD
        if gap < NEAR:
            return reward - NEAR_COST * (1.0 - gap / NEAR)
        return reward + FAR_REWARD

    def _lane(self) -> int:
        """The lane that the centre of the agent's car is in."""
        return int((self.state.y + HEIGHT / 2 - ROAD_TOP) / LANE_HEIGHT)

    def _gap(self, lane: int) -> float:
        """Free road from the agent's front to the next car in a lane, px; infinite with none."""
        s = self.state
        front = s.x + WIDTH
        gap = math.inf
        for car in s.cars:
            if car.lane == lane and 0.0 <= car.x - front < gap:
                gap = car.x - front
        return gap

    def draw(self, canvas: Canvas) -> None:
        s = self.state
        canvas.background("highway", lambda: _draw_road(canvas))
        scrolled = SCROLL * s.t
        self._draw_grass(canvas, scrolled)
        for lane in range(1, LANES):
            y = ROAD_TOP + lane * LANE_HEIGHT
            for i in range(8):
                canvas.rect((206, 206, 200), i * 32 - scrolled % 32, y - 0.8, 14, 1.6, 0.8)
        for car in s.cars:
            if car.lane != NO_LANE:
                y = LANE_Y[car.lane]
                if car.kind == TRUCK:
                    _draw_truck(canvas, car.x, y)
                else:
                    _draw_car(canvas, (70, 126, 226) if car.kind == BLUE_CAR else YELLOW, car.x, y)
        y = s.y + HEIGHT / 2
        tip = s.x + WIDTH + 17
        arrow = [(tip - 7, y - 5), (tip, y), (tip - 7, y + 5)]
        canvas.line(fade(WHITE, 0.34), [(s.x + WIDTH + 4, y), (tip - 6, y)], 2.4)
        canvas.polygon(fade(WHITE, 0.34), arrow)
        _draw_car(canvas, RED, s.x, y)
        self._draw_crash(canvas)

    def _draw_grass(self, canvas: Canvas, scrolled: float) -> None:
        """Tufts and bushes on both sides of the road."""
        seed = self.state.decor_seed
        spacing = 15
        first = int(scrolled // spacing) - 1
        for i in range(first, first + SIZE // spacing + 4):
            for side in (0, 1):
                x = i * spacing + 12 * noise(seed, i, side, 0) - scrolled
                y = 3 + 10 * noise(seed, i, side, 1) + (ROAD_BOTTOM + 3 if side else 0)
                if noise(seed, i, side, 2) < 0.3:
                    r = 2.6 + 1.6 * noise(seed, i, side, 3)
                    canvas.circle((34, 96, 48), (x + 0.6, y + 0.8), r)
                    canvas.circle((62, 140, 66), (x, y), r)
                    canvas.circle((98, 172, 86), (x - 0.8, y - 0.9), 0.5 * r)
                else:
                    for lean in (-1.4, 0.0, 1.4):
                        canvas.line((56, 128, 58), [(x, y + 1.5), (x + lean, y - 1.5)], 0.8)

    def _draw_crash(self, canvas: Canvas) -> None:
        """Smoke while another car drags the agent's, and a red flash."""
        s = self.state
        age = s.t - s.crashed_at
        if s.sticky >= 0:
            for i in range(7):
                x = s.x + WIDTH - 6 + 14 * noise(s.crashed_at, i, 0) - 2 * age
                y = s.y + 1 + 16 * noise(s.crashed_at, i, 1)
                canvas.circle(fade((230, 226, 220), 0.55 - 0.08 * age), (x, y), 2 + 0.9 * age)
            for i in range(6):
                angle = 2 * math.pi * (i + noise(s.crashed_at, i, 2)) / 6
                r = 5 + 3 * age
                point = (s.x + WIDTH + r * math.cos(angle), s.y + HEIGHT / 2 + r * math.sin(angle))
                canvas.circle(fade((255, 214, 90), 1 - age / 6), point, 1.3)
        if age < FLASH_STEPS:
            canvas.fill(fade(HIT, (0.26, 0.2, 0.13)[age]))


def _show_gap(gap: float) -> float:
    """A gap as it is observed."""
    if gap == math.inf:
        return -1.0
    return gap / SIZE if gap < SIZE else 1.0


def _draw_road(canvas: Canvas) -> None:
    canvas.fill((84, 158, 74))
    canvas.rect((70, 142, 66), 0, ROAD_TOP - 5, SIZE, ROAD_BOTTOM - ROAD_TOP + 10)
    canvas.rect((52, 54, 60), 0, ROAD_TOP, SIZE, ROAD_BOTTOM - ROAD_TOP)
    for lane in range(0, LANES, 2):
        canvas.rect((57, 59, 66), 0, ROAD_TOP + lane * LANE_HEIGHT, SIZE, LANE_HEIGHT)
    for y in (ROAD_TOP, ROAD_BOTTOM - 1.8):
        canvas.rect((232, 230, 222), 0, y, SIZE, 1.8)


def _draw_wheels(canvas: Canvas, y: float, *xs: float) -> None:
    for x in xs:
        for top in (y - HEIGHT / 2, y + HEIGHT / 2 - 3):
            canvas.rect((20, 20, 24), x, top, 5.4, 3, 1)


def _draw_car(canvas: Canvas, color: Color, x: float, y: float) -> None:
    """A car seen from above that drives to the right."""
    dark, light, glass = mix(color, (10, 10, 20), 0.35), mix(color, WHITE, 0.3), (30, 40, 58)
    top = y - HEIGHT / 2
    canvas.rect((26, 27, 32, 110), x + 1, top + 2.4, WIDTH, HEIGHT - 2, 5)
    _draw_wheels(canvas, y, x + 4, x + 18.4)
    canvas.rect(dark, x, top + 1, WIDTH, HEIGHT - 2, 5)
    canvas.rect(color, x + 0.6, top + 1.7, WIDTH - 1.2, HEIGHT - 3.6, 4.6)
    canvas.polygon(
        glass, [(x + 17.5, y - 5.6), (x + 21.4, y - 4.4), (x + 21.4, y + 4.4), (x + 17.5, y + 5.6)]
    )
    canvas.polygon(glass, [(x + 5.4, y - 4), (x + 7.6, y - 5), (x + 7.6, y + 5), (x + 5.4, y + 4)])
    canvas.rect(light, x + 8.6, y - 5, 8, 10, 2)
    for side in (-1, 1):
        canvas.rect((255, 246, 200), x + 25.6, y + side * 5 - 1.2, 2, 2.4, 0.8)
        canvas.rect((190, 30, 30), x + 0.2, y + side * 5 - 1.2, 1.4, 2.4, 0.6)


def _draw_truck(canvas: Canvas, x: float, y: float) -> None:
    """A truck seen from above that drives to the right."""
    length, top = LENGTHS[TRUCK], y - HEIGHT / 2
    canvas.rect((26, 27, 32, 110), x + 1, top + 2.4, length, HEIGHT - 2, 3)
    _draw_wheels(canvas, y, x + 4, x + 11, x + 28, x + 46)
    canvas.rect((34, 36, 40), x + 36, y - 4, 6, 8)
    canvas.rect((38, 108, 62), x, top + 0.8, 39, HEIGHT - 1.6, 1.6)
    canvas.rect((62, 150, 88), x + 1, top + 1.8, 37, HEIGHT - 3.6, 1.2)
    for i in range(1, 6):
        canvas.line(
            (48, 126, 74), [(x + 6.4 * i, top + 2.6), (x + 6.4 * i, top + HEIGHT - 2.6)], 0.8
        )
    canvas.rect((34, 98, 56), x + 41, top + 1, length - 41, HEIGHT - 2, 3)
    canvas.rect((74, 168, 100), x + 41.8, top + 2, length - 43.2, HEIGHT - 4, 2.4)
    canvas.rect((30, 40, 58), x + 50, y - 6, 3.4, 12, 1)
    for side in (-1, 1):
        canvas.rect((255, 246, 200), x + 54.4, y + side * 5.4 - 1.2, 1.4, 2.4, 0.6)
