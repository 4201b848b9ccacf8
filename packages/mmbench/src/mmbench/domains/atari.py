"""Atari 2600 games played with a continuous joystick, 27 tasks.

Facts (arXiv 2511.19584, appendix A; ale-py 0.12.1): the Arcade Learning Environment as its ``v5``
ids set it up, with continuous actions, without sticky actions, four frames an agent step; the
observation is the console's 128 bytes of RAM. Losing a life changes nothing. A game that ends
before the episode stands still, with rewards of 0.

ALE's interface is driven directly. Without sticky actions it draws nothing at random: every
episode of a game starts alike and is a function of the actions alone. Loading a ROM takes longer
than a hundred agent steps, and ALE's own reset leaves traces of the episode before in the RAM of
some games. So each console keeps the state in which its first episode started, and goes back to
it.

Source: Farebrother and Castro (2024), "CALE: Continuous Arcade Learning Environment".
"""

from __future__ import annotations

import math
import re
import warnings
from pathlib import Path

import numpy as np

from miniarcade.snapshot import Form
from mmbench.catalog import Task
from mmbench.domains.simulator import Simulator

with warnings.catch_warnings():  # the package changes the user's filters when it is imported
    from ale_py import Action, ALEInterface, ALEState, LoggerMode, roms

# Not get_rom_path: it would use, and print, ROMs of the user's, perhaps of other versions.
_ROMS = Path(roms.__file__).parent

_THRESHOLD = 0.5  # of the joystick's way, and of the fire button's
_SEED = 0  # drawn from by sticky actions only, which are off

_HEIGHT, _WIDTH = 210, 160  # pixels of a screen; of every game here
_FRAME = 224
_TOP, _LEFT = (_FRAME - _HEIGHT) // 2, (_FRAME - _WIDTH) // 2
_COLORS = 256  # numbers that a pixel may hold

_BYTE = np.float32(255)

_ACTIONS = {
    # (right, up, fire), each direction -1, 0 or 1
    (0, 0, False): Action.NOOP,
    (0, 0, True): Action.FIRE,
    (0, 1, False): Action.UP,
    (1, 0, False): Action.RIGHT,
    (-1, 0, False): Action.LEFT,
    (0, -1, False): Action.DOWN,
    (1, 1, False): Action.UPRIGHT,
    (-1, 1, False): Action.UPLEFT,
    (1, -1, False): Action.DOWNRIGHT,
    (-1, -1, False): Action.DOWNLEFT,
    (0, 1, True): Action.UPFIRE,
    (1, 0, True): Action.RIGHTFIRE,
    (-1, 0, True): Action.LEFTFIRE,
    (0, -1, True): Action.DOWNFIRE,
    (1, 1, True): Action.UPRIGHTFIRE,
    (-1, 1, True): Action.UPLEFTFIRE,
    (1, -1, True): Action.DOWNRIGHTFIRE,
    (-1, -1, True): Action.DOWNLEFTFIRE,
}


def make(task: Task, frames: bool) -> AtariSimulator:
    """Builds the simulator of a game (see :mod:`mmbench.domains`)."""
    return AtariSimulator(task.native, task.action_repeat, scale_beside_frames=task.version > 0)


