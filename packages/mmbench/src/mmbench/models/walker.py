"""Planar walker: other goals for the suite's body, on its flat floor and on a slope."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from dm_control.rl import control
from dm_control.suite import walker
from dm_control.utils import rewards

from mmbench.models import Random, mjcf

_CONTROL_TIMESTEP = 0.025  # (seconds)

_STAND_HEIGHT = 1.2  # of the torso (metres)
_WALK_SPEED = 1.0  # (metres / second)
_RUN_SPEED = 8.0  # (metres / second)

_FLOOR = "./worldbody/geom[@name='floor']"
_FLOOR_SIZE = "500 .8 .2"  # twice as long as the suite's: runners reach the end of that one
_SLOPE_NORMAL = "-0.139173 0 0.996195"  # rises by 7.95 degrees towards positive x

# Yoga poses: heights (metres), each with the margin over which its term falls to 0.1.
_ARABESQUE_HEIGHT, _ARABESQUE_MARGIN = 1.0, 0.5  # of the torso, and of the raised foot
_GROUND_FOOT_HEIGHT, _GROUND_FOOT_MARGIN = 0.08, 0.5
_LYING_HEIGHT, _LYING_MARGIN = 0.08, 0.04  # of the torso, and of the thighs
_RAISED_FEET_HEIGHT, _RAISED_FEET_MARGIN = 1.1, 0.55
_RAISED_THIGHS_HEIGHT, _RAISED_THIGHS_MARGIN = 1.0, 0.5

_INF = float("inf")


def walk_backward(random: Random = None) -> control.Environment:
    """Walk backward at 1 m/s."""
    return _environment(BackwardWalker(_WALK_SPEED, random), flat())


def run_backward(random: Random = None) -> control.Environment:
    """Run backward at up to 8 m/s."""
    return _environment(BackwardWalker(_RUN_SPEED, random), flat())


def stand_incline(random: Random = None) -> control.Environment:
    """The suite's stand, on the slope."""
    return _environment(walker.PlanarWalker(0.0, random), incline())


def walk_incline(random: Random = None) -> control.Environment:
    """The suite's walk, uphill."""
    return _environment(walker.PlanarWalker(_WALK_SPEED, random), incline())


def run_incline(random: Random = None) -> control.Environment:
    """The suite's run, uphill."""
    return _environment(walker.PlanarWalker(_RUN_SPEED, random), incline())


def arabesque(random: Random = None) -> control.Environment:
    """Stand on the left foot, tip over, and raise the right foot."""
    return _environment(Arabesque(random), flat())


def lie_down(random: Random = None) -> control.Environment:
    """Lie on the ground with torso and thighs."""
    return _environment(LieDown(random), flat())


def legs_up(random: Random = None) -> control.Environment:
    """Lie on the ground with the feet in the air."""
    return _environment(LegsUp(random), flat())


def headstand(random: Random = None) -> control.Environment:
    """Hold the thighs and feet above the torso."""
    return _environment(Headstand(random), flat())


def flat() -> Element:
    """The suite's walker on a longer floor."""
    model = mjcf.stock("walker.xml")
    mjcf.edit(model, _FLOOR, size=_FLOOR_SIZE)
    return model


def incline() -> Element:
    """The walker on a slope through the origin.

    Torso height stays the world's z, so that walking uphill inflates it: a property of the
    published task.
    """
    model = flat()
    mjcf.edit(model, _FLOOR, pos="0 0 0", zaxis=_SLOPE_NORMAL)
    return model


def _environment(task: walker.PlanarWalker, model: Element) -> control.Environment:
    physics = Physics.from_xml_string(*mjcf.to_xml(model))
    return control.Environment(physics, task, control_timestep=_CONTROL_TIMESTEP)


class Physics(walker.Physics):
    """The suite's walker, with the heights that poses are described by."""

    def foot_height(self, side: str) -> float:
        """Returns the height of one foot, ``left`` or ``right``."""
        return self.named.data.xpos[f"{side}_foot", "z"]

    def feet_height(self) -> float:
        """Returns the mean height of the feet."""
        return (self.foot_height("left") + self.foot_height("right")) / 2

    def thighs_height(self) -> float:
        """Returns the mean height of the thighs, measured at the hips."""
        heights = self.named.data.xpos
        return (heights["left_thigh", "z"] + heights["right_thigh", "z"]) / 2


