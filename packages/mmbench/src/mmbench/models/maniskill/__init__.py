"""ManiSkill environments that ManiSkill does not have, one file an embodiment or a goal.

They are written as the package writes its own, and take the same arguments. They are not entered
into ManiSkill's registry, which belongs to the user: the adapter asks :func:`environment_class`.
"""

from __future__ import annotations

import importlib
from typing import Any

_CLASSES = {
    "MS-CartpoleBalanceSparse-v1": "cartpole:CartpoleBalanceSparseEnv",
    "MS-CartpoleSwingUpSparse-v1": "cartpole:CartpoleSwingUpSparseEnv",
    "PickCubexArm6-v1": "xarm6:PickCubeXArm6Env",
    "PickSingleYCB-v1": "ycb:PickYCBEnv",
    "PushYCB-v1": "ycb:PushYCBEnv",
    "Reach-v1": "reach:ReachEnv",
    "ReachxArm6-v1": "reach:ReachEnv",
}


def environment_class(native: str) -> Any:
    """The environment class of a native id: one of ours, else the one that ManiSkill registers.

    Raises:
        KeyError: Neither has it.
    """
    if native in _CLASSES:
        module, _, name = _CLASSES[native].partition(":")
        return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    from mani_skill.utils.registration import REGISTERED_ENVS

    return REGISTERED_ENVS[native].cls
