"""Demonstrations: how they are recorded, stored, replayed and loaded.

With the extra ``demos``::

    from mmbench import demos

    dataset = demos.load("walker-walk")  # a minari.MinariDataset
    for episode in dataset:
        episode.observations, episode.actions, episode.rewards

* :mod:`mmbench.demos.tape`: what is shipped, seeds and actions.
* :mod:`mmbench.demos.dataset`: what is loaded, and :mod:`mmbench.demos.replay` between the two.
* :mod:`mmbench.demos.experts`: who plays; :mod:`mmbench.demos.collect` lets them.
* :mod:`mmbench.demos.bars`: what is good enough.
* :mod:`mmbench.demos.verify`: whether all of it still holds.
"""

from mmbench.demos.places import find_tape, is_held_out
from mmbench.demos.replay import HeldOutError, NoDemonstrationsError, load
from mmbench.demos.tape import TapeError

__all__ = [
    "HeldOutError",
    "NoDemonstrationsError",
    "TapeError",
    "find_tape",
    "is_held_out",
    "load",
]
