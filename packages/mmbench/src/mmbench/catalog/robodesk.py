"""The tasks of RoboDesk."""

from dataclasses import replace
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

# Embodiment and action space: the first sentence of every instruction.
_PANDA = (
    "A Franka Panda robot arm at an office desk with five actions: moving its hand along three "
    "axes, turning its wrist, and opening or closing its gripper."
)

_PUBLISHED = (
    _task(
        "rd-push-red",
        native="push_red",
        instruction=(
            f"{_PANDA} Press the red button, the left one of three, so that the red light goes on."
        ),
    ),
    _task(
        "rd-push-green",
        native="push_green",
        instruction=(
            f"{_PANDA} Press the green button, the middle one of three, so that the green light "
            "goes on."
        ),
    ),
    _task(
        "rd-push-blue",
        native="push_blue",
        instruction=(
            f"{_PANDA} Press the blue button, the right one of three, so that the blue light goes "
            "on."
        ),
    ),
    _task(
        "rd-open-slide",
        native="open_slide",
        instruction=f"{_PANDA} Slide the door of the shelf all the way to the right by its handle.",
    ),
    _task(
        "rd-open-drawer",
        native="open_drawer",
        instruction=f"{_PANDA} Pull the drawer below the desk top open by its handle.",
    ),
    _task(
        "rd-flat-block-in-bin",
        native="flat_block_in_bin",
        instruction=(
            f"{_PANDA} Move the flat block off the desk and let it fall into the bin on the floor "
            "at the right."
        ),
    ),
)

# The package fills the entries meant for the objects' positions with their velocities, and
# compares the blocks' positions with live views of themselves.
_OBSERVED = (
    "The 26 entries qpos_objects hold the positions of drawer, door, buttons, lights and blocks "
    "(metres, and rotation vectors in radians), where v0 repeats their velocities"
)
_DIFFERS = {
    "rd-open-slide": f"{_OBSERVED}, and the bonus for blocks that did not move depends on whether "
    "they moved."
}

TASKS = _PUBLISHED + tuple(
    replace(task, version=1, differs=_DIFFERS.get(task.name, f"{_OBSERVED}."))
    for task in _PUBLISHED
)
