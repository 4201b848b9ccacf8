"""ManiSkill's arms in NumPy against the package's own step, and physics without a past."""

import math

import numpy as np
import pytest
from maniskill_pair import TOLERANCE, assert_same, difference, step_both

from mmbench.catalog import get
from mmbench.domains import unavailable

if unavailable(get("ms-reach")):
    pytest.skip(unavailable(get("ms-reach")), allow_module_level=True)

# Not importable where ManiSkill is not installed.
from mmbench.domains import maniskill_numpy, maniskill_simulator  # isort: skip
from mmbench.domains.maniskill_numpy import scene  # isort: skip

GRASPING = (
    "ms-pick-cube",
    "ms-pick-cube-eepose",
    "ms-pull-cube-tool",
    "ms-stack-cube",
    "ms-place-sphere",
    "ms-lift-peg",
    "ms-poke-cube",
)
WITH_STAND_INS = (
    "ms-pick-apple",
    "ms-pick-hammer",
    "ms-push-apple",
    "ms-pick-cube-xarm6",
    "ms-reach-xarm6",
)
ARMS = (
    *GRASPING,
    "ms-pick-cube-so",
    "ms-push-cube",
    "ms-pull-cube",
    "ms-reach",
    "ms-reach-eepose",
    *WITH_STAND_INS,
)
BODIES = ("ms-cartpole-swingup", "ms-hopper-hop", "ms-ant-run", "ms-anymal-reach")
FEW = ("ms-pick-cube-eepose", "ms-pick-cube-so", "ms-place-sphere", "ms-pick-cube-xarm6")


def reset_both(simulators, seed):
    for simulator in simulators:
        simulator.reset(np.random.default_rng(seed))


class Policies:
    """Actions of three kinds: random ones, one held, and a script that grasps and carries."""

    kinds = ("random", "held", "scripted")

    def __init__(self, name, simulator, seed):
        self._simulator = simulator
        self._size = get(name).action_dim
        self._rng = np.random.default_rng(seed)
        self._held = self._draw()
        self._count = 0

    def _draw(self):
        return self._rng.uniform(-1, 1, self._size).astype(np.float32)

    def action(self, kind):
        self._count += 1
        if kind == "random" or (kind == "scripted" and self._size == 6):  # joints, not a hand
            return self._draw()
        return self._held.copy() if kind == "held" else self._scripted()

    def _scripted(self):
        """Over the thing, down to it, close, then away with some noise."""
        task = self._simulator._task
        things = [getattr(task, name, None) for name in ("_thing", "_peg", "_tool", "_goal")]
        target = next(thing for thing in things if thing is not None).entity_pose.p.copy()
        closing = self._count > 7
        if self._count <= 3:
            target[2] += 0.1
        if task.arm.moving == 6:  # its gripper closes with positive actions
            grip = 1.0 if closing else -1.0
        else:
            grip = -1.0 if closing else 1.0
        action = np.zeros(self._size, np.float32)
        action[:3] = np.clip((target - task.arm.tool()[0]) / 0.1, -1, 1)
        if self._count > 11:
            action[:-1] = 0.3 * self._draw()[:-1]
            action[2] += 0.2
        action[-1] = grip
        return action


def rotations(count, seed):
    q = np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
    return q / np.linalg.norm(q, axis=1, keepdims=True)


# Steps.


@pytest.mark.parametrize("name", FEW)
def test_an_episode_is_the_package_s(pair, name):
    check_episodes(pair, name, episodes=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ARMS)
def test_episodes_are_the_package_s(pair, name):
    grasps = check_episodes(pair, name, episodes=6)
    if name in GRASPING:
        assert grasps > 0


def check_episodes(pair, name, episodes):
    """Whole episodes from the same generator, by each policy; returns in how many steps it held."""
    task, simulators = get(name), pair(name)
    grasps = 0
    for seed in range(episodes):
        for kind in Policies.kinds:
            reset_both(simulators, seed)
            assert_same(task, simulators)
            policies = Policies(name, simulators[0], seed)
            for _ in range(task.max_episode_steps):
                step_both(task, simulators, policies.action(kind))
                grasps += held(simulators[0])
    return grasps


