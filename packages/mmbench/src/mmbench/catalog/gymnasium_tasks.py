"""Any Gymnasium environment as a task: what its spaces have to be, and the record they make."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from mmbench.catalog.domain import GYM
from mmbench.catalog.modules import import_module
from mmbench.catalog.task import (
    MAX_ACTION_DIM,
    MAX_OBS_DIM,
    InvalidTaskError,
    Task,
    TaskUnavailableError,
    UnknownTaskError,
)

PREFIX = "gym:"
"""Before the id of a Gymnasium environment, where a task is named."""

TERMINATIONS = ("ignore", "end")

Setting = str | float | bool


def gym_task(
    env_id: str,
    instruction: str | None = None,
    score: str | tuple[float, float] | None = None,
    length: int | None = None,
    name: str | None = None,
    terminations: str = "ignore",
    action_repeat: int = 1,
    discount: float | None = None,
    kwargs: Mapping[str, Setting] | None = None,
    sizes: tuple[int, int] | None = None,
) -> Task:
    """Makes a task of a Gymnasium environment.

    Its observations are a ``Box`` of at most 128 entries, which are flattened, or images (uint8,
    ``(height, width)`` or ``(height, width, 1 or 3)``), which are seen with ``obs="rgb"``. Its
    actions are a bounded ``Box`` of at most 16 entries: the task's actions, in [-1, 1], are
    rescaled to the bounds.

    Args:
        env_id: As ``gymnasium.make`` takes it: ``Pendulum-v1``, or ``my_module:MyEnv-v0`` where
            importing ``my_module`` registers it.
        instruction: What to do, in plain English. By default the words of the id.
        score: The returns of an episode that count as 0 and as 1, as two numbers or as text,
            ``"-1600,0"``. Without it the score is NaN.
        length: Agent steps of an episode. By default what the environment is registered with.
        name: The task's name. By default ``gym:<env_id>``.
        terminations: What to do when the environment says ``terminated``. ``ignore`` goes on, as
            in all tasks of the benchmark. If the environment then raises, that step has reward 0
            and the episode is truncated. ``end`` ends the episode with ``terminated``.
        action_repeat: Steps of the environment for each agent step, rewards summed.
        discount: Per agent step. By default it looks a fifth of an episode ahead, and is at
            least 0.95 and at most 0.995 (TD-MPC2, arXiv 2310.16828, section 4).
        kwargs: Further arguments of ``gymnasium.make``.
        sizes: Entries of the observation (0 for images) and of the action. With these and
            ``length`` given, the environment is not made now to look them up.

    Returns:
        The record. ``mmbench.register`` gives it an id, ``make_vec`` and ``TaskEnv`` take it as
        it is.

    Raises:
        UnknownTaskError: Gymnasium knows no such environment.
        TaskUnavailableError: It cannot be made here.
        InvalidTaskError: Its spaces are others, or an argument is out of range.
    """
    settings = tuple((kwargs or {}).items())
    for key, value in settings:
        if not isinstance(value, (str, int, float, bool)):
            raise InvalidTaskError(
                f"{PREFIX}{env_id}: {key}={value!r}: kwargs are text, numbers or booleans; give "
                "others where the environment is registered, gymnasium.register(..., kwargs={...})"
            )
    if sizes is None or length is None:
        seen = _look_at(env_id, settings)
        sizes = sizes or (seen.obs_dim, seen.action_dim)
        if length is None and seen.length is None:
            raise InvalidTaskError(
                f"{PREFIX}{env_id}: its episodes have no fixed length; give one in a module for "
                f"--import: mmbench.register(mmbench.gym_task({env_id!r}, length=...))"
            )
        if length is None:
            length = math.ceil((seen.length or 0) / max(action_repeat, 1))
    task = Task(
        name=name or PREFIX + env_id,
        domain=GYM.name,
        split="train",
        instruction=_words(env_id),
        native=env_id,
        obs_dim=sizes[0],
        action_dim=sizes[1],
        max_episode_steps=length,
        action_repeat=action_repeat,
        discount=_discount(length) if discount is None else discount,
        score_metric="none",
        score_low=0.0,
        score_high=0.0,
        native_kwargs=settings,
    )
    if task.problem:
        raise InvalidTaskError(f"{task.name}: {task.problem}")
    return with_settings((task,), instruction, score, terminations)[0]


def with_settings(
    tasks: Sequence[Task],
    instruction: str | None = None,
    score: str | tuple[float, float] | None = None,
    terminations: str | None = None,
) -> tuple[Task, ...]:
    """Changes the records of the Gymnasium environments among some tasks.

    Args:
        tasks: Any tasks.
        instruction: Of the only such environment.
        score: See :func:`gym_task`; of the only such environment.
        terminations: See :func:`gym_task`; of all of them.

    Raises:
        InvalidTaskError: There is none, or more than one to which the instruction or the score
            could belong, or a value is not possible.
    """
    changes: dict[str, Any] = {}
    if instruction is not None:
        if not instruction.strip():
            raise InvalidTaskError("the instruction is empty")
        changes["instruction"] = instruction
    if score is not None:
        changes["score_low"], changes["score_high"] = _score_range(score)
        changes["score_metric"] = "return"
    only_one = bool(changes)
    if terminations is not None:
        if terminations not in TERMINATIONS:
            raise InvalidTaskError(f"terminations {terminations!r}: one of ignore, end")
        changes["terminates"] = terminations == "end"
    count = sum(task.domain == GYM.name for task in tasks)
    if changes and count == 0:
        raise InvalidTaskError(
            f"an instruction, a score and terminations are given to a {PREFIX}<id> task, and there "
            "is none here"
        )
    if only_one and count > 1:
        raise InvalidTaskError(
            f"an instruction and a score belong to one {PREFIX}<id> task, and there are {count} "
            "here: register each in a module for --import, "
            "mmbench.register(mmbench.gym_task(id, instruction=..., score=...))"
        )
    return tuple(
        dataclasses.replace(task, **changes) if task.domain == GYM.name else task for task in tasks
    )


def find_environment(env_id: str) -> str:
    """Imports the module that an id names, if it names one.

    Returns:
        The id without the module, which Gymnasium knows.

    Raises:
        UnknownTaskError: Gymnasium does not know it.
        InvalidTaskError: The module cannot be imported.
    """
    module, _, bare = env_id.rpartition(":")
    if module:
        import_module(module)
    try:
        gymnasium.spec(bare)
    except gymnasium.error.Error as error:
        raise UnknownTaskError(
            f"unknown task {PREFIX + env_id!r}: {str(error).rstrip('. ')}. Where a module of yours "
            "registers it, name the module: gym:<module>:<id>, --import <module>, or "
            "imports=[<module>]"
        ) from error
    return bare


def make_environment(
    env_id: str, settings: Sequence[tuple[str, Setting]], render_mode: str | None = None
) -> gymnasium.Env:
    """Makes the environment without a time limit and without the checker's warnings.

    Raises:
        UnknownTaskError: Gymnasium does not know it.
        InvalidTaskError: The module that its id names cannot be imported.
        TaskUnavailableError: It cannot be made here.
    """
    bare = find_environment(env_id)
    drawing = {} if render_mode is None else {"render_mode": render_mode}
    try:
        return gymnasium.make(
            bare,
            max_episode_steps=-1,  # the task's own length ends the episode, and only that
            disable_env_checker=True,
            **drawing,  # an environment that cannot draw may not take it
            **dict(settings),
        )
    except Exception as error:
        raise TaskUnavailableError(
            f"task {PREFIX + env_id!r} cannot be made: {type(error).__name__}: {error}"
        ) from error


def action_box(env_id: str, space: spaces.Space) -> spaces.Box:
    """Returns the action space if a task can have it.

    Raises:
        InvalidTaskError: It cannot; the message says why.
    """
    problem = ""
    if not isinstance(space, spaces.Box):
        problem = f"a task has continuous actions, a Box, and not {space}"
    elif not np.issubdtype(space.dtype, np.floating):
        problem = f"its actions are whole numbers, {space}, and a task's are continuous"
    elif not 1 <= _entries(space) <= MAX_ACTION_DIM:
        problem = f"its actions have {_entries(space)} entries, and a task's 1 to {MAX_ACTION_DIM}"
    elif not space.is_bounded():
        problem = (
            "its actions have no bounds to rescale [-1, 1] to; give it a bounded Box, or register "
            "it with gymnasium.wrappers.TransformAction(env, lambda action: action, "
            f"gymnasium.spaces.Box(-1, 1, {space.shape})) around it"
        )
    if problem:
        raise InvalidTaskError(f"{PREFIX}{env_id} cannot be a task: {problem}")
    assert isinstance(space, spaces.Box)
    return space


def observation_box(env_id: str, space: spaces.Space) -> spaces.Box:
    """Returns the observation space if a task can have it.

    Raises:
        InvalidTaskError: It cannot; the message says why.
    """
    problem = ""
    if not isinstance(space, spaces.Box):
        problem = (
            f"a task's observations are a Box, and not {type(space).__name__}; register it with "
            "gymnasium.wrappers.FlattenObservation around it"
        )
    elif not is_image(space) and not 1 <= _entries(space) <= MAX_OBS_DIM:
        problem = (
            f"its observations have {_entries(space)} entries, shape {space.shape}, and a task's "
            f"1 to {MAX_OBS_DIM}, or are images of uint8, (height, width) or (height, width, 3)"
        )
    if problem:
        raise InvalidTaskError(f"{PREFIX}{env_id} cannot be a task: {problem}")
    assert isinstance(space, spaces.Box)
    return space


def is_image(space: spaces.Box) -> bool:
    """Whether the observations of a space are images."""
    if space.dtype != np.uint8:
        return False
    return len(space.shape) == 2 or (len(space.shape) == 3 and space.shape[2] in (1, 3))


@dataclass(frozen=True)
class _Seen:
    """What an environment says of itself; ``length`` in its own steps, or None."""

    obs_dim: int
    action_dim: int
    length: int | None


@functools.cache
def _look_at(env_id: str, settings: tuple[tuple[str, Setting], ...]) -> _Seen:
    env = make_environment(env_id, settings)
    try:
        observations = observation_box(env_id, env.observation_space)
        actions = action_box(env_id, env.action_space)
        return _Seen(
            obs_dim=0 if is_image(observations) else _entries(observations),
            action_dim=_entries(actions),
            length=gymnasium.spec(find_environment(env_id)).max_episode_steps,
        )
    finally:
        env.close()


def _entries(space: spaces.Box) -> int:
    return int(np.prod(space.shape))


def _words(env_id: str) -> str:
    """``Swing up pendulum.`` of ``my_module:SwingUpPendulum-v1``."""
    bare = re.sub(r"-v\d+$", "", env_id.rpartition(":")[2])
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[-_/.]+", " ", bare)
    return " ".join(apart.split()).capitalize() + "."


def _discount(length: int) -> float:
    ahead = max(length / 5, 1.0)
    return min(max((ahead - 1) / ahead, 0.95), 0.995)


def _score_range(score: str | tuple[float, float]) -> tuple[float, float]:
    try:
        low, high = (
            float(part) for part in (score.split(",") if isinstance(score, str) else score)
        )
    except (TypeError, ValueError):
        raise InvalidTaskError(
            f"score {score!r}: two numbers, low,high, the returns that count as 0 and as 1"
        ) from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InvalidTaskError(f"score {score!r}: low has to be below high, both finite")
    return low, high
