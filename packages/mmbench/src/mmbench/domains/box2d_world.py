"""What the walker and the lander share: a fresh world for every episode, and who touches what."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from mmbench.domains.simulator import Simulator

with warnings.catch_warnings():
    # Box2D's wrapper classes lack a __module__, of which Python warns when they are made.
    warnings.simplefilter("ignore", DeprecationWarning)
    import Box2D

FPS = 50  # native steps per second
_ITERATIONS = 6 * 30, 2 * 30  # of the solver, for velocities and positions

GROUND_CATEGORY = 0x0001
"""What walker and lander collide with."""

BODY = 1
"""User data of the fixture that must not touch the ground; those of the legs are 2 and 3."""

LEGS = (2, 3)


class Touch(Box2D.b2ContactListener):
    """Remembers contacts as Gymnasium does.

    A leg that leaves one piece of ground counts as in the air, even where it still stands on the
    next one.

    Attributes:
        crashed: Whether the body has touched the ground in this episode.
        legs: Whether each leg touches it, 0.0 or 1.0; by number, from ``LEGS``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.crashed = False
        self.legs = dict.fromkeys(LEGS, 0.0)

    def BeginContact(self, contact: Box2D.b2Contact) -> None:
        """Called by the world while it steps."""
        for part in (contact.fixtureA.userData, contact.fixtureB.userData):
            if part == BODY:
                self.crashed = True
            elif part is not None:
                self.legs[part] = 1.0

    def EndContact(self, contact: Box2D.b2Contact) -> None:
        """Called by the world while it steps."""
        for part in (contact.fixtureA.userData, contact.fixtureB.userData):
            if part in self.legs:
                self.legs[part] = 0.0

    def PreSolve(self, contact: Box2D.b2Contact, manifold: Box2D.b2Manifold) -> None:
        """Nothing; the inherited one would go back into C++ to do so."""

    def PostSolve(self, contact: Box2D.b2Contact, impulse: Box2D.b2ContactImpulse) -> None:
        """Nothing."""


class Box2DSimulator(Simulator):
    """One body with legs in a world that lives for one episode.

    A world that is used again keeps the order of its contacts, on which the solution depends.

    Args:
        action_repeat: Native steps per agent step.
    """

    def __init__(self, action_repeat: int) -> None:
        self._action_repeat = action_repeat
        self._world: Any = None  # of the running episode
        self._touch = Touch()
        self._scenery_seed = 0

    def reset(self, rng: np.random.Generator) -> None:
        """Builds a new world, takes its first native steps, and frees the old one."""
        self._free()
        self._touch = Touch()
        self._world = Box2D.b2World(gravity=(0.0, -10.0), contactListener=self._touch)
        self._build(self._world, rng)
        # Always drawn, so that the generator goes on alike with and without frames.
        self._scenery_seed = int(rng.integers(1 << 32))

    def step(self, action: np.ndarray) -> tuple[float, float]:
        """Takes ``action_repeat`` native steps; success is not defined.

        Args:
            action: (4,) torques of hips and knees, or (2,) thrusts.
        """
        native = action.tolist()
        reward = 0.0
        for _ in range(self._action_repeat):
            reward += self._native_step(native)
        return reward, math.nan

    def get_state(self) -> dict[str, np.ndarray]:
        """Raises NotImplementedError."""
        raise NotImplementedError(
            "Box2D cannot save its state: the impulses of its contacts are out of reach. Start the "
            "episode again from its generator (episode_rng) and repeat its actions"
        )

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Raises NotImplementedError."""
        self.get_state()

    def close(self) -> None:
        """Frees the world."""
        self._free()

    def _advance(self) -> None:
        self._world.Step(1.0 / FPS, *_ITERATIONS)

    def _free(self) -> None:
        """Drops every reference to the world and what is in it, which frees them."""
        if self._world is not None:
            self._world.contactListener = None
        self._world = None

    def _build(self, world: Box2D.b2World, rng: np.random.Generator) -> None:
        """Fills a new world and brings it to the first observation."""
        raise NotImplementedError

    def _native_step(self, action: list[float]) -> float:
        """Takes one native step and returns its reward."""
        raise NotImplementedError
