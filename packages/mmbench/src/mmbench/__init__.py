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
from mmbench.catalog import Task, UnknownTaskError, tasks

__version__ = "0.1.0"

__all__ = ["Task", "UnknownTaskError", "__version__", "catalog", "language", "tasks"]


def _register() -> None:
    for task in catalog.TASKS:
        # No max_episode_steps: TaskEnv truncates by itself, so that a restored state
        # (`set_state`) carries its own step count; a TimeLimit around it would not know.
        gymnasium.register(
            id=task.id,
            entry_point="mmbench.env:TaskEnv",
            kwargs={"task": task.id},
        )
        if task.version > 0:
            # Beside a newer version of the same name Gymnasium calls the older one out of date.
            # Here version 0 is the published task, and stays what to compare with.
            gymnasium.registry[task.id].name = f"{task.name}-corrected"
    gymnasium.register(
        id="mmbench/multitask-v0",
        vector_entry_point="mmbench.vector:MultitaskVectorEnv",
    )


_register()
