"""The multitask vector environment, ``mmbench/multitask-v0``.

All environments live in the calling process and step one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from mmbench import catalog
from mmbench.catalog import Task, TaskUnavailableError, action_mask, observation_mask
from mmbench.domains import unavailable
from mmbench.env import OBS_MODES, TaskEnv

HALVES = (0, 1)


class MultitaskVectorEnv(VectorEnv):
    """N = tasks x ``envs_per_task`` environments, task-major in the order given.

    Made by ``gym.make_vec("mmbench:mmbench/multitask-v0", tasks=...)``. Spaces are those of
    :class:`mmbench.env.TaskEnv`, batched. Episodes end by truncation only; an environment whose
    episode ends is reset within the same step (``AutoresetMode.SAME_STEP``): the observation
    returned is then the new episode's first, ``infos["final_obs"]`` (N, 128) holds the last one
    of the old where ``infos["_final_obs"]`` (N,) is True, and ``infos["final_info"]`` its score
    and success. ``infos["score"]`` and ``infos["success"]`` (N,) are those of the step just
    taken, also where an episode ended.

    Attributes:
        tasks: The N task records.
        action_mask: (N, 16) float32.
        observation_mask: (N, 128) float32.
        discount: (N,) float32, the tasks' discount factors.
        missing: Tasks that were left out by ``skip_missing``.
        episode_rng: (N, 6) uint64, the generators from which the running episodes started; with
            them and the actions since, an interrupted run is brought back (see ``reset``).

    Args:
        num_envs: What ``make_vec`` passes: 1 (ignored) or N.
        tasks: A group, domain, preset, glob, comma list, or an iterable of names or records
            (see :func:`mmbench.catalog.select`).
        envs_per_task: Environments of each task.
        num_workers: Worker processes; only None (this process) is supported so far.
        obs: ``state``, ``rgb`` or ``state+rgb``.
        skip_missing: Leave out tasks that cannot run here instead of raising.
        render_mode: None or ``rgb_array``.

    Raises:
        UnknownTaskError: A part of ``tasks`` matches nothing.
        TaskUnavailableError: A selected task's simulator is not there and ``skip_missing`` is off,
            or none is left.
        ValueError: An argument is out of range, or ``num_envs`` is neither 1 nor N.
    """

    metadata = {
        "render_modes": ["rgb_array"],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        tasks: str | Task | Iterable[str | Task] = "all",
        envs_per_task: int = 1,
        num_workers: int | None = None,
        obs: str = "state",
        skip_missing: bool = False,
        render_mode: str | None = None,
    ) -> None:
        if envs_per_task < 1:
            raise ValueError(f"envs_per_task={envs_per_task}: at least 1")
        if num_workers is not None:
            raise ValueError(f"num_workers={num_workers}: worker processes are not supported yet")
        if obs not in OBS_MODES:
            raise ValueError(f"unknown observation mode {obs!r}: one of {', '.join(OBS_MODES)}")
        selected, self.missing = _runnable(catalog.select(tasks), skip_missing)
        self.tasks = tuple(task for task in selected for _ in range(envs_per_task))
        self.num_envs = len(self.tasks)
        if num_envs not in (1, self.num_envs):
            raise ValueError(
                f"num_envs={num_envs}: {len(selected)} tasks x envs_per_task={envs_per_task} are "
                f"{self.num_envs}; leave num_envs out and set envs_per_task"
            )
        self.render_mode = render_mode
        self.obs_mode = obs
        self.action_mask = np.stack([action_mask(task) for task in self.tasks])
        self.observation_mask = np.stack([observation_mask(task) for task in self.tasks])
        self.discount = np.array([task.discount for task in self.tasks], np.float32)
        self._envs = [TaskEnv(task, obs=obs, render_mode=render_mode) for task in self.tasks]
        self.single_observation_space = self._envs[0].observation_space
        self.single_action_space = self._envs[0].action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._sent: dict[int, np.ndarray] = {}

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Starts new episodes.

        Args:
            seed: One for each environment, or a number from which environment i gets
                ``seed + i``; None goes on with the environments' generators.
            options: ``reset_mask``, (N,) bool: which environments to reset; the observations of
                the others are those before the call. ``rng``, (N, 6) uint64: generators to start
                from, as read from ``episode_rng`` in an earlier run.

        Returns:
            Observations and infos; see the class.

        Raises:
            ValueError: The number of seeds or the mask's length is not N.
        """
        seeds = _seeds(seed, self.num_envs)
        mask = np.ones(self.num_envs, bool)
        if options and "reset_mask" in options:
            mask = np.asarray(options["reset_mask"], bool)
            if mask.shape != (self.num_envs,):
                raise ValueError(f"reset_mask of shape {mask.shape}, expected ({self.num_envs},)")
            if not mask.all() and not hasattr(self, "_observations"):
                raise ValueError("the first reset needs all environments: leave reset_mask out")
        if mask.all():
            self._observations = self._empty_observations()
            self._score = np.zeros(self.num_envs)
            self._success = np.zeros(self.num_envs)
            self.episode_rng = np.zeros((self.num_envs, 6), np.uint64)
        self._sent.clear()
        generators = options.get("rng") if options else None
        for i in np.flatnonzero(mask):
            own = None if generators is None else {"rng": generators[i]}
            observation, info = self._envs[i].reset(seed=seeds[i], options=own)
            self.episode_rng[i] = info["rng"]
            self._write(self._observations, i, observation)
            self._score[i], self._success[i] = info["score"], info["success"]
        return self._copy(slice(None)), {
            "score": self._score.copy(),
            "success": self._success.copy(),
        }

    def step(
        self, actions: np.ndarray
    ) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Steps every environment.

        Args:
            actions: (N, 16).

        Returns:
            Observations (N, ...), rewards (N,) float64, terminations (N,) all False,
            truncations (N,) and infos; see the class. All arrays are the caller's to keep.
        """
        if self._sent:
            raise RuntimeError(f"recv({min(self._sent)}) what was sent before calling step()")
        return self._step(slice(0, self.num_envs), self._checked(actions, self.num_envs))

    def send(self, actions: np.ndarray, half: int) -> None:
        """Hands over the actions of one half of the environments, without waiting for them.

        Half 0 are the first N // 2 environments (N + 1 if N is odd), half 1 the others.

        Raises:
            ValueError: There is no such half, or the actions have another shape.
            RuntimeError: The half was sent already and not received.
        """
        part = self._half(half)
        if half in self._sent:
            raise RuntimeError(f"half {half} was sent already: recv({half}) first")
        self._sent[half] = self._checked(actions, part.stop - part.start)

    def recv(self, half: int) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Returns what :meth:`step` would for one half, after :meth:`send`."""
        part = self._half(half)
        if half not in self._sent:
            raise RuntimeError(f"half {half} has no actions: send(actions, {half}) first")
        return self._step(part, self._sent.pop(half))

    def render(self) -> tuple[Any, ...]:
        """Returns a frame of each environment, (224, 224, 3) uint8."""
        return tuple(env.render() for env in self._envs)

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Calls a method of every environment, or reads an attribute."""
        values = (getattr(env, name) for env in self._envs)
        return tuple(v(*args, **kwargs) if callable(v) else v for v in values)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Reads an attribute of every environment."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Sets an attribute of every environment to its entry of ``values``, or to the one."""
        each = values if isinstance(values, (list, tuple)) else [values] * self.num_envs
        if len(each) != self.num_envs:
            raise ValueError(f"{len(each)} values for {self.num_envs} environments")
        for env, value in zip(self._envs, each, strict=True):
            setattr(env, name, value)

    def close_extras(self, **kwargs: Any) -> None:
        """Closes every environment."""
        for env in self._envs:
            env.close()

    def _half(self, half: int) -> slice:
        if half not in HALVES:
            raise ValueError(f"half={half}: 0 or 1")
        middle = (self.num_envs + 1) // 2
        return slice(0, middle) if half == 0 else slice(middle, self.num_envs)

    def _checked(self, actions: np.ndarray, count: int) -> np.ndarray:
        actions = np.asarray(actions, np.float32)
        expected = (count, *(self.single_action_space.shape or ()))
        if actions.shape != expected:
            raise ValueError(f"actions of shape {actions.shape}, expected {expected}")
        if not hasattr(self, "_observations"):
            raise RuntimeError("call reset() before stepping")
        return actions

    def _step(
        self, part: slice, actions: np.ndarray
    ) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        count = part.stop - part.start
        rewards = np.zeros(count)
        truncations = np.zeros(count, bool)
        final = None
        for row, i in enumerate(range(part.start, part.stop)):
            env = self._envs[i]
            observation, rewards[row], _, truncations[row], info = env.step(actions[row])
            self._score[i], self._success[i] = info["score"], info["success"]
            if truncations[row]:
                final = self._empty_observations() if final is None else final
                self._write(final, i, observation)
                observation, fresh = env.reset()
                self.episode_rng[i] = fresh["rng"]
            self._write(self._observations, i, observation)
        infos: dict[str, Any] = {
            "score": self._score[part].copy(),
            "success": self._success[part].copy(),
        }
        if final is not None:
            infos["final_obs"] = _take(final, part)
            infos["_final_obs"] = truncations.copy()
            infos["final_info"] = {
                "score": infos["score"].copy(),
                "_score": truncations.copy(),
                "success": infos["success"].copy(),
                "_success": truncations.copy(),
            }
            infos["_final_info"] = truncations.copy()
        return self._copy(part), rewards, np.zeros(count, bool), truncations, infos

    def _empty_observations(self) -> Any:
        space = self.observation_space
        if isinstance(space, spaces.Dict):
            return {key: np.zeros(box.shape, box.dtype) for key, box in space.items()}
        return np.zeros(space.shape or (), space.dtype)

    def _write(self, target: Any, row: int, observation: Any) -> None:
        if isinstance(target, dict):
            for key, array in target.items():
                array[row] = observation[key]
        else:
            target[row] = observation

    def _copy(self, part: slice) -> Any:
        return _take(self._observations, part)


