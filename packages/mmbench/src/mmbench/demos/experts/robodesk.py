"""RoboDesk's desk: motions of the hand from place to place, tried out before they are played.

A motion is a row of places; the hand heads for each until it is there or some steps have passed.
How the hand is turned depends on where the episode starts, so that no motion does for all. Each
try shifts the places a little, and the first one that succeeds at the episode's end is played.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, cast

import mujoco
import numpy as np

from mmbench.demos.experts import on_grid
from mmbench.demos.experts.tried import TriedOut
from mmbench.env import TaskEnv

if TYPE_CHECKING:
    from mmbench.domains.robodesk import RoboDeskSimulator

_STRIDE = 0.1  # m, of a full action
_NEAR = 0.02  # m, at which a place counts as reached
_SHIFT = 0.012  # m, of the tries' places, standard deviation
_FOR_EVER = 1000  # steps
_HELD = (0.0, -1.0)  # actions of the wrist, which rests, and of the gripper, which is closed


class Place(NamedTuple):
    """Where the hand goes next.

    Attributes:
        xyz: (3,) m.
        steps: After which it goes on, at most; with 1 it always takes that one.
        speed: Largest action.
    """

    xyz: np.ndarray
    steps: int = 12
    speed: float = 1.0


class Motions(TriedOut):
    """Tries motions out and plays the first that succeeds, or else the last."""

    name = "hand motions, tried out"
    tries = 5

    def begin(self, env: TaskEnv, obs: np.ndarray, rng: np.random.Generator) -> None:
        """Plans the whole episode."""
        self._goal = env.task.native
        super().begin(env, obs, rng)

    def _try(
        self, env: TaskEnv, rng: np.random.Generator, attempt: int
    ) -> tuple[list[np.ndarray], bool]:
        shift = rng.normal(0.0, _SHIFT if attempt else 0.0, 3)
        data = cast("RoboDeskSimulator", env.simulator).data
        hand = data.site("end_effector").xpos
        actions: list[np.ndarray] = []
        for place in self._places(data, shift):
            for _ in range(place.steps):
                way = place.xyz - hand
                if 1 < place.steps < _FOR_EVER and np.abs(way).max() < _NEAR:
                    break
                move = np.clip(way / _STRIDE, -place.speed, place.speed)
                actions.append(on_grid(np.append(move, _HELD)))
                _, terminated, truncated, _, success = env.advance(actions[-1].astype(np.float32))
                if terminated or truncated:
                    return actions, success == 1.0
        raise AssertionError("the last place is not for ever")

    @abc.abstractmethod
    def _places(self, data: mujoco.MjData, shift: np.ndarray) -> Iterator[Place]:
        """Yields the places, each where things are by then; the last is for ever."""


class PushButton(Motions):
    """Above the button, and down onto it."""

    def _places(self, data: mujoco.MjData, shift: np.ndarray) -> Iterator[Place]:
        button = data.body(f"{self._goal.removeprefix('push_')}_button").xpos + shift
        yield Place(button + (0.0, -0.1, 0.2))
        yield Place(button + (0.0, 0.0, 0.15))
        yield Place(button + (0.0, 0.0, -0.04), _FOR_EVER, speed=0.4)


class OpenSlide(Motions):
    """To the left of the handle, and right."""

    def _places(self, data: mujoco.MjData, shift: np.ndarray) -> Iterator[Place]:
        handle = data.site("slide_handle").xpos + (-0.1, -0.02, 0.0) + shift
        yield Place(handle + (0.0, -0.25, 0.0))
        yield Place(handle)
        yield Place(np.array((0.6, *handle[1:])), _FOR_EVER)


class PutInBin(Motions):
    """Pushes the block from its end along the edge of the desk, where it falls into the bin."""

    FALLEN = 0.7  # m, height below which it is

    def _places(self, data: mujoco.MjData, shift: np.ndarray) -> Iterator[Place]:
        block = data.body("flat_block").xpos
        beside = block + (-0.12, 0.0, 0.03) + shift
        yield Place(beside + (0.0, 0.0, 0.1), steps=20)
        yield Place(beside)
        while block[2] > self.FALLEN:
            yield Place(np.array((block[0], block[1] - 0.01, beside[2])), steps=1)
        yield Place(data.site("end_effector").xpos.copy(), _FOR_EVER)
