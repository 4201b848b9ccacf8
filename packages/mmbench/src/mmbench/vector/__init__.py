"""Many tasks as one vector environment."""

from mmbench.catalog import EnvironmentFailure
from mmbench.vector.multitask import MultitaskVectorEnv

__all__ = ["EnvironmentFailure", "MultitaskVectorEnv"]
