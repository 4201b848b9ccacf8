"""The multitask vector environment, ``mmbench/multitask-v0``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from miniarcade.episode import checked_options, checked_seeds
from miniarcade.snapshot import generator_words
from miniarcade.vector.infos import checked_autoreset_mode
from mmbench import catalog
from mmbench.catalog import Task, TaskUnavailableError, action_mask, observation_mask
from mmbench.domains import unavailable
from mmbench.env import check_info
from mmbench.spaces import action_space, check_obs, observation_space
from mmbench.vector.infos import Infos
from mmbench.vector.pool import WorkerPool, available_cores
from mmbench.vector.supervisor import Supervisor
from mmbench.vector.worker import WHOLE, Modes, rows_of


class MultitaskVectorEnv(VectorEnv):
    """N = tasks x ``envs_per_task`` environments, task-major in the order given.

    Made by ``gym.make_vec("mmbench:mmbench/multitask-v0", tasks=...)``. Spaces are those of
    :class:`mmbench.env.TaskEnv`, batched. Infos are those of Gymnasium's own vector environments:
    ``score`` and ``success`` (N,), and ``_score`` and ``_success`` (N,) bool, where there are any.

    Episodes end by truncation only. An environment whose episode ends is reset within the same
    step: its observation, score and success are then the new episode's first. What was the last
    of the old one is in ``infos["final_obs"]``, (N,) objects, None elsewhere, and in
    ``infos["final_info"]``, a dict of the same form as ``infos``. ``infos["_final_obs"]`` and
    ``infos["_final_info"]`` (N,) say where. With ``autoreset_mode="NextStep"`` the observation and
    the info are the last of the old episode, and the next step resets, whatever the action: its
    reward is 0. With ``"Disabled"`` the caller resets, by ``reset(options={"reset_mask": ...})``.

    The environments live in worker processes, each of which owns several and writes what a step
    returns into shared memory. Trajectories depend on seeds and actions only, not on the number
    of workers.

    When an exception such as Ctrl-C ends a call, the environments remain usable: ``recv`` can be
    called again, and other calls first wait for the workers. The results of an interrupted ``step``
    are lost, except for ends of episodes: the next step skips those environments and reports the
    ends. Without workers, ``reset`` has to come next: the interrupted environment is in the middle
    of its step.

    Only the process that made the workers can use them, not its forked children.

    Attributes:
        autoreset_mode: When environments are reset, Gymnasium's ``AutoresetMode``; also in
            ``metadata``.
        tasks: The N task records.
        action_mask: (N, 16) float32.
        observation_mask: (N, 128) float32.
        discount: (N,) float32, the tasks' discount factors.
        missing: Tasks that were left out by ``skip_missing``.
        episode_rng: (N, 6) uint64, the generators from which the running episodes started; with
            them and the actions since, an interrupted run is brought back (see ``reset``).
        pool: The worker processes, ended with the last environment that uses them.
        num_workers: Worker processes that it uses; 0 for none.

    Args:
        num_envs: What ``make_vec`` passes: 1 (ignored) or N.
        tasks: A group, domain, preset, glob, ``gym:<id>``, comma list, or an iterable of names or
            records (see :func:`mmbench.catalog.select`).
        imports: Modules to import here and in every worker first, which register tasks by
            :func:`mmbench.register`.
        envs_per_task: Environments of each task.
        num_workers: Worker processes: by default one for each core, but no more than
            environments. 0 steps in the calling process, one environment after the other.
        obs: ``state``, ``rgb`` or ``state+rgb``.
        skip_missing: Leave out tasks that cannot run here instead of raising.
        render_mode: None or ``rgb_array``.
        info: ``score``, ``rng`` or ``full``, as in :class:`mmbench.env.TaskEnv`.
        autoreset_mode: ``SameStep``, ``NextStep`` or ``Disabled``, or Gymnasium's
            ``AutoresetMode``.
        copy: Whether observations are the caller's to keep. False returns views of shared
            memory, which the next step overwrites.
        on_error: What to do about an environment that raises, hangs, dies with its worker, or
            returns an observation or reward that is NaN or beyond 1e18. ``raise``: an
            :class:`EnvironmentFailure`. ``restart``: the environment is rebuilt; its step has
            reward 0 and is truncated, and ``infos["restarted"]`` (N,) says where. With a worker
            all of its environments are restarted; the others go on undisturbed.
        time_limit: Seconds after which a worker that has not answered counts as hanging.
        workers: Another multitask environment, whose workers to share, such as that of a
            training run for its evaluations. ``num_workers`` is then that one's.
        progress: Called now and then with the number of environments built so far, and N.

    Raises:
        UnknownTaskError: A part of ``tasks`` matches nothing.
        TaskUnavailableError: A selected task's simulator is not there and ``skip_missing`` is off,
            or none is left.
        InvalidTaskError: A module of ``imports`` cannot be imported, or a Gymnasium environment
            cannot be a task.
        TypeError: An argument is of another kind, such as ``tasks=None``.
        ValueError: An argument is out of range, or ``num_envs`` is neither 1 nor N.
        EnvironmentFailure: An environment cannot be built.
    """

    metadata = {
        "render_modes": ["rgb_array"],
        "render_fps": 30,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        tasks: str | Task | Iterable[str | Task] = "all",
        imports: str | Iterable[str] | None = None,
        envs_per_task: int = 1,
        num_workers: int | None = None,
        obs: str = "state",
        skip_missing: bool = False,
        render_mode: str | None = None,
        info: str = "score",
        autoreset_mode: str | AutoresetMode = AutoresetMode.SAME_STEP,
        copy: bool = True,
        on_error: str = "raise",
        time_limit: float = 120.0,
        workers: MultitaskVectorEnv | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        if not _is_count(envs_per_task, 1):
            raise ValueError(f"envs_per_task={envs_per_task!r}: an integer of at least 1")
        if num_workers is not None and not _is_count(num_workers, 0):
            raise ValueError(
                f"num_workers={num_workers!r}: an integer of at least 0, or None for one a core"
            )
        if on_error not in ("raise", "restart"):
            raise ValueError(f"on_error={on_error!r}: raise or restart")
        if not (isinstance(time_limit, int | float | np.number) and time_limit > 0):  # nor NaN
            raise ValueError(f"time_limit={time_limit!r}: a number of seconds, more than 0")
        other = getattr(workers, "unwrapped", None)
        if workers is not None and not isinstance(other, MultitaskVectorEnv):
            raise TypeError(
                f"workers={workers!r}: a multitask environment, whose processes to share; to say "
                "how many, num_workers"
            )
        if progress is not None and not callable(progress):
            raise TypeError(f"progress={progress!r}: a function of two integers, or None")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"unknown render mode {render_mode!r}: rgb_array, or None")
        check_info(info)
        self.autoreset_mode = checked_autoreset_mode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        catalog.import_modules(imports)
        asked = catalog.select(tasks)
        check_obs(obs, asked)
        selected, self.missing = _runnable(asked, skip_missing)
        self.tasks = tuple(task for task in selected for _ in range(envs_per_task))
        self.num_envs = len(self.tasks)
        if num_envs not in (1, self.num_envs):
            raise ValueError(
                f"num_envs={num_envs!r}: {len(selected)} tasks x envs_per_task={envs_per_task} are "
                f"{self.num_envs}; leave num_envs out and set envs_per_task"
            )
        self.render_mode = render_mode
        self.obs_mode = obs
        self.action_mask = np.stack([action_mask(task) for task in self.tasks])
        self.observation_mask = np.stack([observation_mask(task) for task in self.tasks])
        self.discount = np.array([task.discount for task in self.tasks], np.float32)
        self.single_observation_space = observation_space(obs)
        self.single_action_space = action_space()
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._copy = copy
        self._restarts = on_error == "restart"
        self._started = False
        if other is None:
            cores = available_cores() if num_workers is None else num_workers
            self.pool = WorkerPool(min(cores, self.num_envs))
        else:
            self.pool = other.pool
        self.num_workers = min(self.pool.size, self.num_envs)
        modes = Modes(obs, render_mode, self.autoreset_mode)
        self._supervisor = Supervisor(self.tasks, modes, self.pool, self._restarts, time_limit)
        self._arrays = self._supervisor.arrays
        self._infos = Infos(self.tasks, info, self.autoreset_mode, self._arrays)
        try:
            self._supervisor.build(progress)
        except BaseException:
            self.close()
            raise

    @property
    def episode_rng(self) -> np.ndarray:
        """(N, 6) uint64, the generators from which the running episodes started."""
        self._supervisor.settle()
        return self._arrays.rng.copy()

    @property
    def failures(self) -> np.ndarray:
        """(N,) int64, how often each environment has been restarted."""
        return self._supervisor.failures.copy()

    @property
    def owner(self) -> np.ndarray:
        """(N,) int64, the worker of each environment."""
        return self._supervisor.owner.copy()

    @property
    def step_seconds(self) -> np.ndarray:
        """(N,) float64, seconds that the steps of each environment have taken in all."""
        return self._arrays.seconds.copy()

    # Gymnasium's interface

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """Copies of the environments' generators."""
        return self.get_attr("np_random")

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seeds that they came from; -1 for one that was given as ``rng``."""
        return self.get_attr("np_random_seed")

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError(
            "a multitask vector environment can be neither copied nor pickled: its environments "
            "live in worker processes. Save call('get_state'), or make another one and reset it "
            "with options={'rng': env.episode_rng}"
        )

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Starts new episodes.

        Args:
            seed: A number from which environment i gets ``seed + i``, or one for each; None goes
                on with the environments' generators.
            options: ``reset_mask``, (N,) bool: which environments to reset; the observations of
                the others are those before the call. ``rng``, (N, 6) uint64: generators to start
                from, as read from ``episode_rng`` in an earlier run.

        Returns:
            Observations and infos; see the class.

        Raises:
            TypeError: The options are no dict.
            ValueError: A seed, the mask or a generator is not one, or they are not N.
            EnvironmentFailure: An environment failed.
        """
        options = checked_options(options)
        seeds = checked_seeds(seed, self.num_envs)
        mask = np.asarray(options.get("reset_mask", np.ones(self.num_envs, bool)))
        if mask.shape != (self.num_envs,) or mask.dtype != bool:
            raise ValueError(
                f"reset_mask of shape {mask.shape} {mask.dtype}, expected ({self.num_envs},) bool"
            )
        if not mask.all() and not self._started:
            raise ValueError("the first reset needs all environments: leave reset_mask out")
        generators = options.get("rng")
        if generators is not None:
            generators = generator_words(generators, self.num_envs)
        self._started = not mask.all()
        self._supervisor.reset(np.flatnonzero(mask), seeds, generators)
        self._started = True
        return self._observations(rows_of(WHOLE)), self._infos.of_reset(mask)

    def step(
        self, actions: np.ndarray
    ) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Steps every environment.

        Args:
            actions: (N, 16).

        Returns:
            Observations (N, ...), rewards (N,) float64, terminations (N,), truncations (N,) and
            infos; see the class.

        Raises:
            EnvironmentFailure: An environment failed.
        """
        self._supervisor.check()
        if halves := self._supervisor.halves_sent:
            raise RuntimeError(f"recv({min(halves)}) what was sent before calling step()")
        self._order(WHOLE, actions)
        return self._finish(WHOLE)

    def send(self, actions: np.ndarray, half: int) -> None:
        """Hands over the actions of one half of the environments, without waiting for them.

        Half 0 are the environments with even numbers, half 1 those with odd ones: ``[half::2]``
        of every array.

        Args:
            actions: (n, 16), n being the number of environments of the half.
            half: 0 or 1.

        Raises:
            ValueError: There is no such half, or the actions have another shape.
            RuntimeError: The half was sent already and not received.
        """
        self._check_half(half)
        if half in self._supervisor.halves_sent:
            raise RuntimeError(f"half {half} was sent already: recv({half}) first")
        self._order(half, actions)

    def recv(self, half: int) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Returns what :meth:`step` would for one half, after :meth:`send`."""
        self._check_half(half)
        if half not in self._supervisor.halves_sent:
            raise RuntimeError(f"half {half} has no actions: send(actions, {half}) first")
        return self._finish(half)

    def render(self) -> tuple[Any, ...]:
        """Returns a frame of each environment, (224, 224, 3) uint8."""
        return self.call("render")

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Calls a method of every environment, or reads an attribute."""
        return tuple(self._supervisor.call(name, args, kwargs))

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Reads an attribute of every environment."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Sets an attribute of every environment, to one value or to a list of N."""
        each = values if isinstance(values, (list, tuple)) else [values] * self.num_envs
        if len(each) != self.num_envs:
            raise ValueError(f"{len(each)} values for {self.num_envs} environments")
        self._supervisor.assign(name, each)

    def close_extras(self, **kwargs: Any) -> None:
        """Closes every environment, and the workers unless another environment uses them."""
        if hasattr(self, "_supervisor"):
            self._supervisor.close()

    def _check_half(self, half: int) -> None:
        self._supervisor.check()
        if not (_is_count(half, 0) and half < 2):
            raise ValueError(f"half={half!r}: 0 or 1")

    def _check_started(self) -> None:
        if not self._started:
            raise RuntimeError(
                "call reset() before stepping: no episode has begun, or an exception ended a reset "
                "(without workers, also a step) in the middle"
            )

    def _order(self, subset: int, actions: np.ndarray) -> None:
        rows = rows_of(subset)
        mask = self.action_mask[rows]
        try:
            actions = np.asarray(actions, np.float32)
        except (TypeError, ValueError) as error:
            raise ValueError(f"actions are numbers, {mask.shape}: {error}") from error
        if actions.shape != mask.shape:
            raise ValueError(f"actions of shape {actions.shape}, expected {mask.shape}")
        undefined = np.isnan(actions)
        if undefined.any() and (bad := np.flatnonzero((undefined & (mask > 0)).any(1))).size:
            name, own = self.tasks[rows][bad[0]].name, actions[bad[0]].tolist()
            raise ValueError(f"{name}: NaN in the action in row {bad[0]}: {own}")
        self._check_started()
        if self.autoreset_mode is AutoresetMode.DISABLED:
            self._supervisor.check_running(subset)
        self._started = self.num_workers > 0  # an exception leaves workers, but not us, in order
        self._supervisor.order(subset, actions)
        self._started = True

    def _finish(
        self, subset: int
    ) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        self._check_started()
        restarted = self._supervisor.wait(subset)
        rows, arrays = rows_of(subset), self._arrays
        ended = arrays.truncated[rows].copy()
        terminated = arrays.terminated[rows] & ended
        infos = self._infos.of_step(rows, ended)
        if self._restarts:
            infos |= {"restarted": restarted, "_restarted": np.ones_like(restarted)}
        obs = self._observations(rows)
        reward = arrays.reward[rows].copy()
        self._supervisor.received(subset)
        return obs, reward, terminated, ended & ~terminated, infos

    def _observations(self, rows: slice) -> Any:
        """Some rows in the form of the observation space."""
        parts = {
            name: array[rows].copy() if self._copy else array[rows]
            for name, array in (("state", self._arrays.state), ("rgb", self._arrays.frames))
            if array is not None
        }
        return parts if len(parts) > 1 else next(iter(parts.values()))


def _runnable(
    selected: Sequence[Task], skip_missing: bool
) -> tuple[tuple[Task, ...], tuple[Task, ...]]:
    reasons = {task: unavailable(task) for task in selected}
    runnable = tuple(task for task, reason in reasons.items() if reason is None)
    missing = tuple(task for task, reason in reasons.items() if reason is not None)
    if missing and not (skip_missing and runnable):
        names = ", ".join(task.name for task in missing[:8])
        more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
        # One sentence for all tasks that lack the same: where it names its task, it names them all.
        alike: dict[str, list[str]] = {}
        for task in missing:
            alike.setdefault(str(reasons[task]).replace(task.name, "\0"), []).append(task.name)
        why = "; ".join(reason.replace("\0", ",".join(own)) for reason, own in alike.items())
        raise TaskUnavailableError(
            f"{len(missing)} of {len(selected)} tasks cannot run here ({names}{more}): {why}. "
            "Pass skip_missing=True (--skip-missing) to leave them out"
        )
    return runnable, missing


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int | np.integer) and bool(value >= least)
