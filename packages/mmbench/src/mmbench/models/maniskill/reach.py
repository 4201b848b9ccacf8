"""Reaching a goal in the air: PickCube's scene without the cube.

Source: arXiv 2511.19584, appendix (new ManiSkill tasks).
"""

from __future__ import annotations

from typing import Any

import sapien
import torch
from mani_skill.envs.sapien_env import BaseEnv
from mani_skill.sensors.camera import CameraConfig
from mani_skill.utils import sapien_utils
from mani_skill.utils.building import actors
from mani_skill.utils.scene_builder.table import TableSceneBuilder
from mani_skill.utils.structs.pose import Pose

_GOAL_RADIUS = 0.025  # m, of the ball and of success
_GOAL_HALF_SIDE = 0.1  # m, of the square in which goals lie
_GOAL_HEIGHT = 0.3  # m, of the highest goal
_MAX_REWARD = 5.0


class ReachEnv(BaseEnv):
    """Move the hand to a goal position, marked by a green ball.

    Observation (31 with the Panda, of 9 joints; 37 with the xArm, of 12): joint positions and
    velocities; pose of the tool centre point 7 (metres; quaternion w first); goal 3; goal - tool
    3. The goal's x and y are uniform in +-0.1 m and its z in [0, 0.3] m.

    Reward: 1 + success - tanh 5d with d the distance in metres from the tool to the goal, so that
    it lies in [0, 2]. Success: d at most 2.5 cm, whatever the speed.

    Args:
        *args: ManiSkill's.
        robot_uids: ``panda`` or ``xarm6_robotiq``.
        robot_init_qpos_noise: Standard deviation of the first joint positions, in radians.
        **kwargs: ManiSkill's.
    """

    SUPPORTED_ROBOTS = ["panda", "xarm6_robotiq"]

    def __init__(
        self,
        *args: Any,
        robot_uids: str = "panda",
        robot_init_qpos_noise: float = 0.02,
        **kwargs: Any,
    ) -> None:
        self.robot_init_qpos_noise = robot_init_qpos_noise
        super().__init__(*args, robot_uids=robot_uids, **kwargs)

    @property
    def _default_human_render_camera_configs(self) -> CameraConfig:
        pose = sapien_utils.look_at(eye=[0.6, 0.7, 0.6], target=[0.0, 0.0, 0.35])
        return CameraConfig("render_camera", pose, 512, 512, 1, 0.01, 100)

    def _load_agent(self, options: dict) -> None:
        super()._load_agent(options, sapien.Pose(p=[-0.615, 0, 0]))

    def _load_scene(self, options: dict) -> None:
        self.table_scene = TableSceneBuilder(self, robot_init_qpos_noise=self.robot_init_qpos_noise)
        self.table_scene.build()
        self.goal_site = actors.build_sphere(
            self.scene,
            radius=_GOAL_RADIUS,
            color=[0, 1, 0, 1],
            name="goal_site",
            body_type="kinematic",
            add_collision=False,
            initial_pose=sapien.Pose(),
        )

    def _initialize_episode(self, env_idx: torch.Tensor, options: dict) -> None:
        with torch.device(self.device):
            self.table_scene.initialize(env_idx)
            goal = torch.rand((len(env_idx), 3))
            goal[:, :2] = (2 * goal[:, :2] - 1) * _GOAL_HALF_SIDE
            goal[:, 2] *= _GOAL_HEIGHT
            self.goal_site.set_pose(Pose.create_from_pq(goal))

    def _get_obs_extra(self, info: dict) -> dict[str, torch.Tensor]:
        return {
            "tcp_pose": self.agent.tcp_pose.raw_pose,
            "goal_pos": self.goal_site.pose.p,
            "tcp_to_goal_pos": self._tcp_to_goal(),
        }

    def evaluate(self) -> dict[str, torch.Tensor]:
        """Success: the tool centre point is within the ball."""
        return {"success": torch.linalg.norm(self._tcp_to_goal(), axis=1) <= _GOAL_RADIUS}

    def compute_dense_reward(self, obs: Any, action: torch.Tensor, info: dict) -> torch.Tensor:
        """See the class, times 5."""
        distance = torch.linalg.norm(self._tcp_to_goal(), axis=1)
        return _MAX_REWARD * (1 + info["success"].float() - torch.tanh(5 * distance))

    def compute_normalized_dense_reward(
        self, obs: Any, action: torch.Tensor, info: dict
    ) -> torch.Tensor:
        return self.compute_dense_reward(obs=obs, action=action, info=info) / _MAX_REWARD

    def _tcp_to_goal(self) -> torch.Tensor:
        return self.goal_site.pose.p - self.agent.tcp_pose.p
