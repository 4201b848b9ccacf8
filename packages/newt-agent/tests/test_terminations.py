"""Episodes that end are learned as ended, by the value, by plans and by what is kept."""

import dataclasses
from functools import partial

import numpy as np
import pytest
import torch
from tiny import TINY

from mmbench import catalog
from mmbench.runs import publish_folder
from newt_agent.agent import Agent
from newt_agent.demo_replay import DemoReplay, join
from newt_agent.demonstrations import Demonstration
from newt_agent.learner import Learner, OptimizerConfig
from newt_agent.losses import Batch, LossConfig
from newt_agent.planning_agent import PlanningAgent
from newt_agent.replay import Replay
from newt_agent.task_module import TABLES

HORIZON, STEPS, DISCOUNT = 3, 5, 0.9
ENDING = dataclasses.replace(catalog.get("walker-walk"), terminates=True, discount=DISCOUNT)
ENDLESS = catalog.get("pygame-pong")


def make_agent(*tasks):
    generator = torch.Generator().manual_seed(0)
    return PlanningAgent.create(tasks, "XS", "minilm", TINY.planner, generator)


def observations(steps):
    """What is seen after so many steps of an episode; steps ``[...]`` int64."""
    obs = torch.zeros(*steps.shape, 128)
    return obs.scatter(-1, steps[..., None], 10.0)


def walk(ends):
    """The steps of an episode that pays 1 for each, and ends after five."""
    steps = torch.stack([torch.arange(STEPS), 1 + torch.arange(STEPS)])
    return Batch(
        obs=observations(steps),
        action=torch.zeros(1, STEPS, 16),
        reward=torch.ones(1, STEPS),
        task=torch.zeros(STEPS, dtype=torch.int64),
        terminated=(steps[1:] == STEPS) if ends else None,
    )


def learn(agent, batch, updates=400, execution="eager", pretrain=False):
    optimizer = OptimizerConfig(lr=1e-3, encoder_lr_scale=1.0, target_tau=0.3)
    loss = LossConfig(value_coef=1.0, reward_coef=1.0)
    learner = Learner(agent, loss, optimizer, execution)
    generator = torch.Generator().manual_seed(0)
    update = learner.pretrain if pretrain else learner.update
    for _ in range(updates):
        metrics = update(batch, generator)
    return metrics


def value(agent, step):
    """What is to come after so many steps, by the value heads."""
    model = agent.model
    context = model.context(torch.zeros(1, dtype=torch.int64))
    z = model.encode(observations(torch.tensor([step])), context)
    return model.decode(model.Q(z, torch.zeros(1, 16), context)).mean().item()


def test_the_value_of_what_ends_is_what_is_left_of_it():
    agent = make_agent(ENDING)
    metrics = learn(agent, walk(ends=True))
    assert metrics["termination_loss"] < 0.05
    for step in range(STEPS):
        left = (1 - DISCOUNT ** (STEPS - step)) / (1 - DISCOUNT)
        assert value(agent, step) == pytest.approx(left, rel=0.15)
    model, reached = agent.model, torch.arange(1, STEPS + 1)
    context = model.context(torch.zeros(STEPS, dtype=torch.int64))
    z = model.encode(observations(reached), context)
    assert (model.termination(z, context) > 0).tolist() == (reached == STEPS).tolist()
    # Where ends are not looked at, it seems to go on for ever, which would be worth 10.
    ignorant = make_agent(dataclasses.replace(ENDING, terminates=False))
    learn(ignorant, walk(ends=False))
    assert value(ignorant, STEPS - 1) > 3


