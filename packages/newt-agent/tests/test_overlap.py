"""Updates that are taken while the environments step: how many, when, and exactly resumed."""

import dataclasses
import threading

import numpy as np
import pytest
import torch
from no_evaluation import evaluate_nothing
from tiny import TINY

from mmbench.runs import RunError
from newt_agent.finite import BrokenAgentError
from newt_agent.train import Interrupted

CONFIG = dataclasses.replace(
    TINY,
    tasks="pygame-cowboy,pygame-pong",
    steps=120,
    seed_steps=40,
    utd=0.3,
    checkpoint_every=10**6,
    num_workers=1,
    overlap=True,
)


@pytest.fixture
def make_short(make_trainer, monkeypatch):
    """Trainers whose evaluations take no time."""
    monkeypatch.setattr("newt_agent.train.evaluate", evaluate_nothing)
    return make_trainer


def test_updates_are_taken_while_the_environments_step(make_short):
    trainer = make_short(config=CONFIG)
    stepping, learned, seen = threading.Event(), threading.Event(), []
    step, learn = trainer.env.step, trainer.method.learn

    def step_until_learned(actions):
        stepping.set()
        assert learned.wait(60), "nothing is learned while the environments step"
        learned.clear()
        stepping.clear()
        return step(actions)

    def learn_and_look(at):
        assert at == CONFIG.steps or stepping.wait(60)
        seen.append((at, trainer.method.updates))
        metrics = learn(at)
        learned.set()
        return metrics

    trainer.env.step, trainer.method.learn = step_until_learned, learn_and_look
    trainer.run()
    # What a step made due is done during the next one; what the last one did, after it.
    assert [at for at, _ in seen] == list(range(0, 121, 2))
    due = [int(0.3 * max(0, at - 40)) for at in range(0, 121, 2)]
    assert [updates for _, updates in seen] == [0, *due[:-1]]
    assert trainer.method.updates == 24


def test_a_stopped_run_is_the_run_that_was_never_stopped(make_short):
    whole = make_short("whole", CONFIG)
    whole.run()
    first = make_short("stopped", CONFIG)
    take = first._take_step

    def take_and_stop():
        take()
        if first.step == 90:
            first._stop.set()

    first._take_step = take_and_stop
    with pytest.raises(Interrupted):
        first.run()
    first.close()
    assert first.method.updates < int(0.3 * (90 - 40))
    again = make_short("stopped", CONFIG, resume=True)
    again.run()
    for a, b in zip(again.agent.model.parameters(), whole.agent.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_an_error_in_an_update_leaves_no_environment_in_the_middle_of_a_step(make_short):
    trainer = make_short(config=CONFIG)

    def broken(_):
        raise BrokenAgentError("a loss became NaN or infinite")

    trainer.method.learn = broken
    with pytest.raises(RunError, match="became NaN"):
        trainer.run()
    trainer.env.step(np.zeros((2, 16), np.float32))


def test_it_needs_processes_for_the_environments(make_short):
    with pytest.raises(RunError, match="overlap: with num_workers=0"):
        make_short(config=dataclasses.replace(CONFIG, num_workers=0))
