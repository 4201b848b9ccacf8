"""ManiSkill's scenes on stand-ins for its assets: fixtures, and states set by hand.

The fixtures are taken up by the `conftest.py` of the tests that use them.
"""

import contextlib
import gc

import gymnasium as gym
import numpy as np
import pytest
import stand_ins

from mmbench.catalog import get
from mmbench.domains import maniskill_package


@contextlib.contextmanager
def cheap_collections():
    """Leaves what is there out of garbage collections: ManiSkill's `close` makes a full one."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@pytest.fixture(scope="module")
def stand_in_data(tmp_path_factory):
    try:
        maniskill_package.load()
    except ImportError as error:
        pytest.skip(f"ManiSkill cannot be imported: {error}")
    folder = tmp_path_factory.mktemp("maniskill") / "data"
    stand_ins.write_ycb(folder)
    stand_ins.write_xarm6(folder)
    stand_ins.write_anymal(folder)
    return folder


@pytest.fixture(scope="module")
def make(stand_in_data):
    """Returns a task on the stand-ins; one environment a task, as building takes its time."""
    made = {}

    def one(name):
        if name not in made:
            made[name] = gym.make(get(name).id, disable_env_checker=True, unify=False).unwrapped
        return made[name]

    with pytest.MonkeyPatch.context() as monkeypatch:
        stand_ins.point_maniskill_at(stand_in_data, monkeypatch)
        yield one
        with cheap_collections():
            for env in made.values():
                env.close()


def native(env):
    """ManiSkill's environment behind one of ours."""
    return env._simulator._environment


def numpy(tensor):
    """The first row of a batch of one, in double precision."""
    return np.asarray(tensor[0], np.float64)


def reward_and_success(scene):
    """What ManiSkill's step would return for the state as it is: reward, success."""
    info = scene.evaluate()
    reward = scene.compute_normalized_dense_reward(obs=None, action=None, info=info)
    return float(reward), bool(info["success"])


def place(actor, xyz, q=(1, 0, 0, 0)):
    from mani_skill.utils.structs.pose import Pose

    actor.set_pose(Pose.create_from_pq(list(map(float, xyz)), list(q)))


def drive(env, target, grip, steps, speed=1.0):
    """Moves the hand towards a point (m): one raw step of the controller covers 0.1 m."""
    scene = native(env)
    for _ in range(steps):
        action = np.zeros(env.task.action_dim, np.float32)
        action[:3] = np.clip((target - numpy(scene.agent.tcp.pose.p)) / 0.1, -speed, speed)
        action[-1] = grip
        *_, info = env.step(action)
    return info
