"""DMControl-Ext: sizes, determinism, restoration, frames, bodies, starts, rewards by hand."""

import math
import subprocess
import sys

import mujoco
import numpy as np
import pytest
from behaviour import actions, check_seeding, make, rollout

import mmbench
from mmbench import rendering
from mmbench.env import TaskEnv

DOMAIN = "dmcontrol-ext"
TASKS = mmbench.tasks(domain=DOMAIN) + mmbench.tasks(domain=DOMAIN, split="extra")

every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
ROBOTS = {task.name.split("-")[0]: task for task in TASKS}
one_of_each_robot = pytest.mark.parametrize(
    "task",
    [pytest.param(t, marks=[] if t in ROBOTS.values() else [pytest.mark.slow]) for t in TASKS],
    ids=lambda task: task.name,
)
needs_frames = pytest.mark.skipif(
    rendering.backend() is None, reason="this machine has neither EGL nor OSMesa"
)


def physics_of(env):
    return env._simulator._physics


# Episodes


def test_all_28_are_here():
    assert len(TASKS) == 28


@every_task
def test_an_episode_has_the_sizes_and_length_of_the_catalogue(task):
    env = TaskEnv(task, unify=False)
    obs, info = env.reset(seed=0)
    assert physics_of(env).model.nu == task.action_dim
    assert obs.size == sum(
        np.size(v) for v in env._simulator._task.get_observation(physics_of(env)).values()
    )
    for step in range(task.max_episode_steps):
        assert np.isfinite(obs).all() and obs.shape == (task.obs_dim,)
        obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert not terminated
        assert truncated == (step == task.max_episode_steps - 1)
        assert 0.0 <= reward <= task.action_repeat + 1e-9
        assert -1e-6 <= info["score"] <= 1 + 1e-6
        assert math.isnan(info["success"])


@every_task
def test_an_episode_is_a_function_of_its_seed_and_actions(task):
    check_seeding(task)


@every_task
def test_a_restored_state_goes_on_as_the_episode_did(task):
    past, future = actions(task, 15), actions(task, 15, seed=1)
    env = make(task, seed=2)
    rollout(env, past)
    state = env.get_state()
    expected = rollout(env, future)
    other = make(task, seed=3)
    rollout(other, past)
    for restored in (state, {key: v for key, v in state.items() if not key.startswith("env/")}):
        other.set_state(restored)
        np.testing.assert_array_equal(rollout(other, future), expected)


def test_importing_a_model_says_nothing():
    code = "import mmbench.models.spinner"
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# Frames


@needs_frames
@one_of_each_robot
def test_frames_show_the_state_and_leave_it_alone(task):
    env = TaskEnv(task, unify=False, render_mode="rgb_array")
    env.reset(seed=0)
    blind = make(task, seed=0)
    sequence = actions(task, 10)
    frame = env.render()
    assert frame.shape == (224, 224, 3) and frame.dtype == np.uint8
    assert frame.std() > 5
    expected = rollout(blind, sequence)
    for action, row in zip(sequence, expected, strict=True):
        obs, reward, *_ = env.step(action)
        np.testing.assert_array_equal(np.append(obs, reward), row)
        if action is sequence[0]:
            env.render()
    assert np.abs(env.render().astype(int) - frame).max() > 50
    env.close()


# Bodies


MASSES = {
    "jumper-jump": {"torso": 1.506, "front_leg": 0.247, "back_leg": 0.247},
    "spinner-spin": {"torso": 1.0989} | {f"limb_{i}": 0.1802 for i in range(1, 6)},
    "spinner-spin-four": {"torso": 1.2077} | {f"limb_{i}": 0.1981 for i in range(1, 5)},
    "giraffe-run": {
        "torso": 8.260,
        "neck": 2.792,
        "head": 0.611,
        "bthigh": 0.904,
        "bshin": 0.930,
        "bfoot": 0.513,
        "fthigh": 0.842,
        "fshin": 0.703,
        "ffoot": 0.446,
    },
    "cartpole-balance-long-sparse": {"cart": 1.0, "pole_1": 0.2},
    "cartpole-balance-two-poles-sparse": {"cart": 1.0, "pole_1": 0.1, "pole_2": 0.1},
}
"""Measured in the published models, in the order of the bodies (kilograms)."""


@pytest.mark.parametrize("name", MASSES)
def test_bodies_weigh_what_they_should(name):
    model = physics_of(make(name)).model
    masses = {model.id2name(i, "body"): float(model.body_mass[i]) for i in range(1, model.nbody)}
    assert list(masses) == list(MASSES[name])
    assert masses == pytest.approx(MASSES[name], abs=6e-4)


def joints(name):
    """Name, range (degrees), stiffness, damping and gear of every actuated joint."""
    model = physics_of(make(name)).model
    rows = {}
    for i in range(model.nu):
        joint = model.actuator_trnid[i, 0]
        rows[model.id2name(joint, "joint")] = (
            *np.rad2deg(model.jnt_range[joint]).round(2),
            model.jnt_stiffness[joint],
            model.dof_damping[model.jnt_dofadr[joint]],
            model.actuator_gear[i, 0],
        )
    return rows


