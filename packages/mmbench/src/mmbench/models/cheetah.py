"""Cheetah: other gaits for the suite's body."""

from __future__ import annotations

from dm_control.rl import control
from dm_control.suite import cheetah
from dm_control.utils import rewards

from mmbench.models import Random, mjcf

_RUN_BACKWARD_SPEED = 8.0  # (metres / second)
_RUN_ON_ONE_LEG_SPEED = 6.0  # (metres / second)
_STILL_SPEED = 0.5  # (metres / second)
_RAISED_HEIGHT = 1.2  # of a foot, of the torso, or of their mean (metres)

_FLOOR_SIZE = "200 .8 .5"  # twice as long as the suite's: runners reach the end of that one

_INF = float("inf")


def run_backward(random: Random = None) -> control.Environment:
    """Run backward at up to 8 m/s."""
    return _environment(RunBackward(random))


def run_front(random: Random = None) -> control.Environment:
    """Run on the front leg, with the back foot up."""
    return _environment(RunOnOneLeg(raised_foot="bfoot", random=random))


def run_back(random: Random = None) -> control.Environment:
    """Run on the back leg, with the front foot up."""
    return _environment(RunOnOneLeg(raised_foot="ffoot", random=random))


def jump(random: Random = None) -> control.Environment:
    """Jump on the spot."""
    return _environment(Jump(random))


def _environment(task: cheetah.Cheetah) -> control.Environment:
    model = mjcf.stock("cheetah.xml")
    mjcf.edit(model, "./worldbody/geom[@name='ground']", size=_FLOOR_SIZE)
    return control.Environment(Physics.from_xml_string(*mjcf.to_xml(model)), task)


class Physics(cheetah.Physics):
    """The suite's cheetah, with heights."""

    def height(self, body: str) -> float:
        """Returns the height of ``torso``, ``bfoot`` or ``ffoot``."""
        return self.named.data.xpos[body, "z"]


class RunBackward(cheetah.Cheetah):
    """The suite's run in the other direction, at a lower speed."""

    def get_reward(self, physics: Physics) -> float:
        """Returns the part of the backward speed that is reached."""
        return rewards.tolerance(
            physics.speed(),
            bounds=(-_INF, -_RUN_BACKWARD_SPEED),
            margin=_RUN_BACKWARD_SPEED,
            value_at_margin=0,
            sigmoid="linear",
        )


class RunOnOneLeg(cheetah.Cheetah):
    """Run forward with one foot and the torso held high.

    Args:
        raised_foot: ``bfoot`` or ``ffoot``.
        random: Seed or generator, as in the suite.
    """

    def __init__(self, raised_foot: str, random: Random = None) -> None:
        self._raised_foot = raised_foot
        super().__init__(random=random)

    def get_reward(self, physics: Physics) -> float:
        """Returns a reward for the height, scaled by how much of the speed is reached."""
        raised = (
            3 * _raised(physics.height(self._raised_foot)) + 2 * _raised(physics.height("torso"))
        ) / 5
        speed = rewards.tolerance(
            physics.speed(),
            bounds=(_RUN_ON_ONE_LEG_SPEED, _INF),
            margin=_RUN_ON_ONE_LEG_SPEED,
            value_at_margin=0,
            sigmoid="linear",
        )
        return raised * (5 * speed + 1) / 6


class Jump(cheetah.Cheetah):
    """Lift the torso and both feet without moving forward or backward."""

    def get_reward(self, physics: Physics) -> float:
        """Returns mostly the height of torso and feet, and a little for standing still."""
        torso = physics.height("torso")
        back = _raised((torso + physics.height("bfoot")) / 2)
        front = _raised((torso + physics.height("ffoot")) / 2)
        still = rewards.tolerance(
            physics.speed(),
            bounds=(-_STILL_SPEED, _STILL_SPEED),
            margin=_STILL_SPEED,
            value_at_margin=0,
            sigmoid="linear",
        )
        return (5 * (back + front) / 2 + still) / 6


def _raised(height: float) -> float:
    return rewards.tolerance(height, bounds=(_RAISED_HEIGHT, _INF), margin=_RAISED_HEIGHT / 2)
