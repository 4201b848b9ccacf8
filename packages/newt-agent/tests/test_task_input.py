"""What tells tasks apart: instructions, numbers, or nothing."""

import dataclasses

import pytest
import torch
from points import TRAINING
from tiny import TINY

from mmbench import catalog
from mmbench.runs import RunError
from newt_agent.agent import Agent
from newt_agent.cli import parse_training
from newt_agent.newt import Newt
from newt_agent.planning_agent import PlanningAgent
from newt_agent.task_input import TASK_INPUTS

NAMES = ["walker-walk", "walker-run", "pygame-pong"]


def make_agent(encoder, names=NAMES):
    generator = torch.Generator().manual_seed(0)
    tasks = catalog.select(",".join(names))
    return PlanningAgent.create(tasks, "XS", encoder, TINY.planner, generator)


@pytest.mark.parametrize("encoder", ["index", "none"])
def test_networks_see_nothing_of_the_instructions(encoder, monkeypatch):
    monkeypatch.setattr("newt_agent.task_input.embed", None)
    agent = make_agent(encoder)
    z = torch.rand(3, 64)
    actions = agent.model.pi(z[:1].expand(3, -1), agent.model.context(torch.arange(3)))[0]
    alike = torch.equal(actions[0, :2], actions[1, :2])  # two tasks with the same masks
    assert alike == (encoder == "none")
    with pytest.raises(RunError, match="was not trained on cheetah-run"):
        agent.add_tasks(catalog.select("cheetah-run"))
    with pytest.raises(RunError, match="reads no instructions"):
        agent.instruct(NAMES[:1], "Walk.")


@pytest.mark.parametrize("encoder", ["index", "none"])
def test_a_run_learns_is_saved_and_goes_on(encoder, make_trainer, points):
    config = dataclasses.replace(
        TINY, **TRAINING, encoder=encoder, demos="none", steps=480, seed_steps=160, utd=0.05
    )
    trainer = make_trainer("run", config)
    trainer.run()
    agent = Agent.load(trainer.folder.path)
    assert agent.settings["encoder"] == encoder and agent.language_dim == 0
    assert agent.model.task_embeddings.shape == (2, 2 if encoder == "index" else 0)
    longer = dataclasses.replace(config, steps=640)
    trainer.close()
    make_trainer("run", longer, resume=True).run()
    more = dataclasses.replace(config, checkpoint=str(trainer.folder.path))
    make_trainer("more", more).run()


@pytest.mark.parametrize("encoder", TASK_INPUTS)
def test_the_flag_takes_them_all(encoder):
    words = ["--tasks", "walker-walk", "--encoder", encoder]
    assert parse_training(Newt, "newt-train", words)[1].encoder == encoder


def test_another_one_is_refused():
    with pytest.raises(RunError, match="encoder='bert': one of minilm, clip, index, none"):
        parse_training(Newt, "newt-train", ["--encoder", "bert"])
