"""Hopper: the suite's body, hopping backward."""

from __future__ import annotations

from dm_control.rl import control
from dm_control.suite import hopper
from dm_control.utils import rewards

from mmbench.models import Random

_CONTROL_TIMESTEP = 0.02  # (seconds)

_STAND_HEIGHTS = (0.6, 2.0)  # of the torso above the foot (metres)
_HOP_SPEED = 1.0  # half of the suite's forward one (metres / second)


def hop_backward(random: Random = None) -> control.Environment:
    """Hop backward at 1 m/s."""
    physics = hopper.Physics.from_xml_string(*hopper.get_model_and_assets())
    return control.Environment(
        physics, HopBackward(hopping=True, random=random), control_timestep=_CONTROL_TIMESTEP
    )


class HopBackward(hopper.Hopper):
    """The suite's hop in the other direction."""

    def get_reward(self, physics: hopper.Physics) -> float:
        """Returns how much of the backward speed is reached, while standing."""
        standing = rewards.tolerance(physics.height(), _STAND_HEIGHTS)
        hopping = rewards.tolerance(
            physics.speed(),
            bounds=(-float("inf"), -_HOP_SPEED),
            margin=_HOP_SPEED / 2,
            value_at_margin=0.5,
            sigmoid="linear",
        )
        return standing * hopping
