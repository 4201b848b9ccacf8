"""Random draws of the games, all made from `Generator.random`.

A scalar `random()` costs a fraction of what `uniform` and `integers` cost, and its stream is the
same in every version of NumPy, so that a seed names the same episode everywhere.
"""

from numpy.random import Generator


def uniform(rng: Generator, low: float, high: float) -> float:
    """A real number from [low, high)."""
    return low + (high - low) * rng.random()


def integer(rng: Generator, low: int, high: int) -> int:
    """A whole number from {low, ..., high}, both ends included."""
    return low + int((high - low + 1) * rng.random())


def whole(u: float, low: int, high: int) -> int:
    """The number of {low, ..., high} that `u`, from [0, 1), stands for."""
    return low + int((high - low + 1) * u)


def sign(rng: Generator) -> int:
    """-1 or +1, equally likely."""
    return 1 if rng.random() < 0.5 else -1