class AtariSimulator(Simulator):
    """One game console.

    Args:
        game: ALE's name of the game, such as ``MsPacman``.
        frameskip: Emulated frames per agent step.
        scale_beside_frames: Version 1: RAM observed together with a frame is divided by 255, as
            it is where it is observed alone.
    """

    def __init__(self, game: str, frameskip: int, scale_beside_frames: bool) -> None:
        ALEInterface.setLoggerMode(LoggerMode.Error)  # or it prints a banner; ALE has one logger
        self._ale = ALEInterface()
        self._ale.setFloat("repeat_action_probability", 0.0)
        self._ale.setInt("random_seed", _SEED)
        self._ale.loadROM(_ROMS / f"{_rom(game)}.bin")
        self._ale.reset_game()
        self._frameskip = frameskip
        self._scale_beside_frames = scale_beside_frames
        self._ram = np.empty(self._ale.getRAMSize(), np.uint8)
        self._start = self._clone()
        self._start_screen = self._read_screen()
        self._screen: tuple[np.ndarray, np.ndarray] | None = None
        """The screen to show instead of ALE's, which is out of date once a state is restored."""

    def reset(self, rng: np.random.Generator) -> None:
        """Goes back to the start of the game; nothing is drawn."""
        self._ale.restoreState(self._start)
        self._screen = self._start_screen
        self._ale.getRAM(self._ram)

    def step(self, action: np.ndarray) -> tuple[float, float]:
        """Holds joystick and button for ``frameskip`` frames.

        Args:
            action: How far the joystick is pushed (-1: not at all, 1: all the way), in which
                direction (-1 to 1: once around, 0: right, 0.5: up), and the button (above 0:
                pressed).

        Returns:
            Points won minus points lost, and success, which no game defines.
        """
        button, strength = joystick(*action.tolist())
        act = self._ale.act
        reward = 0
        for _ in range(self._frameskip):
            reward += act(button, strength)
        self._screen = None
        self._ale.getRAM(self._ram)
        return float(reward), math.nan

    @property
    def lives(self) -> int:
        """Lives that are left; 0 in games without."""
        return int(self._ale.lives())

    def observe(self, out: np.ndarray) -> None:
        """Writes the RAM, divided by 255."""
        np.divide(self._ram, _BYTE, out=out)

    def observe_beside_frame(self, out: np.ndarray) -> None:
        """Writes the RAM, in version 0 as it is: 0 to 255."""
        if self._scale_beside_frames:
            self.observe(out)
        else:
            out[:] = self._ram

    def render(self) -> np.ndarray:
        """Puts the screen, 210 x 160, into the middle of a black frame."""
        frame = np.zeros((_FRAME, _FRAME, 3), np.uint8)
        if self._screen is None:
            screen = self._ale.getScreenRGB()
        else:
            numbers, palette = self._screen
            screen = palette[numbers]
        frame[_TOP : _TOP + _HEIGHT, _LEFT : _LEFT + _WIDTH] = screen
        return frame

    def get_state(self) -> dict[str, np.ndarray]:
        """Returns ALE's serialised ``state`` with its generator, and what the screen shows.

        ALE draws the screen while it steps and does not save it. ``task/screen`` (210, 160) holds
        the pixels' colour numbers, ``task/palette`` (256, 3) the colours of those that occur.
        """
        numbers, palette = self._screen or self._read_screen()
        return {
            "state": np.frombuffer(self._clone().serialize(), np.uint8).copy(),
            "task/screen": numbers.copy(),
            "task/palette": palette.copy(),
        }

    def state_forms(self) -> dict[str, Form]:
        """Those of :meth:`get_state`, except that the length of ALE's state varies."""
        return {**super().state_forms(), "state": ((None,), np.uint8)}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restores a state; where it has no screen, frames are black until the next step.

        Raises:
            ValueError: ALE cannot read the state; the game is then as before.
        """
        before = self._clone()
        wanted = state["state"].tobytes()
        try:
            self._ale.restoreState(ALEState(wanted))
            # ALE notices the end of what it reads, and another game; not bytes that are left
            # over, nor those that mean nothing.
            if self._clone().serialize() != wanted:
                raise ValueError("not a state")
        except (RuntimeError, SystemError, ValueError) as error:
            # SystemError: the wrapper lets C++ exceptions through.
            self._ale.restoreState(before)
            raise ValueError("Atari: ALE cannot read this state") from error
        self._ale.getRAM(self._ram)
        screen, palette = state.get("task/screen"), state.get("task/palette")
        if screen is None or palette is None:
            screen, palette = (
                np.zeros((_HEIGHT, _WIDTH), np.uint8),
                np.zeros((_COLORS, 3), np.uint8),
            )
        self._screen = (screen, palette)

    def _clone(self) -> ALEState:
        return self._ale.cloneState(include_rng=True)

    def _read_screen(self) -> tuple[np.ndarray, np.ndarray]:
        numbers = self._ale.getScreen()
        palette = np.zeros((_COLORS, 3), np.uint8)
        palette[numbers] = self._ale.getScreenRGB()
        return numbers, palette


def joystick(push: float, direction: float, button: float) -> tuple[Action, float]:
    """Turns a continuous action into one of the console's 18, as ALE does.

    Args:
        push: -1 (centre) to 1 (all the way).
        direction: -1 to 1, once around; 0 is right, 0.5 up.
        button: -1 to 1, pressed above 0.

    Returns:
        The action, and the push in [0, 1]; games played with paddles (Pong) turn as fast.
    """
    radius = 0.5 * (push + 1.0)
    angle = math.pi * direction
    right, up = radius * math.cos(angle), radius * math.sin(angle)
    fire = 0.5 * (button + 1.0) > _THRESHOLD
    return _ACTIONS[_side(right), _side(up), fire], radius


def _side(position: float) -> int:
    """-1, 0 or 1: which side of the joystick's centre counts as pressed."""
    return (position > _THRESHOLD) - (position < -_THRESHOLD)


def _rom(game: str) -> str:
    """The file of a game: ``ms_pacman`` of ``MsPacman``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", game).lower()
