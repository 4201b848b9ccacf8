"""ManiSkill's arms at a table: motions of the hand, chosen by where hand and things are.

The hand points down. It moves above things and comes down where it wants to touch them.
"""

from __future__ import annotations

import abc

import numpy as np

from mmbench.demos.experts import Expert
from mmbench.env import TaskEnv

_STRIDE = 0.1  # m, of a full action
_ABOVE = 0.08  # m, from a thing's centre up to where the hand moves about
_ASIDE = 0.015  # m, within which the hand is above a place
_SLOW = 0.025  # m a step, so that what is pushed does not slide on
_HALF = 0.02  # m, half a cube's side
_LYING = 0.025  # m, height of the peg's and the tool's centre on the table
_PULL = 0.04  # m a step, of the tool
_OPEN, _CLOSED = 1.0, -1.0  # of the gripper


class Hand(Expert):
    """Moves the tool to a place that depends on the observation; the gripper is the last action.

    Observations begin with the Panda's joints, 9 positions and 9 velocities.
    """

    name = "scripted hand motions"
    TOOL = 18  # entry of the observation where the tool's place begins

    def begin(self, env: TaskEnv, obs: np.ndarray, rng: np.random.Generator) -> None:
        """Learns how many actions there are; the hand is not turned."""
        self._action = np.zeros(env.task.action_dim)

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Moves on."""
        obs = obs.astype(float)
        place, gripper = self._aim(obs)
        tool = self._tool(obs)
        self._action[:3] = np.clip((place - tool) / _STRIDE, -1.0, 1.0)
        self._action[-1] = gripper
        return self._action

    def _tool(self, obs: np.ndarray) -> np.ndarray:
        return obs[self.TOOL : self.TOOL + 3]

    @abc.abstractmethod
    def _aim(self, obs: np.ndarray) -> tuple[np.ndarray, float]:
        """Returns where the tool shall go, (3,), and the gripper's action."""


class Reach(Hand):
    """To the goal."""

    def _aim(self, obs: np.ndarray) -> tuple[np.ndarray, float]:
        return obs[25:28], _CLOSED


