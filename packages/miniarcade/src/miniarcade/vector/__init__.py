"""Many environments as arrays: what `gymnasium.make_vec` makes of a task that has it.

A game whose steps cost less as arrays over the environments has a second implementation here, in
a module of the same name, with the results of single environments to the last bit.
"""

from miniarcade.vector.env import VectorArcadeEnv

__all__ = ["VectorArcadeEnv"]
