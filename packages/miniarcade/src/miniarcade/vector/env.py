"""The Gymnasium vector environment around a vector game."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from miniarcade.episode import checked_options, checked_seeds, linear_scores
from miniarcade.registry import Task, get_task
from miniarcade.vector.game import STEP
from miniarcade.vector.infos import (
    checked_autoreset_mode,
    final_infos,
    infos_of,
    infos_of_all,
)

if TYPE_CHECKING:
    from miniarcade.drawing import Canvas

# As arrays: NumPy converts Python numbers again in every operation, at the price of another one.
_MINUS_ONE, _ONE = map(np.array, (-1.0, 1.0))


class VectorArcadeEnv(gym.vector.VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """N environments of one task, stepped as arrays.

    Observations, rewards, truncations and infos are to the last bit those of N single
    environments with the seeds `seed`, ..., `seed + N - 1`, in Gymnasium's `SyncVectorEnv`. All
    arrays returned are the caller's to keep.

    By default an episode that ends is followed by the next in the same step (`SAME_STEP`): the
    observation and `info` are then those of the new episode, and `info["final_obs"]` and
    `info["final_info"]` those of the last step of the old one. With `NEXT_STEP` the step after an
    end resets, whatever the action; with `DISABLED` the caller does, by `reset` with a mask.

    Attributes:
        autoreset_mode: When an environment is reset whose episode has ended; also in `metadata`.
        task: The record of the task.
        game: The N games.
    """

    metadata: dict[str, Any] = {
        "render_modes": ["rgb_array"],
        "render_fps": 30,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        task: Task | str,
        num_envs: int = 1,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.SAME_STEP,
    ) -> None:
        """Makes the environments; the first `reset` starts the episodes.

        Args:
            task: A record, or the id or name of one, that has a vector game.
            num_envs: N.
            render_mode: `"rgb_array"` or None.
            autoreset_mode: Gymnasium's `AutoresetMode`, or its name: `"SameStep"`, `"NextStep"`
                or `"Disabled"`.

        Raises:
            ValueError: If there is no such task or mode, the task has no vector game, or there
                are no environments.
        """
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(
                f"unknown render mode {render_mode!r}; known: {self.metadata['render_modes']}"
            )
        if num_envs < 1:
            raise ValueError(f"num_envs={num_envs}: at least 1")
        self.autoreset_mode = checked_autoreset_mode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.task = task = get_task(task) if isinstance(task, str) else task
        self.game = task.make_vector_game(num_envs)
        self.num_envs = num_envs
        self.render_mode = render_mode
        game = self.game.game
        self.single_observation_space = gym.spaces.Box(-np.inf, np.inf, (game.observation_size,))
        self.single_action_space = gym.spaces.Box(-1.0, 1.0, (game.action_size,))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._started = False  # by the first reset
        self._generators: list[np.random.Generator] = []  # empty until they are needed
        self._seeds: list[int] = [-1] * num_envs
        self._steps = np.zeros(num_envs, np.int64)  # of the running episodes
        self._returns = np.zeros(num_envs)
        self._everywhere = np.ones(num_envs, bool)
        self._over = np.zeros(num_envs, bool)  # episodes whose end no reset has followed
        self._canvas: Canvas | None = None

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The environments' generators."""
        self._seed_missing()
        return tuple(self._generators)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seeds that they came from."""
        self._seed_missing()
        return tuple(self._seeds)

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError(
            "a vector environment can be neither copied nor pickled: its games share their arrays. "
            "Copy single environments, or make another one"
        )

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts episodes.

        Args:
            seed: One for each environment, or a number from which environment i gets `seed + i`;
                None goes on with their generators.
            options: `reset_mask`, (N,) bool: which environments to reset; the observations of
                the others are their current ones.

        Returns:
            The first observations, (N, observation size) float32, and the infos.

        Raises:
            TypeError: If the options are no dict.
            ValueError: If the number of seeds or the mask's shape is wrong, or the first reset
                leaves out environments.
        """
        seeds = checked_seeds(seed, self.num_envs)
        mask = np.ones(self.num_envs, bool)
        options = checked_options(options)
        if "reset_mask" in options:
            mask = np.asarray(options["reset_mask"])
            if mask.shape != (self.num_envs,) or mask.dtype != bool or not mask.any():
                raise ValueError(
                    f"reset_mask must be {self.num_envs} booleans, one or more of them true; "
                    f"got {options['reset_mask']!r}"
                )
            if not self._started and not mask.all():
                raise ValueError("the first reset needs all environments: leave reset_mask out")
        self._seed_missing()
        for i in np.flatnonzero(mask):
            if seeds[i] is not None:
                self._generators[i], self._seeds[i] = np_random(seeds[i])
            self._start(i)
        self._started = True
        return self.game.observe(), infos_of(self._infos(), mask)

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Advances all environments by one step.

        Args:
            actions: (N, action size); clipped to [-1, 1].

        Returns:
            Observations (N, observation size) of float32, rewards (N,) of float64, terminated
            (N,), always False, truncated (N,) and the infos, with their masks.

        Raises:
            ResetNeeded: Before the first reset, or where an episode is over and `DISABLED`.
            ValueError: If the actions have the wrong shape or a NaN.
        """
        if not self._started:
            raise ResetNeeded("cannot call env.step() before calling env.reset()")
        actions = self._read_actions(actions)
        same_step = self.autoreset_mode is AutoresetMode.SAME_STEP
        over = () if same_step else self._over.nonzero()[0].tolist()
        if over and self.autoreset_mode is AutoresetMode.DISABLED:
            raise ResetNeeded(
                f"the episodes of the environments {over} are over, and autoreset_mode is "
                "Disabled: reset(options={'reset_mask': ...}) them first"
            )
        for i in over:
            self.game.rngs[i] = np.random.default_rng(0)  # it steps too, and draws from another
        rewards = self.game.step(actions)
        self._steps += STEP
        self._returns += rewards
        for i in over:
            self._start(i)
            rewards[i] = 0.0
        truncated = self._steps >= self.task.max_episode_steps
        ended = truncated.nonzero()[0]
        observations, infos = self.game.observe(), self._infos()
        if len(ended) and same_step:
            final = final_infos([observations[i].copy() for i in ended], infos, truncated)
            for i in ended:
                self._start(i)
            observations = self.game.observe()
            infos = infos_of_all(self._infos(), self._everywhere) | final
        else:
            self._over[ended] = True
            infos = infos_of_all(infos, self._everywhere)
        return observations, rewards, np.zeros(self.num_envs, bool), truncated, infos

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Draws the current states: an array (224, 224, 3) of uint8 for each environment.

        Raises:
            ResetNeeded: Before the first reset.
        """
        if not self._started:
            raise ResetNeeded("cannot call env.render() before calling env.reset()")
        if self.render_mode is None:
            gym.logger.warn("nothing is rendered: the environment was made without a render_mode")
            return None
        if self._canvas is None:
            from miniarcade.drawing import Canvas

            self._canvas = Canvas()
        frames = []
        for i in range(self.num_envs):
            self.game.draw(i, self._canvas)
            frames.append(self._canvas.to_array())
        return tuple(frames)

    def _seed_missing(self) -> None:
        """Makes generators from fresh entropy, where there are none yet."""
        if not self._generators:
            made = [np_random() for _ in range(self.num_envs)]
            self._generators = [generator for generator, _ in made]
            self._seeds = [seed for _, seed in made]

    def _start(self, i: int) -> None:
        """Starts an episode of environment `i`."""
        self.game.reset(i, self._generators[i])
        self._steps[i] = 0
        self._returns[i] = 0.0
        self._over[i] = False

    def _read_actions(self, actions: np.ndarray) -> np.ndarray:
        """The actions as clipped float64."""
        try:
            actions = np.asarray(actions, np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"the actions must be numbers, got {actions!r}") from error
        if actions.shape != self.action_space.shape:
            raise ValueError(
                f"the actions of {self.num_envs} {self.task.id} have shape "
                f"{self.action_space.shape}, got {actions.shape}"
            )
        actions = np.minimum(np.maximum(actions, _MINUS_ONE), _ONE)
        if math.isnan(np.vdot(actions, actions)):  # the fastest way to look at all
            raise ValueError(f"an action of {self.task.id} holds NaN: {actions}")
        return actions

    def _infos(self) -> dict[str, np.ndarray]:
        """Score and success of all environments."""
        success = self.game.success()
        if self.task.score_metric == "success":
            score = success.copy()
        else:
            score = linear_scores(self._returns, self.task.score_low, self.task.score_high)
        return {"score": score, "success": success}
