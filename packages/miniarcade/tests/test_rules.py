"""Rules that games share: boxes, against pygame's own rectangles, and random numbers."""

import numpy as np
import pygame
from hypothesis import given
from hypothesis import strategies as st

from miniarcade.rules import boxes_overlap, integer, sign, uniform

corner = st.floats(-30, 30)
side = st.integers(1, 20)
box = st.tuples(corner, corner, side, side)


@given(box, box)
def test_same_as_pygame(a, b):
    first = pygame.Rect(int(a[0]), int(a[1]), a[2], a[3])
    second = pygame.Rect(int(b[0]), int(b[1]), b[2], b[3])
    assert boxes_overlap(*a, *b) == first.colliderect(second)


def test_touching_is_not_overlapping():
    assert not boxes_overlap(0, 0, 10, 10, 10, 0, 10, 10)
    assert not boxes_overlap(0, 0, 10, 10, 0, 10, 10, 10)
    assert boxes_overlap(0, 0, 10, 10, 9.99, 9.99, 10, 10)


def test_random_numbers():
    rng = np.random.default_rng(0)
    wholes = [integer(rng, -2, 3) for _ in range(3000)]
    assert sorted(set(wholes)) == [-2, -1, 0, 1, 2, 3]
    assert all(400 < wholes.count(value) < 600 for value in set(wholes))
    reals = [uniform(rng, 2.0, 5.0) for _ in range(3000)]
    assert 2.0 <= min(reals) < 2.01 < 4.99 < max(reals) < 5.0
    assert abs(np.mean([sign(rng) for _ in range(3000)])) < 0.1
