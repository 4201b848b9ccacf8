"""The human render mode, on a screen without a monitor."""

import gc
import os

import numpy as np
import pygame
import pytest

from miniarcade.viewer import Viewer

PICTURE = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
OTHER = PICTURE[::-1]


@pytest.fixture
def viewer(screen):
    viewer = Viewer("test", fps=1000)
    viewer.show(PICTURE)
    yield viewer
    viewer.close()


def test_window_shows_the_picture(make, screen):
    env, plain = make("pong", render_mode="human"), make("pong", render_mode="rgb_array")
    env.reset(seed=0)
    plain.reset(seed=0)
    for _ in range(3):
        env.step([0.5])
        plain.step([0.5])
    plain.render()
    assert screen.shows(plain._canvas.to_fine_array())
    env.close()
    assert screen.shows(np.zeros((672, 672, 3)))
    env.close()


def test_frames_follow_one_another_at_any_scale(screen):
    viewer = Viewer("test", fps=1000, scale=3)
    for frame in (PICTURE, OTHER, PICTURE):
        viewer.show(frame)
        assert screen.shows(frame.repeat(3, axis=0).repeat(3, axis=1))
    viewer.close()


def test_several_windows_live_on_their_own(screen, viewer, monkeypatch):
    monkeypatch.setenv("SDL_VIDEO_WINDOW_POS", "700,0")
    beside = Viewer("beside", fps=1000)
    beside.show(OTHER)
    assert screen.shows(PICTURE) and screen.shows(OTHER, left=700)
    beside.close()
    viewer.show(OTHER)
    assert screen.shows(OTHER)


@pytest.mark.filterwarnings("ignore:.*was closed")
def test_a_window_that_the_user_closes_stays_closed(screen, viewer):
    process = viewer._process
    screen.close_windows()
    process.wait(timeout=20)  # although nothing is shown meanwhile
    with pytest.warns(UserWarning, match="'test' was closed"):
        viewer.show(OTHER)
    viewer.show(PICTURE)
    assert screen.shows(np.zeros_like(PICTURE))


def test_a_display_that_goes_away_ends_nothing_else(screen, viewer):
    screen.stop()
    viewer._process.wait(timeout=20)
    with pytest.warns(UserWarning, match=r"'test' is gone \(.*X.*\)"):
        viewer.show(OTHER)
    viewer.show(PICTURE)


def test_a_window_that_nobody_closes_goes_with_its_environment(screen, viewer):
    beside = Viewer("dropped", fps=1000)
    beside.show(OTHER)
    process = beside._process
    del beside
    gc.collect()
    assert process.poll() is not None
    assert screen.shows(PICTURE)


def test_an_interrupted_frame_is_never_shown_as_the_next(screen, viewer, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(viewer, "_reply", interrupt)
        with pytest.raises(KeyboardInterrupt):
            viewer.show(OTHER)
    for frame in (PICTURE, OTHER):
        viewer.show(frame)
        assert screen.shows(frame)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_windows_of_its_own(screen, viewer):
    child = os.fork()
    if child == 0:
        os.environ["SDL_VIDEO_WINDOW_POS"] = "700,0"
        viewer.show(OTHER)
        ours = screen.shows(OTHER, left=700)
        viewer.close()
        os._exit(0 if ours else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0
    assert screen.shows(PICTURE)
    viewer.show(OTHER)
    assert screen.shows(OTHER)


@pytest.mark.parametrize("driver", ["x11", None])
def test_no_display(make, monkeypatch, driver):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    if driver:
        monkeypatch.setenv("SDL_VIDEODRIVER", driver)
    env = make("pong", render_mode="human")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no window can be opened.*rgb_array.*xvfb"):
            env.reset(seed=0)
    env.close()
    assert not pygame.display.get_init()


def test_unknown_render_mode():
    from miniarcade.arcade import ArcadeEnv

    with pytest.raises(ValueError, match="render mode"):
        ArcadeEnv("pong", render_mode="ansi")
