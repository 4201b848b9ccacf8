"""Meta-World against the recorded transitions and fingerprints of the published benchmark."""

import json

import conformance
import mujoco
import numpy as np
import pytest
import reference
from gymnasium.utils import seeding
from metaworld.env_dict import ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE
from metaworld.policies import ENV_POLICY_MAP

import mmbench
from mmbench.domains import mujoco_state
from mmbench.env import TaskEnv

FOLDER = reference.SHIPPED / "metaworld"
RECORDED = reference.recorded("metaworld", ".npz")
TASKS = mmbench.tasks(domain="metaworld")
WELD_TORQUE_SCALE = 3.75

# The scripted policies were written for single steps: at action repeat 2 they overshoot in these,
# and end the episode off the goal always or nearly so.
MISSED_BY_SCRIPTS = {
    "mw-coffee-button",
    "mw-door-open",
    "mw-handle-press",
    "mw-handle-press-side",
    "mw-lever-pull",
    "mw-plate-slide-back",
    "mw-plate-slide-back-side",
    "mw-plate-slide-side",
    "mw-push-back",
    "mw-stick-push",
}


test_steps_as_recorded, test_steps_as_recorded_in_full = conformance.transition_tests("metaworld")


@pytest.mark.parametrize("name", RECORDED)
def test_finds_the_goal_in_the_model(name):
    """A state without the task's variables, in an environment with another goal."""
    env = TaskEnv(name, unify=False)
    env.reset(seed=0)
    for transition in reference.transitions(FOLDER / f"{name}.npz"):
        env.set_state({k: v for k, v in transition.state.items() if not k.startswith("task/")})
        obs, *_ = env.step(transition.action)
        assert reference.relative_error(obs, transition.next_obs) <= conformance.TOLERANCE


@pytest.mark.parametrize("name", RECORDED)
def test_places_objects_in_the_recorded_box(name):
    meta = json.loads((FOLDER / f"{name}.json").read_text())["meta"]
    box = TaskEnv(name)._simulator._env._random_reset_space
    np.testing.assert_array_equal(box.low, meta["reset_low"])
    np.testing.assert_array_equal(box.high, meta["reset_high"])


@pytest.mark.parametrize("name", RECORDED)
def test_episodes_distributed_as_recorded(name):
    conformance.check_fingerprint(FOLDER / f"{name}.json", {"zero": 4})


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDED)
def test_many_episodes_distributed_as_recorded(name):
    # Held actions throw an object over in a few episodes of a hundred: fewer could miss it.
    conformance.check_fingerprint(FOLDER / f"{name}.json", {"random": 16, "zero": 12, "hold": 100})


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_resets_and_steps_as_the_package_does(task):
    """Same generator, same actions: the package's own environment at the same repeat."""
    native = ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE[f"{task.native}-v3-goal-observable"](seed=0)
    native._freeze_rand_vec = False
    native.seeded_rand_vec = True
    native.model.eq_data[:, -1] = WELD_TORQUE_SCALE
    native.np_random = seeding.np_random(3)[0]
    native.reset()
    if task.native == "dial-turn":
        mujoco.mj_forward(native.model, native.data)
        native._prev_obs = native._get_curr_obs_combined_no_goal()
    expected, *_ = native.step(np.zeros(4, np.float32))

    env = TaskEnv(task, unify=False)
    obs, _ = env.reset(seed=3)
    np.testing.assert_array_equal(obs, expected.astype(np.float32))
    theirs = mujoco_state.get_state(native.model, native.data)
    ours = mujoco_state.get_state(env._simulator._model, env._simulator._data)
    for key in theirs:
        np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)

    rng = np.random.default_rng(0)
    for step in range(20):
        if step % 5 == 0:
            action = rng.uniform(-1, 1, 4).astype(np.float32)
        obs, reward, _, _, info = env.step(action)
        first = native.step(action)
        expected, second, _, _, native_info = native.step(action)
        np.testing.assert_array_equal(obs, expected.astype(np.float32))
        assert reward == first[1] + second
        assert info["success"] == native_info["success"]


@pytest.mark.filterwarnings("ignore:Constant:UserWarning")  # of gains that the range clips
def test_touches_as_the_package_does():
    """While a scripted policy grasps: the look-up of contacts is ours."""
    env = TaskEnv("mw-push", unify=False)
    native = env._simulator._env
    geom = native._get_id_main_object()
    policy = ENV_POLICY_MAP["push-v3"]()
    obs, _ = env.reset(seed=0)
    touched = []
    for _ in range(60):
        obs, *_ = env.step(policy.get_action(obs))
        touched.append(native.touching_object(geom))
        assert touched[-1] == type(native).touching_object(native, geom)
    assert any(touched) and not all(touched)


def scripted_success(task: mmbench.Task, episodes: int) -> float:
    """The mean score of the package's scripted policy."""
    env = TaskEnv(task, unify=False)
    scores = []
    for seed in range(episodes):
        policy = ENV_POLICY_MAP[f"{task.native}-v3"]()
        obs, _ = env.reset(seed=seed)
        truncated = False
        while not truncated:
            obs, _, _, truncated, info = env.step(policy.get_action(obs))
        scores.append(info["score"])
    return float(np.mean(scores))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Constant:UserWarning")
def test_scripted_policies_score_as_published():
    scores = {task.name: scripted_success(task, episodes=10) for task in TASKS}
    for name, score in scores.items():
        print(f"{name:30s} {score:.2f}")
    assert np.mean(list(scores.values())) == pytest.approx(0.69, abs=0.03)
    assert {name for name, score in scores.items() if score == 0.0} <= MISSED_BY_SCRIPTS
    assert max(scores[name] for name in MISSED_BY_SCRIPTS) <= 0.4