def held(simulator):
    """Whether anything is grasped."""
    task = simulator._task
    things = [getattr(task, name, None) for name in ("_thing", "_peg", "_tool")]
    return any(task.arm.is_grasping(thing) for thing in things if thing is not None)


@pytest.mark.parametrize("name", FEW[:1])
def test_a_step_from_a_state_is_the_package_s(pair, name):
    check_steps(pair, name, states=4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ARMS)
def test_steps_from_many_states_are_the_package_s(pair, name):
    check_steps(pair, name, states=30)


def check_steps(pair, name, states):
    """One agent step from the same state, in a fresh scene, along an episode of each policy."""
    task, simulators = get(name), pair(name)
    ours = simulators[0]
    for kind in Policies.kinds:
        ours.reset(np.random.default_rng(states))
        policies = Policies(name, ours, seed=states)
        for _ in range(-(-states // 3)):
            state = ours.get_state()
            action = policies.action(kind)
            for simulator in simulators:
                simulator.set_state(state)
            step_both(task, simulators, action)
            ours.step(policies.action(kind))  # on from a scene with contacts of its own


# Rewards at states that hands make.


@pytest.mark.parametrize("name", ARMS)
def test_rewards_and_successes_of_arranged_states(pair, name, monkeypatch):
    check_arranged(pair, name, count=120, monkeypatch=monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", ARMS)
def test_rewards_and_successes_of_many_arranged_states(pair, name, monkeypatch):
    check_arranged(pair, name, count=500, monkeypatch=monkeypatch)


def check_arranged(pair, name, count, monkeypatch):
    """Puts things where successes and rewards begin, and compares what both make of it."""
    import torch

    task, (ours, package) = get(name), pair(name)
    reset_both((ours, package), seed=0)
    rng = np.random.default_rng(count)
    start = ours.get_state()["state"]
    native = package._environment
    successes = 0
    for _ in range(count):
        state = arranged(start, package._layout, ours._task.arm.tool()[0], name, rng)
        for simulator in (ours, package):
            write(simulator, state)
        grasped = rng.random() < 0.5  # without a physics step there are no forces
        monkeypatch.setattr(ours._task.arm, "is_grasping", lambda *thing, it=grasped: it)
        answer = torch.tensor([grasped])
        monkeypatch.setattr(native.agent, "is_grasping", lambda *thing, it=answer, **limit: it)
        info = native.evaluate()
        action = np.zeros((1, task.action_dim), np.float32)
        reward = native.compute_normalized_dense_reward(obs=None, action=action, info=info)
        our_reward, our_success = ours._task.evaluate()
        assert our_success == float(info["success"])
        assert difference(our_reward, float(reward)) <= TOLERANCE
        seen = np.full(task.obs_dim, np.nan, np.float32)
        ours._task.observe(seen)
        assert difference(seen, native.get_obs(info)[0].numpy()) <= TOLERANCE
        successes += int(our_success)
    assert 0 < successes < count


def write(simulator, flat):
    """Sets a state where it is, without a fresh scene: nothing will be stepped."""
    import torch

    parts = maniskill_simulator._unflatten(torch.from_numpy(flat)[None], simulator._layout)
    simulator._environment.set_state_dict(parts)


UPRIGHT = np.float32([0.5, 0.5, -0.5, 0.5])  # of a peg that lay on a side, lifted by its end
ASKEW = np.float32([math.cos(0.1), 0, 0, math.sin(0.1)])  # by 0.2 rad on the table
BESIDE = {
    "cubeA": ("cubeB", (0, 0, 0.04)),
    "sphere": ("bin", (0, 0, 0.0225)),
    "cube": ("peg", (0.12, 0, 0)),
    "l_shape_tool": ("cube", (-0.07, -0.067, 0)),
}
"""What rewards want where: a thing, another one, and the way from the other to the thing."""


def arranged(flat, layout, tool, name, rng):
    """A state in which each thing is near another, or near where it should be."""
    flat = flat.copy()
    scale = rng.choice([1e-3, 5e-3, 2e-2, 1e-1])
    at, start = {}, 0
    for kind, part, size in layout:
        at[kind, part] = slice(start, start + size)
        start += size
    fixed = ("table-workspace", "ground")
    things = [at[kind, part] for kind, part in at if kind == "actors" and part not in fixed]
    for where in things:
        anchor = rng.choice(len(things) + 2)
        if anchor < len(things):
            centre = flat[things[anchor]][:3]
        else:
            centre = tool if anchor == len(things) else flat[where][:3]
        flat[where][:3] = centre + rng.normal(0, scale, 3)
        if rng.random() < 0.5:
            anyhow = rotations(1, int(rng.integers(1000)))[0]
            flat[where][3:7] = rng.choice([UPRIGHT, ASKEW, anyhow])
        if rng.random() < 0.3 and name == "ms-lift-peg":
            flat[where][2] = 0.12 + rng.normal(0, 0.004)
        flat[where][7:13] = rng.choice([0, 1e-2, 0.3]) * rng.normal(size=6)
    if ("actors", "peg") in at and rng.random() < 0.5:
        flat[at["actors", "peg"]][:3] = tool + rng.normal(0, 3e-3, 3)
    for thing, (other, offset) in BESIDE.items():
        if {("actors", thing), ("actors", other)} <= at.keys() and rng.random() < 0.5:
            position = flat[at["actors", other]][:3] + np.float32(offset)
            flat[at["actors", thing]][:3] = position + rng.normal(0, 5e-3, 3)
            flat[at["actors", thing]][7:13] = rng.choice([0, 5e-3]) * rng.normal(size=6)
    (robot,) = [where for (kind, _), where in at.items() if kind == "articulations"]
    joints = (robot.stop - robot.start - 13) // 2
    flat[robot][13 + joints :] = rng.choice([0, 0.1, 0.5]) * rng.normal(size=joints)
    return flat.astype(np.float32)


# Physics without a past.


@pytest.mark.parametrize("name", ["ms-pick-cube", "ms-pick-cube-xarm6"])
def test_new_physics_continue_as_a_rebuilt_scene(pair, name):
    check_continuations(pair, name, states=6)


@pytest.mark.slow
@pytest.mark.parametrize("name", (*ARMS, *BODIES))
def test_new_physics_continue_as_a_rebuilt_scene_from_many_states(pair, name):
    check_continuations(pair, name, states=20)


def check_continuations(pair, name, states):
    """Several steps from states in contact: ours moves into new physics, the package rebuilds."""
    simulators = pair(name)
    ours = simulators[0]
    ours.reset(np.random.default_rng(5))
    policies = Policies(name, ours, seed=5)
    kind = "scripted" if name in ARMS else "random"
    saved = []
    for _ in range(10 + states):
        ours.step(policies.action(kind))
        saved.append(ours.get_state())
    for index, state in enumerate(saved[-states:]):
        for simulator in simulators:
            simulator.set_state(state)
        for count in range(3):
            action = policies.action("held" if index % 2 else "random")
            for simulator in simulators:
                simulator.step(action.copy())
            ours_state, package_state = (s.get_state()["state"] for s in simulators)
            np.testing.assert_array_equal(ours_state, package_state, f"{index}, step {count}")


def test_things_come_to_rest_as_in_a_rebuilt_scene(pair):
    simulators = ours, _ = pair("ms-pull-cube-tool")
    ours.reset(np.random.default_rng(0))
    policies = Policies("ms-pull-cube-tool", ours, seed=0)
    for _ in range(25):  # in contact, bodies may stay awake for longer than they would if new
        ours.step(policies.action("scripted"))
    reset_both(simulators, seed=5)
    for _ in range(8):
        for simulator in simulators:
            simulator.step(np.zeros(7, np.float32))
        ours_state, package_state = (s.get_state()["state"] for s in simulators)
        np.testing.assert_array_equal(ours_state, package_state)


def test_new_physics_leave_the_old_scene_without_bodies(pair):
    ours, _ = pair("ms-reach")
    old = ours._environment.scene.sub_scenes[0]
    count = len(old.entities)
    scene.renew_physics(ours._environment)
    ours._stepped = True  # the task has the old physics still
    assert len(old.entities) == 0
    assert len(ours._environment.scene.sub_scenes[0].entities) == count


def test_every_task_has_a_numpy_version():
    from mmbench import catalog

    tasks = [task for task in catalog.TASKS if task.domain == "maniskill"]
    assert len(tasks) > 40
    assert not [task.name for task in tasks if maniskill_numpy.task_class(task.native) is None]
