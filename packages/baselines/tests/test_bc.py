"""Behaviour cloning: its maths by hand, what must not matter, and that it learns."""

import dataclasses

import numpy as np
import pytest
import torch
from demonstrations import make_demonstrations
from hypothesis import given
from hypothesis import strategies as st
from points import GOALS, IGNORANT, LEFT, RIGHT, STEP

from mmbench import catalog
from mmbench.runs import RunError
from mmbench_baselines import bc
from mmbench_baselines.bc import BC, BCConfig, Steps, cloning_loss
from newt_agent.demonstrations import Demonstration, Demonstrations, load_demonstrations, require

TASKS = catalog.select("pygame-cowboy,walker-walk")
SMALL = BCConfig(size="XS", batch_size=32, updates=20, demos="none")
LEARNING = BCConfig(
    size="XS",
    batch_size=64,
    lr=3e-3,
    updates=300,
    eval_every=0,
    eval_episodes=10,
    num_workers=0,
    threads=1,
)
"""Seconds, for the two tasks of tests/support/points.py."""


def aim(name, obs):
    """The best action: straight to the goal."""
    return np.clip((GOALS[name] - obs) / STEP, -1, 1)


def use(monkeypatch, demonstrations):
    """Lets BC find these demonstrations."""
    monkeypatch.setattr(bc, "load_demonstrations", lambda names, where, most: demonstrations)


def make_method(monkeypatch, demonstrations=None, tasks=TASKS, config=SMALL):
    names = [task.versioned_name for task in tasks]
    use(monkeypatch, demonstrations or make_demonstrations(names))
    agent = BC.create_agent(config, tasks, torch.device("cpu"))
    return BC(config, agent, torch.arange(len(tasks)))


def test_no_more_demonstrations_of_a_task_are_read_than_wanted(monkeypatch):
    wanted = []
    found = make_demonstrations([task.versioned_name for task in TASKS])

    def load(names, where, most):
        wanted.append(most)
        return found

    monkeypatch.setattr(bc, "load_demonstrations", load)
    for config in (SMALL, dataclasses.replace(SMALL, demo_episodes=3)):
        agent = BC.create_agent(config, TASKS, torch.device("cpu"))
        BC(config, agent, torch.arange(len(TASKS)))
    assert wanted == [None, 3]


# The maths


def test_every_step_counts_the_same_whatever_its_number_of_entries():
    action = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
    target = torch.tensor([[0.0, 9.0, 9.0], [0.0, 0.0, 1.0]])
    mask = torch.tensor([[True, False, False], [True, True, True]])
    # 1 of the first, whose other entries are masked, and 0.25 of the second.
    assert cloning_loss(action, target, mask).item() == pytest.approx((1 + 0.25) / 2)


def test_masked_entries_have_no_gradient_whatever_they_hold():
    action = torch.tensor([[0.5, 0.5]], requires_grad=True)
    target = torch.tensor([[0.0, torch.nan]])
    cloning_loss(action, target, torch.tensor([[True, False]])).backward()
    assert action.grad.tolist() == [[1.0, 0.0]]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 9)), min_size=1, max_size=6))
def test_steps_are_drawn_with_the_action_and_the_task_they_belong_to(layout):
    episodes, number = [], 0
    for task, steps in sorted(layout):
        own = np.arange(number, number + steps, dtype=np.float32)[:, None]
        obs = np.concatenate([own, [[-1]]])  # the last one led to no action
        episodes.append(Demonstration(task, obs.astype(np.float32), own + 1000 * task, own, False))
        number += steps
    rows = [10, 11, 12, 13, 14]  # of the agent's table
    steps = Steps.of(episodes, rows, torch.device("cpu"))
    obs, action, task = steps.sample(300, torch.Generator().manual_seed(0))
    assert (obs >= 0).all()
    assert torch.equal(action, obs + 1000 * (task[:, None] - 10))


def test_tasks_are_drawn_as_often_as_each_other_and_so_are_the_steps_of_each():
    def steps_of(task, count):
        values = np.arange(count + 1, dtype=np.float32)[:, None]
        return Demonstration(task, values, values[:-1], values[:-1, 0], False)

    steps = Steps.of([steps_of(0, 2), steps_of(1, 8)], [0, 1], torch.device("cpu"))
    obs, _, task = steps.sample(20_000, torch.Generator().manual_seed(0))
    assert task.float().mean().item() == pytest.approx(0.5, abs=0.02)
    for own, count in ((0, 2), (1, 8)):
        counts = torch.bincount(obs[task == own, 0].long(), minlength=count) / 10_000
        assert counts.tolist() == pytest.approx([1 / count] * count, abs=0.02)


# What must not matter


def test_masked_observations_change_nothing(monkeypatch):
    names = [task.versioned_name for task in TASKS]
    clean = make_demonstrations(names)
    spoilt = [e._replace(obs=e.obs.copy()) for e in clean.episodes]
    for episode in spoilt:
        episode.obs[:, TASKS[episode.task].obs_dim :] = np.nan
    trained = []
    for found in (clean, Demonstrations(tuple(spoilt), "")):
        method = make_method(monkeypatch, found)
        for _ in range(5):
            method.learn(0)
        assert method.broken() == []
        trained.append(method.agent.model.state_dict())
    assert all(torch.equal(trained[0][name], trained[1][name]) for name in trained[0])


def test_an_agent_of_one_task_has_no_language(monkeypatch):
    method = make_method(monkeypatch, tasks=TASKS[:1])
    assert method.agent.language_dim == 0
    assert method.agent.model.encoder.weight_language is None
    method.learn(0)
    action = method.agent.act(np.zeros((1, 128), np.float32), ["pygame-cowboy"], [True])
    assert np.abs(action[0, : TASKS[0].action_dim]).min() > 0
    assert not action[0, TASKS[0].action_dim :].any()


def test_other_demonstrations_than_before_are_told_of(monkeypatch):
    method = make_method(monkeypatch)
    method.learn(0)
    state = method.state()
    assert make_method(monkeypatch).restore(state, 1) == ""
    other = make_demonstrations([task.versioned_name for task in TASKS], steps=49)
    assert "demonstrations are others" in make_method(monkeypatch, other).restore(state, 1)


# What is not there


def test_without_demonstrations_there_is_one_sentence():
    nothing = load_demonstrations(["walker-walk"], "none")
    with pytest.raises(RunError, match=r"demos=none: .*mmbench demos list"):
        require(nothing, "none")


# It learns


def scores(make_trainer, points, monkeypatch):
    use(monkeypatch, make_demonstrations([RIGHT.name, LEFT.name], episodes=5, act=aim))
    trainer = make_trainer(BC, dataclasses.replace(LEARNING, tasks=points))
    rows = trainer.run()["after"]["tasks"]
    assert trainer.step == trainer.method.updates == LEARNING.updates
    return [rows[name]["score"] for name in (RIGHT.name, LEFT.name)]


def test_clones_each_task_by_its_instruction(make_trainer, points, monkeypatch):
    assert min(scores(make_trainer, points, monkeypatch)) > 0.92


def test_clones_nothing_from_the_actions_of_others(make_trainer, points, monkeypatch):
    """The core line is the error, ``action - target``: here the targets are other steps'."""
    loss = bc.cloning_loss
    monkeypatch.setattr(bc, "cloning_loss", lambda a, target, m: loss(a, target.roll(1, 0), m))
    assert sum(scores(make_trainer, points, monkeypatch)) / 2 < IGNORANT
