"""Linear policies: what the ant's legs see, and the search for weights."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmbench.catalog import get
from mmbench.demos.experts.linear import MAZES, Ant, Policy, body_of, read_policy
from mmbench.env import TaskEnv

SCRIPT = Path(__file__).parents[1] / "scripts" / "search_policies.py"

angles = st.floats(-3.1, 3.1)
seeds = st.integers(0, 2**32 - 1)


def pose(seed: int) -> np.ndarray:
    """An ant's observation: height, attitude, joints, speeds."""
    rng = np.random.default_rng(seed)
    obs = rng.standard_normal(27)
    obs[1:5] = (1.0, *rng.uniform(-0.2, 0.2, 3))
    obs[1:5] /= np.linalg.norm(obs[1:5])
    return obs


def turned(vector: np.ndarray, angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array(((c, -s), (s, c))) @ vector


def turned_about_z(attitude: np.ndarray, angle: float) -> np.ndarray:
    c, s = np.cos(angle / 2), np.sin(angle / 2)
    w, x, y, z = attitude
    return np.array((c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w))


@given(seeds, angles)
def test_an_ant_sees_no_north(seed: int, angle: float) -> None:
    """Ant, speed and way turned together look the same."""
    ant, obs, way = Ant(get("og-ant")), pose(seed), np.array((0.6, 0.8))
    other = obs.copy()
    other[1:5] = turned_about_z(obs[1:5], angle)
    other[13:15] = turned(obs[13:15], angle)
    np.testing.assert_allclose(
        ant.look(other, turned(way, angle), 0.3), ant.look(obs, way, 0.3), atol=1e-9
    )


def a_leg_on(values: np.ndarray) -> np.ndarray:
    """The joints' values (8,) when each leg is moved as the one before it was."""
    signs = np.array((1.0, -1.0, -1.0, 1.0))
    legs = values.reshape(4, 2).copy()
    legs[:, 1] *= signs
    legs = np.roll(legs, 1, axis=0)
    legs[:, 1] *= signs
    return legs.ravel()


@given(seeds)
def test_after_a_quarter_turn_each_leg_does_what_the_one_before_it_did(seed: int) -> None:
    """Half a period later, as legs side by side step in turn."""
    ant, obs, way = Ant(get("og-ant")), pose(seed), np.array((0.6, 0.8))
    obs[1:5] = (1.0, 0.0, 0.0, 0.0)
    other = obs.copy()
    other[5:13], other[19:27] = a_leg_on(obs[5:13]), a_leg_on(obs[19:27])
    for planar in (slice(13, 15), slice(16, 18)):
        other[planar] = turned(obs[planar], np.pi / 2)
    seen = ant.look(obs, way, 0.3)
    later = ant.look(other, turned(way, np.pi / 2), 0.3 + np.pi)
    np.testing.assert_allclose(later, np.roll(seen, 1, axis=0), atol=1e-9)


def test_an_ant_s_actions_bend_the_legs_that_saw() -> None:
    """Outward at the ankle is outward for all of them."""
    env = TaskEnv("og-ant", unify=False)
    env.reset(seed=0)
    ant = body_of(env.task)
    before = env.step(np.zeros(8, np.float32))[0][5:13].reshape(4, 2)
    signs = np.array((1.0, -1.0, -1.0, 1.0))
    for leg in range(4):
        outputs = np.zeros((4, 2))
        outputs[leg] = (0.0, 1.0)
        env.reset(seed=0)
        after = env.step(ant.act(outputs).astype(np.float32))[0][5:13].reshape(4, 2)
        moved = signs * (after - before)[:, 1]
        assert moved.argmax() == leg
        assert moved[leg] > 0.05


def test_a_policy_s_outputs_are_scaled_and_bounded() -> None:
    weights = np.array(((1.0, 0.0, 0.1), (0.0, 9.0, 0.0)))
    policy = Policy(weights, np.array((1.0, 0.0)), np.array((2.0, np.inf)), frequency=0.25)
    np.testing.assert_allclose(policy.outputs(np.array(((2.0, 7.0),))), ((0.6, 0.0),))
    np.testing.assert_allclose(policy.outputs(np.array(((99.0, 7.0),))), ((1.0, 0.0),))
    assert policy.phase(2) == pytest.approx(np.pi)


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("search_policies", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclass looks for itself
    spec.loader.exec_module(module)
    return module


def test_a_search_finds_better_weights(script: ModuleType) -> None:
    settings = script.Settings(directions=8, best=4, step=0.2, noise=0.2, length=60)
    search = script.Search("mujoco-inverted-pendulum", settings, seed=0)
    first = search.improve()
    later = [search.improve() for _ in range(25)]
    assert np.mean(later[-5:]) > 2 * first


def run(folder: Path, *words: str, policy: str = "mujoco-inverted-pendulum") -> str:
    command = (sys.executable, str(SCRIPT), policy, "--out", str(folder))
    done = subprocess.run(
        (*command, "--minutes", "0.001", *words), capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_search_goes_on_where_it_was(tmp_path: Path) -> None:
    assert " 48 trials," in run(tmp_path)
    policy = read_policy("mujoco-inverted-pendulum", tmp_path)
    assert policy.weights.shape == (1, 7)
    assert np.isfinite(policy.weights).all()
    assert " 96 trials," in run(tmp_path)
    assert " 48 trials," in run(tmp_path, "--anew")


def test_the_mazes_search_begins_with_the_policy_of_open_ground(tmp_path: Path) -> None:
    told = run(tmp_path, policy=MAZES)
    assert " 48 trials," in told
    assert float(told.split("trials earn ")[1].split(",")[0]) > 5.0  # m in 200 steps


def test_a_search_for_what_is_no_task_says_so() -> None:
    command = (sys.executable, str(SCRIPT), "og-ant", "walker-swim")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no task or policy 'walker-swim'" in done.stderr
    assert not done.stdout
