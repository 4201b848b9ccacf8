"""Picking one object of the YCB set: ManiSkill's own task, held to a single object.

Source: arXiv 2511.19584, appendix (task list); ManiSkill's ``PickSingleYCB-v1``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mani_skill.envs.tasks.tabletop.pick_single_ycb import PickSingleYCBEnv


class PickYCBEnv(PickSingleYCBEnv):
    """Pick up a YCB object and hold it still at a goal position above the table.

    Everything but the choice of the object is ManiSkill's. Observation (45): joint positions 9
    and velocities 9; pose of the tool centre point 7 (metres; quaternion w first); goal 3;
    whether the object is grasped 1; goal - tool 3; pose of the object 7; object - tool 3;
    goal - object 3. Success: object within 2.5 cm of the goal and no arm joint faster than 0.2
    rad/s. Reward: dense, at most 6, divided by 6.

    The scene is rebuilt at every reset, as ManiSkill does for a single environment.

    Args:
        *args: ManiSkill's.
        model_id: The object, such as ``013_apple``: a key of the asset's
            ``info_pick_v0.json``.
        **kwargs: ManiSkill's.
    """

    def __init__(self, *args: Any, model_id: str, **kwargs: Any) -> None:
        self._only_model_id = model_id
        super().__init__(*args, **kwargs)

    def _load_scene(self, options: dict) -> None:
        # ManiSkill draws one of these. Its constructor lists every object and then builds the
        # scene at once, so this is the first moment at which the list can be cut.
        self.all_model_ids = np.array([self._only_model_id])
        super()._load_scene(options)
