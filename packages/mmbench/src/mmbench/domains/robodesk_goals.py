"""What the RoboDesk tasks reward: named quantities of the desk, and one goal a task."""

from __future__ import annotations

import abc
import functools
import math
from collections.abc import Callable

import mujoco
import numpy as np

BLOCKS = ("flat_block", "upright_block", "ball")

_UNMOVED = 0.01  # metres
_SLIDE_RANGE = 0.6  # metres
_SLIDE_OPEN = 0.55  # metres
_SLIDE_GRASP = np.array([0.15, 0.0, 0.0])  # metres from the grasp to the handle
_DRAWER_RANGE = 0.3  # metres
_DRAWER_OPEN = -0.2  # metres
_LIGHT_ON = -0.00453  # metres that a light is pushed down by its button
_BIN_LOW = np.array([0.28, 0.38, 0.0])  # metres
_BIN_HIGH = np.array([0.52, 0.62, 0.4])


class Desk:
    """Named quantities of the simulation, as live views.

    Attributes:
        hand: (3,) position of the point between the fingers, metres.
        original_pos: (3, 3) positions of :data:`BLOCKS` at the reset, metres.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._data = data
        self.hand = self.site("end_effector")
        self._blocks = [self.body(name) for name in BLOCKS]
        self.original_pos = np.zeros((len(BLOCKS), 3))

    def body(self, name: str) -> np.ndarray:
        """(3,) position of a body, metres."""
        return self._data.body(name).xpos

    def site(self, name: str) -> np.ndarray:
        """(3,) position of a site, metres."""
        return self._data.site(name).xpos

    def geom(self, name: str) -> np.ndarray:
        """(3,) position of a geom, metres."""
        return self._data.geom(name).xpos

    def joint(self, name: str) -> np.ndarray:
        """(1,) position of a slide joint, metres."""
        return self._data.joint(name).qpos

    def reach(self, target: np.ndarray) -> float:
        """1 with the hand at the target, 0 from one metre away."""
        return max(0.0, min(1.0, 1 - _distance(self.hand, target)))

    def remember_blocks(self) -> None:
        """Keeps the blocks' positions for :meth:`unmoved`."""
        for kept, block in zip(self.original_pos, self._blocks, strict=True):
            kept[:] = block

    def unmoved(self) -> list[bool]:
        """Whether each of :data:`BLOCKS` is within a centimetre of where it was remembered."""
        return [
            _distance(block, kept) < _UNMOVED
            for block, kept in zip(self._blocks, self.original_pos, strict=True)
        ]


class Goal(abc.ABC):
    """Reward and success of one task, in the desk's current state."""

    @abc.abstractmethod
    def reward(self) -> float:
        """The dense reward of an inner step, not yet clipped to [0, 1]."""

    @abc.abstractmethod
    def success(self) -> bool:
        """Whether the task is solved."""


class OpenSlide(Goal):
    """Slide the door of the shelf to the right.

    Attributes:
        compare_with_start: Give the bonus for blocks that did not move only where they did not.
            Published, and the default: always.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._door = desk.joint("slide_joint")
        self._handle = desk.site("slide_handle")
        self.compare_with_start = False

    def reward(self) -> float:
        """0.9 (0.75 opened + 0.25 reach) + 0.1 unmoved."""
        opened = float(self._door[0]) / _SLIDE_RANGE
        task = 0.75 * opened + 0.25 * self._desk.reach(self._handle - _SLIDE_GRASP)
        still = 1.0
        if self.compare_with_start:
            flat, upright, ball = self._desk.unmoved()
            still = 0.33 * flat + 0.33 * upright + 0.34 * ball
        return 0.9 * task + 0.1 * still

    def success(self) -> bool:
        """The door is open by 55 of its 60 cm."""
        return bool(self._door[0] > _SLIDE_OPEN)


class OpenDrawer(Goal):
    """Pull the drawer out."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._drawer = desk.joint("drawer_joint")
        self._handle = desk.geom("drawer_handle")

    def reward(self) -> float:
        """0.75 opened + 0.25 reach; opened counts to 30 cm, and the range is 48."""
        opened = abs(float(self._drawer[0])) / _DRAWER_RANGE
        return 0.75 * opened + 0.25 * self._desk.reach(self._handle)

    def success(self) -> bool:
        """The drawer is open by 20 cm."""
        return bool(self._drawer[0] < _DRAWER_OPEN)


class PushButton(Goal):
    """Press a button, so that its light goes on."""

    def __init__(self, desk: Desk, color: str) -> None:
        self._desk = desk
        self._button = desk.body(f"{color}_button")
        self._light = desk.joint(f"{color}_light")

    def reward(self) -> float:
        """0.25 pressed + 0.75 reach."""
        return 0.25 * self.success() + 0.75 * self._desk.reach(self._button)

    def success(self) -> bool:
        """The light is pushed down by its button."""
        return bool(self._light[0] < _LIGHT_ON)


class PutInBin(Goal):
    """Drop a block into the bin on the floor."""

    def __init__(self, desk: Desk, block: str) -> None:
        self._desk = desk
        self._block = desk.body(block)

    def reward(self) -> float:
        """0.5 reach + 0.5 inside."""
        return 0.5 * self._desk.reach(self._block) + 0.5 * self.success()

    def success(self) -> bool:
        """The block's centre is inside the bin."""
        return bool(((_BIN_LOW < self._block) & (self._block < _BIN_HIGH)).all())


GOALS: dict[str, Callable[[Desk], Goal]] = {
    "push_red": functools.partial(PushButton, color="red"),
    "push_green": functools.partial(PushButton, color="green"),
    "push_blue": functools.partial(PushButton, color="blue"),
    "open_slide": OpenSlide,
    "open_drawer": OpenDrawer,
    "flat_block_in_bin": functools.partial(PutInBin, block="flat_block"),
}
"""The goals of the six tasks, by the package's names."""


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    difference = a - b
    return math.sqrt(difference.dot(difference))
