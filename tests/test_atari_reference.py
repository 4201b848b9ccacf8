"""Atari against the recorded fingerprints, and against ale-py's own environment.

The recording was made with ale-py 0.10, whose continuous actions knew no centre: an axis counted
as pushed to one side below 0.5 of its way and to the other above. Here the test sends the joystick
where that version would have sent it. Two more things are as they were then:

* Games do not go on after their end, and RAM stays as it was at that moment, for up to 90 % of an
  episode. One episode in twelve may so move any byte's mean.
* In three games, ALE's reset left RAM of the episode before, and the recording has it. Their
  fingerprints are compared with that reset.
"""

import math

import numpy as np
import pytest
import reference
import rollouts
from ale_py.env import AtariEnv

import mmbench
from mmbench.domains import atari
from mmbench.env import TaskEnv

FOLDER = reference.SHIPPED / "atari"
FINGERPRINTS = reference.recorded("atari", ".json")
ENDING_SOON = ["atari-asterix", "atari-chopper-command"]
"""Games whose episodes are cheap, as nothing is emulated once a game is over."""

EPISODES = 40  # fewer may all stop alike, and would show no spread where there is one

LEAVING_TRACES = {"atari-assault", "atari-ice-hockey", "atari-yars-revenge"}
TASKS = mmbench.tasks(domain="atari")


def published_joystick(push: float, direction: float, button: float):
    """Where ale-py 0.10 sent the joystick."""
    radius, angle = 0.5 * (push + 1), math.pi * direction
    right, up = radius * math.cos(angle), radius * math.sin(angle)
    sides = [(axis > 0.5) - (axis < 0.5) for axis in (right, up)]
    return atari._ACTIONS[*sides, 0.5 * (button + 1) > 0.5], radius


def reset_with_traces(simulator, rng):
    simulator._ale.reset_game()
    simulator._screen = None
    simulator._ale.getRAM(simulator._ram)


@pytest.fixture
def as_published(monkeypatch):
    """Makes a function that prepares one game as it was recorded."""

    def prepare(name: str) -> TaskEnv:
        monkeypatch.setattr(atari, "joystick", published_joystick)
        env = TaskEnv(name, unify=False)
        if name in LEAVING_TRACES:
            monkeypatch.setattr(atari.AtariSimulator, "reset", reset_with_traces)
            rollouts.roll(env, "random", 2)
        return env

    return prepare


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_an_idle_hand_sees_what_was_recorded(name, as_published):
    """The joystick straight down, the same in every episode: every byte to three digits."""
    env = as_published(name)
    traces = name in LEAVING_TRACES
    ours = rollouts.roll(env, "zero", 3 if traces else 1)
    recorded = reference.fingerprint(FOLDER / f"{name}.json")["zero"]
    assert rollouts.differences(ours, recorded, stuck=traces) == []


@pytest.mark.parametrize("name", ENDING_SOON)
def test_episodes_distributed_as_recorded(name, as_published):
    recorded = reference.fingerprint(FOLDER / f"{name}.json")["random"]
    ours = rollouts.roll(as_published(name), "random", EPISODES)
    assert rollouts.differences(ours, recorded, rare=True, stuck=True) == []


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["random", "hold"])
@pytest.mark.parametrize("name", FINGERPRINTS)
def test_many_episodes_distributed_as_recorded(name, policy, as_published):
    recorded = reference.fingerprint(reference.full_recording() / "atari" / f"{name}.json")
    ours = rollouts.roll(as_published(name), policy, EPISODES)
    assert rollouts.differences(ours, recorded[policy], rare=True, stuck=True) == []


