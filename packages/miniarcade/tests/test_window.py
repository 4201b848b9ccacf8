"""The human render mode."""

import numpy as np
import pytest


def test_window_shows_the_picture(make, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    import pygame

    env, plain = make("pong", render_mode="human"), make("pong", render_mode="rgb_array")
    env.reset(seed=0)
    plain.reset(seed=0)
    for _ in range(3):
        env.step([0.5])
        plain.step([0.5])
    screen = pygame.display.get_surface()
    shown = pygame.surfarray.array3d(pygame.transform.smoothscale(screen, (224, 224)))
    np.testing.assert_array_equal(shown.transpose(1, 0, 2), plain.render())
    env.close()
    assert not pygame.display.get_init()
    env.close()


def test_no_display(make, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    monkeypatch.delenv("DISPLAY", raising=False)
    env = make("pong", render_mode="human")
    with pytest.raises(RuntimeError, match="xvfb"):
        env.reset(seed=0)


def test_unknown_render_mode():
    from miniarcade.arcade import ArcadeEnv

    with pytest.raises(ValueError, match="render mode"):
        ArcadeEnv("pong", render_mode="ansi")
