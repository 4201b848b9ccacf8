"""States that are no state of a task: one sentence, and the episode goes on as if nothing was."""

import numpy as np
import pytest

import mmbench
from mmbench.domains import unavailable
from mmbench.env import TaskEnv

# One or more of every domain, with another task whose states may have the same shapes.
PAIRS = [
    ("walker-walk", "walker-run"),
    ("spinner-spin", "spinner-jump"),
    ("mw-push", "mw-reach"),
    ("ms-push-cube", "ms-pull-cube"),
    ("mujoco-hopper", "mujoco-walker"),
    ("mujoco-ant", "mujoco-reacher"),
    ("rd-push-green", "rd-push-red"),
    ("og-ant-maze", "og-ant-spiral"),
    ("og-point-maze", "og-point-arena"),
    ("og-ant", "og-antball"),
    ("pygame-pong", "pygame-air-hockey"),
    ("pygame-bird-attack", "pygame-highway"),  # lists in pairs, and of fixed length
    ("pygame-coinrun", "pygame-spaceship"),
    ("pygame-point-maze-var1", "pygame-point-maze-var2"),  # a list of varying length
    ("atari-pong", "atari-boxing"),
]
LISTS = {f"task/{name}" for name in ("bullet_y", "shot_x", "coin_x", "coin_y", "taken_at")}
"""As long as another list of the state."""

PHRASES = "shape|holds|lacks|state of|a dict|cannot read|PCG64|episode has|differ in length"


def action(env):
    return np.random.default_rng(0).uniform(-1, 1, env.action_space.shape).astype(np.float32)


def start(name, steps=3):
    env = TaskEnv(name)
    env.reset(seed=1)
    for _ in range(steps):
        env.step(action(env))
    return env


def refused(env, other):
    """States that must be refused, by what is wrong with them."""
    state, forms = env.get_state(), env._simulator.state_forms()
    yield "no dict", list(state.values())
    yield "nothing", None
    yield "empty", {}
    for key in env._simulator.required_state:
        yield f"without {key}", {k: v for k, v in state.items() if k != key}
    for kind in ("", "env/", "task/", "model/"):
        yield f"with {kind}unknown", {**state, f"{kind}unknown": np.zeros(3)}
    for key, value in state.items():

        def changed(array, key=key):
            return {**state, key: array}

        yield f"{key} deeper", changed(value[None])
        yield f"{key} text", changed(np.full(value.shape, "x"))
        yield f"{key} objects", changed(np.full(value.shape, None))
        yield f"{key} complex", changed(value.astype(complex))
        fixed = key == "env/rng" or key in LISTS
        fixed = fixed or (key in forms and forms[key][0][-1:] != (None,))
        if value.ndim and value.shape[-1] > 0 and fixed:
            yield f"{key} shorter", changed(value[..., :-1])
        if value.dtype.kind == "f" and value.size:
            for bad in (np.nan, np.inf, -np.inf):
                spoiled = value.copy()
                spoiled.flat[-1] = bad
                yield f"{key} {bad}", changed(spoiled)
        if value.dtype.kind in "iub":
            yield f"{key} fractions", changed(value.astype(float))
    for step in (-1, env.task.max_episode_steps + 1):
        yield f"step {step}", {**state, "env/step": np.asarray(step)}
    yield "a generator that stands still", {**state, "env/rng": np.zeros(6, np.uint64)}
    yield "another task", other.get_state()
    elsewhere = "walker-run" if env.task.domain == "miniarcade" else "pygame-cowboy"
    yield "another domain", start(elsewhere).get_state()


@pytest.mark.parametrize(("name", "other"), PAIRS)
def test_a_refused_state_changes_nothing(name, other):
    reason = unavailable(mmbench.catalog.get(name))
    if reason:
        pytest.skip(reason)
    env, untouched = start(name), start(name)
    before = env.get_state()
    for what, state in refused(env, start(other)):
        with pytest.raises(ValueError, match=PHRASES) as caught:
            env.set_state(state)
            pytest.fail(f"{what} was restored")
        assert "\n" not in str(caught.value), what
        after = env.get_state()
        assert after.keys() == before.keys()
        for key, value in before.items():
            assert value.tobytes() == after[key].tobytes(), (what, key)
    for _ in range(3):
        one, two = env.step(action(env)), untouched.step(action(untouched))
        np.testing.assert_array_equal(one[0], two[0])
        assert one[1] == two[1]


def test_every_domain_is_tried():
    tried = {mmbench.catalog.get(name).domain for name, _ in PAIRS}
    assert tried == {task.domain for task in mmbench.tasks()} - {"box2d"}  # which saves none


@pytest.mark.parametrize("name", ["walker-walk", "pygame-spaceship"])
def test_a_state_survives_a_file(name, tmp_path):
    env, other = start(name), start(name, steps=0)
    np.savez(tmp_path / "state.npz", **env.get_state())
    with np.load(tmp_path / "state.npz", allow_pickle=False) as saved:
        other.set_state(saved)
    np.testing.assert_array_equal(other.step(action(other))[0], env.step(action(env))[0])


def test_alike_tasks_take_each_other_s_state_when_asked_to():
    env, other = start("walker-walk"), start("walker-run")
    state = env.get_state()
    with pytest.raises(ValueError, match="state of mmbench/walker-walk-v0.*leave out 'env/task'"):
        other.set_state(state)
    del state["env/task"]
    other.set_state(state)
    np.testing.assert_array_equal(other.step(action(other))[0], env.step(action(env))[0])
