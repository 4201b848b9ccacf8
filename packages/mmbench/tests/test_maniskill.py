"""ManiSkill: the tasks that need no download, their versions 1, and the adapter's promises."""

import json
import os
import subprocess
import sys

import behaviour
import numpy as np
import pytest
from human_windows import assert_shown
from maniskill_scenes import drive, native, place, reward_and_success

from mmbench.catalog import get
from mmbench.domains import maniskill_package, unavailable
from mmbench.env import TaskEnv
from mmbench.rendering import RendererUnavailableError

if unavailable(get("ms-reach")):
    pytest.skip(unavailable(get("ms-reach")), allow_module_level=True)

from mmbench.domains import maniskill  # isort: skip - not importable where it is not installed


def vulkan() -> str | None:
    """Why frames cannot be drawn here, or None."""
    try:
        maniskill_package.render_device()
    except RendererUnavailableError as error:
        return str(error)
    return None


def part(env: TaskEnv, name: str) -> slice:
    """Where an actor or an articulation is in the flat state."""
    start = 0
    for _, other, size in env._simulator._layout:
        if other == name:
            return slice(start, start + size)
        start += size
    raise KeyError(name)


# New tasks: rewards by their formulas.


@pytest.fixture(scope="module")
def reach():
    env = behaviour.make("ms-reach")
    yield env
    env.close()


@pytest.mark.parametrize("distance", [0.0, 0.02, 0.0249, 0.0251, 0.1, 0.5])
def test_reach_reward_and_success(reach, distance):
    scene = native(reach)
    tcp = scene.agent.tcp_pose.p[0].numpy()
    direction = np.array([1.0, -2.0, 2.0]) / 3
    place(scene.goal_site, tcp + distance * direction)
    reward, success = reward_and_success(scene)
    assert success == (distance < 0.025)
    assert reward == pytest.approx(1 + success - np.tanh(5 * distance), abs=1e-5)


def test_reach_succeeds_in_motion(reach):
    """Unlike picking a cube: there is no condition on speed."""
    scene = native(reach)
    place(scene.goal_site, scene.agent.tcp_pose.p[0].numpy())
    scene.agent.robot.set_qvel(np.full((1, 9), 0.5, np.float32))
    assert reward_and_success(scene)[1]


def test_reach_observation(reach):
    obs, _ = reach.reset(seed=3)
    scene = native(reach)
    np.testing.assert_array_equal(obs[:9], scene.agent.robot.get_qpos()[0])
    np.testing.assert_array_equal(obs[9:18], scene.agent.robot.get_qvel()[0])
    np.testing.assert_array_equal(obs[18:25], scene.agent.tcp_pose.raw_pose[0])
    np.testing.assert_array_equal(obs[25:28], scene.goal_site.pose.p[0])
    np.testing.assert_allclose(obs[28:], obs[25:28] - obs[18:21], atol=1e-6)


def test_reach_goals_fill_their_box(reach):
    goals = np.array([reach.reset(seed=seed)[0][25:28] for seed in range(200)])
    low, high = np.array([-0.1, -0.1, 0.0]), np.array([0.1, 0.1, 0.3])
    assert (goals >= low).all() and (goals <= high).all()
    share = (goals - low) / (high - low)
    assert (share.min(0) < 0.05).all() and (share.max(0) > 0.95).all()
    assert np.abs(share.mean(0) - 0.5).max() < 0.1  # 5 standard errors


def test_arms_start_at_rest_with_noise(reach):
    arms = np.array([reach.reset(seed=seed)[0][:9] for seed in range(100)])
    rest = np.pi * np.array([0, 1 / 8, 0, -5 / 8, 0, 3 / 4, 1 / 4])
    assert np.abs(arms[:, :7].mean(0) - rest).max() < 0.01
    assert np.abs(arms[:, :7].std(0) - 0.02).max() < 0.008
    np.testing.assert_array_equal(arms[:, 7:], np.float32(0.04))


