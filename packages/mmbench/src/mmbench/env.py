"""TaskEnv: the one class between a native simulator and the user."""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ClosedEnvironmentError, ResetNeeded

from miniarcade.episode import UNDEFINED, checked_options, checked_seed
from miniarcade.snapshot import (
    Checker,
    generator_words,
    pack_generator,
    save_progress,
    unpack_generator,
)
from mmbench import catalog
from mmbench.catalog import MAX_ACTION_DIM, MAX_OBS_DIM, Task, action_mask, observation_mask
from mmbench.domains import Simulator, make_simulator
from mmbench.spaces import action_space, check_obs, observation_space

INFO_MODES = ("score", "rng", "full")

_MADE_ANEW = ("_simulator", "_write_state", "_checker", "_window")
"""Attributes that a copy builds anew instead of copying."""


class TaskEnv(gymnasium.Env):
    """One task of the benchmark.

    Observations are ``Box(128,)`` float32 (``obs="state"``), ``Box(224, 224, 3)`` uint8
    (``"rgb"``) or a dict of both (``"state+rgb"``); entries of the state past ``task.obs_dim``
    are zero. Actions are ``Box(-1, 1, (16,))``; entries past ``task.action_dim`` are ignored
    whatever they hold, the task's own are clipped to [-1, 1].

    ``truncated`` is True at the task's fixed episode length. ``terminated`` is always False in the
    benchmark; only a task from outside may end its episodes (``task.terminates``).
    Every ``info`` holds ``score`` (of the episode so far; NaN where a task from outside has none)
    and ``success`` (of the step just taken; NaN where the task defines none).

    A copy (``copy.deepcopy``) and a pickle hold the state, as :meth:`get_state` does, and go on
    from it.

    Attributes:
        task: The task's record, with its ``instruction``.
        action_mask: (16,) float32, 1 for the task's own entries of an action.
        observation_mask: (128,) float32, the same for an observation.
        episode_rng: (6,) uint64, the generator from which the last reset started its episode:
            ``reset(options={"rng": env.unwrapped.episode_rng})`` starts it again.
        spec: Gymnasium's, if it was made by ``gymnasium.make``; ``max_episode_steps`` is the
            task's length.

    Args:
        task: A name, an id, or a record of the catalogue.
        obs: ``state``, ``rgb`` or ``state+rgb``.
        unify: Pad observations to 128 and actions to 16 entries. False gives the task's own
            sizes.
        render_mode: None, ``rgb_array`` or ``human``.
        info: ``score``: infos hold what is said above. ``rng``: also ``rng``, the attribute
            ``episode_rng``. ``full``: the reset's info holds ``task`` (its name),
            ``instruction`` and both masks, too.

    Raises:
        UnknownTaskError: No task has this name.
        TaskUnavailableError: The task's simulator is not installed.
        ValueError: ``obs``, ``render_mode`` or ``info`` is not one of the above, or the task has
            no state to observe.

    Source: arXiv 2511.19584, section 2.
    """

    metadata = {
        "render_modes": ["rgb_array", "human"],
        "render_fps": 30,
    }

    _spec: EnvSpec | None = None

    def __init__(
        self,
        task: str | Task,
        obs: str = "state",
        unify: bool = True,
        render_mode: str | None = None,
        info: str = "score",
    ) -> None:
        self.task = task if isinstance(task, Task) else catalog.get(task)
        check_obs(obs, [self.task])
        check_info(info)
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(
                f"unknown render mode {render_mode!r}: one of "
                f"{', '.join(self.metadata['render_modes'])}, or None"
            )
        self.obs_mode = obs
        self.render_mode = render_mode
        self.info_mode = info
        self.action_mask = action_mask(self.task)
        self.observation_mask = observation_mask(self.task)
        self.episode_rng = np.zeros(6, np.uint64)
        self._tells_rng = info != "score"
        self._has_success = self.task.has_success
        self._has_score = self.task.has_score
        self._length = self.task.max_episode_steps
        self._score = self.task.score
        self._obs_dim = self.task.obs_dim
        self._obs_size = MAX_OBS_DIM if unify else self.task.obs_dim
        self._action_dim = self.task.action_dim
        self._action_shape = (MAX_ACTION_DIM if unify else self.task.action_dim,)
        self.observation_space = observation_space(obs, self._obs_size)
        self.action_space = action_space(self._action_shape[0])
        self._window: Any = None
        self._closed = False
        self._elapsed: int | None = None
        self._over = False
        self._return = 0.0
        self._checker: Checker | None = None
        self._simulator = self._make_simulator()

    def _make_simulator(self) -> Simulator:
        frames = self.obs_mode != "state" or bool(self.render_mode)
        simulator = make_simulator(self.task, frames)
        beside_frame = self.obs_mode == "state+rgb"
        self._write_state = simulator.observe_beside_frame if beside_frame else simulator.observe
        return simulator

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts an episode, which is a function of ``seed`` and the actions.

        Args:
            seed: Restarts the environment's generator, an integer of any type, at least 0; None
                goes on with it.
            options: ``rng``, six uint64 that were ``episode_rng`` once: starts that episode
                again.

        Returns:
            The first observation and the info described above.

        Raises:
            ClosedEnvironmentError: The environment is closed.
            TypeError: The options are no dict.
            ValueError: The seed or the generator is not one.
        """
        self.begin(seed, checked_options(options).get("rng"))
        info = self._info(*self.progress)
        if self.info_mode == "full":
            info |= {
                "task": self.task.name,
                "instruction": self.task.instruction,
                "action_mask": self.action_mask.copy(),
                "observation_mask": self.observation_mask.copy(),
            }
        if self.render_mode == "human":
            self.render()
        return self._observation(), info

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Takes one agent step (``task.action_repeat`` native steps).

        Args:
            action: ``(16,)`` (``(action_dim,)`` without ``unify``), clipped to [-1, 1].

        Returns:
            Observation, reward summed over the repeat, whether the episode ended by itself,
            whether its fixed length is reached, and the info described above.

        Raises:
            ClosedEnvironmentError: The environment is closed.
            ResetNeeded: The episode is over, or none was started.
            ValueError: The action has another shape, or NaN in the task's own entries.
        """
        reward, terminated, truncated, score, success = self.advance(action)
        if self.render_mode == "human":
            self.render()
        return self._observation(), reward, terminated, truncated, self._info(score, success)

    # What `reset` and `step` are made of, without their infos and new arrays: the vector
    # environment calls these and has the observation written where it is needed.

    def begin(self, seed: int | None = None, rng: np.ndarray | None = None) -> None:
        """Starts an episode; see :meth:`reset`."""
        self._check_open()
        words = None if rng is None else generator_words(rng)  # refused before anything changes
        super().reset(seed=None if seed is None else checked_seed(seed))
        if words is not None:
            unpack_generator(self.np_random, words)
            self._np_random_seed = -1  # as Gymnasium says that it is unknown
        self.episode_rng = pack_generator(self.np_random)
        self._elapsed = None  # an exception, such as Ctrl-C, leaves no episode to go on with
        self._simulator.reset(self.np_random)
        self._elapsed = 0
        self._over = False
        self._return = 0.0

    def advance(self, action: np.ndarray) -> tuple[float, bool, bool, float, float]:
        """Takes one agent step; see :meth:`step`.

        Returns:
            The reward, whether the episode is terminated and whether it is truncated, its score
            and its success.
        """
        if self._elapsed is None or self._over:
            self._check_open()
            raise ResetNeeded(
                f"{self.task.name}: call reset() before step() "
                f"({'no episode has started' if self._elapsed is None else 'the episode is over'})"
            )
        reward, success = self._simulator.step(self._native_action(action))
        self._elapsed += 1
        self._return += reward
        simulator = self._simulator
        terminated = simulator.terminated
        truncated = not terminated and (simulator.truncated or self._elapsed >= self._length)
        self._over = terminated or truncated
        if self._has_success:
            return reward, terminated, truncated, success, success
        return reward, terminated, truncated, self._score(self._return, success), UNDEFINED

    def observe(self, state: np.ndarray | None, frame: np.ndarray | None = None) -> None:
        """Writes the current observation.

        Args:
            state: ``(obs_dim,)`` float32, or None.
            frame: ``(224, 224, 3)`` uint8, or None.
        """
        if state is not None:
            self._write_state(state)
        if frame is not None:
            frame[...] = self._simulator.render()

    def carry_on(self, elapsed: int | None, episode_return: float = 0.0) -> None:
        """Says how far the episode is, where something else has stepped :attr:`simulator`.

        Args:
            elapsed: Steps taken; None if no episode is left.
            episode_return: Their summed rewards.
        """
        self._elapsed, self._return = elapsed, episode_return
        self._over = elapsed is not None and elapsed >= self._length

    @property
    def simulator(self) -> Simulator:
        """The native simulator."""
        return self._simulator

    @property
    def elapsed(self) -> int:
        """Steps taken in the running episode; -1 if none is running."""
        return -1 if self._over or self._elapsed is None else self._elapsed

    @property
    def episode_return(self) -> float:
        """Summed rewards of the episode."""
        return self._return

    @property
    def progress(self) -> tuple[float, float]:
        """Score and success where the episode starts."""
        return self.task.score(0.0, 0.0), 0.0 if self._has_success else UNDEFINED

    def render(self) -> np.ndarray | None:
        """Draws the current state: an RGB frame, or None after showing it in a window.

        A window that the user closes stays closed, and the episode goes on without it.

        Raises:
            ClosedEnvironmentError: The environment is closed.
            ResetNeeded: No episode has started.
            RendererUnavailableError: The library that the simulator draws with is missing here.
            RuntimeError: There is no display for a window.
        """
        self._check_open()
        if self._elapsed is None:
            raise ResetNeeded(f"{self.task.name}: call reset() before render()")
        if self.render_mode is None:
            gymnasium.logger.warn(
                f'{self.task.name}: render() without a render mode; pass render_mode="rgb_array"'
            )
            return None
        frame = self._simulator.render()
        if self.render_mode == "rgb_array":
            return frame
        if self._window is None:
            from miniarcade.viewer import Viewer

            self._window = Viewer(self.task.name, self.metadata["render_fps"], scale=3)
        self._window.show(frame)
        return None

    @property
    def spec(self) -> EnvSpec | None:
        """What Gymnasium made it from, with the task's length; None if Gymnasium did not."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        # Here and not where the id is registered: there, `gymnasium.make` would put a TimeLimit
        # around it, which counts on past a restored state.
        self._spec = spec and dataclasses.replace(spec, max_episode_steps=self._length)

    def get_state(self) -> dict[str, np.ndarray]:
        """Returns the whole state of the environment as arrays, for :meth:`set_state`.

        Keys: ``env/task``, ``env/step``, ``env/return`` and ``env/rng`` (see
        :mod:`miniarcade.snapshot`), and the simulator's own (``state``, ``model/<field>``,
        ``task/<name>``).

        Raises:
            ResetNeeded: No episode has started.
            NotImplementedError: The simulator cannot save its state (Box2D).
        """
        self._check_open()
        if self._elapsed is None:
            raise ResetNeeded(f"{self.task.name}: call reset() before get_state()")
        progress = save_progress(self.task.id, self._elapsed, self._return, self.np_random)
        return {**progress, **self._simulator.get_state()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restores a state; two continuations from one state are bit-identical.

        They equal the uninterrupted episode, too, except in ManiSkill: PhysX remembers contacts,
        which no state holds.

        Args:
            state: What :meth:`get_state` returned. Keys under ``env/`` and ``task/`` may be
                missing: the step count and the return then start at zero, the generator goes
                on, and the task's variables are derived from the simulator's state. Model arrays
                that are missing stay as they are.

        Raises:
            ResetNeeded: No episode has started; a scene is built by the first reset.
            ValueError: It is no state of this task, or holds NaN; nothing has changed then.
            NotImplementedError: The simulator cannot restore its state (Box2D).
        """
        self._check_open()
        if self._elapsed is None:
            raise ResetNeeded(f"{self.task.name}: call reset() before set_state()")
        if self._checker is None:
            forms, required = self._simulator.state_forms(), self._simulator.required_state
            self._checker = Checker(self.task.id, self._length, forms, required)
        progress, arrays = self._checker.check(state)
        self._simulator.set_state(arrays)
        self._elapsed = progress.step or 0
        self._over = self._elapsed >= self._length
        self._return = progress.total or 0.0
        if progress.rng is not None:
            unpack_generator(self.np_random, progress.rng)

    def __getstate__(self) -> dict[str, Any]:
        self._check_open()
        own = {name: value for name, value in vars(self).items() if name not in _MADE_ANEW}
        return {**own, "_saved": None if self._elapsed is None else self.get_state()}

    def __setstate__(self, own: dict[str, Any]) -> None:
        saved = own.pop("_saved")
        vars(self).update(own)
        self._checker = self._window = None
        self._simulator = self._make_simulator()
        if saved is not None:
            self._simulator.reset(self.np_random)  # builds the scene
            self.set_state(saved)
            self._over = own["_over"]

    def close(self) -> None:
        """Frees the simulator and the window. May be called twice."""
        self._closed, self._elapsed = True, None
        self._simulator.close()
        if self._window is not None:
            self._window.close()
            self._window = None

    def _native_action(self, action: np.ndarray) -> np.ndarray:
        action = np.asarray(action, np.float32)
        if action.shape != self._action_shape:
            raise ValueError(
                f"{self.task.name}: action of shape {action.shape}, expected {self._action_shape}"
            )
        own = np.minimum(action[: self._action_dim], np.float32(1.0))
        np.maximum(own, np.float32(-1.0), out=own)
        # After clipping the sum of squares cannot overflow, so only NaN makes it NaN.
        if not own.dot(own) >= 0.0:
            raise ValueError(f"{self.task.name}: NaN in the action: {own.tolist()}")
        return own

    def _observation(self) -> Any:
        if self.obs_mode == "rgb":
            return self._simulator.render()
        state = np.zeros(self._obs_size, np.float32)
        self._write_state(state[: self._obs_dim])
        if self.obs_mode == "state":
            return state
        return {"state": state, "rgb": self._simulator.render()}

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedEnvironmentError(f"{self.task.name}: the environment is closed")

    def _info(self, score: float, success: float) -> dict[str, Any]:
        info = {"score": score if self._has_score else UNDEFINED, "success": success}
        return {**info, "rng": self.episode_rng.copy()} if self._tells_rng else info


def check_info(info: str) -> None:
    """Checks what infos shall hold.

    Raises:
        ValueError: There is no such choice.
    """
    if info not in INFO_MODES:
        raise ValueError(f"unknown info {info!r}: one of {', '.join(INFO_MODES)}")
