"""The tasks of RoboDesk."""

from functools import partial

from mmbench.catalog.task import Task

_task = partial(
    Task,
    domain="robodesk",
    split="train",
    obs_dim=73,
    action_dim=5,
    max_episode_steps=100,
    action_repeat=10,
    discount=0.95,
    score_metric="success",
    score_low=0,
    score_high=1,
)

TASKS = (
    _task(
        "rd-push-red",
        native="push_red",
        instruction="",
    ),
    _task(
        "rd-push-green",
        native="push_green",
        instruction="",
    ),
    _task(
        "rd-push-blue",
        native="push_blue",
        instruction="",
    ),
    _task(
        "rd-open-slide",
        native="open_slide",
        instruction="",
    ),
    _task(
        "rd-open-drawer",
        native="open_drawer",
        instruction="",
    ),
    _task(
        "rd-flat-block-in-bin",
        native="flat_block_in_bin",
        instruction="",
    ),
)
