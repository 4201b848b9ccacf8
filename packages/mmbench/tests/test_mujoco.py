"""MuJoCo: sizes, determinism, restoration, frames, rewards by hand."""

import subprocess
import sys

import behaviour
import numpy as np
import pytest

import mmbench
from mmbench import rendering
from mmbench.domains.last_step import recover_last_step

TASKS = mmbench.tasks(domain="mujoco")
BY_NAME = {task.name: task for task in TASKS}
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
needs_frames = pytest.mark.skipif(
    rendering.backend() is None, reason="this machine has neither EGL nor OSMesa"
)


def start(name, qpos=None, qvel=None):
    """An environment whose body is placed by changes (by index) of its initial pose, at rest."""
    env = behaviour.make(name)
    simulator = env._simulator
    positions, velocities = simulator.model.qpos0.copy(), np.zeros(simulator.model.nv)
    for index, value in (qpos or {}).items():
        positions[index] = value
    for index, value in (qvel or {}).items():
        velocities[index] = value
    simulator.place(positions, velocities)
    return env


def action(name, value=0.0):
    return np.full(BY_NAME[name].action_dim, value, np.float32)


def reward(env, value=0.0):
    return env.step(action(env.task.name, value))[1]


@every_task
def test_an_episode_has_the_sizes_and_length_of_the_catalogue(task):
    behaviour.check_whole_episode(task)


@every_task
def test_an_episode_is_a_function_of_its_seed_and_actions(task):
    behaviour.check_seeding(task)


@every_task
def test_a_restored_state_goes_on_as_the_episode_did(task):
    behaviour.check_restoration(task)


@needs_frames
@every_task
def test_frames_show_the_state_and_leave_it_alone(task):
    behaviour.check_frames(task)