def test_the_giraffe_has_the_published_joints_in_the_published_order():
    assert joints("giraffe-run") == {
        "bthigh": (-30, 60, 240, 6, 120),
        "bshin": (-50, 50, 180, 4.5, 90),
        "bfoot": (-230, 50, 120, 3, 60),
        "fthigh": (-57, 0.4, 180, 4.5, 90),
        "fshin": (-70, 50, 120, 3, 60),
        "ffoot": (-28, 28, 60, 1.5, 30),
        "neck": (-5, 20, 240, 6, 30),
    }
    assert list(joints("giraffe-run"))[-1] == "neck"  # though it comes first in observations
    assert physics_of(make("giraffe-run")).model.id2name(3, "joint") == "neck"


@pytest.mark.parametrize("name", ["jumper-jump", "spinner-jump", "spinner-jump-four"])
def test_springy_limbs_have_the_published_joints(name):
    assert set(joints(name).values()) == {(-35, 35, 220, 5, 100)}


@pytest.mark.parametrize(
    ("name", "angles"),
    [
        ("jumper-jump", [144, 216]),
        ("spinner-jump", [0, 72, 144, 216, 288]),
        ("spinner-jump-four", [0, 72, 144, 216]),
    ],
)
def test_limbs_point_where_they_should(name, angles):
    physics = physics_of(make(name))
    physics.reset()
    tips = [i for i in range(physics.model.ngeom) if "tip" in physics.model.id2name(i, "geom")]
    offsets = physics.data.geom_xpos[tips] - physics.named.data.xpos["torso"]
    expected = [[0.566 * math.sin(a), 0, 0.566 * math.cos(a)] for a in np.deg2rad(angles)]
    np.testing.assert_allclose(offsets, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "sliding"), [("jumper-jump", 0.15), ("spinner-jump", 0.15), ("giraffe-run", 0.45)]
)
def test_geoms_touch_each_other_with_the_published_friction(name, sliding):
    model = physics_of(make(name)).model
    assert (model.geom_friction[1:] == [sliding, 0.1, 0.1]).all()
    assert (model.geom_contype == 1).all() and (model.geom_conaffinity == 1).all()
    assert model.opt.timestep == 0.01
    assert model.opt.integrator == mujoco.mjtIntegrator.mjINT_EULER


@pytest.mark.parametrize(
    "name", ["walker-stand-incline", "walker-walk-incline", "walker-run-incline"]
)
def test_the_slope_rises_by_8_degrees_through_the_origin(name):
    env = make(name)
    floor = physics_of(env).named.data
    x, z = floor.geom_xmat["floor", ["xz", "zz"]]
    assert math.degrees(math.atan2(-x, z)) == pytest.approx(7.95, abs=0.01)
    assert floor.geom_xpos["floor"].tolist() == [0, 0, 0]


def test_the_arm_of_three_links_is_28_centimetres_long():
    physics = physics_of(make("reacher-three-easy"))
    physics.reset()
    assert physics.named.data.geom_xpos["finger", "x"] == pytest.approx(0.27)
    model = physics.named.model
    assert np.rad2deg(model.jnt_range[["elbow", "wrist"]]).round(6).tolist() == [[-80, 80]] * 2
    assert model.jnt_limited[["shoulder", "elbow", "wrist"]].tolist() == [0, 1, 1]


def test_the_long_pole_is_one_and_a_half_metres():
    env = make("cartpole-balance-long-sparse")
    radius, half_length, _ = physics_of(env).named.model.geom_size["pole_1"]
    assert (radius, half_length) == (0.045, 0.75)


# Starts


def test_targets_have_the_published_sizes():
    for name, radius in [("reacher-three-easy", 0.05), ("reacher-three-hard", 0.015)]:
        model = physics_of(make(name)).named.model
        assert model.geom_size["target", 0] == radius
        assert 0.05 <= np.hypot(*model.geom_pos["target", :2]) <= 0.2


def test_the_ball_starts_in_the_cup_nine_times_in_ten():
    env = make("cup-spin")
    physics = physics_of(env)
    inside = []
    for _ in range(400):
        env.reset()
        assert physics.data.ncon == 0
        inside.append(physics.in_target())
    # Of the tenth that may start anywhere, one in a hundred lies inside by chance.
    assert np.mean(inside) == pytest.approx(0.9, abs=4 * math.sqrt(0.09 / 400))


@pytest.mark.parametrize("name", ["jumper-jump", "spinner-spin", "giraffe-run"])
def test_new_bodies_start_settled_on_the_ground(name):
    env = make(name)
    physics = physics_of(env)
    for _ in range(5):
        first, _ = env.reset()
        assert physics.data.time == 0
        assert physics.data.ncon > 0
        np.testing.assert_array_equal(
            first, np.append(physics.data.qpos[1:], physics.data.qvel).astype(np.float32)
        )
        assert np.abs(physics.data.qvel).max() < 1.0
        joint_angles = physics.data.qpos[3:]
        low, high = physics.model.jnt_range[3:].T
        assert (joint_angles > low - 0.1).all() and (joint_angles < high + 0.1).all()


@pytest.mark.parametrize(
    "name", ["cartpole-balance-two-poles-sparse", "cartpole-balance-long-sparse"]
)
def test_poles_start_almost_upright(name):
    env = make(name)
    starts = []
    for _ in range(30):
        env.reset()
        starts.append(physics_of(env).data.qpos.copy())
    cart, *poles = np.abs(starts).max(axis=0)
    assert 0.05 < cart <= 0.1
    assert 0.02 < min(poles) and max(poles) <= 0.034
