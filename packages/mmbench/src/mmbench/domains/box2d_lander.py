"""The lunar lander: land on a pad, hover above it, or take off from it.

Facts (arXiv 2511.19584, appendix A; Gymnasium's ``LunarLander``, continuous, without wind): a
viewport of 400 x 400 pixels, 7 or 9 pieces of ground, and an episode that goes on after a crash.
Rewards of native steps: landing's as the package's, clipped to [-5, 10] and divided by 20; the
other two pay for being near a goal in the air.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from mmbench.domains import box2d_scenery
from mmbench.domains.box2d_world import BODY, FPS, GROUND_CATEGORY, LEGS, Box2D, Box2DSimulator

_SCALE = 30.0  # pixels per metre
VIEW = 400 / _SCALE  # metres, width and height of the viewport
_HALF = VIEW / 2
PAD_HEIGHT = VIEW / 4

_HULL = [(x / _SCALE, y / _SCALE) for x, y in
         [(-14, 17), (-17, 0), (-17, -10), (17, -10), (17, 0), (14, 17)]]  # fmt: skip
_LEG_AWAY = 20 / _SCALE
_LEG_DOWN = 18 / _SCALE
_LEG_BOX = 2 / _SCALE, 8 / _SCALE  # half width, half height
_LEG_TORQUE = 40.0  # N m, of the spring
_REST = PAD_HEIGHT + _LEG_DOWN  # metres, height of a lander that stands on the pad

_MAIN_POWER, _SIDE_POWER = 13.0, 0.6  # impulse per metre of the lever below
_MAIN_DOWN = 4 / _SCALE  # where the main engine acts
_SIDE_AWAY = 12 / _SCALE  # where the side engines act
_SIDE_UP, _SIDE_BACK = 14 / _SCALE, 17 / _SCALE
_DISPERSION = 1 / _SCALE  # metres, of the engines' places

_PUSH = 600.0  # N, of the random force at the start
_TAKEOFF_PUSH = 300.0, 1200.0  # N: sideways at most, downwards
_TAKEOFF_STEPS = 6  # native, before the first observation

_NOISE_BLOCK = 512  # numbers drawn at once


class LanderSimulator(Box2DSimulator):
    """What the three tasks share: ground, lander, engines.

    Args:
        action_repeat: Native steps per agent step.
    """

    def __init__(self, action_repeat: int) -> None:
        super().__init__(action_repeat)
        self._noise: Iterator[float] = iter(())
        self._scenery: box2d_scenery.LanderScenery | None = None
        self._ground: list[tuple[float, float]] = []
        self._lander: Any = None
        self._legs: list[Box2D.b2Body] = []
        self._pad = (0.0, 0.0)
        self._thrust = (0.0, 0.0)
        self._goal: tuple[float, float] | None = None

    def observe(self, out: np.ndarray) -> None:
        """Writes 8 entries, and where there is a goal 2 more.

        Position relative to the middle at the height of a landed lander (6.67 metres), velocity
        (7.5 m/s), angle (radians), angular velocity (2.5 rad/s), contact of each leg; goal minus
        position (6.67 metres).
        """
        lander = self._lander
        x, y = lander.position
        velocity = lander.linearVelocity
        legs = self._touch.legs
        out[:8] = (
            (x - _HALF) / _HALF,
            (y - _REST) / _HALF,
            velocity.x * _HALF / FPS,
            velocity.y * _HALF / FPS,
            lander.angle,
            20.0 * lander.angularVelocity / FPS,
            legs[LEGS[0]],
            legs[LEGS[1]],
        )
        if self._goal is not None:
            out[8:] = (self._goal[0] - x) / _HALF, (self._goal[1] - y) / _HALF

    def render(self) -> np.ndarray:
        """Draws the whole viewport."""
        if self._scenery is None:
            left, right = ((x, PAD_HEIGHT) for x in self._pad)
            self._scenery = box2d_scenery.LanderScenery(
                VIEW, self._ground, (left, right), self._goal
            )
        return self._scenery.draw(self._lander, self._legs, self._thrust)

    def _build(self, world: Box2D.b2World, rng: np.random.Generator) -> None:
        self._scenery = None
        self._add_ground(world, rng)
        position, force = self._start(rng)
        self._add_lander(world, position)
        self._lander.ApplyForceToCenter(force, True)
        self._noise = _noise(rng)
        self._first_steps()

    def _add_ground(self, world: Box2D.b2World, rng: np.random.Generator) -> None:
        points = int(rng.choice((7, 9)))
        heights = rng.uniform(0.0, VIEW / 2, points + 1).tolist()
        middle = points // 2
        heights[middle - 2 : middle + 3] = [PAD_HEIGHT] * 5
        places = [VIEW / (points - 1) * i for i in range(points)]
        self._pad = places[middle - 1], places[middle + 1]
        self._ground = [
            # From -1 on: the first point's left neighbour is the last number drawn.
            (x, 0.33 * (heights[i - 1] + heights[i] + heights[i + 1]))
            for i, x in enumerate(places)
        ]
        moon = world.CreateStaticBody(shapes=Box2D.b2EdgeShape(vertices=[(0, 0), (VIEW, 0)]))
        for edge in itertools.pairwise(self._ground):
            moon.CreateEdgeFixture(vertices=list(edge), density=0, friction=0.1)

    def _start(self, rng: np.random.Generator) -> tuple[tuple[float, float], tuple[float, float]]:
        """Draws position (metres) and force (N) of the lander, and the goal if there is one."""
        x, y = _HALF * rng.uniform(0.95, 1.05), 0.8 * VIEW * rng.uniform(0.95, 1.05)
        return (x, y), (rng.uniform(-_PUSH, _PUSH), rng.uniform(-_PUSH, _PUSH))

    def _first_steps(self) -> None:
        self._native_step([0.0, 0.0])

    def _add_lander(self, world: Box2D.b2World, position: tuple[float, float]) -> None:
        self._lander = world.CreateDynamicBody(position=position, angle=0.0)
        self._lander.CreatePolygonFixture(
            vertices=_HULL,
            density=5.0,
            friction=0.1,
            restitution=0.0,
            categoryBits=0x0010,
            maskBits=GROUND_CATEGORY,
            userData=BODY,
        )
        x, y = position
        self._legs = []
        for side, mark in zip((-1, 1), LEGS, strict=True):
            leg = world.CreateDynamicBody(position=(x - side * _LEG_AWAY, y), angle=side * 0.05)
            leg.CreatePolygonFixture(
                box=_LEG_BOX,
                density=1.0,
                restitution=0.0,
                categoryBits=0x0020,
                maskBits=GROUND_CATEGORY,
                userData=mark,
            )
            near, far = -0.9 * side, (-0.9 + 0.5) * side
            world.CreateRevoluteJoint(
                bodyA=self._lander,
                bodyB=leg,
                localAnchorA=(0, 0),
                localAnchorB=(side * _LEG_AWAY, _LEG_DOWN),
                enableMotor=True,
                enableLimit=True,
                maxMotorTorque=_LEG_TORQUE,
                motorSpeed=0.3 * side,
                lowerAngle=min(near, far),
                upperAngle=max(near, far),
            )
            self._legs.append(leg)

    def _native_step(self, action: list[float]) -> float:
        main, side = self._fire(*action)
        self._thrust = main, math.copysign(side, action[1])
        self._advance()
        return self._reward(main, side)

    def _fire(self, main: float, side: float) -> tuple[float, float]:
        """Applies the engines' impulses; returns the power of main and side engine, 0 to 1.

        The main engine fires from 0 on with half its power, a side engine beyond 0.5.
        """
        lander = self._lander
        # Drawn in every step, whether an engine fires or not.
        along, across = _DISPERSION * next(self._noise), _DISPERSION * next(self._noise)
        if main <= 0.0 and abs(side) <= 0.5:
            return 0.0, 0.0
        angle = lander.angle
        tip_x, tip_y = math.sin(angle), math.cos(angle)
        side_x, side_y = -tip_y, tip_x
        x, y = lander.position
        main_power = side_power = 0.0
        if main > 0.0:
            main_power = (main + 1.0) * 0.5
            arm = _MAIN_DOWN + 2 * along
            dx = tip_x * arm + side_x * across
            dy = -tip_y * arm - side_y * across
            power = _MAIN_POWER * main_power
            lander.ApplyLinearImpulse((-dx * power, -dy * power), (x + dx, y + dy), True)
        if abs(side) > 0.5:
            side_power = abs(side)
            arm = 3 * across + math.copysign(_SIDE_AWAY, side)
            dx = tip_x * along + side_x * arm
            dy = -tip_y * along - side_y * arm
            power = _SIDE_POWER * side_power
            place = x + dx - tip_x * _SIDE_BACK, y + dy + tip_y * _SIDE_UP
            lander.ApplyLinearImpulse((-dx * power, -dy * power), place, True)
        return main_power, side_power

    def _reward(self, main: float, side: float) -> float:
        """The reward of a native step that used these powers."""
        raise NotImplementedError

    def _free(self) -> None:
        self._lander, self._legs = None, []
        super()._free()


class Land(LanderSimulator):
    """Come to rest on the pad."""

    _LOWEST, _HIGHEST = -5.0, 10.0
    _UNIT = 20.0
    _CRASH, _ASLEEP = -100.0, 100.0

    def _build(self, world: Box2D.b2World, rng: np.random.Generator) -> None:
        self._potential = 0.0
        super()._build(world, rng)

    def _reward(self, main: float, side: float) -> float:
        lander = self._lander
        x, y = lander.position
        velocity = lander.linearVelocity
        x, y = (x - _HALF) / _HALF, (y - _REST) / _HALF
        vx, vy = velocity.x * _HALF / FPS, velocity.y * _HALF / FPS
        potential = (
            -100 * math.sqrt(x * x + y * y)
            - 100 * math.sqrt(vx * vx + vy * vy)
            - 100 * abs(lander.angle)
            + 10 * sum(self._touch.legs.values())
        )
        reward = potential - self._potential - 0.30 * main - 0.03 * side
        self._potential = potential
        if self._touch.crashed or abs(x) >= 1.0:
            reward = self._CRASH
        if not lander.awake:
            reward = self._ASLEEP
        return min(max(reward, self._LOWEST), self._HIGHEST) / self._UNIT


class Hover(LanderSimulator):
    """Stay near a goal above the pad."""

    _FAR = 6.0  # metres from the goal at which nothing is paid

    def _start(self, rng: np.random.Generator) -> tuple[tuple[float, float], tuple[float, float]]:
        self._goal = (_HALF + rng.uniform(-1.0, 1.0), 2 * PAD_HEIGHT + rng.uniform(-1.0, 1.0))
        return super()._start(rng)

    def _reward(self, main: float, side: float) -> float:
        x, y = self._lander.position
        if y < _REST or self._goal is None:
            return 0.0
        distance = math.hypot(self._goal[0] - x, self._goal[1] - y)
        return max(0.0, 1.0 - distance / self._FAR - 0.03 * main - 0.003 * side)


class Takeoff(Hover):
    """Rise from the pad to a goal and stay there."""

    def _start(self, rng: np.random.Generator) -> tuple[tuple[float, float], tuple[float, float]]:
        self._goal = (VIEW * rng.uniform(0.2, 0.8), VIEW * rng.uniform(0.6, 0.8))
        left, right = self._pad
        x = left + (right - left) * rng.uniform(0.25, 0.75)
        aside, down = _TAKEOFF_PUSH
        return (x, _REST), (rng.uniform(-aside, aside), -down)

    def _first_steps(self) -> None:
        for _ in range(_TAKEOFF_STEPS):
            self._native_step([0.0, 0.0])


def _noise(rng: np.random.Generator) -> Iterator[float]:
    """Numbers between -1 and 1 for as long as an episode takes."""
    while True:
        yield from rng.uniform(-1.0, 1.0, _NOISE_BLOCK).tolist()


TASKS = {"land": Land, "hover": Hover, "takeoff": Takeoff}
"""By the last part of a task's native name."""
