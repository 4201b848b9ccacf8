"""What Newt and its ancestor share: they learn a world model from a replay, and plan with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from mmbench.catalog import Task
from mmbench.runs import RunError
from newt_agent import ranks
from newt_agent.config import Execution, ObsMode, Precision, Vision
from newt_agent.execution import resolve_execution
from newt_agent.learner import Learner, OptimizerConfig
from newt_agent.losses import LossConfig
from newt_agent.off_policy import OffPolicyConfig, OffPolicyMethod
from newt_agent.planner import PlannerConfig
from newt_agent.planning_agent import PlanningAgent
from newt_agent.settings import Range
from newt_agent.tensors import entries
from newt_agent.vision import ImageFormat, find_dinov2, image_format


@dataclass(frozen=True)
class ModelBasedConfig(OffPolicyConfig):
    """Settings of a run that learns a world model."""

    obs: ObsMode = "state"
    """What the agent sees: the state, frames, or both."""
    vision: Vision = "dinov2"
    """What reads frames: DINOv2, frozen, as in the paper; or a small CNN, trained."""
    utd: Annotated[float, Range(0, 100)] = 0.075
    """Updates per step."""
    seed_updates: bool = False
    """Make up for the random steps: take their updates, too, when they end."""
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
    execution: Execution = "auto"
    """How updates and plans run; auto is graph on a GPU, else eager."""
    plan_precision: Precision = "float32"
    """Of the products of matrices in plans."""

    fixed = (*OffPolicyConfig.fixed, "vision", "planner.horizon")


class ModelBased(OffPolicyMethod):
    """Learns a world model from the replay of all tasks; the planner acts.

    Its settings are a :class:`ModelBasedConfig`.

    Args:
        config: As of :class:`newt_agent.method.Method`.
        agent: The same.
        rows: The same.
        loss: Of the learner; by default the settings'.
    """

    agent_class: ClassVar[type[PlanningAgent]] = PlanningAgent
    learning_rate = "--optimizer.lr"
    learns_terminations = True
    sees_frames = True
    shared_state = ("learner",)

    agent: PlanningAgent

    def __init__(
        self, config: Any, agent: PlanningAgent, rows: Tensor, loss: LossConfig | None = None
    ) -> None:
        super().__init__(config, agent, rows)
        agent.planner.config = config.planner
        agent.plan = config.plan
        execution = resolve_execution(config.execution, agent.device)
        agent.run_by(execution, config.plan_precision)
        share = self.share if ranks.count() > 1 else None
        self.learner = Learner(agent, loss or config.loss, config.optimizer, execution, share)

    @classmethod
    def horizon(cls, config: Any) -> int:
        return int(config.planner.horizon)

    @property
    def keeps_terminations(self) -> bool:
        return self.agent.model.terminates

    @classmethod
    def check(cls, config: Any, tasks: Sequence[Task], device: str) -> None:
        """As of the replay; and that episodes are as long as plans.

        Raises:
            RunError: A setting does not fit.
        """
        resolve_execution(config.execution, torch.device(device))
        horizon = config.planner.horizon
        shortest = min(tasks, key=lambda task: task.max_episode_steps)
        if horizon > shortest.max_episode_steps:
            raise RunError(
                f"planner.horizon={horizon}: an episode of {shortest.versioned_name} has only "
                f"{shortest.max_episode_steps} steps"
            )
        if config.obs == "state" and config.vision != "dinov2":
            raise RunError(
                f"vision={config.vision}: with obs=state no frames are seen; give --obs rgb or "
                "state+rgb, or leave --vision out"
            )
        if config.obs != "state" and config.vision == "dinov2":
            find_dinov2()
        super().check(config, tasks, device)

    @classmethod
    def image(cls, config: Any) -> ImageFormat:
        return image_format(config.obs, config.vision)

    @classmethod
    def create_agent(
        cls, config: Any, tasks: Sequence[Task], device: torch.device
    ) -> PlanningAgent:
        generator = torch.Generator().manual_seed(config.seed)
        return cls.agent_class.create(
            *(tasks, config.size, config.encoder, config.planner, generator, device),
            *(config.obs, config.vision),
        )

    @classmethod
    def adapted(cls, config: Any, agent: PlanningAgent) -> PlanningAgent:
        """Lets an agent of states see what the run shows."""
        if agent.obs != config.obs:
            generator = torch.Generator().manual_seed(config.seed)
            agent.open_eyes(config.obs, config.vision, generator)
        return agent

    def act(self, obs: np.ndarray, first: np.ndarray, step: int) -> np.ndarray:
        # After the random phase there is no plan yet to go on from.
        first = np.ones_like(first) if self.agent.memory is None else first
        return super().act(obs, first, step)

    def learn(self, step: int) -> dict[str, Tensor] | None:
        self.learner.set_progress(step / max(1, self.config.steps))
        return super().learn(step)

    def due(self, step: int) -> int:
        # A product, not a sum over the steps: ten times 0.1 added up is less than 1.
        learned_from = step if self.config.seed_updates else step - self.config.seed_steps
        return math.floor(self.config.utd * learned_from) if step >= self.config.seed_steps else 0

    def update(self) -> dict[str, Tensor]:
        batch = self.replay.sample(self.share.size, self._chance.numpy)
        return self.learner.update(batch, self._chance.torch)

    def summary(self) -> str:
        replay = super().summary()
        if self.config.obs == "state":
            return replay
        return f"frames are read by {self.config.vision}; {replay}"

    def broken(self) -> list[str]:
        return self.learner.broken

    def evaluated(self) -> PlanningAgent:
        agent = self.agent.independent()
        agent.plan = self.config.plan_in_eval and not agent.only_pretrained
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
