"""What the processes of a run do in tests; of a module that they can import."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import torch
from batches import noise_batch
from rich.console import Console
from tiny import TINY

from mmbench import catalog
from mmbench.runs import RunFolder
from newt_agent import ranks
from newt_agent.display import Display
from newt_agent.learner import Learner, OptimizerConfig
from newt_agent.losses import Batch, LossConfig
from newt_agent.newt import Newt
from newt_agent.planner import PlannerConfig
from newt_agent.planning_agent import PlanningAgent
from newt_agent.train import Interrupted, Trainer

TASKS = catalog.select("walker-walk,pygame-pong")
UPDATES = 20
WEIGHTS = (5, 3)
"""Environments of two ranks: so they have 10 and 6 windows of 16."""

RUN = dataclasses.replace(
    TINY,
    tasks="pygame-cowboy,pygame-pong,pygame-cartpole-balance",
    demos="none",
    steps=180,
    seed_steps=60,
    utd=0.2,
    checkpoint_every=90,
    replay_capacity=3_000,
)


def windows(number: int) -> Batch:
    batch = noise_batch(3, seed=number)
    return type(batch)(
        *(x.double() if x is not None and x.is_floating_point() else x for x in batch)
    )


def learn(folder: Path) -> None:
    """Takes updates of both kinds from this rank's part of each batch; saves what came of it."""
    torch.set_default_dtype(torch.float64)
    agent = PlanningAgent.create(
        TASKS, "XS", "minilm", PlannerConfig(), torch.Generator().manual_seed(0)
    )
    agent.model.double()
    with torch.no_grad():  # values that differ, for the scale to follow
        for parameter in agent.model.q_net.parameters():
            parameter.normal_(std=2.0, generator=torch.Generator().manual_seed(2))
    agent.discount = agent.discount.double()
    weight = WEIGHTS[ranks.rank()] if ranks.count() > 1 else sum(WEIGHTS)
    share = ranks.Share.of(16, weight)
    settings = OptimizerConfig(lr=1e-3, grad_clip_norm=0.5)  # the clip has to see all gradients
    learner = Learner(agent, LossConfig(bc_coef=1.0), settings, share=share)
    generator = torch.Generator().manual_seed(1)
    logged = {}
    for number in range(UPDATES):
        whole = windows(number)
        own = slice(share.begin, share.end)
        part = whole._replace(
            obs=whole.obs[:, own],
            action=whole.action[:, own],
            reward=whole.reward[:, own],
            task=whole.task[own],
        )
        take = learner.pretrain if number < UPDATES // 2 else learner.update
        logged |= take(part, generator)
    state = agent.model.state_dict() | {"scale": learner.scale.value}
    numbers = {name: float(value) for name, value in logged.items() if name != "pi_std_max"}
    torch.save((state, numbers), folder / f"{ranks.count()}-{ranks.rank()}.pt")


def train(
    path: Path, stop_at: int | None = None, resume: bool = False, steps: int = RUN.steps
) -> None:
    """Trains, up to a step at which the last rank is asked to stop."""
    folder = RunFolder(path)
    if ranks.is_first():
        folder = RunFolder.resume(path) if resume else RunFolder.create(path, "test")
    config = dataclasses.replace(RUN, steps=steps)
    console = Console(file=io.StringIO(), width=500)
    trainer = Trainer(Newt, config, folder, "cpu", Display(console), resume)
    if resume and ranks.is_first():
        (path / "said.txt").write_text(console.file.getvalue())
    take = trainer._take_step

    def take_and_stop() -> None:
        take()
        if trainer.step == stop_at and ranks.rank() == ranks.count() - 1:
            trainer._stop.set()

    trainer._take_step = take_and_stop
    try:
        trainer.run()
    except Interrupted:
        assert stop_at is not None
        assert trainer.step == stop_at
    finally:
        trainer.close()


def train_and_go_on(path: Path) -> None:
    train(path / "whole")
    train(path / "stopped", stop_at=120)
    train(path / "stopped", resume=True)
