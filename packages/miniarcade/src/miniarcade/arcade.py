"""The Gymnasium environment around a game."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded

from miniarcade.episode import UNDEFINED
from miniarcade.registry import Task, get_task
from miniarcade.snapshot import Checker, save_progress, unpack_generator

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas
    from miniarcade.viewer import Viewer

_FLOAT32 = np.float32


class ArcadeEnv(gym.Env[np.ndarray, np.ndarray]):
    """One task: a game with an episode length and a score.

    An episode never terminates; it is truncated after `task.max_episode_steps`. Every `info`
    holds `score`, that of the episode so far in [0, 1], and `success`, 1.0 or 0.0 at this step,
    or NaN where the game knows none. The last step's are the episode's. Copies and pickles go on
    where the episode is.

    Attributes:
        task: The record of the task.
        game: The game itself, for those who step it without this wrapper.
        spec: Gymnasium's, if `gymnasium.make` made it; `max_episode_steps` is the task's.
    """

    metadata: dict[str, Any] = {"render_modes": ["human", "rgb_array"], "render_fps": 30}
    _spec: EnvSpec | None = None

    def __init__(self, task: Task | str, render_mode: str | None = None) -> None:
        """Makes the environment; the first `reset` starts an episode.

        Args:
            task: A record, or the id or name of one.
            render_mode: `"rgb_array"`, `"human"` or None.

        Raises:
            ValueError: If there is no such task or render mode.
        """
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(
                f"unknown render mode {render_mode!r}; known: {self.metadata['render_modes']}"
            )
        self.task = task = get_task(task) if isinstance(task, str) else task
        self.game = game = task.make_game()
        self.render_mode = render_mode
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (game.observation_size,))
        self.action_space = gym.spaces.Box(-1.0, 1.0, (game.action_size,))
        self._action_shape = (game.action_size,)
        self._length = task.max_episode_steps
        self._knows_success = task.score_metric == "success"
        self._step = -1  # of the running episode; -1 before the first reset
        self._return = 0.0
        self._checker: Checker | None = None
        self._canvas: Canvas | None = None
        self._window: Viewer | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, float]]:
        """Starts an episode, which `seed` and the actions determine.

        Args:
            seed: Of the episode's generator; None continues the one of the last episode.
            options: Not used.

        Returns:
            The first observation, float32, and the info.
        """
        super().reset(seed=seed)
        self.game.reset(self.np_random)
        self._step = 0
        self._return = 0.0
        if self.render_mode == "human":
            self.render()
        return np.array(self.game.observe(), _FLOAT32), self._info()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, float]]:
        """Advances the game by one step.

        Args:
            action: As many numbers as the game's action has entries; clipped to [-1, 1].

        Returns:
            Observation (float32), reward, terminated (always False), truncated, info.

        Raises:
            ResetNeeded: Before the first reset.
            ValueError: If the action has the wrong shape or a NaN.
        """
        if self._step < 0:
            raise ResetNeeded("cannot call env.step() before calling env.reset()")
        game = self.game
        reward = game.step(self._read_action(action))
        self._step = step = self._step + 1
        self._return += reward
        if self.render_mode == "human":
            self.render()
        return (
            np.array(game.observe(), _FLOAT32),
            reward,
            False,
            step >= self._length,
            self._info(),
        )

    def render(self) -> np.ndarray | None:
        """Draws the current state: an array (224, 224, 3) of uint8, or in the window.

        Raises:
            ResetNeeded: Before the first reset.
        """
        if self._step < 0:
            raise ResetNeeded("cannot call env.render() before calling env.reset()")
        if self.render_mode is None:
            gym.logger.warn("nothing is rendered: the environment was made without a render_mode")
            return None
        if self._canvas is None:
            from miniarcade.drawing import Canvas

            self._canvas = Canvas()
        self.game.draw(self._canvas)
        if self.render_mode == "rgb_array":
            return self._canvas.to_array()
        if self._window is None:
            from miniarcade.viewer import Viewer

            self._window = Viewer(f"MiniArcade: {self.task.name}", self.metadata["render_fps"])
        self._window.show(self._canvas.to_fine_array())
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

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_canvas": None, "_window": None}

    def close(self) -> None:
        """Closes the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def get_state(self) -> dict[str, np.ndarray]:
        """The whole state: what `miniarcade.snapshot` describes, and the game's `task/<field>`.

        Raises:
            ResetNeeded: Before the first reset.
        """
        if self._step < 0:
            raise ResetNeeded("cannot call get_state() before calling env.reset()")
        progress = save_progress(self.task.id, self._step, self._return, self.np_random)
        return {**progress, **self.game.get_state()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Continues from a state as if the episode had never been left, to the last bit.

        Args:
            state: What `get_state` returned, here or in another process. Without `env/` entries
                the step is the game's own, the return 0 and the generator left as it is.

        Raises:
            ValueError: If it is no state of this task; nothing has changed then.
        """
        game = self.game
        if self._checker is None:
            forms = game.state_forms()
            self._checker = Checker(self.task.id, self._length, forms, required=forms)
        progress, arrays = self._checker.check(state)
        game.set_state(arrays)
        game.rng = self.np_random
        if progress.rng is not None:
            unpack_generator(self.np_random, progress.rng)
        self._step = game.state.t if progress.step is None else progress.step
        self._return = progress.total or 0.0

    def _read_action(self, action: np.ndarray) -> list[float]:
        """The action's entries as clipped Python floats."""
        if type(action) is not np.ndarray or action.dtype.char not in "fd":
            try:
                action = np.asarray(action, np.float64)
            except (TypeError, ValueError) as error:
                raise ValueError(f"the action must be numbers, got {action!r}") from error
        if action.shape != self._action_shape:
            raise ValueError(
                f"the action of {self.task.id} has shape {self._action_shape}, got {action.shape}"
            )
        values: list[float] = action.tolist()
        for i, value in enumerate(values):
            if not -1.0 <= value <= 1.0:
                if value != value:
                    raise ValueError(f"the action of {self.task.id} holds NaN: {values}")
                values[i] = 1.0 if value > 0.0 else -1.0
        return values

    def _info(self) -> dict[str, float]:
        success = self.game.success() if self._knows_success else UNDEFINED
        return {"score": self.task.score(self._return, success), "success": success}
