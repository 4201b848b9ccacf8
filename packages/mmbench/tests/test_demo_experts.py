"""Experts: they reach the bar, leave the environment as it was, and know nothing of the future."""

from __future__ import annotations

import dataclasses
import fnmatch

import numpy as np
import pytest

from miniarcade.snapshot import pack_generator, unpack_generator
from mmbench import catalog
from mmbench.demos import bars
from mmbench.demos.experts import TABLE, NoExpertError, expert_for, on_grid, tasks_with_expert
from mmbench.demos.experts.mpc import MPC, SETTINGS, GameMPC, GuidedMPC, Settings, TwinMPC
from mmbench.demos.places import shipped_tape
from mmbench.env import TaskEnv

# One of each kind of expert. Handle-press needs the slower policy and the hold, the point-maze
# places its goals close to walls.
SAMPLE = (
    "mw-handle-press",
    "og-point-spiral",
    "pygame-point-maze-var2",
    "pygame-coinrun",
    "pygame-cowboy",
    "pygame-pong",
    "pygame-landing",
    "pygame-reacher-hard",
    "pygame-cartpole-swingup-sparse",
    "ms-pick-cube-so",
    "ms-stack-cube",
    "ms-poke-cube",
    "ms-pull-cube-tool",
    "ms-cartpole-swingup-sparse",
    "rd-push-green",
    "cartpole-swingup-sparse",
    "cartpole-balance-two-poles-sparse",
    "pendulum-swingup",
    "reacher-three-easy",
    "mujoco-reacher",
    "lunarlander-takeoff",
    "lunarlander-land-v1",
)

WITH_TAPE = tuple(t for t in tasks_with_expert() if shipped_tape(catalog.get(t)).exists())


@pytest.fixture
def few_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """MPC tries so few plans that it takes no time."""
    for task in ("pygame-spaceship", "pygame-rocket-collect"):
        settings = SETTINGS.get(task, Settings())
        monkeypatch.setitem(SETTINGS, task, dataclasses.replace(settings, plans=12))


def play(env: TaskEnv, task: str, seed: int) -> float:
    """Plays an episode and returns its score."""
    expert = expert_for(task)()
    obs, _ = env.reset(seed=seed)
    expert.begin(env, obs, np.random.default_rng(seed))
    over = False
    while not over:
        obs, _, terminated, truncated, info = env.step(on_grid(expert.act(obs)))
        over = terminated or truncated
    return info["score"]


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        np.testing.assert_array_equal(value, other[key], err_msg=key)


@pytest.mark.parametrize("task", SAMPLE)
def test_experts_play_well(task: str) -> None:
    env = TaskEnv(task, unify=False)
    assert play(env, task, seed=0) >= 0.5
    env.close()


@pytest.mark.slow
@pytest.mark.parametrize("task", WITH_TAPE)
def test_every_expert_plays_well(task: str) -> None:
    """The best of five episodes is as good as demonstrations have to be on average."""
    env = TaskEnv(task, unify=False)
    least = bars.bar(catalog.get(task))
    assert max(play(env, task, seed) for seed in range(5)) >= least


def test_every_row_of_the_table_has_an_expert_and_a_task() -> None:
    names = [task.versioned_name for task in catalog.tasks(version=None)]
    for pattern, _ in TABLE:
        matching = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
        assert matching, pattern
        assert expert_for(matching[0])().name


