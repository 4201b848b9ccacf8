"""Fixtures that several test modules share; they live in ``tests/support``."""

from file_server import serve
from maniskill_pair import pair
from maniskill_scenes import make, stand_in_data
from virtual_screen import screen

__all__ = ["make", "pair", "screen", "serve", "stand_in_data"]
