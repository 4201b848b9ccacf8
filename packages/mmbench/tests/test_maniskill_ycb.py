"""Picking and pushing YCB objects in ManiSkill, on stand-ins for the meshes."""

import numpy as np
import pytest
import stand_ins
from maniskill_scenes import drive, native, numpy, place, reward_and_success


@pytest.mark.parametrize("kind", ["pick", "push"])
@pytest.mark.parametrize("thing", ["apple", "rubiks-cube", "screwdriver"])
def test_the_scene_holds_the_task_s_own_object(make, kind, thing):
    env = make(f"ms-{kind}-{thing}")
    env.reset(seed=1)
    model_id = dict(env.task.native_kwargs)["model_id"]
    (mesh,) = collision_shapes(env)
    size = np.ptp(np.asarray(mesh.vertices) * mesh.scale, axis=0)
    np.testing.assert_allclose(size, 2 * np.array(stand_ins.YCB_HALF_SIZES[model_id]), atol=1e-6)
    assert mesh.density == 500  # the asset's own


def collision_shapes(env):
    """The convex shapes of the object, in its own frame."""
    import sapien

    entity = native(env).obj._objs[0]
    return entity.find_component_by_type(sapien.physx.PhysxRigidDynamicComponent).collision_shapes


def test_an_object_of_several_convex_parts(make):
    env = make("ms-pick-hammer")
    obs, _ = env.reset(seed=0)
    handle, head = sorted(collision_shapes(env), key=lambda shape: np.ptp(shape.vertices[:, 1]))
    np.testing.assert_allclose(np.ptp(handle.vertices, axis=0), [0.2, 0.02, 0.02], atol=1e-6)
    np.testing.assert_allclose(np.ptp(head.vertices, axis=0), [0.03, 0.1, 0.03], atol=1e-6)
    assert obs[34] == pytest.approx(0.015)  # its lowest point, the head's, is on the table


def test_pick_observation(make):
    env = make("ms-pick-apple")
    env.reset(seed=2)
    env.step(np.full(7, 0.3))
    obs = env._observation().astype(np.float64)
    scene = native(env)
    robot, tool = scene.agent.robot, numpy(scene.agent.tcp.pose.raw_pose)
    goal, thing = numpy(scene.goal_site.pose.p), numpy(scene.obj.pose.raw_pose)
    expected = [numpy(robot.qpos), numpy(robot.qvel), tool, goal, [0.0], goal - tool[:3]]
    expected += [thing, thing[:3] - tool[:3], goal - thing[:3]]
    np.testing.assert_allclose(obs, np.concatenate(expected), atol=1e-6)


def test_pick_starts_where_it_should(make):
    env = make("ms-pick-apple")
    half = stand_ins.YCB_HALF_SIZES["013_apple"][2]
    starts = np.array([env.reset(seed=seed)[0] for seed in range(12)], np.float64)
    thing, goal = starts[:, 32:39], starts[:, 25:28]
    assert (np.abs(thing[:, :2]) <= 0.1).all() and (np.abs(goal[:, :2]) <= 0.1).all()
    np.testing.assert_allclose(thing[:, 2], half, atol=1e-6)  # on the table
    assert (goal[:, 2] >= half - 1e-6).all() and (goal[:, 2] <= half + 0.3).all()
    np.testing.assert_allclose(thing[:, 4:6], 0, atol=1e-6)  # turned about the vertical only
    assert np.ptp(thing[:, 6]) > 0.5
    rest = [0, 0, 0, -2 * np.pi / 3, 0, 2 * np.pi / 3, np.pi / 4]
    arm = starts[:, :7] - rest
    assert np.abs(arm).max() < 0.1 and 0.01 < arm.std() < 0.03
    np.testing.assert_array_equal(starts[:, 7:9], np.float32(0.04))


def pick_reward(scene, grasped):
    """The dense reward by hand, of at most 6, for a state that is no success."""
    tool, thing = numpy(scene.agent.tcp.pose.p), numpy(scene.obj.pose.p)
    to_goal = np.linalg.norm(numpy(scene.goal_site.pose.p) - thing)
    reward = 1 - np.tanh(5 * np.linalg.norm(thing - tool))
    if grasped:
        reward += 1 + 1 - np.tanh(5 * to_goal)
        if to_goal <= 0.025:
            speed = np.linalg.norm(numpy(scene.agent.robot.qvel)[:7])
            reward += 1 + 1 - np.tanh(5 * speed)
    return reward


def test_pick_reward_and_success_by_hand(make):
    env = make("ms-pick-apple")
    env.reset(seed=0)
    scene = native(env)
    goal = numpy(scene.goal_site.pose.p)
    assert reward_and_success(scene) == (pytest.approx(pick_reward(scene, False) / 6), False)
    place(scene.obj, goal + [0.0, 0.015, 0.019])  # 2.42 cm away, and never grasped
    assert reward_and_success(scene) == (1.0, True)
    place(scene.obj, goal + [0.0, 0.015, 0.021])  # 2.58 cm
    assert reward_and_success(scene) == (pytest.approx(pick_reward(scene, False) / 6), False)
    place(scene.obj, goal)
    scene.agent.robot.set_qvel(np.array([0, 0, 0, 0, 0, 0, 0.21, 0, 0], np.float32))
    assert reward_and_success(scene) == (pytest.approx(pick_reward(scene, False) / 6), False)
    scene.agent.robot.set_qvel(np.array([0, 0, 0, 0, 0, 0, 0.19, 0, 9], np.float32))
    assert reward_and_success(scene) == (1.0, True)