def test_trying_plans_out_does_not_change_what_the_actions_lead_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A state of this simulator that is set again is not the same in every respect."""
    task = "ms-hopper-stand"
    monkeypatch.setitem(SETTINGS, task, Settings(plans=3, horizon=6, hold=2, replan=2))
    own, alone = TaskEnv(task, unify=False), TaskEnv(task, unify=False)
    expert = expert_for(task)()
    obs, _ = own.reset(seed=2)
    alone.reset(seed=2)
    expert.begin(own, obs, np.random.default_rng(0))
    for _ in range(20):
        action = on_grid(expert.act(obs))
        obs, *_ = own.step(action)
        np.testing.assert_array_equal(alone.step(action)[0], obs)


@pytest.mark.usefixtures("few_plans")
@pytest.mark.parametrize("task", ["mw-push-back", "pygame-spaceship", "atari-pong", "og-ant-maze"])
def test_an_expert_leaves_the_environment_as_it_was(task: str) -> None:
    env = TaskEnv(task, unify=False)
    obs, _ = env.reset(seed=3)
    expert = expert_for(task)()
    for _ in range(3):
        before = env.get_state()
        if before["env/step"] == 0:
            expert.begin(env, obs, np.random.default_rng(0))
        action = on_grid(expert.act(obs))
        assert_same(env.get_state(), before)
        obs, *_ = env.step(action)


class Gamble:
    """An environment whose reward depends on nothing but the action and the next random numbers."""

    def __init__(self, seed: int) -> None:
        self.task = catalog.get("pygame-pong")
        self._rng = np.random.default_rng(seed)

    def get_state(self) -> dict[str, np.ndarray]:
        return {"env/rng": pack_generator(self._rng)}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        unpack_generator(self._rng, state["env/rng"])

    def advance(self, action: np.ndarray) -> tuple[float, ...]:
        return float(action[0] * self._rng.standard_normal()), False, False, 0.0, 0.0


def test_mpc_does_not_know_the_future() -> None:
    """Two episodes that differ in nothing but what will be drawn next are played alike."""
    plans = []
    for future in (1, 2):
        env = Gamble(future)
        expert = MPC()
        expert.begin(env, np.zeros(6), np.random.default_rng(0))
        plans.append(expert.act(np.zeros(6)))
    np.testing.assert_array_equal(*plans)


def test_a_walker_that_is_copied_goes_on_as_the_first_does() -> None:
    """Its fall too; and the first one notices nothing of it."""
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (24, 4)).repeat(5, axis=0).astype(np.float32)
    original, untouched, twin = (TaskEnv("bipedal-walker-rugged", unify=False) for _ in range(3))
    original.reset(seed=1)
    for env in (untouched, twin):
        env.reset(options={"rng": original.episode_rng})
    for action in actions:
        twin.step(-action)
    twin.carry_on(0)
    assert twin.simulator.crashed
    for i, action in enumerate(actions):
        obs, reward, *_ = original.step(action)
        np.testing.assert_array_equal(untouched.step(action)[0], obs)
        astray = i % 10 < 5
        near, close, *_ = twin.step(-action if astray else action)
        if i % 10 == 4:
            twin.simulator.copy_bodies(original.simulator)
        elif not astray:
            pose = [0, 1, 2, 3, 4, 6, 9, 11]  # not the speeds of joints, which jump at their stops
            np.testing.assert_allclose(near[pose], obs[pose], atol=0.05)
            assert close == pytest.approx(reward, abs=0.05)
            assert twin.simulator.crashed == original.simulator.crashed
    assert original.simulator.crashed


class Rut:
    """A walker that falls wherever it goes but to the right, where less is paid."""

    def __init__(self) -> None:
        self.task = catalog.get("bipedal-walker-flat")
        self.simulator = self
        self.crashed = False

    def copy_bodies(self, other: Rut) -> None:
        self.crashed = False

    def carry_on(self, elapsed: int) -> None:
        pass

    def advance(self, action: np.ndarray) -> tuple[float, ...]:
        self.crashed |= bool(action[0] < 0.5)
        return (0.0 if action[0] > 0.5 else 1.0), False, False, 0.0, 0.0


def test_a_walker_s_plans_do_not_fall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TwinMPC, "_open_trial", lambda expert: Rut())
    monkeypatch.setitem(SETTINGS, "bipedal-walker-flat", Settings(plans=20, horizon=10))
    for seed in range(8):
        expert = TwinMPC()
        expert.begin(Rut(), np.zeros(24), np.random.default_rng(seed))
        assert expert.act(np.zeros(24))[0] >= 0.5


class Road:
    """Pays for each step to the right, by as much as it goes there. Nothing can be seen."""

    def __init__(self, task: str) -> None:
        self.task = catalog.get(task)

    def get_state(self) -> dict[str, np.ndarray]:
        return {}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        pass

    def observe(self, out: np.ndarray) -> None:
        out[:] = 0.0

    def advance(self, action: np.ndarray) -> tuple[float, ...]:
        return float(action[0]), False, False, 0.0, 0.0


def test_mpc_tries_what_it_did_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(horizon=24, hold=1, replan=1, repeat=1.0)
    monkeypatch.setitem(SETTINGS, "walker-run", settings)
    expert = MPC()
    expert.begin(Road("walker-run"), np.zeros(24), np.random.default_rng(0))
    done = [expert.act(np.zeros(24)) for _ in range(20)]
    repetitions = [np.resize(done[-period:], (24, 6)) for period in range(2, 16)]
    tried = [expert._candidate() for _ in range(300)]
    for repetition in repetitions:
        assert any(np.array_equal(plan, repetition) for plan in tried)
    assert np.abs(tried).max() <= 1.0


def test_a_guided_plan_adds_to_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is tried out the policy walks; where trials pay, it is improved upon."""
    env = TaskEnv("og-ant", unify=False)
    earned = []
    for plans in (1, 6):
        monkeypatch.setitem(
            SETTINGS, "og-ant", dataclasses.replace(SETTINGS["og-ant"], plans=plans)
        )
        obs, _ = env.reset(seed=1)
        expert = GuidedMPC()
        expert.begin(env, obs, np.random.default_rng(0))
        total = 0.0
        for _ in range(90):  # before the direction changes
            obs, reward, *_ = env.step(on_grid(expert.act(obs)))
            total += reward
        earned.append(total)
    assert 4.0 < earned[0] < earned[1]  # m


