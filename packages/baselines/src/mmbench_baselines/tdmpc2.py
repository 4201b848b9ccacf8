"""TD-MPC2 (arXiv 2310.16828): planning with a latent world model, and a learned vector a task.

Newt has its world model, planner and losses from TD-MPC2, so they are imported from newt_agent.
What this method has of its own, and Newt has not:

* A task enters as a learned vector of 96 entries with a norm of at most 1, not as language. It is
  trained with the world model, and all networks read it.
* While they are trained, the value heads have 1 % dropout in their first layers.
* The steps of a window weigh ``rho**t``, which is not divided by the sum.
* The policy imitates no actions.
* The updates that the random phase went without are made up for at its end. Of a single task there
  is one for each agent step.
* A single task has no vector, and the networks of the paper: 5M parameters at size B. For many
  tasks there are as many parameters as Newt's of the same size: see `MULTITASK_SIZES`.

The paper learns many tasks from a fixed dataset. Here they are learned online, with Newt's batch
and updates per step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor, nn

from mmbench.catalog import Task
from newt_agent.config import Size, Steps
from newt_agent.losses import LossConfig
from newt_agent.model_based import ModelBased, ModelBasedConfig
from newt_agent.newt import PAPER as NEWT_PAPER
from newt_agent.newt import QUICKSTART
from newt_agent.off_policy import Rows
from newt_agent.planning_agent import PlanningAgent
from newt_agent.settings import Range
from newt_agent.task_input import input_dim
from newt_agent.task_module import TaskTables, task_masks
from newt_agent.world_model import SIZES, ModelConfig, WorldModel

EMBEDDING_DIM = 96
"""Entries of a task's learned vector."""
MAX_NORM = 1.0
"""The most that its norm may be."""
INIT_RANGE = 0.02
"""Its entries start uniformly between minus and plus this."""
DROPOUT = 0.01
"""Of the first layers of the value heads."""
SEED_EPISODES, LEAST_SEED_STEPS = 5, 1000
"""Random episodes of each task before the first update, and the least number of steps."""

_WIDTHS = {"XS": 110, "S": 320, "B": 592, "L": 1152, "XL": 2176}
MULTITASK_SIZES = {
    name: dataclasses.replace(SIZES[name], mlp_dim=width, q_dropout=DROPOUT)
    for name, width in _WIDTHS.items()
}
"""Networks for many tasks. Newt's first layers read 384 entries of language where these read 96;
hidden layers that are up to a quarter wider (at XS, more) make up for it. So the parameters are
within 5 % of Newt's, for 2 to 200 tasks."""
SINGLE_TASK_SIZES = {
    name: dataclasses.replace(config, q_dropout=DROPOUT) for name, config in SIZES.items()
}
"""Networks for one task."""


@dataclass(frozen=True)
class TDMPC2Config(ModelBasedConfig):
    """Settings of TD-MPC2; the defaults are those of its paper for a single task."""

    steps: Steps = 1_000_000
    """Length of the run."""
    checkpoint_every: Steps = 50_000
    """Steps between checkpoints."""
    eval_every: Annotated[int, Range(0, 10**12)] = 50_000
    """Steps between evaluations; 0 evaluates at the start and at the end only."""
    size: Size = "B"
    """As many parameters as Newt's; of a single task XS 0.1M, S 1.3M, B 5M, L 16M, XL 70M."""
    batch_size: Annotated[int, Range(1, 2**20)] = 256
    """Windows of transitions in a batch."""
    utd: Annotated[float, Range(0, 100)] = 1.0
    """Updates per step."""
    seed_updates: bool = True
    """Make up for the random steps: take their updates, too, when they end."""
    seed_steps: Annotated[int, Range(0, 10**12)] = 0
    """Random steps first; 0: 5 episodes of each task, 1,000 steps or more, half the run or less."""
    replay_capacity: Rows = 1_000_000
    """Rows of the replay buffer, over all environments."""
    loss: LossConfig = field(default_factory=lambda: LossConfig(bc_coef=0.0, normalise_rho=False))
    """The losses."""


