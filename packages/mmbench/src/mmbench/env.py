"""TaskEnv: the one class between a native simulator and the user."""

from __future__ import annotations

import operator
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import ClosedEnvironmentError, ResetNeeded

from miniarcade.undefined import UNDEFINED
from mmbench import catalog
from mmbench.catalog import MAX_ACTION_DIM, MAX_OBS_DIM, Task, action_mask, observation_mask
from mmbench.domains import make_simulator

FRAME_SHAPE = (224, 224, 3)
OBS_MODES = ("state", "rgb", "state+rgb")


class TaskEnv(gymnasium.Env):
    """One task of the benchmark.

    Observations are ``Box(128,)`` float32 (``obs="state"``), ``Box(224, 224, 3)`` uint8
    (``"rgb"``) or a dict of both (``"state+rgb"``); entries of the state past ``task.obs_dim``
    are zero. Actions are ``Box(-1, 1, (16,))``; entries past ``task.action_dim`` are ignored
    whatever they hold, the task's own are clipped to [-1, 1].

    ``terminated`` is always False; ``truncated`` is True at the task's fixed episode length.
    Every ``info`` holds ``score`` (of the episode so far) and ``success`` (of the step just
    taken; NaN where the task defines none). The reset's ``info`` also holds ``task``,
    ``instruction``, ``action_mask`` (16), ``observation_mask`` (128) and ``rng``, the generator
    from which the episode started: ``reset(options={"rng": info["rng"]})`` starts it again.

    Args:
        task: A name, an id, or a record of the catalogue.
        obs: ``state``, ``rgb`` or ``state+rgb``.
        unify: Pad observations to 128 and actions to 16 entries. False gives the task's own
            sizes.
        render_mode: None, ``rgb_array`` or ``human``.

    Raises:
        UnknownTaskError: No task has this name.
        TaskUnavailableError: The task's simulator is not installed.
        ValueError: ``obs`` or ``render_mode`` is not one of the above.

    Source: arXiv 2511.19584, section 2.
    """

    metadata = {
        "render_modes": ["rgb_array", "human"],
        "render_fps": 30,
    }

    def __init__(
        self,
        task: str | Task,
        obs: str = "state",
        unify: bool = True,
        render_mode: str | None = None,
    ) -> None:
        self.task = task if isinstance(task, Task) else catalog.get(task)
        if obs not in OBS_MODES:
            raise ValueError(f"unknown observation mode {obs!r}: one of {', '.join(OBS_MODES)}")
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(
                f"unknown render mode {render_mode!r}: one of "
                f"{', '.join(self.metadata['render_modes'])}, or None"
            )
        self.obs_mode = obs
        self.render_mode = render_mode
        self._has_success = self.task.has_success
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
        self._return = 0.0
        self._simulator = make_simulator(self.task, frames=obs != "state" or bool(render_mode))
        beside_frame = obs == "state+rgb"
        simulator = self._simulator
        self._write_state = simulator.observe_beside_frame if beside_frame else simulator.observe

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts an episode, which is a function of ``seed`` and the actions.

        Args:
            seed: Restarts the environment's generator, an integer of any type, at least 0; None
                goes on with it.
            options: ``rng``, six uint64 as in the info of an earlier reset: starts that
                episode again.

        Returns:
            The first observation and the info described above.

        Raises:
            ClosedEnvironmentError: The environment is closed.
            ValueError: The seed or the generator is not one.
        """
        rng = self.begin(seed, options.get("rng") if options else None)
        info = {
            **_info(*self.progress),
            "task": self.task.name,
            "instruction": self.task.instruction,
            "action_mask": action_mask(self.task),
            "observation_mask": observation_mask(self.task),
            "rng": rng,
        }
        if self.render_mode == "human":
            self.render()
        return self._observation(), info

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Takes one agent step (``task.action_repeat`` native steps).

        Args:
            action: ``(16,)`` (``(action_dim,)`` without ``unify``), clipped to [-1, 1].

        Returns:
            Observation, reward summed over the repeat, False, whether the episode's fixed
            length is reached, and the info described above.

        Raises:
            ClosedEnvironmentError: The environment is closed.
            ResetNeeded: The episode is over, or none was started.
            ValueError: The action has another shape, or NaN in the task's own entries.
        """
        reward, truncated, score, success = self.advance(action)
        if self.render_mode == "human":
            self.render()
        return self._observation(), reward, False, truncated, _info(score, success)

    # What `reset` and `step` are made of, without their infos and new arrays: the vector
    # environment calls these and has the observation written where it is needed.

    def begin(self, seed: int | None = None, rng: np.ndarray | None = None) -> np.ndarray:
        """Starts an episode; see :meth:`reset`.

        Returns:
            The generator from which it started, packed.
        """
        self._check_open()
        words = None if rng is None else generator_words(rng)
        super().reset(seed=None if seed is None else checked_seed(seed))
        if words is not None:
            unpack_generator(self.np_random, words)
        started_from = pack_generator(self.np_random)
        self._simulator.reset(self.np_random)
        self._elapsed = 0
        self._return = 0.0
        return started_from

    def advance(self, action: np.ndarray) -> tuple[float, bool, float, float]:
        """Takes one agent step; see :meth:`step`.

        Returns:
            The reward, whether the episode is over, its score and its success.
        """
        if self._elapsed is None or self._elapsed >= self._length:
            self._check_open()
            raise ResetNeeded(
                f"{self.task.name}: call reset() before step() "
                f"({'no episode has started' if self._elapsed is None else 'the episode is over'})"
            )
        reward, success = self._simulator.step(self._native_action(action))
        self._elapsed += 1
        self._return += reward
        truncated = self._elapsed >= self._length
        if self._has_success:
            return reward, truncated, success, success
        return reward, truncated, self._score(self._return, success), UNDEFINED

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

    @property
    def progress(self) -> tuple[float, float]:
        """Score and success where the episode starts."""
        return self.task.score(0.0, 0.0), 0.0 if self._has_success else UNDEFINED

    def render(self) -> np.ndarray | None:
        """Draws the current state: an RGB frame, or None after showing it in a window."""
        self._check_open()
        if self.render_mode is None:
            gymnasium.logger.warn(
                f'{self.task.name}: render() without a render mode; pass render_mode="rgb_array"'
            )
            return None
        frame = self._simulator.render()
        if self.render_mode == "rgb_array":
            return frame
        if self._window is None:
            from mmbench.window import Window

            self._window = Window(self.task.name, self.metadata["render_fps"])
        self._window.show(frame)
        return None

    def get_state(self) -> dict[str, np.ndarray]:
        """Returns the whole state of the environment as arrays, for :meth:`set_state`.

        Keys: ``env/step``, ``env/return``, ``env/rng`` (the PCG64 generator as six uint64:
        state and increment, high half first, then its spare 32 bits), and the simulator's own
        (``state``, ``model/<field>``, ``task/<name>``).

        Raises:
            ResetNeeded: No episode has started.
            NotImplementedError: The simulator cannot save its state (Box2D).
        """
        self._check_open()
        if self._elapsed is None:
            raise ResetNeeded(f"{self.task.name}: call reset() before get_state()")
        return {
            "env/step": np.asarray(self._elapsed, np.int64),
            "env/return": np.asarray(self._return, np.float64),
            "env/rng": pack_generator(self.np_random),
            **self._simulator.get_state(),
        }

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restores a state; two continuations from one state are bit-identical.

        Args:
            state: What :meth:`get_state` returned. Keys under ``env/`` and ``task/`` may be
                missing: the step count and the return then start at zero, the generator goes
                on, and the task's variables are derived from the simulator's state.

        Raises:
            ResetNeeded: No episode has started; a scene is built by the first reset.
        """
        self._check_open()
        if self._elapsed is None:
            raise ResetNeeded(f"{self.task.name}: call reset() before set_state()")
        self._simulator.set_state(state)
        self._elapsed = int(state.get("env/step", 0))
        self._return = float(state.get("env/return", 0.0))
        if "env/rng" in state:
            unpack_generator(self.np_random, state["env/rng"])

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


def _info(score: float, success: float) -> dict[str, Any]:
    return {"score": score, "success": success}


def action_space(size: int = MAX_ACTION_DIM) -> spaces.Box:
    """The actions of a task with ``size`` entries, by default padded."""
    return spaces.Box(-1.0, 1.0, (size,), np.float32)


def observation_space(obs: str, size: int = MAX_OBS_DIM) -> spaces.Space:
    """The observations of a mode with ``size`` entries in the state, by default padded."""
    state = spaces.Box(-np.inf, np.inf, (size,), np.float32)
    rgb = spaces.Box(0, 255, FRAME_SHAPE, np.uint8)
    if obs == "state":
        return state
    return rgb if obs == "rgb" else spaces.Dict({"state": state, "rgb": rgb})


def checked_seed(seed: Any) -> int:
    """Returns a seed, an integer of any type, as an int.

    Raises:
        ValueError: It is no integer, or negative.
    """
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if number < 0:
        raise ValueError(f"seed={seed!r}: an integer of at least 0, or None")
    return number


def generator_words(rng: Any, *shape: int) -> np.ndarray:
    """Returns packed generators, as in infos, as an array of shape (..., 6) uint64.

    Args:
        rng: What a caller has passed.
        *shape: The dimensions before the last.

    Raises:
        ValueError: It is not what :func:`pack_generator` returns.
    """
    words = np.asarray(rng)
    expected = (*shape, 6)
    if words.shape != expected or words.dtype.kind not in "ui":
        raise ValueError(f"rng of shape {words.shape} {words.dtype}, expected {expected} uint64")
    words = words.astype(np.uint64)
    # A PCG64 generator has an odd increment, and a spare half of 32 bits or none.
    good = (words[..., 3] % 2 == 1) & (words[..., 4] <= 1) & (words[..., 5] < 2**32)
    if not good.all():
        raise ValueError(f"rng is no state of a PCG64 generator: {words[~good][:1].tolist()}")
    return words


def pack_generator(generator: np.random.Generator) -> np.ndarray:
    """Returns the state of a PCG64 generator as six uint64 (see :meth:`TaskEnv.get_state`)."""
    state: Any = generator.bit_generator.state
    words = [part for key in ("state", "inc") for part in divmod(state["state"][key], 1 << 64)]
    return np.array([*words, state["has_uint32"], state["uinteger"]], np.uint64)


def unpack_generator(generator: np.random.Generator, words: np.ndarray) -> None:
    """Restores what :func:`pack_generator` returned."""
    high, low, inc_high, inc_low, has_uint32, uinteger = (int(word) for word in words)
    generator.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": (high << 64) | low, "inc": (inc_high << 64) | inc_low},
        "has_uint32": has_uint32,
        "uinteger": uinteger,
    }
