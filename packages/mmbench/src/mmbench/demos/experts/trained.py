"""Policies of agents that were trained on one task, by PPO of mmbench-baselines: small networks.

Their weights lie in ``policies/<task>.npz``, where ``scripts/export_policy.py`` puts those of a
run. They are played here without torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from mmbench.catalog import Task
from mmbench.demos.experts import Expert
from mmbench.demos.experts.linear import POLICIES
from mmbench.env import TaskEnv

_MOST = 10.0  # standard deviations of an observed number that are told apart
_NORM_EPS = 1e-5  # of LayerNorm


class Layer(NamedTuple):
    """A linear layer, and the LayerNorm and Mish behind it; the last has none.

    Attributes:
        weight: (outputs, inputs).
        bias: (outputs,).
        gain: Of the norm, (outputs,); of the last layer empty.
        shift: The same.
    """

    weight: np.ndarray
    bias: np.ndarray
    gain: np.ndarray
    shift: np.ndarray


class Network(NamedTuple):
    """A policy's mean action.

    Attributes:
        mean: Of the observations that it was trained on, (obs_dim,).
        scale: Their standard deviations.
        layers: From the observation to the action.
    """

    mean: np.ndarray
    scale: np.ndarray
    layers: tuple[Layer, ...]

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Returns the action (action_dim,) in (-1, 1) for an observation (obs_dim,)."""
        x = np.clip((obs - self.mean) / self.scale, -_MOST, _MOST)
        for layer in self.layers:
            x = layer.weight @ x + layer.bias
            if len(layer.gain):
                x = (x - x.mean()) / np.sqrt(x.var() + _NORM_EPS)
                x = x * layer.gain + layer.shift
                x = x * np.tanh(np.logaddexp(0.0, x))
        return np.tanh(x)

    def save(self, path: Path) -> None:
        """Writes it into a file."""
        numbers: dict[str, Any] = {"mean": self.mean, "scale": self.scale}
        for i, layer in enumerate(self.layers):
            numbers |= {f"{name}{i}": value for name, value in layer._asdict().items()}
        np.savez(path, **{name: value.astype(np.float32) for name, value in numbers.items()})

    @classmethod
    def load(cls, path: Path) -> Network:
        """Reads it from a file."""
        with np.load(path) as stored:
            numbers = {name: stored[name].astype(np.float64) for name in stored}
        count = sum(name.startswith("weight") for name in numbers)
        layers = [Layer(*(numbers[f"{name}{i}"] for name in Layer._fields)) for i in range(count)]
        return cls(numbers["mean"], numbers["scale"], tuple(layers))


class TrainedGuide:
    """A task's network, as a guide (see ``linear.py``)."""

    bonus = 0.0

    def __init__(self, task: Task, folder: Path = POLICIES) -> None:
        self._network = Network.load(folder / f"{task.versioned_name}.npz")

    def act(self, obs: np.ndarray, step: int) -> np.ndarray:
        """Returns the agent's action."""
        return self._network.act(obs)


class Trained(Expert):
    """Does what the agent would do, without its noise.

    Attributes:
        folder: Where the networks lie, one file a task.
    """

    name = "agent trained by PPO"
    folder: ClassVar[Path] = POLICIES

    def begin(self, env: TaskEnv, obs: np.ndarray, rng: np.random.Generator) -> None:
        """Reads the network."""
        self._guide = TrainedGuide(env.task, self.folder)

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Asks the network."""
        return self._guide.act(obs, 0)