def _down_to(tool: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The next point of the way to a place: first above it, then down."""
    if np.abs(tool[:2] - place[:2]).max() > _ASIDE:
        return place + (0.0, 0.0, _ABOVE)
    return place


class Push(Hand):
    """Behind the cube, and with it onto the target."""

    SIDE = -1.0  # of the cube, along x, on which the tool goes down

    def _aim(self, obs: np.ndarray) -> tuple[np.ndarray, float]:
        tool, goal, cube = self._tool(obs), obs[25:28], obs[28:31]
        ahead = self.SIDE * (tool[0] - cube[0])
        if ahead > _HALF and abs(tool[1] - cube[1]) < _HALF and tool[2] < 2 * _HALF:
            way = goal[0] + self.SIDE * 0.03 - tool[0]
            return np.array((tool[0] + np.clip(way, -_SLOW, _SLOW), cube[1], _HALF)), _CLOSED
        return _down_to(tool, np.array((cube[0] + self.SIDE * 0.045, cube[1], _HALF))), _CLOSED


class Pull(Push):
    """Beyond the cube, and with it onto the target."""

    SIDE = 1.0


class Pick(Hand):
    """Takes the cube and brings it to the goal."""

    TOOL = 19

    def _aim(self, obs: np.ndarray) -> tuple[np.ndarray, float]:
        grasped, tool, goal, cube = obs[18], self._tool(obs), obs[26:29], obs[29:32]
        if grasped:
            return tool + goal - cube, _CLOSED
        near = np.abs(tool - cube).max() < 0.012
        return _down_to(tool, cube), _CLOSED if near else _OPEN


class Stack(Hand):
    """Takes the first cube, carries it above the second and lets go on it."""

    def _aim(self, obs: np.ndarray) -> tuple[np.ndarray, float]:
        tool, cube, place = self._tool(obs), obs[25:28], obs[32:35]
        return self._place(obs, tool, cube, place + (0.0, 0.0, 2 * _HALF))

    def _place(
        self, obs: np.ndarray, tool: np.ndarray, thing: np.ndarray, top: np.ndarray
    ) -> tuple[np.ndarray, float]:
        """Brings a thing to where it shall lie, and lets go there."""
        off = top - thing
        if np.abs(off[:2]).max() < 0.004 and abs(off[2]) < 0.006:
            return tool, _OPEN
        near = np.abs(tool - thing).max() < 0.015
        fingers = obs[7:9].max()
        if near and fingers < 0.03:  # it has it
            if np.abs(off[:2]).max() > 0.004:
                aside = np.abs(off[:2]).max() > _HALF
                lift = off[2] + (0.05 if aside else 0.015)
                level = thing[2] > top[2] + 0.005
                move = off[:2] if level else 0.0 * off[:2]
                return tool + (*move, lift), _CLOSED
            return tool + off, _CLOSED
        return _down_to(tool, thing), _CLOSED if near else _OPEN


class PlaceSphere(Stack):
    """Takes the sphere and lets go of it in the bin."""

    TOOL = 19
    HEIGHT = 0.025  # m, of the sphere's centre above the bin's when it lies there

    def _aim(self, obs: np.ndarray) -> tuple[np.ndarray, float]:
        tool, place, ball = self._tool(obs), obs[26:29], obs[29:32]
        return self._place(obs, tool, ball, place + (0.0, 0.0, self.HEIGHT))


class Poke(Hand):
    """Takes the peg, brings it in line with the cube, and pushes the cube onto the target."""

    GRIP = np.array((-0.06, 0.0, 0.0))  # m, from the peg's middle: less far for the hand to reach

    def _aim(self, obs: np.ndarray) -> tuple[np.ndarray, float]:
        tool, cube, peg = self._tool(obs), obs[25:28], obs[32:35]
        way, gap = obs[48], -obs[51] - _HALF  # from cube to target, from the peg's tip to the cube
        near = np.abs(tool - peg - self.GRIP).max() < 0.025
        if not near or obs[7:9].max() > 0.03:
            return _down_to(tool, peg + self.GRIP), _CLOSED if near else _OPEN
        aside = cube[1] - peg[1]
        ahead = np.clip(gap + way, -_SLOW, _SLOW) if abs(aside) < 0.005 else 0.0
        return tool + (ahead, aside, _LYING - peg[2]), _CLOSED


class PullWithTool(Hand):
    """Takes the tool by its handle, brings its hook behind the cube and draws it near.

    The tool slides over the table: past the cube at its side, then beside it, then back with it.
    Cubes that lie so far that the hand cannot go on are left.
    """

    GRIP = np.array((0.015, 0.0, 0.0))  # m, from the tool's origin
    HOOK = 0.15  # m, from the tool's origin to the inner side of the hook
    REACH = 0.1  # m, of the hook to the side
    ROOM = 0.012  # m, between hook and cube on the way

    def _aim(self, obs: np.ndarray) -> tuple[np.ndarray, float]:
        hand, cube, tool = self._tool(obs), obs[25:28], obs[32:35]
        near = np.abs(hand - tool - self.GRIP).max() < 0.025
        if not near or obs[7:9].max() > 0.03:
            return _down_to(hand, tool + self.GRIP), _CLOSED if near else _OPEN
        ahead = cube[0] + _HALF + self.ROOM - (tool[0] + self.HOOK)
        aside = cube[1] - self.REACH / 2 - 0.01 - tool[1]
        past = aside - self.REACH / 2 - _HALF - self.ROOM
        if ahead > 0.01:  # the hook is on this side of the cube
            move = (ahead if past > -0.01 else 0.0, past)
        else:
            move = (-_PULL, 0.0) if abs(aside) < 0.02 else (0.0, aside)
        return hand + (*np.clip(move, -_PULL, _PULL), _LYING - tool[2]), _CLOSED
