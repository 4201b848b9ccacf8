"""What a domain adapter gives to :class:`mmbench.env.TaskEnv`."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np

from miniarcade.snapshot import Form


class Simulator(abc.ABC):
    """One native simulator behind the interface that all domains share.

    A simulator knows nothing of padding, masks, scores, episode lengths or seeds: TaskEnv adds
    those. It is handed a generator at every reset and draws all its randomness from it, so that
    an episode is a function of that generator's state and of the actions.

    Attributes:
        terminated: Whether the last step ended the episode by itself. Only tasks with
            ``terminates`` may set it, and :meth:`reset` clears it.
        truncated: Whether the last step has to be the episode's last though its length is not
            reached. Never in the benchmark.
        required_state: The arrays without which a state cannot be restored.
        in_cycles: Whether its objects hold on to each other, so that its memory comes back only
            when Python collects garbage.
    """

    terminated = False
    truncated = False
    required_state: tuple[str, ...] = ("state",)
    in_cycles = False

    @abc.abstractmethod
    def reset(self, rng: np.random.Generator) -> None:
        """Starts an episode.

        Args:
            rng: The environment's generator. A simulator that also draws during the episode
                keeps the reference; the generator outlives the episode.
        """

    @abc.abstractmethod
    def step(self, action: np.ndarray) -> tuple[float, float]:
        """Advances by one agent step, that is by ``task.action_repeat`` native steps.

        Args:
            action: The task's own entries, ``(action_dim,)`` float32 in [-1, 1], free of NaN.
                The array is the simulator's to change.

        Returns:
            The reward of the agent step, and its success: 0.0, 1.0, or NaN where the task
            defines none.
        """

    @abc.abstractmethod
    def observe(self, out: np.ndarray) -> None:
        """Writes the state observation.

        Args:
            out: ``(obs_dim,)`` float32 array, all of which is overwritten.
        """

    def observe_beside_frame(self, out: np.ndarray) -> None:
        """Writes the state observation of ``obs="state+rgb"``.

        The same as :meth:`observe`, but for published tasks that differ (Atari).
        """
        self.observe(out)

    @abc.abstractmethod
    def render(self) -> np.ndarray:
        """Draws the scene without changing any state or random stream.

        Returns:
            ``(224, 224, 3)`` uint8 RGB image.
        """

    @abc.abstractmethod
    def get_state(self) -> dict[str, np.ndarray]:
        """Returns copies of everything the future depends on, by name."""

    def state_forms(self) -> dict[str, Form]:
        """Names, shapes (None where a length varies) and types of all that a state may hold.

        Those of :meth:`get_state`, where a domain has nothing to add. Called after a reset.
        """
        return {key: (array.shape, array.dtype) for key, array in self.get_state().items()}

    @abc.abstractmethod
    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restores what :meth:`get_state` returned.

        Args:
            state: Arrays by name, checked by :meth:`state_forms`: nothing else is in it, nothing
                required is missing, and no number is NaN. They are the simulator's to keep.

        Raises:
            ValueError: It cannot be restored; nothing has changed then.
        """

    def together(self, count: int) -> VectorSimulator | None:
        """Makes so many simulators of this task that step as arrays; None if there are none."""
        return None

    def close(self) -> None:  # noqa: B027 - most simulators hold nothing to free
        """Frees renderers and other resources. May be called twice."""


class VectorSimulator(abc.ABC):
    """Simulators of one task whose episodes are arrays: N of them take a step at once.

    All that comes out is what single ones would give, to the last bit.
    """

    @abc.abstractmethod
    def take(self, k: int, simulator: Any) -> None:
        """Goes on with the episode of a single one, as number ``k``; its generator is shared."""

    @abc.abstractmethod
    def give(self, k: int, simulator: Any) -> None:
        """Gives the episode of number ``k`` to the single one that it was taken from."""

    @abc.abstractmethod
    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Advances all by one agent step.

        Args:
            actions: ``(N, action_dim)`` float32 in [-1, 1], free of NaN.

        Returns:
            Rewards and successes, ``(N,)`` float64 each.
        """

    @abc.abstractmethod
    def observe(self) -> np.ndarray:
        """Returns the state observations, ``(N, obs_dim)`` float32."""
