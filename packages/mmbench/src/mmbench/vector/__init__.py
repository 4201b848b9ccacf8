"""Many tasks as one vector environment."""

from mmbench.vector.multitask import MultitaskVectorEnv

__all__ = ["MultitaskVectorEnv"]