@pytest.mark.parametrize("name", ["ms-cartpole-balance-sparse", "ms-cartpole-swingup-sparse"])
def test_sparse_cartpole_pays_near_the_vertical_alone(name):
    env = behaviour.make(name)
    scene = native(env)
    edge = np.arccos(2 * 0.85 - 1)
    for angle, expected in [(0, 1), (edge - 0.01, 1), (edge + 0.01, 0), (2, 0), (np.pi, 0)]:
        for sign in (1, -1):
            for cart in (0.0, 1.7):
                scene.agent.robot.set_qpos(np.array([[cart, sign * angle]], np.float32))
                reward = scene.compute_normalized_dense_reward(None, np.ones((1, 1)), {})
                assert float(reward) == expected
    env.close()


def test_sparse_cartpole_steps_pay_twice():
    """Balanced for the two raw steps of an agent step."""
    env = behaviour.make("ms-cartpole-balance-sparse")
    assert env.step(np.zeros(1, np.float32))[1] == 2.0
    env.close()


# Tasks of the package, which no recording holds: success and failure set by hand.


def test_pick_cube_so_success_is_within_a_centimetre_and_a_half():
    env = behaviour.make("ms-pick-cube-so")
    state = env.get_state()["state"]
    cube, goal = part(env, "cube"), part(env, "goal_site")
    for distance, expected in [(0.0, 1.0), (0.0146, 1.0), (0.0166, 0.0), (0.1, 0.0)]:
        placed = state.copy()
        placed[cube][:3] = placed[goal][:3] = (-0.46, 0.1, 0.0125)
        placed[goal][0] += distance
        env.set_state({"state": placed})
        for _ in range(4):
            *_, info = env.step(np.zeros(6, np.float32))
        assert info["success"] == expected, distance
    env.close()


def test_hopper_is_paid_for_standing():
    env = behaviour.make("ms-hopper-stand")
    state = env.get_state()["state"]
    upright = state.copy()
    upright[13:] = 0
    env.set_state({"state": upright})
    assert env.step(np.zeros(4, np.float32))[1] == 2.0
    lying = upright.copy()
    lying[13 + 2] = np.pi / 2
    env.set_state({"state": lying})
    assert env.step(np.zeros(4, np.float32))[1] == 0.0
    env.close()


# Versions 1.


@pytest.mark.parametrize("name", ["ms-hopper-stand", "ms-hopper-hop"])
def test_v1_of_a_hopper_reaches_the_scores_that_v0_caps(name):
    """The last step of the best episode there can be, from a hopper that stands."""
    scores = {}
    for version in ("", "-v1"):
        env = behaviour.make(f"{name}{version}")
        task = env.task
        best = 2.0 * task.max_episode_steps  # two raw steps of at most 1
        state = env.get_state()["state"]
        state[13:] = 0
        state[20] = 2.5 * name.endswith("hop")  # m/s forward
        env.set_state(
            {"state": state, "env/step": task.max_episode_steps - 1, "env/return": best - 2.0}
        )
        _, reward, _, truncated, info = env.step(np.zeros(4, np.float32))
        assert truncated
        scores[version] = info["score"]
        env.close()
    assert scores[""] <= 500 / 600
    assert scores["-v1"] > 0.99


@pytest.mark.parametrize("name", ["ms-ant-walk", "ms-ant-run"])
def test_v1_of_an_ant_scores_what_v0_does_not(name):
    scores = {}
    for version in ("", "-v1"):
        env = behaviour.make(f"{name}{version}", seed=4)
        for action in behaviour.actions(env.task, 60, seed=1):
            _, reward, *_, info = env.step(action)
        scores[version] = info["score"]
        assert np.isnan(info["success"]) == bool(version)
        if version:
            assert info["score"] == env._return / 1000
        env.close()
    assert scores[""] == 0
    assert 0.0 < scores["-v1"] <= 60 * 2 / 1000


# The adapter.


@pytest.mark.parametrize("name", ["ms-ant-run", "ms-push-cube", "ms-stack-cube"])
def test_an_episode_does_not_depend_on_those_before(name):
    behaviour.check_seeding(get(name))
    used, fresh = behaviour.make(name, seed=1), behaviour.make(name, seed=5)
    behaviour.rollout(used, behaviour.actions(used.task, 15))
    used.reset(seed=5)
    sequence = behaviour.actions(used.task, 12, seed=2)
    np.testing.assert_array_equal(
        behaviour.rollout(used, sequence), behaviour.rollout(fresh, sequence)
    )
    used.close()
    fresh.close()


