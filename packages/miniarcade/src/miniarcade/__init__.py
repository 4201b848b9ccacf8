"""MiniArcade: small arcade games with continuous actions, as Gymnasium environments.

Importing the package registers them::

    import gymnasium as gym
    import miniarcade

    env = gym.make("miniarcade/pong-v0", render_mode="rgb_array")

They are the arcade suite of MMBench, from "Learning Massively Multitask World Models for
Continuous Control" (arXiv 2511.19584).
"""

from miniarcade.registry import Task, get_task, register_all, tasks

__version__ = "0.1.0"

__all__ = ["Task", "get_task", "tasks"]

register_all()
