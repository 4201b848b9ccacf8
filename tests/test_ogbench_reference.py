"""OGBench against the recorded data, and against the package's own classes."""

import tempfile

import conformance
import mujoco
import numpy as np
import pytest
import reference

import mmbench
from mmbench.domains import mujoco_state
from mmbench.env import TaskEnv

FOLDER = reference.SHIPPED / "ogbench"
FINGERPRINTS = reference.recorded("ogbench", ".json")
POLICIES = ("random", "zero", "hold")
EPISODES = 40  # starts and goals vary much


def check_fingerprint(name, policy):
    tips = "-ant" in name  # over, once in about a hundred episodes, of which one was recorded
    conformance.check_fingerprint(FOLDER / f"{name}.json", {policy: EPISODES}, rare=tips)


test_steps_as_recorded, test_steps_as_recorded_in_full = conformance.transition_tests("ogbench")


@pytest.mark.parametrize("name", [name for name in FINGERPRINTS if "point" in name])
def test_random_episodes_distributed_as_recorded(name):
    check_fingerprint(name, "random")


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", FINGERPRINTS)
def test_episodes_distributed_as_recorded(name, policy):
    check_fingerprint(name, policy)


def native(task):
    """The package's own environment, where it has this task."""
    kind, _, maze = task.native.partition("/")
    if kind == "online-ant-v0":
        from ogbench.online_locomotion.ant import AntEnv

        return AntEnv()
    if kind == "online-antball-v0":
        from ogbench.online_locomotion.ant_ball import AntBallEnv

        class Unseen(AntBallEnv):
            """Its constructor draws a frame, only to reach the camera."""

            def render(self):
                viewer = type("Viewer", (), {"cam": mujoco.MjvCamera()})
                self.mujoco_renderer.viewer = viewer()

        return Unseen()
    from ogbench.locomaze.maze import make_maze_env

    return make_maze_env(kind.removesuffix("maze"), "maze", maze_type=maze)


def arrays(model):
    """The model's numbers by name, names and what a reset moves left out."""
    found = {}
    for owner in (model, model.opt, model.stat):
        for name in dir(owner):
            value = None if name.startswith(("_", "name")) else getattr(owner, name)
            if isinstance(value, (np.ndarray, int, float)) and name not in ("geom_pos", "nnames"):
                found[name] = np.asarray(value)
    return found


NATIVE = [
    task
    for task in mmbench.tasks(domain="ogbench")
    if task.native.partition("/")[2] in ("", "arena", "medium")
]


@pytest.mark.parametrize("task", NATIVE, ids=lambda task: task.name)
def test_body_and_steps_are_the_package_s(task, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # it leaves its XML files behind
    theirs = native(task).unwrapped
    env = TaskEnv(task, unify=False)
    env.reset(seed=3)
    ours = env._simulator
    expected = arrays(theirs.model)
    assert len(expected) > 300
    for name, value in arrays(ours.model).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)

    theirs.reset()
    mujoco_state.set_state(theirs.model, theirs.data, mujoco_state.get_state(ours.model, ours.data))
    if task.name == "og-antball":
        theirs.cur_goal_xy = ours.model.geom("target").pos[:2].copy()
    rng = np.random.default_rng(0)
    for _ in range(25):
        action = rng.uniform(-1, 1, task.action_dim).astype(np.float32)
        obs, reward, _, _, info = env.step(action)
        for _ in range(task.action_repeat):
            their_obs, their_reward, _, _, their_info = theirs.step(action)
        np.testing.assert_array_equal(ours.data.qpos, theirs.data.qpos)
        np.testing.assert_array_equal(ours.data.qvel, theirs.data.qvel)
        if task.name == "og-antball":
            np.testing.assert_array_equal(obs, their_obs.astype(np.float32))
            assert reward == pytest.approx(their_reward, abs=1e-9)
            assert info["success"] == their_info["success"]
        elif task.name == "og-ant":
            np.testing.assert_array_equal(obs[:27], their_obs.astype(np.float32))
    theirs.close()
