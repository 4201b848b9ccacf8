"""Any Gymnasium environment with Box spaces, as a simulator (see :func:`mmbench.gym_task`)."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium
import numpy as np

from mmbench.catalog import InvalidTaskError, Task, TaskUnavailableError, UnknownTaskError
from mmbench.catalog.gymnasium_tasks import (
    action_box,
    find_environment,
    is_image,
    make_environment,
    observation_box,
)
from mmbench.domains.simulator import Simulator
from mmbench.runs import one_line

_FRAME = 224  # px, height and width of a frame
_RESET = ("observation", "info")
_STEP = ("observation", "reward", "terminated", "truncated", "info")


def make(task: Task, frames: bool) -> GymnasiumSimulator:
    """Builds the environment of a task (see :mod:`mmbench.domains`)."""
    drawn = frames and task.obs_dim > 0  # where observations are images, they are the frames
    with warnings.catch_warnings():
        # That it cannot draw is the error below.
        warnings.filterwarnings("ignore", ".*not in the possible render_modes")
        try:
            env = make_environment(task.native, task.native_kwargs, "rgb_array" if drawn else None)
        except TaskUnavailableError as error:
            if drawn and "'render_mode'" in str(error):
                raise _without_frames(task, "its class takes no render_mode") from error
            raise
    if drawn and "rgb_array" not in (env.metadata.get("render_modes") or ()):
        env.close()
        raise _without_frames(task, f"its render modes are {env.metadata.get('render_modes')}")
    try:
        return GymnasiumSimulator(env, task)
    except BaseException:
        env.close()
        raise


def _without_frames(task: Task, why: str) -> TaskUnavailableError:
    return TaskUnavailableError(
        f"task {task.name!r} has no frames: its environment does not draw rgb_array ({why})"
    )


def missing(task: Task) -> str | None:
    """Why this process cannot make the environment, or None."""
    try:
        find_environment(task.native)
    except (UnknownTaskError, InvalidTaskError) as error:
        return str(error)
    return None


class GymnasiumSimulator(Simulator):
    """One environment behind the interface of the benchmark's domains.

    Args:
        env: The environment, without a time limit.
        task: Its task.
    """

    in_cycles = True

    def __init__(self, env: gymnasium.Env, task: Task) -> None:
        self._env = env
        self._name = task.name
        self._repeat = task.action_repeat
        self._ends = task.terminates
        self._observations = observation_box(task.native, env.observation_space)
        self._actions = action_box(task.native, env.action_space)
        self._image = is_image(self._observations)
        sizes = (
            0 if self._image else int(np.prod(self._observations.shape)),
            int(np.prod(self._actions.shape)),
        )
        if sizes != (task.obs_dim, task.action_dim):
            raise InvalidTaskError(
                f"task {task.name!r}: its observations and actions have {sizes[0]} and {sizes[1]} "
                f"entries, and its record says {task.obs_dim} and {task.action_dim}"
            )
        low, high = (np.asarray(b, np.float64) for b in (self._actions.low, self._actions.high))
        self._middle, self._half = (low + high) / 2, (high - low) / 2
        self._obs: Any = None
        self._over = False

    def reset(self, rng: np.random.Generator) -> None:
        """Starts an episode with a seed drawn from ``rng``."""
        self.terminated = self.truncated = self._over = False
        returned = self._env.reset(seed=int(rng.integers(1 << 31)))
        obs, _ = self._parts(returned, "reset", _RESET)
        self._obs = self._checked(obs, "reset")

    def step(self, action: np.ndarray) -> tuple[float, float]:
        """Takes ``action_repeat`` steps with the action rescaled; success is undefined (NaN)."""
        box = self._actions
        native = self._middle + self._half * action.reshape(box.shape)
        native = native.astype(box.dtype).clip(box.low, box.high)  # rounding may leave the bounds
        total = 0.0
        for _ in range(self._repeat):
            try:
                returned = self._env.step(native)
            except Exception:
                if not self._over:
                    raise
                # It does not go on after its end: it stands still, and that is the last step.
                self.truncated = True
                break
            obs, reward, terminated, truncated, _ = self._parts(returned, "step", _STEP)
            self._obs = self._checked(obs, "step")
            total += float(reward)
            self._over |= bool(terminated)
            self.terminated = self._ends and self._over
            self.truncated = bool(truncated)
            if self.terminated or self.truncated:
                break
        return total, float("nan")

    def _parts(self, returned: Any, method: str, names: tuple[str, ...]) -> tuple[Any, ...]:
        if not isinstance(returned, tuple) or len(returned) != len(names):
            what = f"{len(returned)} values" if isinstance(returned, tuple) else "a single value"
            raise ValueError(
                f"{self._name}: its {method} returned {what}, and Gymnasium's API has "
                f"{len(names)}: {', '.join(names)}"
            )
        return returned

    def _checked(self, obs: Any, method: str) -> Any:
        if np.shape(obs) != self._observations.shape:
            raise ValueError(
                f"{self._name}: its {method} returned an observation of shape {np.shape(obs)}, and "
                f"its observation space has {self._observations.shape}"
            )
        return obs

    def observe(self, out: np.ndarray) -> None:
        """Writes the observation, flattened; nothing where it is an image."""
        if not self._image:
            out[:] = np.ravel(self._obs)

    def render(self) -> np.ndarray:
        """Returns the environment's frame, or its observation where that is an image, resized.

        Raises:
            RendererUnavailableError: The environment cannot draw here.
        """
        if self._image:
            return fit(np.asarray(self._obs, np.uint8))
        try:
            return fit(np.asarray(self._env.render(), np.uint8))
        except Exception as error:
            from mmbench.rendering import RendererUnavailableError  # late: it loads MuJoCo

            raise RendererUnavailableError(
                f"the environment {self._name} does not draw here ({one_line(error)}); if it draws "
                "with MuJoCo on a machine without a display, set MUJOCO_GL=egl"
            ) from error

    def get_state(self) -> dict[str, np.ndarray]:
        """Raises NotImplementedError."""
        raise NotImplementedError(
            f"{self._name}: a Gymnasium environment cannot save its state. Start the episode "
            "again from its generator (episode_rng) and repeat its actions"
        )

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Raises NotImplementedError."""
        self.get_state()

    def close(self) -> None:
        """Closes the environment."""
        self._env.close()


def fit(image: np.ndarray) -> np.ndarray:
    """Scales an image to fit into the middle of a black frame.

    Args:
        image: ``(height, width)`` or ``(height, width, 1 or 3)`` uint8.

    Returns:
        ``(224, 224, 3)`` uint8.
    """
    import pygame  # late: state observations need no pictures

    pixels = np.broadcast_to(image.reshape(*image.shape[:2], -1), (*image.shape[:2], 3))
    height, width = pixels.shape[:2]
    scale = _FRAME / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    surface = pygame.surfarray.make_surface(pixels.swapaxes(0, 1))
    small = pygame.surfarray.array3d(pygame.transform.smoothscale(surface, size)).swapaxes(0, 1)
    frame = np.zeros((_FRAME, _FRAME, 3), np.uint8)
    top, left = (_FRAME - size[1]) // 2, (_FRAME - size[0]) // 2
    frame[top : top + size[1], left : left + size[0]] = small
    return frame
