"""Picking and pushing an object of the YCB set.

Source: arXiv 2511.19584, appendix (task list, held-out tasks); ManiSkill's ``PickSingleYCB-v1``,
held to a single object, and ``PushCube-v1``, with a mesh in place of the cube.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sapien
from mani_skill.envs.tasks.tabletop.pick_single_ycb import PickSingleYCBEnv
from mani_skill.envs.tasks.tabletop.push_cube import PushCubeEnv
from mani_skill.utils.building import actors
from mani_skill.utils.scene_builder.table import TableSceneBuilder


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


class PushYCBEnv(PushCubeEnv):
    """Push a YCB object forward over the table onto a round target.

    Observation (35): joint positions 9 and velocities 9; pose of the tool centre point 7
    (metres; quaternion w first); centre of the target 3; pose of the object 7. The object starts
    4 cm up with x and y uniform in +-0.1 m, unrotated, and drops onto the table; the target lies
    0.2 m ahead of that place.

    With d the distance from the tool to the point 4.5 cm behind the object's origin, g the
    object's distance from the target in the plane and z its height, the reward is
    1 - tanh 5d, plus (1 - tanh 5g)(2 - tanh 5|z - 0.04|) while d < 0.01, and 4 on success; all
    divided by 4. Success: g < 0.1 and z < 0.045.

    Args:
        *args: ManiSkill's.
        model_id: The object, such as ``013_apple``: a key of the asset's
            ``info_pick_v0.json``.
        **kwargs: ManiSkill's.
    """

    cube_half_size = 0.04
    """Metres: what PushCube's formulas (start height, point to push at, success) take as the
    object's half size. One number for all objects, whatever their real size: the published code
    has a start height of its own for the can and the banana, and does not read it."""

    def __init__(self, *args: Any, model_id: str, **kwargs: Any) -> None:
        self._model_id = model_id
        super().__init__(*args, **kwargs)

    def _load_scene(self, options: dict) -> None:
        self.table_scene = TableSceneBuilder(
            env=self, robot_init_qpos_noise=self.robot_init_qpos_noise
        )
        self.table_scene.build()
        # Density and scale are the asset's; its collision shape is a set of convex hulls.
        builder = actors.get_actor_builder(self.scene, id=f"ycb:{self._model_id}")
        builder.initial_pose = sapien.Pose(p=[0, 0, self.cube_half_size])
        self.obj = builder.build(name="ycb_object")
        self.goal_region = actors.build_red_white_target(
            self.scene,
            radius=self.goal_radius,
            thickness=1e-5,
            name="goal_region",
            add_collision=False,
            body_type="kinematic",
            initial_pose=sapien.Pose(p=[0, 0, 1e-3]),
        )
