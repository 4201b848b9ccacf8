"""Ball in cup: the suite's body, whirling the ball around the cup."""

from __future__ import annotations

import math

from dm_control.rl import control
from dm_control.suite import ball_in_cup
from dm_control.utils import rewards

from mmbench.models import Random

_CONTROL_TIMESTEP = 0.02  # (seconds)

_START_ANYWHERE = 0.1  # probability that the ball need not start inside the cup
_INSIDE_X = (-0.025, 0.025)  # positions of the ball inside the cup (metres)
_INSIDE_Z = (0.325, 0.375)
_BALL_DISTANCE = 0.5  # from the centre of the cup's inside (metres)
_BALL_SPEED = 6.0  # (metres / second)


def spin(random: Random = None) -> control.Environment:
    """Whirl the ball around at 6 m/s."""
    physics = Physics.from_xml_string(*ball_in_cup.get_model_and_assets())
    return control.Environment(physics, Spin(random), control_timestep=_CONTROL_TIMESTEP)


class Physics(ball_in_cup.Physics):
    """The suite's ball in cup, with the ball's distance and speed."""

    def ball_distance(self) -> float:
        """Returns the distance between the ball and the centre of the cup's inside."""
        return math.hypot(*self.ball_to_target())

    def ball_speed(self) -> float:
        """Returns the speed of the ball."""
        return math.hypot(*self.named.data.qvel[["ball_x", "ball_z"]])


class Spin(ball_in_cup.BallInCup):
    """Keep the ball out of the cup, far away and fast."""

    def initialize_episode(self, physics: Physics) -> None:
        """Starts with the ball inside the cup, or, one time in ten, wherever it is free."""
        if self.random.uniform() < _START_ANYWHERE:
            super().initialize_episode(physics)
            return
        penetrating = True
        while penetrating:
            physics.named.data.qpos["ball_x"] = self.random.uniform(*_INSIDE_X)
            physics.named.data.qpos["ball_z"] = self.random.uniform(*_INSIDE_Z)
            physics.after_reset()
            penetrating = physics.data.ncon > 0

    def get_reward(self, physics: Physics) -> float:
        """Returns how much of the distance and of the speed is reached, outside the cup."""
        far = rewards.tolerance(
            physics.ball_distance(),
            bounds=(_BALL_DISTANCE, float("inf")),
            margin=_BALL_DISTANCE / 2,
            value_at_margin=0.5,
            sigmoid="linear",
        )
        fast = rewards.tolerance(
            physics.ball_speed(),
            bounds=(_BALL_SPEED, float("inf")),
            margin=_BALL_SPEED / 2,
            value_at_margin=0.5,
            sigmoid="linear",
        )
        return (1 - physics.in_target()) * (far + 2 * fast) / 3
