"""ManiSkill's tasks in NumPy: the package's scenes and physics, without its tensors.

See :mod:`mmbench.domains.maniskill_numpy.scene` for how a task is written. Each is proven equal
to the package's own step, which takes several times as long, in ``test_maniskill_numpy.py``.
"""

from __future__ import annotations

import importlib
from typing import Any

TASKS: dict[str, str] = {
    # the package's id of an environment: module and class
    "AnymalC-Reach-v1": "bodies:AnymalReach",
    "LiftPegUpright-v1": "pegs:LiftPeg",
    "MS-AntRun-v1": "bodies:Ant",
    "MS-AntWalk-v1": "bodies:Ant",
    "MS-CartpoleBalance-v1": "bodies:Cartpole",
    "MS-CartpoleBalanceSparse-v1": "bodies:CartpoleSparse",
    "MS-CartpoleSwingUp-v1": "bodies:Cartpole",
    "MS-CartpoleSwingUpSparse-v1": "bodies:CartpoleSparse",
    "MS-HopperHop-v1": "bodies:HopperHop",
    "MS-HopperStand-v1": "bodies:HopperStand",
    "PickCube-v1": "tabletop:PickCube",
    "PickCubeSO100-v1": "tabletop:PickCube",
    "PickCubexArm6-v1": "tabletop:PickCube",
    "PickSingleYCB-v1": "tabletop:PickYCB",
    "PlaceSphere-v1": "placing:PlaceSphere",
    "PokeCube-v1": "pegs:PokeCube",
    "PullCube-v1": "pushing:Pull",
    "PullCubeTool-v1": "pushing:PullWithTool",
    "PushCube-v1": "pushing:Push",
    "PushYCB-v1": "pushing:Push",
    "Reach-v1": "tabletop:Reach",
    "ReachxArm6-v1": "tabletop:Reach",
    "StackCube-v1": "placing:StackCube",
}


def task_class(native: str) -> Any | None:
    """The NumPy version of one of the package's environments.

    Args:
        native: The package's id.

    Returns:
        A subclass of :class:`~mmbench.domains.maniskill_numpy.scene.RawTask`, or None.
    """
    if native not in TASKS:
        return None
    module, _, name = TASKS[native].partition(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
