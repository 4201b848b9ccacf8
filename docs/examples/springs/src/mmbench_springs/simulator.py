"""The adapter: it is imported when a task of the domain is made."""

import numpy as np

from mmbench import Task
from mmbench.domains import Simulator

TIME_STEP = 0.1  # s
FORCE = 3.0  # N, of a full action; the mass weighs 1 kg, the spring pulls with 1 N/m
FRAME = 224  # px
SCALE = 50  # px a metre


def make(task: Task, frames: bool) -> Simulator:
    """Builds the simulator of a task; `frames` says whether it will be drawn."""
    return SpringSimulator(target=float(task.native))


class SpringSimulator(Simulator):
    """A mass on a spring, whose reward is 1 at the target and falls with the distance."""

    def __init__(self, target: float) -> None:
        self._target = target
        self._state = np.zeros(2)  # position in m, velocity in m/s

    def reset(self, rng: np.random.Generator) -> None:
        """Starts somewhere; everything random is drawn from `rng`."""
        self._state[:] = rng.uniform(-1, 1, 2)

    def step(self, action: np.ndarray) -> tuple[float, float]:
        """Returns the reward, and the success where the task has one (here NaN: it has none)."""
        position, velocity = self._state
        velocity += TIME_STEP * (FORCE * float(action[0]) - position)
        position += TIME_STEP * velocity
        self._state[:] = position, velocity
        return max(0.0, 1.0 - abs(position - self._target)), float("nan")

    def observe(self, out: np.ndarray) -> None:
        """Writes position and velocity."""
        out[:] = self._state

    def render(self) -> np.ndarray:
        """Draws the target in grey and the mass in white."""
        frame = np.zeros((FRAME, FRAME, 3), np.uint8)
        for place, color in ((self._target, 90), (self._state[0], 255)):
            column = int(np.clip(FRAME / 2 + SCALE * place, 8, FRAME - 8))
            frame[FRAME // 2 - 8 : FRAME // 2 + 8, column - 8 : column + 8] = color
        return frame

    def get_state(self) -> dict[str, np.ndarray]:
        """Returns everything the future depends on."""
        return {"state": self._state.copy()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restores what `get_state` returned."""
        self._state[:] = state["state"]
