"""The ManiSkill tasks of robots that are downloaded, on stand-ins with the same joints."""

import numpy as np
import pytest
from maniskill_scenes import drive, native, numpy, place, reward_and_success


def test_xarm_pick_observation(make):
    env = make("ms-pick-cube-xarm6")
    env.reset(seed=2)
    env.step(np.full(4, 0.3))
    obs = env._observation().astype(np.float64)
    scene = native(env)
    robot, tool = scene.agent.robot, numpy(scene.agent.tcp.pose.raw_pose)
    goal, cube = numpy(scene.goal_site.pose.p), numpy(scene.cube.pose.raw_pose)
    expected = [numpy(robot.qpos), numpy(robot.qvel), [0.0], tool, goal]
    expected += [cube, cube[:3] - tool[:3], goal - cube[:3]]
    np.testing.assert_allclose(obs, np.concatenate(expected), atol=1e-6)


@pytest.mark.parametrize("name", ["ms-pick-cube-xarm6", "ms-reach-xarm6"])
def test_xarm_start(make, name):
    env = make(name)
    rest = np.array([0, 0.22, -1.23, 0, 1.01, 0, 0, 0, 0, 0, 0, 0])
    joints = np.array([env.reset(seed=seed)[0][:12] for seed in range(12)], np.float64) - rest
    assert np.abs(joints).max() < 0.1 and 0.015 < joints.std() < 0.025
    np.testing.assert_allclose(numpy(native(env).agent.robot.pose.p), [-0.522, 0, 0], atol=1e-6)


def test_xarm_pick_reward_and_success_by_hand(make):
    env = make("ms-pick-cube-xarm6")
    env.reset(seed=0)
    scene = native(env)
    goal = numpy(scene.goal_site.pose.p)

    def by_hand():
        tool, cube = numpy(scene.agent.tcp.pose.p), numpy(scene.cube.pose.p)
        reward = 1 - np.tanh(5 * np.linalg.norm(cube - tool))
        if np.linalg.norm(goal - cube) <= 0.025:
            # Stillness of all twelve joints, where success asks for the arm's six only.
            reward += 1 - np.tanh(5 * np.linalg.norm(numpy(scene.agent.robot.qvel)))
        return reward / 5

    assert reward_and_success(scene) == (pytest.approx(by_hand()), False)
    place(scene.cube, goal + [0.0, 0.015, 0.021])  # 2.58 cm
    assert reward_and_success(scene) == (pytest.approx(by_hand()), False)
    place(scene.cube, goal + [0.0, 0.015, 0.019])  # 2.42 cm
    assert reward_and_success(scene) == (1.0, True)
    speeds = np.zeros(12, np.float32)
    speeds[6:] = 0.1, 0.3, 0.5, 0.7, 0.9, 1.1
    scene.agent.robot.set_qvel(speeds)
    assert reward_and_success(scene) == (1.0, True)
    speeds[5] = 0.21
    scene.agent.robot.set_qvel(speeds)
    assert reward_and_success(scene) == (pytest.approx(by_hand()), False)


def test_xarm_reach_by_scripted_actions(make):
    env = make("ms-reach-xarm6")
    env.reset(seed=1)
    scene = native(env)
    goal = numpy(scene.goal_site.pose.p)
    assert drive(env, goal + [0, 0.06, 0], 0, 12)["success"] == 0.0
    obs = env._observation().astype(np.float64)
    tool = numpy(scene.agent.tcp.pose.raw_pose)
    np.testing.assert_allclose(obs[24:], [*tool, *goal, *(goal - tool[:3])], atol=1e-6)
    far = np.linalg.norm(goal - tool[:3])
    assert reward_and_success(scene) == (pytest.approx(1 - np.tanh(5 * far), abs=1e-6), False)
    assert drive(env, goal, 0, 12)["success"] == 1.0
    near = np.linalg.norm(goal - numpy(scene.agent.tcp.pose.p))
    assert reward_and_success(scene) == (pytest.approx(2 - np.tanh(5 * near), abs=1e-6), True)


