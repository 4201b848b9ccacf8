"""The tasks of MuJoCo."""

from functools import partial

from mmbench.catalog.task import Task

_task = partial(
    Task,
    domain="mujoco",
    split="train",
    max_episode_steps=500,
    action_repeat=2,
    discount=0.99,
    score_metric="return",
    score_low=0,
)

TASKS = (
    _task(
        "mujoco-ant",
        native="Ant",
        obs_dim=27,
        action_dim=8,
        score_high=5000,
        instruction="",
    ),
    _task(
        "mujoco-halfcheetah",
        native="HalfCheetah",
        obs_dim=17,
        action_dim=6,
        max_episode_steps=1000,
        action_repeat=1,
        score_high=15000,
        instruction="",
    ),
    _task(
        "mujoco-hopper",
        native="Hopper",
        obs_dim=11,
        action_dim=3,
        score_high=5000,
        instruction="",
    ),
    _task(
        "mujoco-inverted-pendulum",
        native="InvertedPendulum",
        obs_dim=4,
        action_dim=1,
        score_high=1000,
        instruction="",
    ),
    _task(
        "mujoco-reacher",
        native="Reacher",
        obs_dim=11,
        action_dim=2,
        max_episode_steps=50,
        action_repeat=1,
        discount=0.95,
        score_low=-50,
        score_high=0,
        instruction="",
    ),
    _task(
        "mujoco-walker",
        native="Walker2d",
        obs_dim=17,
        action_dim=6,
        score_high=5000,
        instruction="",
    ),
)
