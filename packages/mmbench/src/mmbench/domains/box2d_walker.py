"""The bipedal walker: a hull on two legs, with ten rays that measure the distance to the ground.

Facts (arXiv 2511.19584, appendix A; Gymnasium's ``BipedalWalker``): the published task sets the
module's SCALE from 30 to 15 and its viewport to 224 x 224 pixels once the module is loaded. The
body, the rays and the distance between terrain points keep the old scale; the reward for moving
and the observed velocities take the new one. Rewards of native steps are clipped to [-1, 10], and
the episode goes on after a fall.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from mmbench.domains import box2d_scenery, box2d_terrain
from mmbench.domains.box2d_terrain import HEIGHT, START_PAD, STEP, Terrain
from mmbench.domains.box2d_world import BODY, FPS, GROUND_CATEGORY, LEGS, Box2D, Box2DSimulator

SCALE = 15.0  # pixels per metre
VIEW = 224 / SCALE  # metres, width and height of the viewport
_BODY_SCALE = 30.0  # of lengths that are given in pixels below

_HULL = [(x / _BODY_SCALE, y / _BODY_SCALE) for x, y in
         [(-30, 9), (6, 9), (34, 1), (34, -8), (-30, -8)]]  # fmt: skip
_HIP = -8 / _BODY_SCALE  # metres above the hull's centre
_LEG_WIDTH, _LEG_HEIGHT = 8 / _BODY_SCALE, 34 / _BODY_SCALE
_WALKER_CATEGORY = 0x0020
_FRICTION = 2.5  # of the ground

_TORQUE = 80.0  # N m at action 1
_SPEED_HIP, _SPEED_KNEE = 4.0, 6.0  # radians per second
_PUSH = 5.0  # N, of the random force at the start

_RANGE = 160 / _BODY_SCALE  # metres
_RAYS = [(math.sin(1.5 * i / 10.0) * _RANGE, -math.cos(1.5 * i / 10.0) * _RANGE) for i in range(10)]

_FALL = -100.0
_LOWEST, _HIGHEST = -1.0, 10.0  # reward of a native step


class BipedalSimulator(Box2DSimulator):
    """The walker on one kind of ground.

    Args:
        ground: A name of :data:`mmbench.domains.box2d_terrain.GENERATORS`.
        action_repeat: Native steps per agent step.
    """

    def __init__(self, ground: str, action_repeat: int) -> None:
        super().__init__(action_repeat)
        self._generate = box2d_terrain.GENERATORS[ground]
        self._ray = _Ray()
        self._terrain = Terrain([], [])
        self._hull: Any = None
        self._legs: list[Box2D.b2Body] = []
        self._joints: list[Box2D.b2RevoluteJoint] = []
        self._shaping = 0.0  # of the last native step
        self._scenery: box2d_scenery.WalkerScenery | None = None

    def observe(self, out: np.ndarray) -> None:
        """Writes 14 entries of the body and 10 distances.

        Hull angle (radians) and angular velocity (0.04 per rad/s), velocity in x and y (0.0896
        per m/s); for each leg: hip angle, hip speed / 4, knee angle + 1, knee speed / 6, contact
        of the lower leg with the ground; the length of each ray up to the ground, from 0 to 1 (at
        least 5.33 metres away), from downwards to almost forwards.
        """
        hull = self._hull
        velocity = hull.linearVelocity
        hip, knee, other_hip, other_knee = self._joints
        legs = self._touch.legs
        out[:14] = (
            hull.angle,
            2.0 * hull.angularVelocity / FPS,
            0.3 * velocity.x * VIEW / FPS,
            0.3 * velocity.y * VIEW / FPS,
            hip.angle,
            hip.speed / _SPEED_HIP,
            knee.angle + 1.0,
            knee.speed / _SPEED_KNEE,
            legs[LEGS[0]],
            other_hip.angle,
            other_hip.speed / _SPEED_HIP,
            other_knee.angle + 1.0,
            other_knee.speed / _SPEED_KNEE,
            legs[LEGS[1]],
        )
        x, y = hull.position
        ray, cast = self._ray, self._world.RayCast
        for i, (dx, dy) in enumerate(_RAYS, start=14):
            ray.fraction = 1.0
            cast(ray, (x, y), (x + dx, y + dy))
            out[i] = ray.fraction

    def render(self) -> np.ndarray:
        """Draws the ground and the walker, a fifth of the frame from its left edge."""
        if self._scenery is None:
            self._scenery = box2d_scenery.WalkerScenery(
                VIEW, _points(self._terrain), self._terrain.boxes, self._scenery_seed
            )
        return self._scenery.draw(self._hull, self._legs)

    @property
    def crashed(self) -> bool:
        """Whether the hull has touched the ground."""
        return self._touch.crashed

    def copy_bodies(self, other: BipedalSimulator) -> None:
        """Moves the walker to where another's is on the same ground, to try something out there.

        What follows is nearly what would follow there: the impulses of contacts and joints, from
        which the solver starts, cannot be copied.
        """
        own, theirs = ([one._hull, *one._legs] for one in (self, other))
        for body, model in zip(own, theirs, strict=True):
            body.transform = (model.position, model.angle)
            body.linearVelocity, body.angularVelocity = model.linearVelocity, model.angularVelocity
            body.awake = True
        self._touch.crashed, self._touch.legs = other._touch.crashed, dict(other._touch.legs)
        self._shaping = other._shaping

    def _build(self, world: Box2D.b2World, rng: np.random.Generator) -> None:
        self._scenery = None
        self._terrain = self._generate(rng)
        _add_ground(world, self._terrain)
        x, y = STEP * START_PAD / 2, HEIGHT + 2 * _LEG_HEIGHT
        hull = Box2D.b2PolygonShape(vertices=_HULL)
        self._hull = _add_part(world, (x, y), 0.0, hull, density=5.0, friction=0.1, mark=BODY)
        self._hull.ApplyForceToCenter((rng.uniform(-_PUSH, _PUSH), 0.0), True)
        self._legs, self._joints = [], []
        for side, mark in zip((-1, 1), LEGS, strict=True):
            self._add_leg(world, x, y, side, mark)
        self._shaping = 0.0
        self._native_step([0.0] * 4)

    def _add_leg(self, world: Box2D.b2World, x: float, y: float, side: int, mark: int) -> None:
        upper = _add_part(
            world, (x, y - _LEG_HEIGHT / 2 - _HIP), side * 0.05, _box(_LEG_WIDTH), density=1.0
        )
        hip = _motor(world, self._hull, upper, _HIP, speed=side, lowerAngle=-0.8, upperAngle=1.1)
        lower = _add_part(
            world,
            (x, y - _LEG_HEIGHT * 3 / 2 - _HIP),
            side * 0.05,
            _box(0.8 * _LEG_WIDTH),
            density=1.0,
            mark=mark,
        )
        knee = _motor(
            world, upper, lower, -_LEG_HEIGHT / 2, speed=1, lowerAngle=-1.6, upperAngle=-0.1
        )
        self._legs += [upper, lower]
        self._joints += [hip, knee]

    def _native_step(self, action: list[float]) -> float:
        effort = 0.0
        for joint, speed, torque in zip(self._joints, _SPEEDS, action, strict=True):
            joint.motorSpeed = speed * ((torque > 0) - (torque < 0))
            joint.maxMotorTorque = _TORQUE * abs(torque)
            effort += 0.00035 * _TORQUE * abs(torque)
        self._advance()
        x = self._hull.position.x
        shaping = 130 * x / SCALE - 5.0 * abs(self._hull.angle)
        reward = shaping - self._shaping - effort
        self._shaping = shaping
        if self._touch.crashed or x < 0:
            reward = _FALL
        return min(max(reward, _LOWEST), _HIGHEST)

    def _free(self) -> None:
        self._hull, self._legs, self._joints = None, [], []
        super()._free()


_SPEEDS = (_SPEED_HIP, _SPEED_KNEE) * 2


class _Ray(Box2D.b2RayCastCallback):
    """Measures how far the ground is along a ray.

    Attributes:
        fraction: Of the ray's length; to be set to 1 before every cast.
    """

    fraction = 1.0

    def ReportFixture(
        self,
        fixture: Box2D.b2Fixture,
        point: Box2D.b2Vec2,
        normal: Box2D.b2Vec2,
        fraction: float,
    ) -> float:
        """Shortens the ray to what it meets; goes through the walker, which alone has a density."""
        if fixture.density:
            return -1.0
        self.fraction = fraction
        return fraction


def _add_ground(world: Box2D.b2World, terrain: Terrain) -> None:
    body = world.CreateStaticBody()
    polygon, edge = Box2D.b2PolygonShape(), Box2D.b2EdgeShape()
    shapes = [(polygon, terrain.boxes), (edge, itertools.pairwise(_points(terrain)))]
    for shape, pieces in shapes:
        # One definition for all pieces: the wrapper leaks memory with each that it makes.
        fixture = Box2D.b2FixtureDef(shape=shape, friction=_FRICTION, categoryBits=GROUND_CATEGORY)
        for piece in pieces:
            shape.vertices = list(piece)
            body.CreateFixture(fixture)


def _points(terrain: Terrain) -> list[tuple[float, float]]:
    return [(i * STEP, y) for i, y in enumerate(terrain.heights)]


def _add_part(
    world: Box2D.b2World,
    position: tuple[float, float],
    angle: float,
    shape: Box2D.b2PolygonShape,
    density: float,
    friction: float = 0.2,
    mark: int | None = None,
) -> Box2D.b2Body:
    """Adds a moving body that collides with the ground only."""
    body = world.CreateDynamicBody(position=position, angle=angle)
    body.CreateFixture(
        shape=shape,
        density=density,
        friction=friction,
        restitution=0.0,
        categoryBits=_WALKER_CATEGORY,
        maskBits=GROUND_CATEGORY,
        userData=mark,
    )
    return body


def _box(width: float) -> Box2D.b2PolygonShape:
    return Box2D.b2PolygonShape(box=(width / 2, _LEG_HEIGHT / 2))


def _motor(
    world: Box2D.b2World,
    above: Box2D.b2Body,
    below: Box2D.b2Body,
    anchor: float,
    speed: int,
    **limits: float,
) -> Box2D.b2RevoluteJoint:
    """Joins the top of a leg's part to what is above it, ``anchor`` metres from its centre."""
    return world.CreateRevoluteJoint(
        bodyA=above,
        bodyB=below,
        localAnchorA=(0, anchor),
        localAnchorB=(0, _LEG_HEIGHT / 2),
        enableMotor=True,
        enableLimit=True,
        maxMotorTorque=_TORQUE,
        motorSpeed=speed,
        **limits,
    )