def test_a_plan_may_be_about_a_trained_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is tried out the agent runs; where trials pay, it is improved upon."""
    task = "cheetah-run-front"
    env = TaskEnv(task, unify=False)
    earned = []
    for plans in (1, 5):
        settings = dataclasses.replace(SETTINGS[task], plans=plans, horizon=20)
        monkeypatch.setitem(SETTINGS, task, settings)
        obs, _ = env.reset(seed=1)
        expert = expert_for(task)()
        expert.begin(env, obs, np.random.default_rng(0))
        total = 0.0
        for _ in range(150):
            obs, reward, *_ = env.step(on_grid(expert.act(obs)))
            total += reward
        earned.append(total)
    assert 5.0 < earned[0] < earned[1]


class Ambush:
    """A game whose points cost lives, but for those who turn right."""

    def __init__(self) -> None:
        self.task = catalog.get("atari-pong")
        self.simulator = self
        self.lives = 3

    def get_state(self) -> dict[str, np.ndarray]:
        return {"lives": np.array(self.lives)}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        self.lives = int(state["lives"])

    def advance(self, action: np.ndarray) -> tuple[float, ...]:
        right = bool(action[0] > 0.5)
        self.lives -= not right
        return (0.0 if right else 1000.0), False, False, 0.0, 0.0


def test_a_game_s_plans_lose_no_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do the trials, however many it takes."""
    monkeypatch.setitem(SETTINGS, "atari-pong", Settings(plans=20, horizon=10))
    for seed in range(8):
        game, expert = Ambush(), GameMPC()
        expert.begin(game, np.zeros(128), np.random.default_rng(seed))
        assert expert.act(np.zeros(128))[0] > 0.5
        assert game.lives == 3


@pytest.mark.usefixtures("few_plans")
def test_two_experts_with_the_same_generator_play_alike() -> None:
    env = TaskEnv("pygame-rocket-collect", unify=False)
    obs, _ = env.reset(seed=0)
    plans = []
    for _ in range(2):
        expert = expert_for("pygame-rocket-collect")()
        expert.begin(env, obs, np.random.default_rng(5))
        plans.append([expert.act(obs) for _ in range(3)])
    np.testing.assert_array_equal(*plans)


def test_a_task_without_expert_is_named_with_those_of_its_domain_that_have_one() -> None:
    names = (task.versioned_name for task in catalog.tasks(version=None))
    without = next(name for name in names if name not in tasks_with_expert())
    domain = catalog.get(without).domain
    own = next(n for n in tasks_with_expert() if catalog.get(n).domain == domain)
    with pytest.raises(NoExpertError, match=f"{without}.*of {domain}, experts play .*{own}"):
        expert_for(without)