class TaskVectorModel(WorldModel):
    """A world model that learns a vector for each task.

    Its ``task_embeddings`` are a parameter ``[tasks, 96]`` instead of a frozen table. Call
    `limit_norms` after each step of the optimizer.

    Args:
        config: Sizes.
        task_vectors: ``[tasks, 96]``, the first ones.
        action_mask: ``[tasks, action_dim]``, nonzero where the task uses the entry.
        observation_mask: ``[tasks, obs_dim]``, the same for observations.
        generator: Source of the initial weights (a CPU generator); None is PyTorch's global one.
    """

    def __init__(
        self,
        config: ModelConfig,
        task_vectors: Tensor,
        action_mask: Tensor,
        observation_mask: Tensor,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(config, task_vectors, action_mask, observation_mask, generator)
        del self.task_embeddings  # the frozen table
        self.task_embeddings = nn.Parameter(task_vectors)

    @torch.no_grad()
    def limit_norms(self) -> None:
        """Scales every vector that is too long to the greatest norm."""
        self.task_embeddings.renorm_(2, 0, MAX_NORM)

    def parameter_groups(
        self, lr: float, encoder_lr_scale: float, policy: bool = False
    ) -> list[dict[str, Any]]:
        """As of the world model, and the vectors."""
        groups = super().parameter_groups(lr, encoder_lr_scale, policy)
        return [*groups, {"params": [self.task_embeddings], "lr": lr}]


class TDMPC2Agent(PlanningAgent):
    """Acts by planning. It knows the tasks that it was trained on by their learned vectors."""

    method = "tdmpc2"

    @property
    def language_dim(self) -> int:
        """0: no instruction is read."""
        return 0

    @staticmethod
    def sizes(num_tasks: int) -> Mapping[str, ModelConfig]:
        """The networks of each size, for a number of tasks."""
        return SINGLE_TASK_SIZES if num_tasks == 1 else MULTITASK_SIZES

    @classmethod
    def _first_tables(
        cls, tasks: Sequence[Task], encoder: str, generator: torch.Generator
    ) -> TaskTables:
        """Draws a vector for each task; a single task has none."""
        vectors = torch.zeros(1, 0)
        if len(tasks) > 1:
            vectors = torch.empty(len(tasks), EMBEDDING_DIM)
            vectors.uniform_(-INIT_RANGE, INIT_RANGE, generator=generator)
        return vectors, *task_masks(tasks)

    @classmethod
    def _world_model(
        cls, config: ModelConfig, tables: TaskTables, generator: torch.Generator | None = None
    ) -> WorldModel:
        kind = TaskVectorModel if tables[0].shape[1] else WorldModel
        return kind(config, *tables, generator=generator)


class TDMPC2(ModelBased):
    """Trains TD-MPC2 on tasks of MMBench: Newt's ancestor, with learned task vectors.

    A single task is learned as in its paper.
    """

    name = "tdmpc2"
    config_class = TDMPC2Config
    agent_class: ClassVar[type[PlanningAgent]] = TDMPC2Agent
    presets = ("machine", "paper")

    def __init__(self, config: TDMPC2Config, agent: TDMPC2Agent, rows: Tensor) -> None:
        super().__init__(config, agent, rows)
        if isinstance(agent.model, TaskVectorModel):
            limit_norms = agent.model.limit_norms
            self.learner.optimizer.register_step_post_hook(lambda *_: limit_norms())

    @classmethod
    def preset(cls, name: str, device: str, num_tasks: int) -> TDMPC2Config:
        config = TDMPC2Config()
        if num_tasks > 1:
            config = dataclasses.replace(
                config,
                size="L" if num_tasks > 20 else "B",
                batch_size=NEWT_PAPER.batch_size,
                utd=NEWT_PAPER.utd,
                steps=500_000 * num_tasks,
                eval_every=25_000 * num_tasks,
                checkpoint_every=25_000 * num_tasks,
                replay_capacity=None,
            )
        if name == "paper":
            return config
        if device == "cuda":
            return config
        return dataclasses.replace(config, size="S", batch_size=256, planner=QUICKSTART.planner)

    @classmethod
    def complete(cls, config: TDMPC2Config, tasks: Sequence[Task], device: str) -> TDMPC2Config:
        config = super().complete(config, tasks, device)
        longest = max(task.max_episode_steps for task in tasks)
        steps = len(tasks) * max(LEAST_SEED_STEPS, SEED_EPISODES * longest)
        seed_steps = config.seed_steps or min(steps, config.steps // 2)
        return dataclasses.replace(config, seed_steps=seed_steps)

    def summary(self) -> str:
        model = self.agent.model
        entries = input_dim(self.config.encoder, model.num_tasks)
        newt = newt_parameters(self.agent.size, model.num_tasks, entries)
        sizes = f"TD-MPC2 has {model.num_parameters:,} parameters, Newt of the same size {newt:,}"
        return f"{sizes}; {super().summary()}"


def newt_parameters(size: str, num_tasks: int, language_dim: int) -> int:
    """Counts Newt's parameters."""
    with torch.device("meta"):
        config = SIZES[size]
        tables = torch.zeros(num_tasks, language_dim), torch.ones(num_tasks, config.action_dim)
        return WorldModel(config, *tables).num_parameters
