"""Fixtures that several test modules share; they live in ``tests/support``."""

import pytest
from file_server import serve
from maniskill_pair import pair
from maniskill_scenes import make, stand_in_data
from virtual_screen import screen

from mmbench import rendering

__all__ = ["make", "pair", "screen", "serve", "stand_in_data"]


@pytest.fixture
def needs_backend():
    """Skips where this machine lacks an OpenGL backend, by name; None: where it lacks all."""

    def needs(name: str | None) -> None:
        works = {"egl": rendering._egl_works, "osmesa": rendering._osmesa_works}
        if not (works[name]() if name else rendering.backend()):
            pytest.skip(f"no OpenGL library for {name or 'headless frames'} here")

    return needs