def test_xarm_gripper_opens_and_closes_step_by_step(make):
    env = make("ms-reach-xarm6")
    env.reset(seed=0)
    robot = native(env).agent.robot
    knuckles = [
        index
        for index, joint in enumerate(robot.active_joints)
        if joint.name.endswith("outer_knuckle_joint")
    ]
    angles = []
    for grip in (1, 1, 1, -1, -1, -1):
        env.step(np.array([0, 0, 0, grip]))
        angles.append(numpy(robot.qpos)[knuckles])
    angles = np.array(angles)
    assert (np.diff(angles[:3], axis=0) > 0.02).all() and (np.diff(angles[2:], axis=0) < 0).all()
    # One action drives both sides.
    np.testing.assert_allclose(angles[:, 0], angles[:, 1], atol=0.1)


STANDING = [0.03, -0.03, 0.03, -0.03, 0.4, 0.4, -0.4, -0.4, -0.8, -0.8, 0.8, 0.8]


def stand(scene, xyz):
    """Puts the robot somewhere, standing."""
    from mani_skill.utils.structs.pose import Pose

    scene.agent.robot.set_pose(Pose.create_from_pq(list(map(float, xyz)), [1.0, 0, 0, 0]))


def test_anymal_observation_and_start(make):
    env = make("ms-anymal-reach")
    starts = np.array([env.reset(seed=seed)[0] for seed in range(12)], np.float64)
    np.testing.assert_allclose(starts[:, :12], [STANDING] * 12, atol=1e-6)
    assert not starts[:, 12:31].any()
    goal = starts[:, 31:33]
    assert (goal[:, 0] >= 2).all() and (goal[:, 0] <= 3).all() and (np.abs(goal[:, 1]) <= 1).all()
    assert np.ptp(goal, axis=0).min() > 0.3
    np.testing.assert_allclose(starts[:, 33:35], goal, atol=1e-6)
    obs = env.step(np.full(12, 0.5))[0].astype(np.float64)
    robot = native(env).agent.robot
    expected = [numpy(robot.qpos), numpy(robot.qvel)]
    expected += [numpy(robot.root_linear_velocity), numpy(robot.root_angular_velocity), [0.0]]
    expected += [goal[-1], goal[-1] - numpy(robot.pose.p)[:2]]
    np.testing.assert_allclose(obs, np.concatenate(expected), atol=1e-5)


def anymal_reward(scene, hit=False):
    """The dense reward by hand, of at most 3, while not fallen."""
    robot = scene.agent.robot
    distance = np.linalg.norm((numpy(scene.goal.pose.p) - numpy(robot.pose.p))[:2])
    linear, angular = numpy(robot.root_linear_velocity), numpy(robot.root_angular_velocity)
    return (
        1
        + 2 * (1 - np.tanh(distance))
        - 2 * linear[2] ** 2
        - 0.05 * (angular[:2] ** 2).sum()
        - hit
        - 0.05 * np.linalg.norm(numpy(robot.qpos) - STANDING)
    )


def test_anymal_reward_and_success_by_hand(make):
    env = make("ms-anymal-reach")
    env.reset(seed=0)
    scene = native(env)
    goal = numpy(scene.goal.pose.p)
    assert reward_and_success(scene) == (pytest.approx(anymal_reward(scene) / 3), False)
    robot = scene.agent.robot
    robot.set_root_linear_velocity(np.array([[1.0, 0, 0.4]], np.float32))
    robot.set_root_angular_velocity(np.array([[0.5, 0.6, 2]], np.float32))
    robot.set_qpos(np.array([STANDING], np.float32) + 0.1)
    for offset, expected in ((0.34, True), (0.36, False)):
        stand(scene, [goal[0] - offset, goal[1], 0.545])
        # Reaching the goal adds nothing to the reward.
        assert reward_and_success(scene) == (
            pytest.approx(anymal_reward(scene) / 3, abs=1e-5),
            expected,
        )


def test_anymal_fails_when_its_torso_lies_on_the_ground(make):
    env = make("ms-anymal-reach")
    env.reset(seed=0)
    scene = native(env)
    goal = numpy(scene.goal.pose.p)
    legs_back = np.zeros((1, 12), np.float32)
    legs_back[:, 4:8] = np.pi / 2
    scene.agent.robot.set_qpos(legs_back)
    stand(scene, [goal[0], goal[1], 0.08])  # at the goal, but down
    _, reward, *_, info = env.step(np.zeros(12))
    assert bool(scene.evaluate()["reached_goal"]) and bool(scene.evaluate()["fail"])
    assert info["success"] == info["score"] == 0.0
    assert reward_and_success(scene)[0] == 0.0
