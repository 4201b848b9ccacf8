"""Linear policies: an action is a weighted sum of what is observed, and of a clock.

They move bodies that random plans do not; :class:`mmbench.demos.experts.mpc.GuidedMPC` improves
upon them. Their weights lie in ``policies/<name>.npz``. They were found by random search
(``scripts/search_policies.py``), as in Mania, Guy and Recht 2018, "Simple random search provides a
competitive approach to reinforcement learning".

A body that is made of equal parts has one set of weights for all of them: each part sees the body
from its own side. So there are few weights, and a way of walking goes in every direction.
"""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from mmbench.catalog import Task
from mmbench.demos.experts.maze import ogbench_maze

POLICIES = Path(__file__).with_name("policies")
"""The folder of the weights."""

MAZES = "og-ant-mazes"
"""The name of the policy that walks in every maze."""

_MOST = 5.0  # standard deviations of a feature that are told apart


class Body(abc.ABC):
    """What a policy sees of a body, and which actions its outputs are.

    Attributes:
        parts: Equal parts, which share their weights.
        outputs: Actions of a part.
        features: Numbers that a part sees.
        bonus: Worth of where it was when it last looked, beside the task's reward, which does not
            tell it.
    """

    parts: int
    outputs: int
    features: int
    bonus = 0.0

    @abc.abstractmethod
    def see(self, obs: np.ndarray, phase: float) -> np.ndarray:
        """Returns what each part sees, (parts, features).

        Args:
            obs: (obs_dim,).
            phase: Of the clock, in rad.
        """

    def act(self, outputs: np.ndarray) -> np.ndarray:
        """Returns the action (action_dim,) for outputs (parts, outputs)."""
        return outputs.ravel()


class Whole(Body):
    """One part, which sees the observation and the clock."""

    parts = 1

    def __init__(self, task: Task) -> None:
        self.outputs = task.action_dim
        self.features = task.obs_dim + 2
        self._seen = np.zeros((1, self.features))

    def see(self, obs: np.ndarray, phase: float) -> np.ndarray:
        """Returns the observation and the clock's sine and cosine."""
        self._seen[0, :-2] = obs
        self._seen[0, -2:] = math.sin(phase), math.cos(phase)
        return self._seen


class Ant(Body):
    """Four legs at right angles, each of which sees the way to go from its own side.

    Diagonal legs share a phase of the clock; the others are half a period away.
    """

    parts = 4
    outputs = 2  # hip, ankle
    features = 33

    # Of the legs' ankles: in which direction they bend. Legs are counted as the joints are.
    _SIGNS = np.array((1.0, -1.0, -1.0, 1.0))
    # The legs in the order of the actuators.
    _ACTUATORS = (3, 0, 1, 2)
    _ANKLE = 0.87  # rad, the middle of its range

    def __init__(self, task: Task) -> None:
        self._directed = task.name == "og-ant"
        quarters = np.arange(4) * np.pi / 2
        self._turns = np.stack((np.cos(quarters), np.sin(quarters)), 1)  # of the legs
        # Of each leg: itself, the next ones counterclockwise.
        self._others = (np.arange(4)[:, None] + np.arange(4)) % 4
        self._opposed = np.array((1.0, -1.0, 1.0, -1.0))

    def see(self, obs: np.ndarray, phase: float) -> np.ndarray:
        """See the class. ``obs``: height, attitude (4), joints (8), speeds (14), direction (2)."""
        way = obs[27:29] if self._directed else np.array((1.0, 0.0))
        return self.look(obs[:27], way, phase)

    def look(self, obs: np.ndarray, way: np.ndarray, phase: float) -> np.ndarray:
        """Returns what each leg sees.

        Args:
            obs: Height, attitude (4), joints (8), speeds (14).
            way: Where to go, (2,), at most of length 1.
            phase: Of the clock, in rad.
        """
        w, x, y, z = obs[1:5]
        yaw = math.atan2(2 * (x * y + w * z), 1 - 2 * (y * y + z * z))
        c, s = math.cos(yaw), math.sin(yaw)
        vx, vy = obs[13:15]
        # Planar vectors in the body's frame: the way, the speed, what is up, the tumbling.
        planar = np.array(
            (
                (c * way[0] + s * way[1], c * way[1] - s * way[0]),
                (c * vx + s * vy, c * vy - s * vx),
                (2 * (x * z - w * y), 2 * (y * z + w * x)),
                (obs[16], obs[17]),
            )
        )
        # (legs, vectors): their parts along a leg's own axes.
        cos, sin = self._turns[:, :1], self._turns[:, 1:]
        along = cos * planar[:, 0] + sin * planar[:, 1]
        across = cos * planar[:, 1] - sin * planar[:, 0]
        joints = np.stack(
            (
                obs[5:13:2],
                self._SIGNS * obs[6:13:2] - self._ANKLE,
                obs[19:27:2],
                self._SIGNS * obs[20:27:2],
            ),
            1,
        )
        tick = self._opposed[:, None] * np.array((math.sin(phase), math.cos(phase)))
        seen = np.empty((4, self.features))
        seen[:, :4], seen[:, 4:8] = along, across
        seen[:, 8:10] = tick
        seen[:, 10:12] = along[:, :1] * tick
        seen[:, 12:14] = across[:, :1] * tick
        seen[:, 14], seen[:, 15], seen[:, 16] = obs[0], obs[15], obs[18]
        seen[:, 17:] = joints[self._others].reshape(4, 16)
        return seen

    def act(self, outputs: np.ndarray) -> np.ndarray:
        """Returns the legs' actions in the order of the actuators."""
        outputs[:, 1] *= self._SIGNS
        return outputs[self._ACTUATORS, :].ravel()


