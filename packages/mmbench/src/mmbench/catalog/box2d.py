"""The tasks of Box2D."""

from functools import partial

from mmbench.catalog.task import Task

_task = partial(
    Task,
    domain="box2d",
    split="train",
    obs_dim=24,
    action_dim=4,
    max_episode_steps=250,
    action_repeat=2,
    discount=0.99,
    score_metric="return",
    score_low=0,
    score_high=250,
)

TASKS = (
    _task(
        "bipedal-walker-flat",
        native="bipedal-walker/flat",
        instruction="",
    ),
    _task(
        "bipedal-walker-uneven",
        native="bipedal-walker/uneven",
        instruction="",
    ),
    _task(
        "bipedal-walker-rugged",
        native="bipedal-walker/rugged",
        instruction="",
    ),
    _task(
        "bipedal-walker-hills",
        native="bipedal-walker/hills",
        instruction="",
    ),
    _task(
        "bipedal-walker-obstacles",
        native="bipedal-walker/obstacles",
        instruction="",
    ),
    _task(
        "lunarlander-land",
        native="lunarlander/land",
        obs_dim=8,
        action_dim=2,
        score_high=500,
        instruction="",
    ),
    _task(
        "lunarlander-hover",
        native="lunarlander/hover",
        obs_dim=10,
        action_dim=2,
        score_high=500,
        instruction="",
    ),
    _task(
        "lunarlander-takeoff",
        native="lunarlander/takeoff",
        obs_dim=10,
        action_dim=2,
        score_high=500,
        instruction="",
    ),
)