def _take(observations: Any, part: slice) -> Any:
    if isinstance(observations, dict):
        return {key: array[part].copy() for key, array in observations.items()}
    return observations[part].copy()


def _runnable(
    selected: Sequence[Task], skip_missing: bool
) -> tuple[tuple[Task, ...], tuple[Task, ...]]:
    reasons = {task: unavailable(task) for task in selected}
    runnable = tuple(task for task, reason in reasons.items() if reason is None)
    missing = tuple(task for task, reason in reasons.items() if reason is not None)
    if missing and not (skip_missing and runnable):
        names = ", ".join(task.name for task in missing[:8])
        more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
        why = "; ".join(dict.fromkeys(reason for reason in reasons.values() if reason))
        raise TaskUnavailableError(
            f"{len(missing)} of {len(selected)} tasks cannot run here ({names}{more}): {why}. "
            "Pass skip_missing=True (--skip-missing) to leave them out"
        )
    return runnable, missing


def _seeds(seed: int | Sequence[int | None] | None, count: int) -> list[int | None]:
    if seed is None:
        return [None] * count
    if isinstance(seed, (int, np.integer)):
        return [int(seed) + i for i in range(count)]
    if len(seed) != count:
        raise ValueError(f"{len(seed)} seeds for {count} environments")
    return list(seed)
