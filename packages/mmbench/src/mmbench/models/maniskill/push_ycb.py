"""Pushing an object of the YCB set: PushCube with a mesh in place of the cube.

Source: arXiv 2511.19584, appendix (held-out tasks); ManiSkill's ``PushCube-v1``.
"""

from __future__ import annotations

from typing import Any

import sapien
from mani_skill.envs.tasks.tabletop.push_cube import PushCubeEnv
from mani_skill.utils.building import actors
from mani_skill.utils.scene_builder.table import TableSceneBuilder


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
    object's half size. One number for all objects, whatever their real size."""

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