def check_against_the_package(task, steps):
    """RAM, rewards and screens, for random actions and for ones at the corners of the range."""
    native = AtariEnv(
        atari._rom(task.native),
        obs_type="ram",
        continuous=True,
        repeat_action_probability=0.0,
        frameskip=task.action_repeat,
    )
    env = TaskEnv(task, unify=False, obs="state+rgb")
    ram, _ = native.reset()
    obs, _ = env.reset(seed=0)
    np.testing.assert_array_equal(obs["state"], ram)
    rng = np.random.default_rng(1)
    for step in range(steps):
        action = rng.uniform(-1, 1, 3).astype(np.float32)
        if step % 2:
            action = np.sign(action)
        ram, expected, *_ = native.step(
            np.array([0.5, np.pi, 0.5], np.float32) * (action + [1, 0, 1]).astype(np.float32)
        )
        obs, reward, *_ = env.step(action)
        np.testing.assert_array_equal(obs["state"], ram)
        assert reward == expected
    np.testing.assert_array_equal(obs["rgb"][7:217, 32:192], native.ale.getScreenRGB())
    assert not obs["rgb"][:7].any() and not obs["rgb"][217:].any()
    assert not obs["rgb"][:, :32].any() and not obs["rgb"][:, 192:].any()


@pytest.mark.parametrize("task", TASKS[::5], ids=lambda task: task.name)
def test_steps_as_the_package_does(task):
    check_against_the_package(task, 100)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_whole_episodes_as_the_package(task):
    check_against_the_package(task, task.max_episode_steps)


def test_actions_are_the_package_s():
    pushed = np.random.default_rng(0).uniform(-1, 1, (3000, 3)).tolist()
    for push, direction, button in pushed:
        radius, angle = (push + 1) / 2, direction * np.pi
        x, y = radius * np.cos(angle), radius * np.sin(angle)
        expected = AtariEnv.map_action_idx(
            int(x > 0.5) - int(x < -0.5), int(y > 0.5) - int(y < -0.5), bool(button > 0)
        )
        assert atari.joystick(push, direction, button) == (expected, pytest.approx(radius))


def test_published_thresholds_reach_no_centre_and_today_s_do():
    """The published joystick: four corners, with and without fire. Ours: all 18 actions."""
    pushed = np.random.default_rng(0).uniform(-1, 1, (3000, 3)).tolist()
    published = {published_joystick(*action)[0].name for action in pushed}
    today = {atari.joystick(*action)[0].name for action in pushed}
    corners = {"UPLEFT", "UPRIGHT", "DOWNLEFT", "DOWNRIGHT"}
    assert published == corners | {f"{corner}FIRE" for corner in corners}
    assert len(today) == 18


@pytest.mark.parametrize(
    "action, name",
    [
        ((-1, 0.3, -1), "NOOP"),
        ((0, 0, 0), "NOOP"),
        ((-1, 0, 1), "FIRE"),
        ((1, 0, -1), "RIGHT"),
        ((1, 0.5, -1), "UP"),
        ((1, 1, -1), "LEFT"),
        ((1, -1, -1), "LEFT"),
        ((1, -0.5, 1), "DOWNFIRE"),
        ((1, 0.25, -1), "UPRIGHT"),
    ],
)
def test_neutral_and_pure_directions(action, name):
    assert atari.joystick(*action)[0].name == name


def test_neutral_and_pure_directions_move_the_boxer_so():
    """Boxing: bytes 32 and 34 of RAM are the place of the white boxer."""
    moved = {}
    for name, action in {
        "neutral": (-1, 0, -1),
        "right": (1, 0, -1),
        "down": (1, -0.5, -1),
    }.items():
        env = TaskEnv("atari-boxing", unify=False)
        env.reset(seed=0)
        for _ in range(15):
            env.step(np.array([-1, 0, -1], np.float32))
        before = env._simulator._ram[[32, 34]].astype(int)
        for _ in range(10):
            env.step(np.array(action, np.float32))
        moved[name] = (env._simulator._ram[[32, 34]] - before).tolist()
    assert moved["neutral"] == [0, 0]
    assert moved["right"][0] > 5 and moved["right"][1] == 0
    assert moved["down"][0] == 0 and moved["down"][1] > 5