class BackwardWalker(walker.PlanarWalker):
    """The suite's walker task with the speed in the other direction."""

    def get_reward(self, physics: Physics) -> float:
        """Returns a reward for standing, scaled by how much of the speed is reached."""
        standing = rewards.tolerance(
            physics.torso_height(), bounds=(_STAND_HEIGHT, _INF), margin=_STAND_HEIGHT / 2
        )
        upright = (1 + physics.torso_upright()) / 2
        stand_reward = (3 * standing + upright) / 4
        move_reward = rewards.tolerance(
            physics.horizontal_velocity(),
            bounds=(-_INF, -self._move_speed),
            margin=self._move_speed / 2,
            value_at_margin=0.5,
            sigmoid="linear",
        )
        return stand_reward * (5 * move_reward + 1) / 6


class _Pose(walker.PlanarWalker):
    """A still pose: the walker's reset and observation, without a speed."""

    def __init__(self, random: Random = None) -> None:
        super().__init__(move_speed=0.0, random=random)


class Arabesque(_Pose):
    """Torso high and tipped over, left foot on the ground, right foot in the air."""

    def get_reward(self, physics: Physics) -> float:
        """Returns the weighted mean of the four terms."""
        standing = rewards.tolerance(
            physics.torso_height(), bounds=(_ARABESQUE_HEIGHT, _INF), margin=_ARABESQUE_MARGIN
        )
        left_foot_down = rewards.tolerance(
            physics.foot_height("left"),
            bounds=(-_INF, _GROUND_FOOT_HEIGHT),
            margin=_GROUND_FOOT_MARGIN,
        )
        right_foot_up = rewards.tolerance(
            physics.foot_height("right"),
            bounds=(_ARABESQUE_HEIGHT, _INF),
            margin=_ARABESQUE_MARGIN,
        )
        return (3 * standing + left_foot_down + right_foot_up + _tipped_over(physics)) / 6


class LieDown(_Pose):
    """Torso and thighs on the ground."""

    def get_reward(self, physics: Physics) -> float:
        """Returns the weighted mean of the three terms."""
        torso_down = _on_the_ground(physics.torso_height())
        thighs_down = _on_the_ground(physics.thighs_height())
        return (3 * torso_down + thighs_down + _tipped_over(physics)) / 5


class LegsUp(_Pose):
    """Torso and thighs on the ground, feet in the air."""

    def get_reward(self, physics: Physics) -> float:
        """Returns the weighted mean of the four terms."""
        torso_down = _on_the_ground(physics.torso_height())
        thighs_down = _on_the_ground(physics.thighs_height())
        tipped_over = _tipped_over(physics)
        return (3 * torso_down + 2 * _feet_up(physics) + thighs_down + tipped_over) / 7


class Headstand(_Pose):
    """Feet and thighs in the air. How the torso is held follows from that."""

    def get_reward(self, physics: Physics) -> float:
        """Returns the weighted mean of the two terms."""
        thighs_up = rewards.tolerance(
            physics.thighs_height(),
            bounds=(_RAISED_THIGHS_HEIGHT, _INF),
            margin=_RAISED_THIGHS_MARGIN,
        )
        return (3 * _feet_up(physics) + 2 * thighs_up) / 5


def _tipped_over(physics: Physics) -> float:
    """Returns 0 for an upright torso, 1/2 for a level one and 1 for an inverted one."""
    return (1 - physics.torso_upright()) / 2


def _on_the_ground(height: float) -> float:
    return rewards.tolerance(height, bounds=(-_INF, _LYING_HEIGHT), margin=_LYING_MARGIN)


def _feet_up(physics: Physics) -> float:
    return rewards.tolerance(
        physics.feet_height(), bounds=(_RAISED_FEET_HEIGHT, _INF), margin=_RAISED_FEET_MARGIN
    )
