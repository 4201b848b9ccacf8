"""Environments that do nothing, to measure what is around them."""

# ruff: noqa: D102 - the methods are documented in Simulator

import numpy as np

from mmbench import catalog
from mmbench.domains.simulator import Simulator
from mmbench.env import TaskEnv


class NullSimulator(Simulator):
    """A simulator whose step takes no time."""

    def reset(self, rng: np.random.Generator) -> None:
        pass

    def step(self, action: np.ndarray) -> tuple[float, float]:
        return 0.0, 0.0

    def observe(self, out: np.ndarray) -> None:
        pass

    def render(self) -> np.ndarray:
        return np.zeros((224, 224, 3), np.uint8)

    def get_state(self) -> dict[str, np.ndarray]:
        return {}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        pass


def null_attributes() -> dict[str, object]:
    """What an environment that does nothing has in place of a simulator."""
    simulator = NullSimulator()
    return {"_simulator": simulator, "_write_state": simulator.observe}


def null_environments(count: int) -> list[TaskEnv]:
    """Some environments that do nothing."""
    environments = [TaskEnv(catalog.get("pygame-pong")) for _ in range(count)]
    for env in environments:
        for name, value in null_attributes().items():
            setattr(env, name, value)
    return environments