@pytest.mark.parametrize("pretrain", [False, True])
def test_updates_and_plans_with_ends_compile_without_a_break(pretrain, monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    obs, first = np.zeros((1, 128), np.float32), np.ones(1, bool)
    results = []
    for execution in ("eager", "compile"):
        agent = make_agent(ENDING)
        agent.run_by(execution)
        metrics = learn(agent, walk(ends=True), 3, execution, pretrain)
        assert "termination_loss" in metrics
        generator = torch.Generator().manual_seed(0)
        action = agent.act(obs, [ENDING.name], first, generator=generator)
        results.append([*metrics.values(), torch.from_numpy(action)])
    for plain, compiled in zip(*results, strict=True):
        torch.testing.assert_close(compiled, plain, rtol=1e-3, atol=1e-4)


def test_tasks_without_ends_have_none_of_it():
    agent = make_agent(ENDLESS)
    assert agent.model.termination_net is None and not agent.model.terminates
    own, other = agent.model.state_dict(), make_agent(ENDLESS, ENDING).model.state_dict()
    for name in ("encoder.weight_x", "q_net.weight2", "policy.linears.1.weight"):
        assert torch.equal(own[name], other[name])  # the same draws
    new = {name.split(".")[0] for name in set(other) - set(own)}
    assert new == {"termination_net", "terminating"}
    assert "termination_loss" not in learn(agent, walk(ends=False), updates=1)


def mixed_agents():
    """Agents of the same weights for a task that ends and one that never does, with the head and
    without; the head would have it that every state is an end."""
    with_head = make_agent(ENDING, ENDLESS)
    without = make_agent(dataclasses.replace(ENDING, terminates=False), ENDLESS)
    assert with_head.model.terminating.tolist() == [True, False]
    generator = torch.Generator().manual_seed(0)
    own = without.model.state_dict()
    for name, weights in own.items():
        if weights.is_floating_point() and name not in TABLES:
            weights += 0.1 * torch.randn(weights.shape, generator=generator)
    with_head.model.load_state_dict(own, strict=False)
    with torch.no_grad():
        list(with_head.model.termination_net.parameters())[-1].fill_(10.0)
    return with_head, without


def windows(*tasks, ends):
    """Windows of transitions of some tasks, one each, that end with their last step."""
    generator = torch.Generator().manual_seed(1)
    count = len(tasks)
    terminated = torch.zeros(HORIZON, count, dtype=torch.bool)
    terminated[-1] = ends
    return Batch(
        obs=torch.randn(HORIZON + 1, count, 128, generator=generator),
        action=torch.randn(HORIZON, count, 16, generator=generator).clamp(-1, 1),
        reward=torch.randn(HORIZON, count, generator=generator),
        task=torch.tensor(tasks),
        terminated=terminated,
    )


@pytest.mark.parametrize("update", ["update", "pretrain"])
def test_a_task_that_never_ends_is_learned_as_in_a_run_without_ends(update):
    """Whatever its data say, such as demonstrations that end at success."""
    learned = []
    for agent, ends in zip(mixed_agents(), (True, False), strict=True):
        learner = Learner(agent, LossConfig(), OptimizerConfig())
        generator = torch.Generator().manual_seed(0)
        metrics = [getattr(learner, update)(windows(1, 1, ends=ends), generator) for _ in range(3)]
        learned.append((agent.model, metrics))
    (model, metrics), (without, others) = learned
    for ours, other in zip(metrics, others, strict=True):
        assert ours.pop("termination_loss") == 0
        torch.testing.assert_close(ours, other)  # a norm is added up in another order
    for name, weights in without.state_dict().items():
        assert torch.equal(model.state_dict()[name], weights), name
    assert all(not weights.grad.any() for weights in model.termination_net.parameters())


def test_ends_are_learned_of_the_tasks_that_have_some():
    def gradients(batch):
        agent, _ = mixed_agents()
        loss = LossConfig(consistency_coef=0, reward_coef=0, value_coef=0)
        learner = Learner(agent, loss, OptimizerConfig(grad_clip_norm=1e9))
        learner.update(batch, torch.Generator().manual_seed(0))
        return [weights.grad.clone() for weights in agent.model.termination_net.parameters()]

    both = windows(0, 1, ends=True)
    alone = both._replace(**{n: getattr(both, n)[:, :1] for n in ("obs", "action", "reward")})
    alone = alone._replace(task=both.task[:1], terminated=both.terminated[:, :1])
    mixed, own = (torch.cat([g.flatten() for g in gradients(b)]) for b in (both, alone))
    assert own.abs().max() > 0.1
    torch.testing.assert_close(mixed, own / 2)  # a mean over two windows


def test_plans_of_a_task_that_never_ends_look_past_predicted_ends():
    obs = np.random.default_rng(0).normal(size=(1, 128)).astype(np.float32)
    first, plans = np.ones(1, bool), []
    for name in (ENDLESS.name, ENDING.name):
        for agent in mixed_agents():
            generator = torch.Generator().manual_seed(0)
            plans.append(agent.act(obs, [name], first, generator=generator))
    np.testing.assert_array_equal(plans[0], plans[1])
    assert (plans[2] != plans[3]).any()  # where there are ends, they count


def test_which_tasks_end_is_what_the_newest_run_says(tmp_path):
    agent = make_agent(ENDING, ENDLESS)
    agent.add_tasks([catalog.get("walker-run"), dataclasses.replace(ENDING, terminates=False)])
    assert agent.model.terminating.tolist() == [False, False, False]
    agent.add_tasks([ENDING])
    publish_folder(tmp_path / "agent", agent.save)
    model = Agent.load(tmp_path / "agent").model
    assert model.terminating.tolist() == [True, False, False]
    model.add_tasks(*(getattr(model, table)[:1] for table in TABLES))
    assert model.terminating.tolist() == [True, False, False, False]  # not told of it yet


def test_a_checkpoint_begins_to_predict_ends_where_a_task_has_some(tmp_path):
    agent = make_agent(ENDLESS)
    obs, first = np.zeros((1, 128), np.float32), np.ones(1, bool)
    before = agent.act(obs, ["pygame-pong"], first, generator=torch.Generator().manual_seed(0))
    agent.add_tasks([ENDING])
    assert agent.model.terminates and agent.size == "XS"
    assert agent.model.terminating.tolist() == [False, True]
    assert len(agent.model.parameter_groups(1e-3, 1.0)[1]["params"]) > len(
        make_agent(ENDLESS).model.parameter_groups(1e-3, 1.0)[1]["params"]
    )
    agent.memory = None
    after = agent.act(obs, ["pygame-pong"], first, generator=torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(after, before)  # it predicts none before it learns
    publish_folder(tmp_path / "agent", agent.save)
    loaded = Agent.load(tmp_path / "agent")
    assert loaded.model.terminates and loaded.size == "XS"


def fill(replay, steps):
    """Episodes of one environment that last 4 steps; every second one terminates."""
    zero = torch.zeros(1)
    replay.start(torch.zeros(1, 128), np.ones(1, bool))
    for step in range(1, steps + 1):
        obs = torch.full((1, 128), float(step))
        ended = np.array([step % 8 == 4])
        replay.add(obs, torch.zeros(1, 16), zero, terminated=ended)
        if step % 4 == 0:
            replay.start(torch.zeros(1, 128), np.ones(1, bool))


def test_the_replay_knows_which_steps_ended_their_episode():
    def make(terminations=True):
        own = torch.zeros(1, dtype=torch.int64)
        return Replay(30, 1, HORIZON, own, terminations=terminations)

    replay = make()
    fill(replay, 61)  # more than it holds
    batch = replay.sample(500, np.random.default_rng(0))
    assert torch.equal(batch.terminated, batch.obs[1:, :, 0] % 8 == 4)
    assert batch.terminated.any() and not batch.terminated[:-1].any()
    other = make()
    other.put_rows(*replay.held, replay.rows(*replay.held))
    other.load_state_dict(replay.state_dict())
    again = other.sample(500, np.random.default_rng(0))
    assert torch.equal(again.terminated, batch.terminated)
    without = make(False)
    fill(without, 61)
    assert without.sample(10, np.random.default_rng(0)).terminated is None
    assert "terminated" not in without.rows(*without.held)


def test_demonstrations_that_end_are_told_from_those_that_were_cut():
    def episode(mark, terminated):
        obs = np.full((5, 128), mark, np.float32)
        return Demonstration(0, obs, np.zeros((4, 16), np.float32), np.zeros(4), terminated)

    replay = DemoReplay([episode(1, True), episode(2, False)], [0], HORIZON, terminations=True)
    batch = replay.sample(200, np.random.default_rng(0))
    assert batch.terminated[-1].any() and not batch.terminated[:-1].any()
    assert (batch.obs[0, :, 0][batch.terminated[-1]] == 1).all()
    both = join([batch, replay.sample(5, np.random.default_rng(1))])
    assert both.terminated.shape == (HORIZON, 205)
    without = DemoReplay([episode(1, True)], [0], HORIZON)
    assert without.sample(5, np.random.default_rng(0)).terminated is None
