"""Newt (arXiv 2511.19584): settings, presets, and how it acts, remembers and learns."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from mmbench.catalog import Task
from mmbench.runs import RunError
from newt_agent.config import Size
from newt_agent.learner import Learner, OptimizerConfig
from newt_agent.losses import LossConfig
from newt_agent.off_policy import OffPolicyConfig, OffPolicyMethod, rows_that_fit
from newt_agent.planner import PlannerConfig
from newt_agent.planning_agent import PlanningAgent
from newt_agent.settings import Range
from newt_agent.tensors import entries


@dataclass(frozen=True)
class NewtConfig(OffPolicyConfig):
    """Settings of `newt-train`. Steps are agent steps, summed over all environments."""

    utd: Annotated[float, Range(0, 100)] = 0.075
    """Updates per step."""
    plan: bool = True
    """Act by planning; off, the policy acts."""
    plan_in_eval: bool = True
    """Plan in evaluations too; off, the policy's mean acts."""
    planner: PlannerConfig = field(default_factory=PlannerConfig)
    """The planner."""
    loss: LossConfig = field(default_factory=LossConfig)
    """The losses."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """The optimizers."""

    fixed = (*OffPolicyConfig.fixed, "planner.horizon")


PAPER = NewtConfig()
"""The settings of the paper (arXiv 2511.19584, table of hyperparameters).

What the paper does and this agent does not do yet: pretraining on demonstrations with a warm-up of
the learning rate, the half of each batch that comes from them, the planner's anneal from the policy
(from step 2 to 12 million), images, finetuning, several GPUs. The paper's text encoder is ``clip``;
here it is ``minilm``, which is shipped.
"""

QUICKSTART = NewtConfig(
    tasks="quickstart",
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
    # There are no demonstrations whose actions would be worth imitating.
    loss=LossConfig(bc_coef=0.0),
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
        The paper's settings with size, batch, planner budget, updates and replay fitted to the
        cores, the memory and the GPU.
    """
    # A few tasks learn from fewer steps when each step is used more often.
    utd = min(0.5, max(0.075, 2.0 / num_tasks))
    common: dict[str, Any] = {
        "replay_capacity": min(PAPER.replay_capacity, rows_that_fit(device)),
        "steps": 500_000 * num_tasks,
        "seed_steps": 5_000 * num_tasks,
        "utd": utd,
        "eval_every": 25_000 * num_tasks,
        "checkpoint_every": 25_000 * num_tasks,
    }
    if device == "cuda":
        size: Size = "L" if num_tasks > 20 else "B"
        return dataclasses.replace(PAPER, size=size, loss=LossConfig(bc_coef=0.0), **common)
    return dataclasses.replace(
        PAPER,
        size="S",
        batch_size=256,
        planner=QUICKSTART.planner,
        loss=QUICKSTART.loss,
        **common,
    )


class Newt(OffPolicyMethod):
    """Trains Newt on tasks of MMBench. Without arguments: four easy tasks, in minutes on two cores.

    The world model learns from the replay of all tasks, and the planner acts (paper, section 3).
    """

    name = "newt"
    config_class = NewtConfig
    agent_class: ClassVar[type[PlanningAgent]] = PlanningAgent
    presets: ClassVar[tuple[str, ...]] = ("quickstart", "machine", "paper")
    learning_rate = "--optimizer.lr"

    agent: PlanningAgent

    def __init__(self, config: NewtConfig, agent: PlanningAgent, rows: Tensor) -> None:
        super().__init__(config, agent, rows)
        agent.planner.config = config.planner
        agent.plan = config.plan
        self.learner = Learner(agent, config.loss, config.optimizer)

    @classmethod
    def preset(cls, name: str, device: str, num_tasks: int) -> NewtConfig:
        if name == "machine":
            return fit_to_machine(device, num_tasks)
        return {"quickstart": QUICKSTART, "paper": PAPER}[name]

    @classmethod
    def horizon(cls, config: NewtConfig) -> int:
        return config.planner.horizon

    @classmethod
    def check(cls, config: NewtConfig, tasks: Sequence[Task], device: str) -> None:
        horizon = config.planner.horizon
        shortest = min(tasks, key=lambda task: task.max_episode_steps)
        if horizon > shortest.max_episode_steps:
            raise RunError(
                f"planner.horizon={horizon}: an episode of {shortest.versioned_name} has only "
                f"{shortest.max_episode_steps} steps"
            )
        super().check(config, tasks, device)

    @classmethod
    def create_agent(
        cls, config: NewtConfig, tasks: Sequence[Task], device: torch.device
    ) -> PlanningAgent:
        generator = torch.Generator().manual_seed(config.seed)
        return cls.agent_class.create(
            tasks, config.size, config.encoder, config.planner, generator, device
        )

    def act(self, obs: np.ndarray, first: np.ndarray, step: int) -> np.ndarray:
        # After the random phase there is no plan yet to go on from.
        first = np.ones_like(first) if self.agent.memory is None else first
        return super().act(obs, first, step)

    def learn(self, step: int) -> dict[str, Tensor] | None:
        self.learner.set_progress(step / self.config.steps)
        return super().learn(step)

    def due(self, step: int) -> int:
        # A product, not a sum over the steps: ten times 0.1 added up is less than 1.
        return math.floor(self.config.utd * max(0, step - self.config.seed_steps))

    def update(self) -> dict[str, Tensor]:
        batch = self.replay.sample(self.config.batch_size, self._chance.numpy)
        return self.learner.update(batch, self._chance.torch)

    def broken(self) -> list[str]:
        return self.learner.broken

    def evaluated(self) -> PlanningAgent:
        agent = self.agent.independent()
        agent.plan = self.config.plan_in_eval
        return agent

    def state(self) -> dict[str, Tensor]:
        state = super().state()
        state |= {f"learner/{name}": value for name, value in self.learner.state_dict().items()}
        if self.agent.memory is not None:
            state["memory"] = self.agent.memory
        return state

    def restore(self, state: dict[str, Tensor], step: int) -> str:
        self.learner.load_state_dict(entries(state, "learner"))
        if "memory" in state:
            self.agent.memory = state["memory"].to(self.agent.device)
        return super().restore(state, step)
