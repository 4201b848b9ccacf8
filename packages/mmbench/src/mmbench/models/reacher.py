"""Reacher: the suite's task for an arm of three links."""

from __future__ import annotations

from dm_control.rl import control
from dm_control.suite import reacher

from mmbench.models import Random, mjcf

_BIG_TARGET = 0.05  # radius (metres)
_SMALL_TARGET = 0.015


def three_easy(random: Random = None) -> control.Environment:
    """Reach a target of 5 cm radius."""
    return _environment(_BIG_TARGET, random)


def three_hard(random: Random = None) -> control.Environment:
    """Reach a target of 1.5 cm radius."""
    return _environment(_SMALL_TARGET, random)


def _environment(target_size: float, random: Random) -> control.Environment:
    physics = reacher.Physics.from_xml_string(*mjcf.to_xml(mjcf.own("reacher.xml")))
    return control.Environment(physics, reacher.Reacher(target_size, random))
