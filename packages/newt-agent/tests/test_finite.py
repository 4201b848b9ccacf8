"""NaN, infinity and numbers that are too large, of environments and of the agent."""

import dataclasses
import itertools
import os
import signal

import numpy as np
import pytest
import torch
from faults import Fault
from no_evaluation import evaluate_nothing
from tiny import TINY
from waiting import WaitsForNothing

from mmbench import catalog
from mmbench.catalog import LARGEST
from mmbench.runs import RunError
from newt_agent.agent import Agent
from newt_agent.evaluate import run_episodes
from newt_agent.finite import BrokenAgentError, non_finite
from newt_agent.learner import Learner, OptimizerConfig
from newt_agent.losses import Batch, LossConfig, world_model_loss
from newt_agent.planner import PlannerConfig
from newt_agent.planning_agent import PlanningAgent

NAN, INF = float("nan"), float("inf")
ONE = "pygame-pong"
SEVERAL = "pygame-cartpole-balance,pygame-pong"
SHORT = dataclasses.replace(TINY, steps=80, seed_steps=20, utd=0.5, checkpoint_every=20)
GOOD_STEPS = 16


class Rewards:
    """Takes the place of ``TaskEnv.advance``; after some steps the reward is ``value``."""

    def __init__(self, value: float) -> None:
        self.value, self.steps = value, 0

    def __call__(self, action):
        assert not np.isnan(action).any()
        self.steps += 1
        return (self.value if self.steps > GOOD_STEPS else 0.1), False, False, 0.0, NAN


class Observations:
    """Takes the place of ``TaskEnv.observe``; after some steps one entry is ``value``."""

    def __init__(self, value: float) -> None:
        self.value, self.steps = value, 0

    def __call__(self, state, frame=None):
        self.steps += 1
        state[:] = 0.5
        if self.steps > GOOD_STEPS:
            state[1] = self.value


@pytest.fixture
def make_short(make_trainer, monkeypatch):
    """Trainers whose evaluations take no time."""

    def make(tasks, resume=False, **changes):
        config = dataclasses.replace(SHORT, tasks=tasks, **changes)
        trainer = make_trainer(config=config, resume=resume)
        monkeypatch.setattr("newt_agent.train.evaluate", evaluate_nothing)
        return trainer

    return make


def assert_intact(trainer, message: str) -> None:
    """The last checkpoint is what the message says, holds good numbers, and can be resumed from."""
    last = trainer.folder.last_checkpoint()
    path = trainer.folder.path
    assert f"The checkpoint of step {int(last.name)} is intact" in message
    assert f"newt-train --resume {path} goes on from it" in message
    assert list(last.glob("replay-*.safetensors"))
    assert non_finite(Agent.load(last).model.state_dict()) == {}


def assert_usable(replay) -> None:
    for values in replay.rows(*replay.held).values():
        assert (values.abs() <= LARGEST).all()


@pytest.mark.parametrize(
    ("tasks", "value"),
    [*((ONE, value) for value in (NAN, INF, -INF, 1e300, -1e38, 2e18)), (SEVERAL, NAN)],
)
def test_rewards_that_cannot_be_learned_from_end_the_run(make_short, tasks, value):
    trainer = make_short(tasks)
    others = [Rewards(0.1)] * (trainer.env.num_envs - 1)
    trainer.env.set_attr("advance", [*others, Rewards(value)])
    with pytest.raises(RunError) as raised:
        trainer.run()
    message = str(raised.value)
    step = GOOD_STEPS * trainer.env.num_envs
    assert f"at step {step} " in message
    assert f"task 'pygame-pong' (environment {trainer.env.num_envs - 1})" in message
    assert f"the reward {value}" in message
    assert_intact(trainer, message)
    assert_usable(trainer.method.replay)
    trainer.close()
    make_short(tasks, resume=True).run()


