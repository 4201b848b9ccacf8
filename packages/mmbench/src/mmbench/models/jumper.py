"""Jumper: a planar ball on two springy legs."""

from __future__ import annotations

from dm_control.rl import control
from dm_control.suite import cheetah
from dm_control.utils import rewards

from mmbench.models import Random, mjcf

_JUMP_HEIGHT = 1.5  # of the torso (metres)


def jump(random: Random = None) -> control.Environment:
    """Jump."""
    physics = Physics.from_xml_string(*mjcf.to_xml(mjcf.own("jumper.xml")))
    return control.Environment(physics, Jump(random))


class Physics(cheetah.Physics):
    """Named quantities of the jumper."""

    def height(self) -> float:
        """Returns the height of the torso."""
        return self.named.data.xpos["torso", "z"]


class Jump(cheetah.Cheetah):
    """Jump as high as possible. Starts and observes as the cheetah."""

    def get_reward(self, physics: Physics) -> float:
        """Returns a reward for the height of the torso."""
        return rewards.tolerance(
            physics.height(), bounds=(_JUMP_HEIGHT, float("inf")), margin=_JUMP_HEIGHT / 2
        )