@pytest.mark.parametrize("name", ["ms-hopper-stand", "ms-ant-walk"])
def test_an_episode_does_not_depend_on_other_tasks_of_the_process(name):
    """A cart-pole's file says that nothing touches, and the package believes it of later files."""
    first = TaskEnv(name, unify=False)
    TaskEnv("ms-cartpole-balance", unify=False).reset(seed=0)
    later = TaskEnv(name, unify=False)
    first.reset(seed=1)
    later.reset(seed=1)
    for action in np.random.default_rng(0).uniform(-1, 1, (60, *first.action_space.shape)):
        np.testing.assert_array_equal(first.step(action)[0], later.step(action)[0])


def test_torch_s_generators_neither_matter_nor_change(monkeypatch):
    import torch

    def forbidden(*args, **kwargs):
        raise AssertionError("a generator of a GPU was touched")

    for name in ("manual_seed_all", "manual_seed", "get_rng_state", "set_rng_state"):
        monkeypatch.setattr(torch.cuda, name, forbidden)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    env = behaviour.make("ms-pick-cube", seed=0)
    runs = []
    for seed in (1, 2):
        torch.default_generator.manual_seed(seed)
        before = torch.get_rng_state()
        obs, _ = env.reset(seed=9)
        runs.append([obs.tolist(), behaviour.rollout(env, behaviour.actions(env.task, 5)).tolist()])
        assert torch.equal(torch.get_rng_state(), before)
    assert runs[0] == runs[1]
    env.close()


@pytest.mark.parametrize("name", ["ms-pick-cube-eepose", "ms-ant-run"])
def test_restored_states(name):
    env = behaviour.make(name, seed=2)
    behaviour.rollout(env, behaviour.actions(env.task, 10))
    state, seen = env.get_state(), env._observation()
    future = behaviour.actions(env.task, 10, seed=1)
    runs = []
    for _ in range(2):
        other = behaviour.make(name, seed=3)
        behaviour.rollout(other, behaviour.actions(env.task, 3, seed=4))
        other.set_state(state)
        np.testing.assert_array_equal(other._observation(), seen)
        runs.append(behaviour.rollout(other, future))
        other.close()
    np.testing.assert_array_equal(runs[0], runs[1])
    env.set_state({"state": state["state"]})  # the rest is derived
    np.testing.assert_array_equal(behaviour.rollout(env, future), runs[0])
    env.close()


def test_contacts_of_the_past_do_not_matter():
    """PhysX remembers where two bodies touched: here the fingers and a cube that they hold."""
    env = behaviour.make("ms-pick-cube", seed=1)
    cube = native(env).cube.pose.p[0].numpy()
    drive(env, cube + (0, 0, 0.05), grip=1, steps=6)
    drive(env, cube, grip=1, steps=5, speed=0.5)
    drive(env, cube, grip=-1, steps=3)
    held = env.get_state()
    future = np.tile(np.array([0.2, 0.1, 0.4, -1], np.float32), (4, 1))
    lifted = behaviour.rollout(env, future)
    assert lifted[-1, 18] == 1  # is_grasped
    fresh = behaviour.make("ms-pick-cube", seed=3)
    runs = []
    for one in (env, fresh):
        one.set_state(held)
        runs.append(behaviour.rollout(one, future))
        one.close()
    np.testing.assert_array_equal(runs[0], runs[1])


def test_a_state_of_another_task_is_refused():
    env = behaviour.make("ms-pick-cube")
    with pytest.raises(ValueError, match=r"shape \(17,\), expected \(70,\)"):
        env.set_state({"state": np.zeros(17)})
    env.close()


