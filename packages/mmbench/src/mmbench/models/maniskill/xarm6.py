"""Picking a cube with the xArm with six joints and a Robotiq gripper.

Source: arXiv 2511.19584, appendix (task list); ManiSkill's robot ``xarm6_robotiq``.
"""

from __future__ import annotations

from mani_skill.envs.tasks.tabletop.pick_cube import PickCubeEnv


class PickCubeXArm6Env(PickCubeEnv):
    """Pick up the red cube and hold it still at the goal position: PickCube with another robot.

    Observation (48): positions 12 and velocities 12 of the joints (the arm's six, then the
    gripper's six, of which one is driven); whether the cube is grasped 1; pose of the tool 7
    (metres; quaternion w first); goal 3; pose of the cube 7; cube - tool 3; goal - cube 3.
    Success: cube within 2.5 cm of the goal and no arm joint faster than 0.2 rad/s. Reward: dense,
    at most 5, divided by 5; its term for stillness counts the gripper's joints too.
    """
