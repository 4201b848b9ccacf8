"""Newt (arXiv 2511.19584): settings, presets, and what it learns from demonstrations."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from mmbench.catalog import Task
from mmbench.runs import RunError
from newt_agent import ranks
from newt_agent.config import Size
from newt_agent.demo_replay import DemoReplay, join
from newt_agent.demonstrations import (
    DemoEpisodes,
    Demos,
    load_demonstrations,
    require,
    tell_changed,
)
from newt_agent.learner import OptimizerConfig
from newt_agent.losses import Batch, LossConfig
from newt_agent.model_based import ModelBased, ModelBasedConfig
from newt_agent.planner import PlannerConfig
from newt_agent.planning_agent import PlanningAgent
from newt_agent.settings import Range


@dataclass(frozen=True)
class NewtConfig(ModelBasedConfig):
    """Settings of `newt-train`. Steps are agent steps, summed over all environments."""

    steps: Annotated[int, Range(0, 10**12)] = 100_000_000
    """Length of the run; with 0 it only pretrains."""
    seed_steps: Annotated[int, Range(0, 10**12)] = 0
    """Steps before the first update with a step; 0 is 5 episodes of each environment."""
    demos: Demos = "auto"
    demo_episodes: DemoEpisodes = None
    pretrain_updates: Annotated[int, Range(0, 10**12)] = 200_000
    """Updates on demonstrations before the first step; 0 where there are none."""
    demo_fraction: Annotated[float, Range(0, 1)] = 0.5
    """Part of each later batch that is from demonstrations."""
    constrain_plans: bool = True
    """Start plans from what the policy would do, at first; with demonstrations or a checkpoint."""
    constraint_start: Annotated[float, Range(0, 1)] = 0.02
    """Part of the run after which plans are constrained less."""
    constraint_end: Annotated[float, Range(0, 1)] = 0.12
    """Part of the run after which they are no longer."""


SEED_EPISODES = 5
"""Episodes of each environment before the first update with a step."""

PAPER = NewtConfig()
"""The settings of the paper (arXiv 2511.19584, table of hyperparameters).

