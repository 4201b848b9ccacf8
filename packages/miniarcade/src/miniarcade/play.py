"""Playing by hand, in a window: `miniarcade play <game>`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pygame

from miniarcade.arcade import ArcadeEnv
from miniarcade.controls import CONTROLS, Control, Gamepad
from miniarcade.drawing import Canvas
from miniarcade.palette import BLACK, DARK_GREY, GREY, ORANGE, WHITE, Color
from miniarcade.recording import Recorder
from miniarcade.registry import Task
from miniarcade.rules import SIZE
from miniarcade.window import Window

PANEL = 36  # world px, height of the panel below the picture

# A gamepad's middle buttons, as SDL numbers those of most pads.
_PAD_RESTART, _PAD_PAUSE = 6, 7

Phase = Literal["ready", "running", "paused", "over"]


def open_window(task: Task, scale: float = 3.0, fps: int = 30) -> Window:
    """Opens the window that `play` needs.

    Args:
        task: What will be played.
        scale: Screen pixels a world pixel.
        fps: Steps, and so pictures, a second.

    Raises:
        RuntimeError: If there is no display.
    """
    return Window(f"MiniArcade: {task.name}", fps, scale, PANEL)


def play(
    task: Task,
    window: Window,
    seed: int | None = None,
    recorder: Recorder | None = None,
    steps: int | None = None,
) -> None:
    """Plays until the window is closed; prints the score of every episode.

    Args:
        task: What is played.
        window: From `open_window`; closed in the end.
        seed: Of the first episode; the following ones go on with its generator.
        recorder: Records what is played.
        steps: Starts at once and ends after so many steps, or with the episode.
    """
    player = Player(task, window, seed, recorder, steps)
    try:
        while player.tick():
            pass
    except KeyboardInterrupt:
        pass  # as good as closing the window
    finally:
        window.close()
        pygame.joystick.quit()
    player.report()
    if recorder is not None:
        recorder.write()
        print(f"wrote {recorder.path} ({len(recorder.frames)} frames)")


class Player:
    """Someone at a game: the environment, the keys held down, and the picture.

    Attributes:
        env: The environment.
        phase: `ready` before the first key, `running`, `paused`, or `over` with the episode.
        action: The last action.
    """

    def __init__(
        self,
        task: Task,
        window: Window,
        seed: int | None = None,
        recorder: Recorder | None = None,
        steps: int | None = None,
    ) -> None:
        """Starts the first episode; see `play`."""
        self.env = ArcadeEnv(task)
        self.controls = CONTROLS[task.game.partition(":")[0]]
        self.phase: Phase = "ready" if steps is None else "running"
        self.action = [0.0] * len(self.controls)
        self._window = window
        self._hud = Hud(window)
        self._canvas = Canvas()
        self._recorder = recorder
        self._steps_left = steps
        self._t = 0  # of the episode
        self._return = 0.0
        self._recorded = -1  # the last step of the episode that was
        self._reported = False  # the score of the episode was printed
        self._held: set[int] = set()
        self._tapped: set[int] = set()  # since the last step, perhaps released again
        self._pad: Gamepad | None = None
        pygame.joystick.init()
        self._restart(seed)

    def tick(self) -> bool:
        """Handles what was pressed, makes a step if the game runs, and shows a picture.

        Returns:
            Whether to go on.
        """
        if not self._handle_events():
            return False
        if self.phase == "running":
            self._step()
        self.env.game.draw(self._canvas)
        if self._recorder is not None and self._recorded != self._t:
            self._recorder.add(self._canvas.to_array())
            self._recorded = self._t
        self._window.show(self._canvas, self._draw_over)
        return self._steps_left != 0

    def _step(self) -> None:
        self.action = [control.read(self._is_held, self._pad) for control in self.controls]
        self._tapped.clear()
        _, reward, _, truncated, self._info = self.env.step(self.action)  # type: ignore[arg-type]
        self._return += reward
        self._t += 1
        if self._steps_left is not None:
            self._steps_left = 0 if truncated else self._steps_left - 1
        if truncated:
            self.phase = "over"
            self.report()

    def report(self) -> None:
        """Prints the score of the episode, once."""
        if not self._reported and self._t:
            self._reported = True
            print(
                f"{self.env.task.name}: score {self._info['score']:.2f} after {self._t} steps "
                f"(return {self._return:.1f})",
                flush=True,
            )

    def _restart(self, seed: int | None = None) -> None:
        _, self._info = self.env.reset(seed=seed)
        self._return = 0.0
        self._t = 0
        self._recorded = -1
        self._reported = False

    # What is pressed

    def _handle_events(self) -> bool:
        """False if the player quits."""
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                return False
            if event.type == pygame.KEYDOWN:
                self._held.add(event.key)
                self._tapped.add(event.key)
                if event.key == pygame.K_ESCAPE:
                    return False
                self._press(
                    restart=event.key == pygame.K_r,
                    pause=event.key == pygame.K_p,
                )
            elif event.type == pygame.KEYUP:
                self._held.discard(event.key)
            elif event.type == pygame.WINDOWFOCUSLOST:
                self._held.clear()
            elif event.type == pygame.JOYDEVICEADDED:
                self._pad = Gamepad(pygame.joystick.Joystick(event.device_index))
            elif event.type == pygame.JOYDEVICEREMOVED:
                self._pad = None
            elif event.type == pygame.JOYBUTTONDOWN:
                self._press(restart=event.button == _PAD_RESTART, pause=event.button == _PAD_PAUSE)
        return True

    def _press(self, restart: bool, pause: bool) -> None:
        """Changes the phase by a key or button; the controls are read in each step."""
        if restart:
            self.report()
            self._restart()
            self.phase = "running"
        elif self.phase == "ready":
            self.phase = "running"
        elif pause and self.phase in ("running", "paused"):
            self.phase = "paused" if self.phase == "running" else "running"

    def _is_held(self, key: int) -> bool:
        return key in self._held or key in self._tapped

    # What is shown

    def _draw_over(self) -> None:
        hud = self._hud
        left = self.env.task.max_episode_steps - self._t
        hud.panel(left / self.env.task.max_episode_steps)
        hud.controls(self.controls, self._is_held)
        hud.score(self._info["score"], self._return)
        if self.phase == "ready":
            hud.banner(self.env.task.goal, "press a key to start")
        elif self.phase == "paused":
            hud.banner("Paused", "P to go on")
        elif self.phase == "over":
            hud.banner(f"Score {self._info['score']:.2f}", "R to play again, Esc to quit")


class Hud:
    """Draws the panel below the picture, and banners over it, in world pixels."""

    def __init__(self, window: Window) -> None:
        """Draws on `window`."""
        pygame.font.init()
        self._surface = window.surface
        self._scale = window.scale
        self._fonts: dict[float, pygame.font.Font] = {}

    def panel(self, time_left: float) -> None:
        """The empty panel, with the time left (from 1 to 0) along its upper edge."""
        self._rect(BLACK, 0, SIZE, SIZE, PANEL)
        self._rect(DARK_GREY, 0, SIZE, SIZE, 1.2)
        self._rect(GREY, 0, SIZE, SIZE * time_left, 1.2)
        self._text("P pause   R restart   Esc quit", (8, SIZE + 27.5), 8, GREY, "midleft")

    def controls(self, controls: tuple[Control, ...], held: Callable[[int], bool]) -> None:
        """The keys of each control and what they do; those that are held light up."""
        x = 8.0
        groups: dict[str, list[int]] = {}
        for control in controls:
            groups.setdefault(control.label, []).extend(control.caps())
        pressed = {cap for control in controls for cap in control.caps(held)}
        for label, caps in groups.items():
            for key in caps:
                x = self._cap(key, x, key in pressed) + 2
            x = self._text(label, (x + 2, SIZE + 12), 10, WHITE, "midleft") + 10

    def score(self, score: float, total: float) -> None:
        """The score so far, also as a bar, and the return."""
        right = SIZE - 8
        self._text(f"score {score:.2f}", (right, SIZE + 12), 11, WHITE, "midright")
        self._text(f"return {total:.1f}", (right - 62, SIZE + 27.5), 8, GREY, "midright")
        self._rect(DARK_GREY, right - 54, SIZE + 25.5, 54, 4, 2)
        self._rect(ORANGE, right - 54, SIZE + 25.5, 54 * score, 4, 2)

    def banner(self, title: str, hint: str) -> None:
        """Two lines in the middle of the picture, which is dimmed."""
        side = round(SIZE * self._scale)
        veil = pygame.Surface((side, side), pygame.SRCALPHA)
        veil.fill((*BLACK, 150))
        self._surface.blit(veil, (0, 0))
        size = min(20.0, 350.0 / len(title))  # so that it fits the width
        self._text(title, (SIZE / 2, SIZE / 2 - 10), size, WHITE, "center")
        self._text(hint, (SIZE / 2, SIZE / 2 + 10), 11, ORANGE, "center")

    def _cap(self, key: int, x: float, lit: bool) -> float:
        """Draws a key with its left edge at `x`; returns its right edge."""
        y, height = SIZE + 6.0, 12.0
        width = 30.0 if key == pygame.K_SPACE else height
        self._rect(ORANGE if lit else DARK_GREY, x, y, width, height, 2.5)
        color = BLACK if lit else WHITE
        ways = {
            pygame.K_LEFT: (-1, 0),
            pygame.K_RIGHT: (1, 0),
            pygame.K_UP: (0, -1),
            pygame.K_DOWN: (0, 1),
        }
        if key in ways:
            (dx, dy), cx, cy, r = ways[key], x + width / 2, y + height / 2, 3.0
            points = [
                (cx + r * dx, cy + r * dy),
                (cx - r * dx - r * dy, cy - r * dy - r * dx),
                (cx - r * dx + r * dy, cy - r * dy + r * dx),
            ]
            fine = [(px * self._scale, py * self._scale) for px, py in points]
            pygame.draw.polygon(self._surface, color, fine)
        else:
            name = pygame.key.name(key)
            self._text(name, (x + width / 2, y + height / 2), 8, color, "center")
        return x + width

    def _rect(
        self, color: Color, x: float, y: float, width: float, height: float, radius: float = 0
    ) -> None:
        k = self._scale
        box = pygame.Rect(round(x * k), round(y * k), round(width * k), max(1, round(height * k)))
        pygame.draw.rect(self._surface, color, box, border_radius=round(radius * k))

    def _text(
        self, text: str, at: tuple[float, float], size: float, color: Color, anchor: str
    ) -> float:
        """Writes one line; returns its right edge."""
        if size not in self._fonts:
            self._fonts[size] = pygame.font.Font(None, max(8, round(1.25 * size * self._scale)))
        image = self._fonts[size].render(text, True, color)
        place = (round(at[0] * self._scale), round(at[1] * self._scale))
        box = image.get_rect(**{anchor: place})
        self._surface.blit(image, box)
        return box.right / self._scale