_PROCESS = """
import json, os, sys
before = dict(os.environ)
from mmbench.catalog import get
from mmbench.domains import unavailable
assert unavailable(get("ms-pick-cube")) is None
light = not {"torch", "sapien", "mani_skill"} & sys.modules.keys()
from mmbench.env import TaskEnv
env = TaskEnv("ms-pick-cube")
env.reset(seed=0)
import sapien, mani_skill.envs.sapien_env, gc
restored = sapien.render.RenderMaterial.__module__.startswith("sapien")
restored = restored and mani_skill.envs.sapien_env.gc is gc
print(json.dumps([light, restored, before == dict(os.environ)]))
"""


def test_the_process_is_left_as_it_was():
    """Asking loads no simulator; making changes no variable and leaves the package whole."""
    done = subprocess.run(
        [sys.executable, "-c", _PROCESS], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert json.loads(done.stdout) == [True, True, True]


def test_a_missing_system_library_is_named(monkeypatch):
    monkeypatch.setattr(maniskill, "_loads", lambda library: library != "libGL.so.1")
    assert "apt-get install libgl1" in unavailable(get("ms-reach"))
    assert "libx11-6" not in unavailable(get("ms-reach"))


@pytest.mark.parametrize(
    "name", ["ms-reach", "ms-push-cube", "ms-pick-cube-so", "ms-cartpole-swingup", "ms-ant-walk"]
)
def test_frames(name):
    reason = vulkan()
    if reason:
        pytest.skip(reason)
    sequence = behaviour.actions(get(name), 8)
    expected = behaviour.rollout(behaviour.make(name), sequence)
    env = behaviour.make(name, render_mode="rgb_array")
    frame = env.render()
    assert frame.shape == (224, 224, 3) and frame.dtype == np.uint8 and frame.std() > 2
    np.testing.assert_array_equal(behaviour.rollout(env, sequence[:4]), expected[:4])
    env.render()
    np.testing.assert_array_equal(behaviour.rollout(env, sequence[4:]), expected[4:])
    moved = env.render()
    assert np.abs(moved.astype(int) - frame).max() > 50
    np.testing.assert_array_equal(env.render(), moved)
    other = behaviour.make(name, seed=1, render_mode="rgb_array")
    other.set_state(env.get_state())
    # Links are placed anew from the joints' angles, which rounds: a pixel here and there.
    difference = np.abs(other.render().astype(int) - moved)
    assert (difference > 2).mean() < 1e-3
    env.close()
    other.close()


def test_frames_without_vulkan_are_one_error_that_harms_nothing():
    if vulkan() is None:
        pytest.skip("this machine has a Vulkan device")
    for _ in range(2):
        with pytest.raises(RendererUnavailableError, match="Vulkan.*lavapipe"):
            TaskEnv("ms-reach", obs="rgb")
    behaviour.rollout(behaviour.make("ms-reach"), behaviour.actions(get("ms-reach"), 2))


def test_a_window_shows_the_scene():
    reason = vulkan()
    if reason:
        pytest.skip(reason)
    assert_shown(["ms-push-cube"])


_FORK = """
import os, sys, threading, time
import numpy as np
from mmbench.env import TaskEnv
from mmbench.rendering import RendererUnavailableError
env = TaskEnv("ms-push-cube", render_mode="rgb_array")
env.reset(seed=0)
frame = env.render()
frames = []
thread = threading.Thread(target=lambda: frames.append(env.render()))
thread.start()
thread.join()
assert np.array_equal(frames[0], frame)
child = os.fork()
if child == 0:
    for call in (env.render, env.reset, lambda: TaskEnv("ms-push-cube", obs="rgb")):
        try:
            call()
        except RendererUnavailableError as error:
            assert "forked" in str(error)
        else:
            os._exit(1)
    env.step(np.zeros(16, np.float32))
    env.close()
    other = TaskEnv("ms-push-cube")
    other.reset(seed=0)
    sys.exit(0)
end = time.monotonic() + 60
while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < end:
    time.sleep(0.1)
if ended != (child, 0):
    os.kill(child, 9)
    sys.exit(f"the forked process: {ended}")
assert np.array_equal(env.render(), frame)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_other_threads_draw_and_forked_processes_say_that_they_cannot():
    reason = vulkan()
    if reason:
        pytest.skip(reason)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _FORK], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
