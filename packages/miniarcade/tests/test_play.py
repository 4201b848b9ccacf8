"""Playing by hand."""

import os
import subprocess
import sys

import imageio.v3 as iio
import numpy as np
import pytest

import miniarcade
from miniarcade.cli import main


@pytest.fixture(autouse=True)
def no_screen(monkeypatch):
    """Windows are opened, but nowhere."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


@pytest.fixture
def start():
    """Starts playing in a window that never waits."""
    from miniarcade.play import PANEL, Player
    from miniarcade.window import Window

    windows = []

    def start(name, **kwargs):
        window = Window(name, fps=0, scale=1.0, panel=PANEL)
        windows.append(window)
        return Player(miniarcade.get_task(name), window, **{"seed": 0, **kwargs})

    yield start
    for window in windows:
        window.close()


def key(name, down=True):
    import pygame

    kind = pygame.KEYDOWN if down else pygame.KEYUP
    pygame.event.post(pygame.event.Event(kind, key=pygame.key.key_code(name)))


class Pad:
    """A gamepad that is held as it was last set."""

    def __init__(self, axes=(0.0, 0.0), hats=(), buttons=()):
        self.axes, self.hats, self.buttons = axes, hats, buttons

    def get_numaxes(self):
        return len(self.axes)

    def get_axis(self, axis):
        return self.axes[axis]

    def get_numhats(self):
        return len(self.hats)

    def get_hat(self, hat):
        return self.hats[hat]

    def get_numbuttons(self):
        return len(self.buttons)

    def get_button(self, button):
        return self.buttons[button]


def test_every_game_has_controls():
    from miniarcade.controls import CONTROLS

    games = {task.game.partition(":")[0] for task in miniarcade.tasks()}
    assert CONTROLS.keys() == games
    for task in miniarcade.tasks():
        controls = CONTROLS[task.game.partition(":")[0]]
        assert len(controls) == task.game_class().action_size


@pytest.mark.parametrize(
    ("game", "held", "action"),
    [
        ("pong", "up", [-1]),
        ("pong", "s", [1]),
        ("cowboy", "space", [1]),
        ("cowboy", "up", [1]),
        ("cowboy", "left", [0]),
        ("cartpole-balance", "a", [-1]),
        ("cartpole-balance", "right", [1]),
        ("spaceship", "d", [1, 0]),
        ("spaceship", "w", [0, -1]),
        ("bird-attack", "space", [0, 1]),
        ("reacher-easy", "down", [0, 1]),
    ],
)
def test_keys(start, game, held, action):
    player = start(game)
    player.tick()
    key(held)
    player.tick()
    assert player.action == action
    player.tick()  # still held
    assert player.action == action
    key(held, down=False)
    player.tick()
    assert player.action == [0] * len(action)


def test_opposite_keys_cancel_and_short_presses_count(start):
    player = start("pong", steps=100)
    key("up")
    key("s")
    player.tick()
    assert player.action == [0]
    key("s", down=False)
    player.tick()
    assert player.action == [-1]
    key("up", down=False)
    player.tick()
    key("down")
    key("down", down=False)
    player.tick()
    assert player.action == [1]
    player.tick()
    assert player.action == [0]


@pytest.mark.parametrize(
    ("pad", "expected"),
    [
        (Pad(), [0, 0]),
        (Pad((0.1, -0.14)), [0, 0]),  # the dead zone
        (Pad((1.0, -1.0)), [1, -1]),
        (Pad((0.575, 0.0)), [0.5, 0]),
        (Pad((1.0, 0.0), hats=[(0, 1)]), [1, -1]),  # up on the cross
        (Pad((), hats=[(-1, 0)]), [-1, 0]),
    ],
)
def test_gamepad_stick(pad, expected):
    from miniarcade.controls import CONTROLS, Gamepad

    read = [c.read(lambda key: False, Gamepad(pad)) for c in CONTROLS["spaceship"]]
    assert read == pytest.approx(expected)


def test_gamepad_buttons_and_keys_before_the_gamepad():
    import pygame

    from miniarcade.controls import CONTROLS, Gamepad

    (jump,), (move,) = CONTROLS["cowboy"], CONTROLS["pong"]
    assert jump.read(lambda key: False, Gamepad(Pad(buttons=[0, 0, 1, 0]))) == 1
    assert jump.read(lambda key: False, Gamepad(Pad(buttons=[0, 0, 0, 0, 1]))) == 0
    assert move.read(lambda key: key == pygame.K_UP, Gamepad(Pad((0.0, 1.0)))) == -1


def test_phases(start):
    player = start("pong")
    env = player.env
    player.tick()
    assert (player.phase, env.game.state.t) == ("ready", 0)
    key("up")
    player.tick()
    assert (player.phase, env.game.state.t) == ("running", 1)
    key("p")
    player.tick()
    player.tick()
    assert (player.phase, env.game.state.t) == ("paused", 1)
    key("p")
    player.tick()
    assert (player.phase, env.game.state.t) == ("running", 2)
    while player.phase == "running":
        assert player.tick()
    assert (player.phase, env.game.state.t) == ("over", 500)
    player.tick()
    assert env.game.state.t == 500
    key("r")
    player.tick()
    assert (player.phase, env.game.state.t) == ("running", 1)
    key("escape")
    assert not player.tick()


def test_what_is_played_is_the_environment(start, make):
    player, env = start("pong", seed=7, steps=50), make("pong")
    env.reset(seed=7)
    key("up")
    while player.tick():
        pass
    for _ in range(50):
        env.step([-1.0])
    assert player.env.game.state == env.game.state


@pytest.mark.parametrize("phase", ["ready", "running", "paused", "over"])
def test_every_phase_looks_different(start, phase):
    import pygame

    def look(phase):
        player = start("cartpole-balance")
        player.phase = "paused"
        player.tick()
        before = pygame.surfarray.array3d(pygame.display.get_surface())
        player.phase = phase
        player.tick()
        return before, pygame.surfarray.array3d(pygame.display.get_surface())

    before, after = look(phase)
    assert after.shape == (224, 260, 3)
    assert (before == after).all() == (phase == "paused")
    assert after[:, 224:].std() > 20  # the panel


def test_held_keys_light_up(start):
    import pygame

    player = start("pong", steps=10)
    looks = []
    for _ in range(2):
        player.tick()
        looks.append(pygame.surfarray.array3d(pygame.display.get_surface())[:40, 226:].copy())
        key("up")
    assert (looks[0] != looks[1]).any()


def test_command(capsys, tmp_path):
    path = tmp_path / "out.gif"
    arguments = ["play", "pong", "--seed", "3", "--scale", "1", "--fps", "500", "--steps", "12"]
    assert main([*arguments, "--record", str(path)]) == 0
    frames = iio.imread(path, index=None)
    assert frames.shape[1:] == (224, 224, 3)
    assert len(frames) == 12
    out = capsys.readouterr().out
    assert "pong: score 0.50 after 12 steps (return 0.0)" in out
    assert "out.gif (12 frames)" in out


def error_of(capsys, *arguments):
    try:
        status = main(arguments)
    except SystemExit as end:
        status = end.code
    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def test_unknown_games(capsys):
    assert "the nearest are pong" in error_of(capsys, "play", "pnog")
    assert "cartpole-balance, cartpole-swingup" in error_of(capsys, "play", "cartpole")
    assert "coconut-dodge" in error_of(capsys, "play", "miniarcade/coconut_dogde-v0")


def test_wrong_arguments(capsys, tmp_path):
    for option, value in (("--fps", "0"), ("--scale", "big"), ("--steps", "-1"), ("--seed", "x")):
        assert option in error_of(capsys, "play", "pong", option, value)
    assert ".gif" in error_of(capsys, "play", "pong", "--record", "out.mp4")
    nowhere = str(tmp_path / "nowhere" / "out.gif")
    assert "nowhere" in error_of(capsys, "play", "pong", "--record", nowhere)
    assert "play" in error_of(capsys, "plya")
    assert "list" in error_of(capsys)


def test_recording_names_its_extra_as_the_reader_installs_it(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio.v3", None)
    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)
    error = error_of(capsys, "play", "pong", "--record", "out.gif")
    assert ": pip install 'miniarcade[record]'" in error
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    error = error_of(capsys, "play", "pong", "--record", "out.gif")
    assert ": uv pip install 'miniarcade[record]'" in error


@pytest.mark.parametrize("driver", [None, "x11"])
def test_no_display(capsys, monkeypatch, driver):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    if driver:
        monkeypatch.setenv("SDL_VIDEODRIVER", driver)
    assert "xvfb-run" in error_of(capsys, "play", "pong")


def _extent(pixels):
    """Height and width of what is not black."""
    rows, columns = np.nonzero((pixels > 0).any(axis=2))
    return (int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1) if len(rows) else (0, 0)


def test_in_a_real_window(screen):
    """What an X server shows is the picture and the panel."""
    environment = {k: v for k, v in os.environ.items() if k != "SDL_VIDEODRIVER"}
    game = subprocess.Popen(
        [sys.executable, "-m", "miniarcade", "play", "cowboy", "--steps", "499"],
        env={**environment, "DISPLAY": screen.display, "SDL_AUDIODRIVER": "dummy"},
    )
    try:
        # A frame may be seen while it is being drawn.
        shown = screen.wait_for(lambda pixels: _extent(pixels) == (672 + 108, 672))
    finally:
        game.terminate()
        game.wait()
    assert _extent(shown) == (672 + 108, 672)
    top = np.flatnonzero((shown > 0).any(axis=(1, 2)))[0]
    sky, sand = shown[top + 20, 400], shown[top + 660, 400]
    assert sky[2] > sky[0] and sand[0] > sand[2]  # blue above, yellow below
