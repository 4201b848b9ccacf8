"""Pendulum: the suite's body, kept spinning."""

from __future__ import annotations

from dm_control.rl import control
from dm_control.suite import pendulum
from dm_control.utils import rewards

from mmbench.models import Random

_SPIN_SPEED = 9.0  # of the pole, either way (radians / second)


def spin(random: Random = None) -> control.Environment:
    """Spin at 9 rad/s or more."""
    physics = pendulum.Physics.from_xml_string(*pendulum.get_model_and_assets())
    return control.Environment(physics, Spin(random))


class Spin(pendulum.SwingUp):
    """Starts and observes as the suite's swing-up, and is rewarded for speed."""

    def get_reward(self, physics: pendulum.Physics) -> float:
        """Returns how much of the angular speed is reached."""
        return rewards.tolerance(
            abs(physics.angular_velocity()[0]),
            bounds=(_SPIN_SPEED, float("inf")),
            margin=_SPIN_SPEED / 2,
            value_at_margin=0.5,
            sigmoid="linear",
        )
