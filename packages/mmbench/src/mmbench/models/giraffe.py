"""Giraffe: a planar, long-necked relative of the suite's cheetah."""

from __future__ import annotations

from dm_control.rl import control
from dm_control.suite import cheetah
from dm_control.utils import rewards

from mmbench.models import Random, mjcf

_RUN_SPEED = 10.0  # (metres / second)
_HEAD_HEIGHT = 0.5  # (metres)


def run(random: Random = None) -> control.Environment:
    """Run forward at up to 10 m/s with the head up."""
    physics = Physics.from_xml_string(*mjcf.to_xml(mjcf.own("giraffe.xml")))
    return control.Environment(physics, Run(random))


class Physics(cheetah.Physics):
    """Named quantities of the giraffe; its speed is measured as the cheetah's."""

    def head_height(self) -> float:
        """Returns the height of the head."""
        return self.named.data.xpos["head", "z"]


class Run(cheetah.Cheetah):
    """Run with the head up. Starts and observes as the cheetah."""

    def get_reward(self, physics: Physics) -> float:
        """Returns a reward for the head, scaled by how much of the speed is reached."""
        head_up = rewards.tolerance(
            physics.head_height(), bounds=(_HEAD_HEIGHT, float("inf")), margin=_HEAD_HEIGHT / 2
        )
        speed = rewards.tolerance(
            physics.speed(),
            bounds=(_RUN_SPEED, float("inf")),
            margin=_RUN_SPEED,
            value_at_margin=0,
            sigmoid="linear",
        )
        return head_up * (3 * speed + 1) / 4