def test_picking_by_scripted_actions(make):
    env = make("ms-pick-apple")
    env.reset(seed=0)
    scene = native(env)
    thing = numpy(scene.obj.pose.p)
    goal = numpy(scene.goal_site.pose.p)
    drive(env, thing + [0, 0, 0.1], 1, 4)
    drive(env, thing, 1, 4)
    info = drive(env, thing, -1, 2)
    assert bool(scene.evaluate()["is_grasped"]) and info["success"] == 0.0
    assert float(env._observation()[28]) == 1.0
    expected = pick_reward(scene, True) / 6
    assert reward_and_success(scene) == (pytest.approx(expected, abs=1e-6), False)
    info = drive(env, goal, -1, 12)
    assert info["success"] == info["score"] == 1.0


def test_picking_fails_when_nothing_is_grasped(make):
    env = make("ms-pick-apple")
    env.reset(seed=0)
    info = drive(env, numpy(native(env).goal_site.pose.p), -1, 25)
    assert info["success"] == info["score"] == 0.0


def test_push_observation_and_start(make):
    env = make("ms-push-apple")
    starts = np.array([env.reset(seed=seed)[0] for seed in range(12)], np.float64)
    goal, thing = starts[:, 25:28], starts[:, 28:35]
    assert (np.abs(thing[:, :2]) <= 0.1).all() and np.ptp(thing[:, :2], axis=0).min() > 0.05
    np.testing.assert_allclose(thing[:, 2:], [[0.04, 1, 0, 0, 0]] * 12, atol=1e-7)
    np.testing.assert_allclose(goal[:, :2], thing[:, :2] + [0.2, 0], atol=1e-6)
    np.testing.assert_allclose(goal[:, 2], 0.001, atol=1e-7)
    scene = native(env)
    robot, tool = scene.agent.robot, numpy(scene.agent.tcp.pose.raw_pose)
    own = np.concatenate([numpy(robot.qpos), numpy(robot.qvel), tool])
    np.testing.assert_allclose(starts[-1, :25], own, atol=1e-6)


@pytest.mark.parametrize("thing", ["can", "banana"])
def test_all_pushed_things_start_at_one_height(make, thing):
    """Also those of which the published code has another height, which it does not read."""
    env = make(f"ms-push-{thing}")
    assert env.reset(seed=0)[0][30] == pytest.approx(0.04, abs=1e-7)


def push_reward(scene):
    """The dense reward by hand, of at most 4, for a state that is no success."""
    tool, thing = numpy(scene.agent.tcp.pose.p), numpy(scene.obj.pose.p)
    d = np.linalg.norm(thing - [0.045, 0, 0] - tool)
    g = np.linalg.norm((thing - numpy(scene.goal_region.pose.p))[:2])
    reward = 1 - np.tanh(5 * d)
    if d < 0.01:
        reward += (1 - np.tanh(5 * g)) * (2 - np.tanh(5 * abs(thing[2] - 0.04)))
    return reward


def test_push_reward_and_success_by_hand(make):
    env = make("ms-push-apple")
    env.reset(seed=0)
    scene = native(env)
    goal, tool = numpy(scene.goal_region.pose.p), numpy(scene.agent.tcp.pose.p)
    assert reward_and_success(scene) == (pytest.approx(push_reward(scene) / 4), False)
    for offset, expected in (
        ((0.06, 0.079, 0.044), True),  # 9.92 cm off in the plane
        ((0.06, 0.081, 0.044), False),  # 10.08 cm
        ((0.0, 0.0, 0.046), False),  # held up
    ):
        place(scene.obj, goal * [1, 1, 0] + offset)
        reward, success = reward_and_success(scene)
        assert success is expected
        assert reward == (1.0 if expected else pytest.approx(push_reward(scene) / 4, abs=1e-6))
    for near in (0.009, 0.011):  # on either side of the place to push from
        place(scene.obj, tool + [0.045 + near, 0, 0])
        expected = push_reward(scene)
        assert (expected > 1) == (near < 0.01)
        assert reward_and_success(scene) == (pytest.approx(expected / 4, abs=1e-6), False)


def test_pushing_by_scripted_actions(make):
    env = make("ms-push-apple")
    env.reset(seed=0)
    behind = numpy(native(env).obj.pose.p) * [1, 1, 0] + [-0.1, 0, 0.03]
    info = drive(env, behind, -1, 8)
    assert info["success"] == 0.0
    info = drive(env, behind + [0.22, 0, 0], -1, 17, speed=0.3)
    assert info["success"] == info["score"] == 1.0