class MazeAnt(Ant):
    """The ant of the mazes: its way is the shortest one to the goal.

    A speed of 1 m/s along it is worth 2.
    """

    _SCALE = 20.0  # of observations
    _CLOSE = 1.0  # m, from where on it goes slower
    _RADIUS = 1.4  # m, which its middle stays away from walls

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._maze = ogbench_maze(task, self._RADIUS)

    def see(self, obs: np.ndarray, phase: float) -> np.ndarray:
        """See the class. ``obs``: positions (15), speeds (14), place (2), goal (2) and others."""
        own = obs[:29] * self._SCALE
        way = self._maze.target(own[:2], obs[31:33] * self._SCALE) - own[:2]
        way = way / max(math.hypot(*way), self._CLOSE)
        self.bonus = 2.0 * float(own[15:17] @ way)
        return self.look(own[2:], way, phase)


def body_of(task: Task) -> Body:
    """Returns what a policy sees of a task's body."""
    if task.name in ("og-ant", "mujoco-ant"):
        return Ant(task)
    if task.name.startswith("og-ant-"):
        return MazeAnt(task)
    return Whole(task)


@dataclass
class Policy:
    """The weights of a policy, and how its features are scaled.

    Attributes:
        weights: (outputs, features + 1); the last ones are added as they are.
        mean: Of the features, (features,).
        scale: Their standard deviations, (features,); infinite for one that does not count.
        frequency: Of the clock, periods per action.
    """

    weights: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    frequency: float

    def outputs(self, seen: np.ndarray) -> np.ndarray:
        """Returns the outputs in [-1, 1], (parts, outputs), for features (parts, features)."""
        scaled = (seen - self.mean) / self.scale
        np.minimum(np.maximum(scaled, -_MOST, out=scaled), _MOST, out=scaled)
        found = scaled @ self.weights[:, :-1].T + self.weights[:, -1]
        return np.minimum(np.maximum(found, -1.0), 1.0)

    def phase(self, step: int) -> float:
        """Returns the phase of the clock at the action of this number, in rad."""
        return 2 * math.pi * self.frequency * step


def policy_name(task: Task) -> str:
    """Returns the name of the policy for a task: its own, or the mazes'."""
    return MAZES if task.name.startswith("og-ant-") else task.versioned_name


def read_policy(name: str, folder: Path = POLICIES) -> Policy:
    """Reads the policy of this name."""
    with np.load(folder / f"{name}.npz") as stored:
        weights, mean, scale = (
            stored[key].astype(np.float64) for key in ("weights", "mean", "scale")
        )
        return Policy(weights, mean, scale, float(stored["frequency"]))


class Guide(Protocol):
    """What plans are added to."""

    @property
    def bonus(self) -> float:
        """Worth of where the body was at the last call, beside the task's reward."""
        ...

    def act(self, obs: np.ndarray, step: int) -> np.ndarray:
        """Returns the action (action_dim,) for an observation, at a step of the episode."""
        ...


class LinearGuide:
    """A task's linear policy, as a guide."""

    def __init__(self, task: Task) -> None:
        self._body = body_of(task)
        self._policy = read_policy(policy_name(task))

    @property
    def bonus(self) -> float:
        """The body's."""
        return self._body.bonus

    def act(self, obs: np.ndarray, step: int) -> np.ndarray:
        """Returns the policy's action."""
        seen = self._body.see(obs, self._policy.phase(step))
        return self._body.act(self._policy.outputs(seen))
