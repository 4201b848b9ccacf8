"""Planar arms whose tip has to be on a target: inverse kinematics, then PD control of joints."""

from __future__ import annotations

import abc
import math
from typing import NamedTuple

import numpy as np

from miniarcade.games import reacher
from mmbench.demos.experts import Expert
from mmbench.env import TaskEnv

_STARTS = 30  # from which the joints' angles are searched
_ITERATIONS = 60
_DAMPING = 0.01  # m, of the search's steps
_EXACT = 1e-3  # m
_TURN = 2.0 * math.pi


class Pose(NamedTuple):
    """What an arm's observation says.

    Attributes:
        angles: (n,) rad; from the second on to the link before.
        speeds: (n,) rad/s.
        way: (2,) m, from the tip to the target.
    """

    angles: np.ndarray
    speeds: np.ndarray
    way: np.ndarray


class Arm(Expert):
    """Turns the joints to the nearest angles that bring the tip onto the target."""

    name = "inverse kinematics and PD control"
    links: tuple[float, ...]  # m
    limit: float  # rad, of all joints but the first
    stiffness: float  # action per rad
    damping: float  # action per rad/s

    def begin(self, env: TaskEnv, obs: np.ndarray, rng: np.random.Generator) -> None:
        """Finds the angles; the target stays where it is."""
        pose = self._read(obs)
        target = _tip(self.links, pose.angles) + pose.way
        found = []
        for _ in range(_STARTS):
            angles = self._solve(pose.angles + rng.normal(0.0, 1.0, len(self.links)), target)
            angles[0] = pose.angles[0] + math.remainder(angles[0] - pose.angles[0], _TURN)
            error = float(np.linalg.norm(_tip(self.links, angles) - target))
            turn = float(np.abs(angles - pose.angles).max())
            found.append((error // _EXACT, turn, angles))
        # Some targets are too near to the shoulder for an arm with stops: then as near as it gets.
        self._goal = min(found, key=lambda entry: entry[:2])[2]

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Turns on."""
        pose = self._read(obs)
        way = self._goal - pose.angles
        way[0] = math.remainder(way[0], _TURN)
        return np.clip(self.stiffness * way - self.damping * pose.speeds, -1.0, 1.0)

    def _solve(self, angles: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Moves the tip to the target, by damped least squares."""
        for _ in range(_ITERATIONS):
            error = target - _tip(self.links, angles)
            jacobian = _jacobian(self.links, angles)
            damped = jacobian @ jacobian.T + _DAMPING**2 * np.eye(2)
            angles = angles + jacobian.T @ np.linalg.solve(damped, error)
            angles[1:] = np.clip(angles[1:], -self.limit, self.limit)
        # Where stops keep it from the target, it points at it at least.
        angles[0] += _direction(target) - _direction(_tip(self.links, angles))
        return angles

    @abc.abstractmethod
    def _read(self, obs: np.ndarray) -> Pose:
        """Reads the observation."""


def _tip(links: tuple[float, ...], angles: np.ndarray) -> np.ndarray:
    """Where the tip is, (2,), from the shoulder."""
    directions = np.cumsum(angles)
    return np.array(links) @ np.stack((np.cos(directions), np.sin(directions)), axis=1)


def _direction(place: np.ndarray) -> float:
    return math.atan2(place[1], place[0])


def _jacobian(links: tuple[float, ...], angles: np.ndarray) -> np.ndarray:
    """How the tip moves with each joint, (2, n)."""
    directions = np.cumsum(angles)
    x, y = np.array(links) * np.cos(directions), np.array(links) * np.sin(directions)
    return np.stack((-np.cumsum(y[::-1])[::-1], np.cumsum(x[::-1])[::-1]))


class ArcadeArm(Arm):
    """MiniArcade's reacher."""

    links = (reacher.LINK, reacher.LINK)
    limit = reacher.ELBOW_LIMIT - 0.05
    stiffness, damping = 4.0, 0.25

    def _read(self, obs: np.ndarray) -> Pose:
        return Pose(obs[:2].astype(float), obs[4:], obs[2:4])


class SuiteArm(Arm):
    """DMControl's reacher."""

    links: tuple[float, ...] = (0.12, 0.12)
    limit = math.radians(155)
    stiffness, damping = 4.0, 0.3

    def _read(self, obs: np.ndarray) -> Pose:
        n = len(self.links)
        return Pose(obs[:n].astype(float), obs[n + 2 :], obs[n : n + 2])


class ThreeLinkArm(SuiteArm):
    """DMControl's reacher with one more link."""

    links = (0.09, 0.09, 0.09)
    limit = math.radians(80)
    stiffness, damping = 2.0, 0.05  # light links: more of it would make them tremble


class GymArm(Arm):
    """Gymnasium's reacher."""

    links = (0.1, 0.11)
    limit = 2.9
    stiffness, damping = 1.0, 0.1

    def _read(self, obs: np.ndarray) -> Pose:
        angles = np.arctan2(obs[2:4], obs[:2]).astype(float)
        return Pose(angles, obs[6:8], -obs[8:10])