@pytest.mark.parametrize(
    ("tasks", "value"),
    [*((ONE, value) for value in (NAN, INF, -INF, 1e30, -2e18)), (SEVERAL, -2e18)],
)
def test_observations_that_cannot_be_learned_from_end_the_run(make_short, tasks, value):
    trainer = make_short(tasks)
    others = [Observations(0.5)] * (trainer.env.num_envs - 1)
    trainer.env.set_attr("observe", [*others, Observations(value)])
    with pytest.raises(RunError) as raised:
        trainer.run()
    message = str(raised.value)
    assert f"at step {GOOD_STEPS * trainer.env.num_envs} " in message
    assert f"task 'pygame-pong' (environment {trainer.env.num_envs - 1})" in message
    if np.isfinite(value):
        assert f"the observation {value:g} in entry 1" in message
    else:
        assert f"the observation {value} in entry 1" in message
    assert_intact(trainer, message)
    assert_usable(trainer.method.replay)


@pytest.mark.parametrize("value", [NAN, 1e30])
@pytest.mark.parametrize("number", [4, 5])
def test_the_last_and_the_first_observation_of_an_episode_are_looked_at(make_short, number, value):
    steps, observations = itertools.count(1), itertools.count(1)

    def ends_with_the_fourth_step(action):
        return 0.1, False, next(steps) == 4, 0.0, NAN

    def observe(state, frame=None):
        state[:] = value if next(observations) == number else 0.5

    trainer = make_short(ONE)
    trainer.env.set_attr("advance", ends_with_the_fourth_step)
    trainer.env.set_attr("observe", observe)
    with pytest.raises(RunError, match="at step 3 .*task 'pygame-pong'.*the observation"):
        trainer.run()
    assert_usable(trainer.method.replay)


def test_a_bad_first_observation_leaves_no_run(make_trainer, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "mmbench.env.TaskEnv.observe", lambda self, state, frame=None: state.fill(1e30)
    )
    with pytest.raises(RunError, match=r"at step 0 task 'pygame-pong' .*the observation 1e\+30 in"):
        make_trainer(config=dataclasses.replace(SHORT, tasks=ONE))
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.parametrize("value", [LARGEST, -LARGEST])
def test_the_largest_numbers_are_learned_from(make_short, value):
    trainer = make_short(SEVERAL)
    trainer.env.set_attr("advance", [Rewards(value), Rewards(-value)])
    trainer.env.set_attr("observe", [Observations(value), Observations(0.5)])
    trainer.run()
    assert trainer.method.updates == 30


@pytest.mark.parametrize("plan", [True, False])
@pytest.mark.parametrize("tasks", [ONE, SEVERAL])
def test_an_agent_that_breaks_is_neither_saved_nor_obeyed(make_short, tasks, plan):
    trainer = make_short(tasks, plan=plan, optimizer=OptimizerConfig(lr=1e12))
    trainer.env.set_attr("advance", [Rewards(0.1)] * trainer.env.num_envs)  # they refuse NaN
    with pytest.raises(RunError) as raised:
        trainer.run()
    message = str(raised.value)
    assert trainer.method.updates < 100
    assert f"at step {trainer.step} (update {trainer.method.updates}) " in message
    assert "_loss, " in message or "the weights are broken" in message
    assert "environment" not in message and "--tasks" not in message
    assert f"newt-train --checkpoint {trainer.folder.path} --optimizer.lr" in message
    assert_intact(trainer, message)
    trainer.close()
    resumed = make_short(tasks, resume=True, plan=plan, optimizer=OptimizerConfig(lr=1e-3))
    resumed.run()
    assert_intact_at_end(resumed)


def assert_intact_at_end(trainer) -> None:
    last = trainer.folder.last_checkpoint()
    assert int(last.name) == trainer.step == trainer.config.steps
    assert non_finite(Agent.load(last).model.state_dict()) == {}


@pytest.fixture
def spoil_loss(monkeypatch):
    """Makes the value loss of one update infinite, which alone does no harm."""

    def spoil(number):
        calls = []

        def loss(*args):
            calls.append(args)
            total, metrics, zs = world_model_loss(*args)
            if len(calls) == number:
                metrics["value_loss"] = torch.tensor(INF)
            return total, metrics, zs

        monkeypatch.setattr("newt_agent.learner.world_model_loss", loss)

    return spoil


def test_one_bad_update_is_noticed_though_the_next_ones_look_good(make_short, spoil_loss):
    trainer = make_short(ONE, utd=3.0)
    spoil_loss(4)
    with pytest.raises(RunError, match=r"at step 22 \(update 6\) value_loss became NaN"):
        trainer.run()