def test_making_and_stepping_says_nothing_and_imports_no_other_simulator():
    code = (
        "import sys, mmbench\n"
        "from mmbench.env import TaskEnv\n"
        "env = TaskEnv('mujoco-reacher')\n"
        "env.reset(seed=0), env.step(env.action_space.sample())\n"
        "assert not {'dm_control', 'metaworld', 'gymnasium.envs.mujoco'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# Rewards


def test_halfcheetah_is_paid_for_its_way_less_a_tenth_of_squared_actions():
    env = start("mujoco-halfcheetah", qvel={0: 3.0})
    before = env._simulator.data.qpos[0]
    result = reward(env, 0.5)
    speed = (env._simulator.data.qpos[0] - before) / 0.05
    assert 1.0 < speed < 4.0
    assert result == pytest.approx(speed - 0.1 * 6 * 0.25)


def test_halfcheetah_on_its_back_is_paid_alike():
    env = start("mujoco-halfcheetah", qpos={2: np.pi}, qvel={0: 3.0})
    assert reward(env) > 1.0


@pytest.mark.parametrize("height, bonus", [(0.75, 2.0), (5.0, 0.0)])
def test_ant_has_a_bonus_for_a_healthy_height(height, bonus):
    env = start("mujoco-ant", qpos={2: height}, qvel={0: 2.0})
    # In the air nothing slows it: 2 m/s in each of two raw steps, less half of 8 x 0.25.
    assert reward(env, 0.5) == pytest.approx(2 * 2.0 + bonus - 2 * 0.5 * 8 * 0.25, abs=0.2)


@pytest.mark.parametrize("name", ["mujoco-hopper", "mujoco-walker"])
class TestFallers:
    def test_speed_and_a_bonus_while_healthy(self, name):
        env = start(name, qpos={1: 1.5}, qvel={0: 2.0})
        before = env._simulator.data.qpos[0]
        result = reward(env, 1.0)
        way = env._simulator.data.qpos[0] - before
        cost = 2 * 1e-3 * env.task.action_dim
        assert way > 0.02
        assert result == pytest.approx(way / 0.008 + 2.0 - cost)

    def test_never_negative_while_healthy(self, name):
        assert reward(start(name, qpos={1: 1.5}, qvel={0: -5.0})) == 0.0

    def test_minus_one_a_raw_step_once_fallen(self, name):
        assert reward(start(name, qpos={1: 1.5, 2: 1.5}, qvel={0: 5.0})) == -2.0
        assert reward(start(name, qpos={1: 0.3})) == -2.0

    def test_it_can_get_up(self, name):
        env = start(name, qpos={1: 0.3})
        assert reward(env) == -2.0
        healthy = start(name, qpos={1: 1.5}).get_state()
        env.set_state(healthy)
        assert reward(env) == pytest.approx(2.0, abs=0.2)


def test_hopper_is_unhealthy_at_extreme_speeds():
    assert reward(start("mujoco-hopper", qpos={1: 1.5}, qvel={1: 90.0})) > 0.0
    assert reward(start("mujoco-hopper", qpos={1: 1.5}, qvel={1: 110.0})) == -2.0


def test_walker_may_lean_further_than_hopper():
    lean = {1: 1.5, 2: 0.5}
    assert reward(start("mujoco-walker", qpos=lean)) > 0.0
    assert reward(start("mujoco-hopper", qpos=lean)) == -2.0


class TestInvertedPendulum:
    name = "mujoco-inverted-pendulum"

    def test_one_a_raw_step_while_upright(self):
        assert reward(start(self.name)) == 2.0

    def test_the_raw_step_that_tilts_it_pays_nothing(self):
        # 0.19 rad is reached in the first raw step, 0.2 exceeded in the second.
        assert reward(start(self.name, qpos={1: 0.17}, qvel={1: 0.4})) == 1.0
        assert reward(start(self.name, qpos={1: 0.19}, qvel={1: 3.0})) == 0.0

    def test_nothing_for_good_after_a_tilt_and_again_after_a_reset(self):
        env = start(self.name, qpos={1: 0.4})
        assert reward(env) == 0.0
        upright = {
            key: value
            for key, value in start(self.name).get_state().items()
            if not key.startswith("env/")
        }
        env.set_state({**upright, "task/terminated": np.asarray(True)})
        assert reward(env) == 0.0
        env.set_state({key: value for key, value in upright.items() if "task" not in key})
        assert reward(env) == 2.0
        tilted = start(self.name, qpos={1: 0.4}).get_state()
        env.set_state({"state": tilted["state"]})
        assert reward(env) == 0.0
        env.reset(seed=0)
        assert reward(env) == 2.0

    def test_a_full_score_is_a_thousand_raw_steps(self):
        assert BY_NAME[self.name].score(1000.0, float("nan")) == 1.0


def test_reacher_pays_for_the_distance_before_the_step():
    env = start("mujoco-reacher", qpos={0: 0.0, 1: 0.0, 2: 0.11, 3: 0.1})
    # A straight arm's fingertip is at (0.21, 0).
    assert reward(env, 0.5) == pytest.approx(-np.hypot(0.1, 0.1) - 2 * 0.25)


def test_reacher_targets_fill_a_disc():
    env = behaviour.make("mujoco-reacher")
    targets = np.array([env.reset(seed=seed)[0][4:6] for seed in range(300)])
    distances = np.linalg.norm(targets, axis=1)
    assert distances.max() < 0.2
    assert np.mean(distances**2) == pytest.approx(0.02, abs=0.003)  # uniform over the area


@pytest.mark.parametrize(
    "name, full", [("ant", 5000), ("halfcheetah", 15000), ("hopper", 5000), ("walker", 5000)]
)
def test_scores_are_clipped_shares_of_a_full_return(name, full):
    task = BY_NAME[f"mujoco-{name}"]
    scores = [task.score(r, float("nan")) for r in (-1.0, full / 4, 2.0 * full)]
    assert scores == [0.0, 0.25, 1.0]
    reacher = BY_NAME["mujoco-reacher"]
    assert [reacher.score(r, float("nan")) for r in (-60.0, -25.0, 0.0)] == [0.0, 0.5, 1.0]


# Poses that lag behind


@pytest.mark.parametrize("name", ["mujoco-ant", "mujoco-reacher"])
def test_the_last_step_is_recovered_from_the_state_alone(name):
    env = behaviour.make(name)
    simulator = env._simulator
    assert recover_last_step(simulator.model, simulator.data) is None  # none was taken yet
    found = 0
    for step in behaviour.actions(env.task, 20):
        env.step(step)
        last = recover_last_step(simulator.model, simulator.data)
        if last is not None:
            found += 1
            np.testing.assert_allclose(last.xpos, simulator.data.xpos, atol=1e-9)
    assert found >= 17
    env.set_state({"state": env.get_state()["state"]})
    np.testing.assert_allclose(simulator.data.xpos, last.xpos, atol=1e-9)