The paper's text encoder
is ``clip``; here it is ``minilm``, which is shipped.
"""

QUICKSTART = NewtConfig(
    tasks="quickstart",
    demos="none",
    steps=60_000,
    checkpoint_every=15_000,
    size="XS",
    envs_per_task=4,
    batch_size=160,
    utd=0.23,
    discount_max=0.98,  # values that look 50 steps ahead are learned sooner
    seed_steps=8_000,
    replay_capacity=200_000,
    eval_every=0,
    eval_episodes=5,
    threads=1,  # so small a network is no faster with more
    planner=PlannerConfig(num_samples=48, num_elites=8, num_pi_trajs=16, iterations=2),
    # A short run: larger steps, a target network that follows sooner, and a calm end.
    optimizer=OptimizerConfig(
        lr=1e-3, encoder_lr_scale=1.0, policy_eps=1e-8, anneal=0.3, target_tau=0.02
    ),
)
"""Four easy tasks of two domains, sized for minutes on two cores (docs/results/quickstart.md)."""


def fit_to_machine(device: str, num_tasks: int) -> NewtConfig:
    """Settings for any tasks on the machine at hand.

    Args:
        device: ``cpu`` or ``cuda``.
        num_tasks: Number of tasks to train on.

    Returns:
        The paper's settings with size, batch, planner budget and updates fitted to the cores and
        the GPU.
    """
    # A few tasks learn from fewer steps when each step is used more often.
    utd = min(0.5, max(0.075, 2.0 / num_tasks))
    common: dict[str, Any] = {
        "steps": 500_000 * num_tasks,
        "utd": utd,
        "pretrain_updates": min(PAPER.pretrain_updates, 2_500 * num_tasks),
        "eval_every": 25_000 * num_tasks,
        "checkpoint_every": 25_000 * num_tasks,
    }
    if device == "cuda":
        size: Size = "L" if num_tasks > 20 else "B"
        return dataclasses.replace(PAPER, size=size, **common)
    # In few updates, rewards and values shape small networks more than demonstrators do, unless
    # imitation weighs more (docs/results/lite.md).
    loss = LossConfig(pretrain_bc_coef=10.0)
    return dataclasses.replace(
        PAPER, size="S", batch_size=256, planner=QUICKSTART.planner, loss=loss, **common
    )


class Newt(ModelBased):
    """Trains Newt on tasks of MMBench. Without arguments: four easy tasks, in minutes on two cores.

    The world model learns from the replay of all tasks, and the planner acts (paper, section 3).
    Demonstrations are used in four ways: the model and the policy are pretrained on them; plans are
    constrained to what the policy would do, at first; part of each batch is from them; and the
    policy imitates the actions that it learns from.
    """

    name = "newt"
    config_class = NewtConfig
    presets: ClassVar[tuple[str, ...]] = ("quickstart", "machine", "paper")

    config: NewtConfig

    def __init__(self, config: NewtConfig, agent: PlanningAgent, rows: Tensor) -> None:
        # Every rank has the demonstrations of all tasks, for it may have tasks without any.
        learned = sorted(set().union(*ranks.gather(rows.tolist())))
        with ranks.one_per_host_first():
            names = [agent.tasks[row].name for row in learned]
            found = load_demonstrations(names, config.demos, config.demo_episodes)
        super().__init__(config, agent, rows, config.loss.resolved(bool(found.episodes)))
        self._summary = found.summary if config.demos != "none" else ""
        self.demos: DemoReplay | None = None
        if config.demos != "none" and len({e.task for e in found.episodes}) < len(learned):
            self.unfollowed = ("demos",)
        if found.episodes:
            horizon = config.planner.horizon
            self.demos = DemoReplay(
                found.episodes,
                learned,
                horizon,
                agent.device,
                config.sampling,
                self.keeps_terminations,
            )
        self.pretraining = config.pretrain_updates if self.demos else 0
        if not config.steps:
            require(found, config.demos)
        # Pretrained, here or elsewhere: the policy knows something.
        self._knows = bool(self.pretraining) or config.checkpoint is not None
        self._follower = agent.independent()
        self._follower.plan = False

    @classmethod
    def preset(cls, name: str, device: str, num_tasks: int) -> NewtConfig:
        if name == "machine":
            return fit_to_machine(device, num_tasks)
        if name == "paper":
            # Published so, however long the episodes are.
            return dataclasses.replace(PAPER, seed_steps=SEED_EPISODES * 1_000 * num_tasks)
        return QUICKSTART

    @classmethod
    def complete(cls, config: NewtConfig, tasks: Sequence[Task], device: str) -> NewtConfig:
        config = super().complete(config, tasks, device)
        if config.obs != "state" and config.demos == "auto":
            config = dataclasses.replace(config, demos="none")
        if config.seed_steps or not config.steps:
            return config
        lengths = sum(task.max_episode_steps for task in tasks) * config.envs_per_task
        seed_steps = min(SEED_EPISODES * lengths, config.steps // 2)
        return dataclasses.replace(config, seed_steps=seed_steps)

    @classmethod
    def check(cls, config: NewtConfig, tasks: Sequence[Task], device: str) -> None:
        if config.obs != "state" and config.demos != "none":
            raise RunError(
                f"demos={config.demos}: demonstrations hold no frames, which obs={config.obs} "
                "needs; give --demos none. Pretrain with states, and go on with frames by "
                "--checkpoint"
            )
        if config.constraint_start > config.constraint_end:
            raise RunError(
                f"constraint_start={config.constraint_start}: at most constraint_end="
                f"{config.constraint_end}"
            )
        if not config.steps and not config.pretrain_updates:
            raise RunError("steps=0: it only pretrains, so pretrain_updates has to be above 0")
        if not config.steps and config.demos == "none":
            raise RunError("steps=0: it only pretrains, on demonstrations, and demos=none has none")
        super().check(config, tasks, device)

    def act(self, obs: np.ndarray, first: np.ndarray, step: int) -> np.ndarray:
        if step < self.config.seed_steps and self._knows:
            return self._follower.act_on(obs, self._rows, first, True, self._chance.acting)
        self.agent.prior_weight = self.prior_weight(step)
        return super().act(obs, first, step)

    def prior_weight(self, step: int) -> float:
        """How far plans are constrained at a step: 1 at first, then less and less, 0 at last."""
        if not (self._knows and self.config.constrain_plans):
            return 0.0
        begin = self.config.constraint_start * self.config.steps
        end = self.config.constraint_end * self.config.steps
        return 1.0 - min(1.0, max(0.0, step - begin) / max(1.0, end - begin))

    def due(self, step: int) -> int:
        return self.pretraining + super().due(step)

    def update(self) -> dict[str, Tensor]:
        if self.demos is None or self.updates >= self.pretraining:
            self.agent.only_pretrained = False
            batch = self._batch()
            if self._knows and self.updates == self.pretraining:
                self.learner.start_scale(batch, self._chance.torch)
            return self.learner.update(batch, self._chance.torch)
        self.learner.set_pretraining((self.updates + 1) / self.pretraining)
        self.agent.only_pretrained = True
        batch = self.demos.sample(self.share.size, self._chance.numpy)
        return self.learner.pretrain(batch, self._chance.torch)

    def _batch(self) -> Batch:
        """Samples windows of demonstrations, and of what it has done itself."""
        size = self.share.size
        from_demos = round(self.config.demo_fraction * size) if self.demos else 0
        parts = [
            source.sample(count, self._chance.numpy)
            for source, count in ((self.demos, from_demos), (self.replay, size - from_demos))
            if source is not None and count
        ]
        return parts[0] if len(parts) == 1 else join(parts)

    def phase(self) -> tuple[str, int, int] | None:
        if self.updates >= self.pretraining:
            return None
        return "pretraining", self.updates, self.pretraining

    def summary(self) -> str:
        told = self._summary
        if self.config.obs != "state":
            told = "demonstrations hold no frames, and none are used"
        return "; ".join(filter(None, (told, super().summary())))

    def state(self) -> dict[str, Tensor]:
        state = super().state()
        if self.demos is not None:
            state["demonstrations"] = torch.tensor(self.demos.checksum)
        return state

    def restore(self, state: dict[str, Tensor], step: int) -> str:
        checksum = None if self.demos is None else self.demos.checksum
        return tell_changed(super().restore(state, step), state, checksum)