@pytest.mark.parametrize("eval_every", [0, 40])
def test_losses_are_looked_at_before_a_save_and_an_evaluation(make_short, spoil_loss, eval_every):
    trainer = make_short(ONE, eval_every=eval_every)
    spoil_loss(10)  # with step 40, after which a checkpoint is due
    with pytest.raises(RunError, match=r"at step 40 \(update 10\) value_loss became NaN") as raised:
        trainer.run()
    assert_intact(trainer, str(raised.value))
    assert int(trainer.folder.last_checkpoint().name) == 20


@pytest.mark.parametrize("when", ["save", "stop", "evaluation", "end"])
def test_weights_are_looked_at_before_they_are_used(make_short, when):
    trainer = make_short(ONE, eval_every=10 if when == "evaluation" else 0)
    learn = trainer.method.learn

    def spoil(step):
        learn(step)
        if trainer.step == {"save": 40, "stop": 37, "evaluation": 50, "end": 80}[when]:
            with torch.no_grad():
                next(trainer.agent.model.q_net.parameters()).view(-1)[0] = NAN
            if when == "stop":
                os.kill(os.getpid(), signal.SIGTERM)

    trainer.method.learn = spoil
    with pytest.raises(RunError, match="q_net.* became NaN or infinite") as raised:
        trainer.run()
    assert_intact(trainer, str(raised.value))
    assert int(trainer.folder.last_checkpoint().name) <= 60
    assert not (trainer.folder.path / "eval.json").exists()


def make_agent() -> Agent:
    tasks = catalog.select("walker-walk,pygame-pong")
    return PlanningAgent.create(
        tasks, "XS", "minilm", PlannerConfig(), torch.Generator().manual_seed(0)
    )


def batch(reward: float) -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(
        obs=torch.randn(4, 8, 128, generator=generator),
        action=torch.rand(3, 8, 16, generator=generator),
        reward=torch.full((3, 8), reward),
        task=torch.arange(8) % 2,
    )


def test_a_learner_knows_that_it_broke_and_its_updates_wait_for_nothing():
    learner = Learner(make_agent(), LossConfig(), OptimizerConfig())
    generator = torch.Generator().manual_seed(0)
    assert learner.broken == []
    with WaitsForNothing():
        learner.update(batch(1.0), generator)
    assert learner.broken == []
    with WaitsForNothing():
        learner.update(batch(NAN), generator)
    assert {"reward_loss", "value_loss", "model_loss", "grad_norm"} <= set(learner.broken)


def test_an_agent_says_whose_fault_an_action_is():
    agent = make_agent()
    agent.plan = False
    names, first = ["walker-walk", "pygame-pong"], [True, True]
    obs = np.zeros((2, 128), np.float32)
    obs[1, 127] = NAN  # no task's entry
    assert np.isfinite(agent.act(obs, names, first)).all()
    obs[1, 2] = NAN
    with pytest.raises(RunError, match=r"'pygame-pong' \(row 1\) holds nan in entry 2"):
        agent.act(obs, names, first)
    obs[1, 2] = 0.0
    with torch.no_grad():
        for parameter in agent.model.policy.parameters():
            parameter.fill_(NAN)
    with pytest.raises(BrokenAgentError, match="the action for task 'walker-walk' is NaN"):
        agent.act(obs, names, first)


@pytest.mark.parametrize(("reward", "entry"), [(NAN, 0.0), (1e300, 0.0), (0.0, NAN), (0.0, 1e30)])
def test_evaluations_name_the_task_of_a_bad_number(reward, entry):
    class Bad:
        num_envs = 1
        tasks = catalog.select("pygame-pong")

        def reset(self, seed=None):
            return np.zeros((1, 128), np.float32), {}

        def step(self, actions):
            obs = np.full((1, 128), entry, np.float32)
            return obs, np.array([reward]), None, np.array([False]), {}

    with pytest.raises(RunError, match="task 'pygame-pong'.*returned the"):
        run_episodes(Bad(), lambda obs, first: None, 1, 0)


def test_a_task_whose_episodes_end_before_anything_can_be_learned_is_named(make_short):
    trainer = make_short(SEVERAL)
    trainer.env.set_attr("advance", [Fault("none"), Fault("none", length=2)])
    with pytest.raises(RunError, match="task 'pygame-pong': environment 1 has taken no 3 steps"):
        trainer.run()
