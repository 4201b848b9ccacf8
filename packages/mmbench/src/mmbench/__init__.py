"""MMBench: 220 continuous-control tasks from ten domains behind one Gymnasium interface.

Importing the package registers every task and loads no simulator::

    import gymnasium as gym
    import mmbench

    env = gym.make("mmbench/walker-walk-v0")
    obs, info = env.reset(seed=0)
    obs, reward, terminated, truncated, info = env.step(env.action_space.sample())

Source: "Learning Massively Multitask World Models for Continuous Control",
arXiv 2511.19584.
"""

import gymnasium

from mmbench import catalog, language
from mmbench.catalog import (
    Domain,
    InvalidTaskError,
    Task,
    TaskUnavailableError,
    UnknownTaskError,
    gym_task,
    tasks,
)
from mmbench.registration import load_packages, register, register_id

__version__ = "0.1.0"

__all__ = [
    "Domain",
    "InvalidTaskError",
    "Task",
    "TaskUnavailableError",
    "UnknownTaskError",
    "__version__",
    "catalog",
    "gym_task",
    "language",
    "register",
    "tasks",
]

for _task in catalog.TASKS:
    register_id(_task)
gymnasium.register(
    id="mmbench/multitask-v0",
    vector_entry_point="mmbench.vector:MultitaskVectorEnv",
)
load_packages()
