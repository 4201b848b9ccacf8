"""ManiSkill against the recorded transitions, rollouts and fingerprints, and the package's step.

The recording was made on a processor by Intel, and some of it can be repeated to the last bit only
there:

* PhysX's contacts between boxes use the instruction ``rcpps``, an approximate reciprocal (to 12
  bits) of which every maker has its own table. With Intel's in its place every recorded contact
  comes out exactly, on any processor.
* torch rounds sine and cosine by the processor. One unit in the last place of the commanded
  rotation explains each of the other differences: up to 5e-6 after a step.

So with the package's own step the tasks with neither must agree exactly, and elsewhere the noise
is bounded where it shows. That the package itself agrees with the adapter to the last bit does not
depend on the processor. With the step in NumPy that users get, the tolerance is 1e-5.
"""

import importlib
import json
from pathlib import Path

import conformance
import gymnasium
import numpy as np
import pytest
import reference

import mmbench
from mmbench.catalog import get
from mmbench.domains import maniskill_numpy, maniskill_package, unavailable
from mmbench.env import TaskEnv

FOLDER = reference.SHIPPED / "maniskill"
RECORDED = reference.recorded("maniskill", ".json")
reason = unavailable(get(RECORDED[0]))
if reason:
    pytest.skip(reason, allow_module_level=True)

EXACT = (
    "ms-ant-run",
    "ms-cartpole-balance",
    "ms-cartpole-swingup",
    "ms-hopper-hop",
    "ms-place-sphere",
)
"""Tasks whose hand is not turned and whose boxes do not meet."""

ROUNDING = 2.5e-7  # of the reward: tanh, exp and cos of torch, by the processor
TOLERANCE = 1e-5  # of the step in NumPy
NOISE = 1e-3  # metres, radians and their velocities, after a step in contact
REWARD_NOISE = 2e-4


@pytest.fixture
def package_s_own_step(monkeypatch):
    """Environments made by the test take the package's step instead of the one in NumPy."""
    monkeypatch.setattr(maniskill_numpy, "task_class", lambda native: None)


def check_transitions(path: Path, tolerance: float) -> None:
    """Takes every recorded step from a fresh scene; ``tolerance`` is that of the observation."""
    env = TaskEnv(path.stem, unify=False)
    env.reset(seed=0)
    obs_errors, reward_errors = [], []
    for transition in reference.transitions(path):
        env.set_state(transition.state)
        obs, reward, _, _, info = env.step(transition.action)
        if env.task.has_success:
            assert info["success"] == transition.extra["fresh_success"]
        obs_errors.append(reference.relative_error(obs, transition.extra["fresh_next_obs"]))
        reward_errors.append(abs(reward - transition.extra["fresh_reward"]))
    env.close()
    if path.stem in EXACT:
        assert max(obs_errors) <= tolerance
        assert max(reward_errors) <= max(tolerance, ROUNDING)
    else:
        assert max(obs_errors) <= NOISE
        assert max(reward_errors) <= REWARD_NOISE
        assert sum(error <= tolerance for error in obs_errors) >= len(obs_errors) / 5


@pytest.mark.parametrize("name", RECORDED)
def test_package_steps_as_recorded(name, package_s_own_step):
    check_transitions(FOLDER / f"{name}.npz", tolerance=0.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDED)
def test_package_steps_as_recorded_in_full(name, package_s_own_step):
    check_transitions(reference.full_recording() / "maniskill" / f"{name}.npz", tolerance=0.0)


@pytest.mark.parametrize("name", RECORDED)
def test_steps_as_recorded(name):
    check_transitions(FOLDER / f"{name}.npz", TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDED)
def test_steps_as_recorded_in_full(name):
    check_transitions(reference.full_recording() / "maniskill" / f"{name}.npz", TOLERANCE)


@pytest.mark.parametrize("name", RECORDED)
def test_states_have_the_recorded_layout(name):
    env = TaskEnv(name, unify=False)
    with np.load(FOLDER / f"{name}.npz") as data:
        recorded = json.loads(str(data["layout"]))
    layout = env._simulator._layout
    assert [[f"{kind}/{part}", size] for kind, part, size in layout] == recorded
    env.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", EXACT)
def test_package_goes_through_whole_episodes_as_recorded(name, package_s_own_step):
    path = reference.full_recording() / "maniskill" / f"{name}.rollout.npz"
    env = TaskEnv(name, unify=False)
    env.reset(seed=0)
    with np.load(path) as data:
        for k in range(int(data["n"])):
            env.set_state({"state": data[f"{k}/state0"]})
            np.testing.assert_array_equal(env._observation(), data[f"{k}/obs"][0])
            for t, action in enumerate(data[f"{k}/actions"]):
                obs, reward, *_ = env.step(action)
                np.testing.assert_array_equal(obs, data[f"{k}/obs"][t + 1])
                assert abs(reward - data[f"{k}/rewards"][t]) <= ROUNDING
    env.close()


def check_distributions(name: str, episodes: dict[str, int]) -> None:
    # The hand tips the cube over in one episode of many, or turns past a half turn, where its
    # quaternion changes sign; then so it stays.
    conformance.check_fingerprint(FOLDER / f"{name}.json", episodes, rare=True, stuck=True)


@pytest.mark.parametrize("name", RECORDED)
def test_episodes_distributed_as_recorded(name):
    check_distributions(name, {"random": 4})


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDED)
def test_episodes_distributed_as_recorded_for_every_policy(name):
    check_distributions(name, {"random": 12, "zero": 12, "hold": 12})


PACKAGE_S_OWN = [
    task
    for task in mmbench.tasks(domain="maniskill")
    if unavailable(task) is None and "reach" not in task.name and "sparse" not in task.name
]


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")
@pytest.mark.parametrize("task", PACKAGE_S_OWN, ids=lambda task: task.name)
def test_adapter_changes_nothing_of_the_package_s_step(task, package_s_own_step):
    """Its own `gymnasium.make` and wrapper, with the settings of the published benchmark."""
    env = TaskEnv(task, unify=False)
    wrapper = importlib.import_module("mani_skill.utils.wrappers.gymnasium").CPUGymWrapper
    settings = dict(task.native_kwargs)
    if task.native.startswith("MS-") or "so" in task.name.split("-"):
        settings.pop("robot_uids")
    with maniskill_package.building(frames=False):
        native = wrapper(
            gymnasium.make(task.native, obs_mode="state", render_backend="none", **settings),
            ignore_terminations=True,
        )
        obs, _ = env.reset(seed=5)
        seed = int(np.random.default_rng(5).integers(2**31))
        expected, _ = native.reset(seed=seed, options={"reconfigure": True})
        np.testing.assert_array_equal(obs, expected)
        for action in np.random.default_rng(0).uniform(-1, 1, (6, task.action_dim)):
            action = action.astype(np.float32)
            obs, reward, _, _, info = env.step(action)
            raw = [native.step(action) for _ in range(task.action_repeat)]
            np.testing.assert_array_equal(obs, raw[-1][0])
            assert reward == sum(float(step[1]) for step in raw)
            if task.has_success:
                assert info["success"] == raw[-1][4].get("success", 0)
    native.close()
    env.close()
