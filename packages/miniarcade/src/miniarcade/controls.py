"""What keys and gamepads do: from what is held down to a continuous action."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import pygame

DEAD_ZONE = 0.15  # share of a stick's way that counts as its centre

Keys = tuple[int, ...]

_LEFT: Keys = (pygame.K_LEFT, pygame.K_a)
_RIGHT: Keys = (pygame.K_RIGHT, pygame.K_d)
_UP: Keys = (pygame.K_UP, pygame.K_w)
_DOWN: Keys = (pygame.K_DOWN, pygame.K_s)
_SPACE: Keys = (pygame.K_SPACE, pygame.K_RETURN)


@dataclass(frozen=True, slots=True)
class Control:
    """How a player moves one entry of the action.

    Attributes:
        label: What it does, in a word.
        negative: The keys for -1; each stands for the same.
        positive: The keys for +1.
        stick: The gamepad's stick axis, 0 across and 1 up and down; None for its buttons.
    """

    label: str
    negative: Keys
    positive: Keys
    stick: int | None = None

    def read(self, held: Callable[[int], bool], pad: Gamepad | None) -> float:
        """The entry of the action, in [-1, 1].

        Args:
            held: Whether a key is held down.
            pad: The gamepad, if there is one; it counts while no key is held.
        """
        value = float(any(map(held, self.positive))) - float(any(map(held, self.negative)))
        if value == 0.0 and pad is not None:
            return pad.button() if self.stick is None else pad.stick(self.stick)
        return value

    def caps(self, held: Callable[[int], bool] | None = None) -> list[int]:
        """The first key each way; with `held`, where one of the keys that way is held."""
        return [
            keys[0]
            for keys in (self.negative, self.positive)
            if keys and (held is None or any(map(held, keys)))
        ]


def _across(label: str) -> Control:
    return Control(label, _LEFT, _RIGHT, stick=0)


def _up_and_down(label: str) -> Control:
    return Control(label, _UP, _DOWN, stick=1)


_MOVE = (_across("move"), _up_and_down("move"))
_JUMP = (Control("jump", (), (*_SPACE, *_UP)),)

# By module of the game, the entries of its action.
CONTROLS: dict[str, tuple[Control, ...]] = {
    "cowboy": _JUMP,
    "coinrun": _JUMP,
    "spaceship": _MOVE,
    "pong": (_up_and_down("move"),),
    "bird_attack": (_across("move"), Control("fire", (), (*_SPACE, *_UP))),
    "highway": _MOVE,
    "landing": _MOVE,
    "air_hockey": _MOVE,
    "rocket_collect": _MOVE,
    "chase_evade": _MOVE,
    "coconut_dodge": (_across("move"),),
    "cartpole": (_across("push"),),
    "point_maze": _MOVE,
    "reacher": (_across("shoulder"), _up_and_down("elbow")),
}


class Joystick(Protocol):
    """What is needed of a `pygame.joystick.JoystickType`."""

    def get_numaxes(self) -> int: ...  # noqa: D102
    def get_axis(self, axis: int, /) -> float: ...  # noqa: D102
    def get_numhats(self) -> int: ...  # noqa: D102
    def get_hat(self, hat: int, /) -> tuple[float, float]: ...  # noqa: D102
    def get_numbuttons(self) -> int: ...  # noqa: D102
    def get_button(self, button: int, /) -> bool: ...  # noqa: D102


class Gamepad:
    """The left stick, the cross and the four front buttons of a gamepad."""

    def __init__(self, joystick: Joystick) -> None:
        """Reads `joystick` from now on."""
        self._joystick = joystick

    def stick(self, axis: int) -> float:
        """Where the cross, or else the stick, is: -1 left or up, +1 right or down."""
        if self._joystick.get_numhats():
            cross = self._joystick.get_hat(0)[axis]
            if cross:
                return cross if axis == 0 else -cross
        if axis >= self._joystick.get_numaxes():
            return 0.0
        value = self._joystick.get_axis(axis)
        if abs(value) < DEAD_ZONE:
            return 0.0
        way = (abs(value) - DEAD_ZONE) / (1 - DEAD_ZONE)
        return min(way, 1.0) if value > 0 else -min(way, 1.0)

    def button(self) -> float:
        """1.0 while one of the front buttons is held."""
        count = min(4, self._joystick.get_numbuttons())
        return float(any(self._joystick.get_button(i) for i in range(count)))
