"""Spinner: a planar ball with five springy limbs, or four of them, that rolls and jumps."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from dm_control.rl import control
from dm_control.suite import cheetah
from dm_control.utils import rewards

from mmbench.models import Random, mjcf

_SPIN_SPEED = 8.0  # of travel (metres / second)
_SPIN_MOMENTUM = 8.0  # angular, of the whole body (kilogram metres^2 / second)
_JUMP_HEIGHT = 1.5  # of the torso (metres)

_MISSING_LIMB = "limb_5"  # of the four-limbed one, which therefore has a gap


def spin(random: Random = None) -> control.Environment:
    """Roll forward."""
    return _environment(Spin(forward=True, random=random), five_limbs())


def spin_backward(random: Random = None) -> control.Environment:
    """Roll backward."""
    return _environment(Spin(forward=False, random=random), five_limbs())


def jump(random: Random = None) -> control.Environment:
    """Jump."""
    return _environment(Jump(random), five_limbs())


def spin_four(random: Random = None) -> control.Environment:
    """Roll forward on four limbs."""
    return _environment(Spin(forward=True, random=random), four_limbs())


def spin_backward_four(random: Random = None) -> control.Environment:
    """Roll backward on four limbs."""
    return _environment(Spin(forward=False, random=random), four_limbs())


def jump_four(random: Random = None) -> control.Environment:
    """Jump with four limbs."""
    return _environment(Jump(random), four_limbs())


def five_limbs() -> Element:
    """The spinner with limbs at 0, 72, 144, 216 and 288 degrees from straight up."""
    return mjcf.own("spinner.xml")


def four_limbs() -> Element:
    """The same without the limb at 288 degrees: the others stay where they are."""
    model = five_limbs()
    mjcf.remove(model, f".//body[@name='{_MISSING_LIMB}']")
    mjcf.remove(model, f".//motor[@name='{_MISSING_LIMB}']")
    return model


def _environment(task: cheetah.Cheetah, model: Element) -> control.Environment:
    return control.Environment(Physics.from_xml_string(*mjcf.to_xml(model)), task)


class Physics(cheetah.Physics):
    """Named quantities of the spinner; its speed is measured as the cheetah's."""

    def height(self) -> float:
        """Returns the height of the torso."""
        return self.named.data.xpos["torso", "z"]

    def angular_momentum(self) -> float:
        """Returns the angular momentum about y: positive when rolling forward."""
        return self.named.data.sensordata["torso_subtreeangmom"][1]


class Spin(cheetah.Cheetah):
    """Roll: spin and travel in the same sense. Starts and observes as the cheetah.

    Args:
        forward: Towards positive x, else towards negative.
        random: Seed or generator, as in the suite.
    """

    def __init__(self, forward: bool, random: Random = None) -> None:
        self._sense = 1 if forward else -1
        super().__init__(random=random)

    def get_reward(self, physics: Physics) -> float:
        """Returns how much of the angular momentum and of the speed is reached."""
        spinning = rewards.tolerance(
            self._sense * physics.angular_momentum(),
            bounds=(_SPIN_MOMENTUM, float("inf")),
            margin=_SPIN_MOMENTUM,
            value_at_margin=0,
            sigmoid="linear",
        )
        travelling = rewards.tolerance(
            self._sense * physics.speed(),
            bounds=(_SPIN_SPEED, float("inf")),
            margin=_SPIN_SPEED,
            value_at_margin=0,
            sigmoid="linear",
        )
        return (2 * spinning + 3 * travelling) / 5


class Jump(cheetah.Cheetah):
    """Jump as high as possible. Starts and observes as the cheetah."""

    def get_reward(self, physics: Physics) -> float:
        """Returns a reward for the height of the torso."""
        return rewards.tolerance(
            physics.height(), bounds=(_JUMP_HEIGHT, float("inf")), margin=_JUMP_HEIGHT / 2
        )
