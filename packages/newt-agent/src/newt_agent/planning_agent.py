"""An agent that plans with a world model; Newt trains one."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmbench.catalog import Task
from newt_agent.agent import Agent, TaskInfo
from newt_agent.config import Execution, ObsMode, Precision, Vision
from newt_agent.execution import recorded
from newt_agent.noise import PlanNoise
from newt_agent.planner import Planner, PlannerConfig
from newt_agent.task_module import TaskTables, task_tables
from newt_agent.vision import IMAGE_FORMATS, SeenEnvironments, Sight, image_format
from newt_agent.world_model import SIZES, ModelConfig, TaskContext, WorldModel


class PlanningAgent(Agent):
    """Acts by planning with a world model, or by its policy.

    The planner's memory (its last plan) lives here, one slot a row of the observations, so one
    agent serves one batch of environments.

    Args:
        model: The world model; its task table is in the order of ``tasks``.
        tasks: What the rows of the table are.
        encoder: Name of the text encoder that made the table's embeddings.
        planner: Settings of the planner.
        plan: Act by planning; off, the policy acts.
        discount_max: The largest discount to learn and plan with.
        obs: What it sees, of a model that sees images: ``rgb`` or, as published, ``state+rgb``.

    Attributes:
        plan: As the argument.
        sight: What makes images of frames; None if it sees none.
        memory: The last plan, ``[B, horizon, 16]``; None before the first.
        prior_weight: In [0, 1], how far plans start from what the policy would do.
        only_pretrained: It has learned from demonstrations alone. Their values tell nothing of what
            they do not show, and plans would go there. So the policy acts in evaluations.
    """

    method = "newt"
    fixed = ("obs", "vision")
    model: WorldModel

    def __init__(
        self,
        model: WorldModel,
        tasks: Sequence[TaskInfo],
        encoder: str,
        planner: PlannerConfig,
        plan: bool = True,
        discount_max: float = 1.0,
        obs: ObsMode = "state+rgb",
    ) -> None:
        sizes = self.sizes(model.num_tasks)
        # Neither images nor terminations change a size's name.
        config = dataclasses.replace(model.config, image_dim=0, pixels=0, terminations=False)
        size = next((name for name, own in sizes.items() if own == config), "custom")
        super().__init__(model, tasks, encoder, size, discount_max)
        self.planner = Planner(model, planner)
        self.plan = plan
        self.memory: Tensor | None = None
        self.prior_weight = 0.0
        self.only_pretrained = False
        self.sight: Sight | None = None
        if model.config.image_dim:
            self.sight = Sight(obs, "cnn" if model.config.pixels else "dinov2")
        self.run_by("eager")

    @classmethod
    def create(
        cls,
        tasks: Sequence[Task],
        size: str,
        encoder: str,
        planner: PlannerConfig,
        generator: torch.Generator,
        device: torch.device | str = "cpu",
        obs: ObsMode = "state",
        vision: Vision = "dinov2",
    ) -> PlanningAgent:
        """Makes an untrained agent for some tasks of the benchmark.

        Args:
            tasks: The tasks, in the order of the agent's table.
            size: ``XS``, ``S``, ``B``, ``L`` or ``XL``.
            encoder: Text encoder of the instructions.
            planner: Settings of the planner.
            generator: Source of the initial weights, on the CPU.
            device: Where the model computes.
            obs: What it sees.
            vision: What looks at frames.
        """
        tables = cls._first_tables(tasks, encoder, generator)
        image = image_format(obs, vision)
        config = dataclasses.replace(
            cls.sizes(len(tasks))[size],
            image_dim=image.features,
            pixels=image.pixels,
            terminations=any(task.terminates for task in tasks),
        )
        model = cls._world_model(config, tables, generator)
        agent = cls(model.to(device), TaskInfo.of(tasks), encoder, planner, obs=obs)
        agent._expect_terminations(tasks)
        return agent

    @staticmethod
    def sizes(num_tasks: int) -> Mapping[str, ModelConfig]:
        """The networks of each size, for a number of tasks."""
        return SIZES

    @classmethod
    def _first_tables(
        cls, tasks: Sequence[Task], encoder: str, generator: torch.Generator
    ) -> TaskTables:
        """Makes the tables of an untrained agent."""
        return task_tables(tasks, encoder)

    @classmethod
    def _world_model(
        cls, config: ModelConfig, tables: TaskTables, generator: torch.Generator | None = None
    ) -> WorldModel:
        """Makes a world model, untrained."""
        return WorldModel(config, *tables, generator=generator)

    @property
    def obs(self) -> ObsMode:
        """What it sees of an environment: its setting ``obs``."""
        return "state" if self.sight is None else self.sight.obs

    @property
    def row_entries(self) -> int:
        """Entries of a row that :meth:`see` returns."""
        image = 0 if self.sight is None else IMAGE_FORMATS[self.sight.vision].entries
        return super().row_entries + image

    def see(self, obs: Any) -> np.ndarray:
        """Looks at frames, if it sees any; leaves rows as they are."""
        if self.sight is None or (not isinstance(obs, Mapping) and np.ndim(obs) == 2):
            return obs
        return self.sight(obs, self.device)

    def seen(self, env: Any) -> Any:
        """A vector environment whose observations are rows that :meth:`see` has made."""
        return env if self.sight is None else SeenEnvironments(env, self.sight, self.device)

    def open_eyes(self, obs: ObsMode, vision: Vision, generator: torch.Generator) -> None:
        """Lets an agent of states see frames too; at first they change nothing.

        Args:
            obs: What it sees from now on.
            vision: What looks at frames.
            generator: Source of the CNN's weights, on the CPU.
        """
        image = image_format(obs, vision)
        self.model.add_images(image.features, image.pixels, generator)
        self.sight = Sight(obs, vision)
        self.run_by(self.execution, self.planner.precision)  # what is recorded sees nothing

    def independent(self) -> PlanningAgent:
        """Returns an agent with the same networks and no memory yet."""
        other = copy.copy(self)
        other.memory = None
        return other

    def run_by(self, execution: Execution, precision: Precision = "float32") -> None:
        """Sets how plans are computed; at first as written, in float32.

        Args:
            execution: Not ``auto``.
            precision: Of the products of matrices.
        """
        self.execution = execution
        self.planner.run_by(execution, precision)
        self._plans = {
            explore: recorded(partial(self._plan, explore), execution) for explore in (False, True)
        }

    def add_tasks(self, tasks: Sequence[Task]) -> None:
        """As of any agent; it predicts terminations of those of these tasks that have some."""
        super().add_tasks(tasks)
        self._expect_terminations(tasks)
        self.run_by(self.execution, self.planner.precision)  # what is recorded has other tables

    def _expect_terminations(self, tasks: Sequence[Task]) -> None:
        """Predicts terminations of tasks, known ones, exactly where their episodes have some."""
        terminating = torch.tensor([task.terminates for task in tasks], device=self.device)
        if not self.model.terminates:
            if not terminating.any():
                return
            never = torch.zeros(self.model.num_tasks)
            self.model.predict_terminations(never, torch.Generator().manual_seed(0))
        rows = self.index([task.versioned_name for task in tasks])
        self.model.terminating[rows] = terminating

    def _choose(
        self,
        obs: Tensor,
        task: Tensor,
        first: Tensor,
        explore: bool,
        generator: torch.Generator | None,
    ) -> Tensor:
        if not self.plan:
            return self._follow_policy(obs, task, explore, generator)
        if self.memory is None or len(self.memory) != len(obs):
            if not bool(first.all()):
                raise ValueError(
                    f"{len(obs)} rows, but the last call had "
                    f"{0 if self.memory is None else len(self.memory)}: pass first=True for all"
                )
            self.memory = self.planner.initial(len(obs))
        noise = self.planner.noise(len(obs)).draw(generator)
        prior = None
        if self.prior_weight > 0:
            prior = torch.full((), self.prior_weight, device=self.device)
        action, self.memory = self.plan_by(obs, task, first, self.memory, prior, noise, explore)
        return action

    def plan_by(
        self,
        obs: Tensor,
        task: Tensor,
        first: Tensor,
        memory: Tensor,
        prior_weight: Tensor | None,
        noise: PlanNoise,
        explore: bool,
    ) -> tuple[Tensor, Tensor]:
        """Plans from draws.

        Args:
            obs: ``[B, 128]``, or longer rows of :meth:`see`.
            task: ``[B]``, rows of the task table.
            first: ``[B]`` bool, where an episode starts.
            memory: ``[B, horizon, 16]``, the last plan.
            prior_weight: In (0, 1], how far plans start from what the policy would do; None is 0.
            noise: As of :meth:`Planner.noise`, drawn.
            explore: Add the noise of training.

        Returns:
            Actions ``[B, 16]``, and the next memory.
        """
        plan = self._plans[explore]
        result: tuple[Tensor, Tensor] = plan(obs, task, first, memory, prior_weight, noise)
        return result

    def _plan(
        self,
        explore: bool,
        obs: Tensor,
        task: Tensor,
        first: Tensor,
        memory: Tensor,
        prior_weight: Tensor | None,
        noise: PlanNoise,
    ) -> tuple[Tensor, Tensor]:
        """As :meth:`plan_by`; as written."""
        # One dimension more, against which the planner's candidates broadcast.
        context = self.model.context(task[:, None])
        z = self._encode(obs[:, None], context)
        weight = 0.0 if prior_weight is None else prior_weight
        return self.planner.plan(
            z, context, memory, first, self.discount[task], explore, noise, weight
        )

    def _follow_policy(
        self, obs: Tensor, task: Tensor, explore: bool, generator: torch.Generator | None
    ) -> Tensor:
        context = self.model.context(task)
        z = self._encode(obs, context)
        if not explore:
            return self.model.pi(z, context)[0]
        noise = torch.empty(len(z), self.model.config.action_dim, device=z.device)
        return self.model.sample_action(z, context, noise.normal_(generator=generator))[0]

    def _encode(self, obs: Tensor, context: TaskContext) -> Tensor:
        """Latent states of rows."""
        state = self.model.config.obs_dim
        image = None if self.sight is None else obs[..., state:]
        return self.model.encode(obs[..., :state], context, image)

    def _own_description(self) -> dict[str, Any]:
        return {
            "obs": None if self.sight is None else self.sight.obs,
            "vision": None if self.sight is None else self.sight.vision,
            "model": dataclasses.asdict(self.model.config),
            "planner": dataclasses.asdict(self.planner.config),
            "prior_weight": self.prior_weight,
            "only_pretrained": self.only_pretrained,
        }

    @classmethod
    def _networks(cls, about: dict[str, Any], tables: TaskTables) -> WorldModel:
        return cls._world_model(ModelConfig(**about["model"]), tables)

    @classmethod
    def _build(
        cls,
        about: dict[str, Any],
        model: Any,
        tasks: Sequence[TaskInfo],
        encoder: str,
        size: str,
    ) -> PlanningAgent:
        obs: ObsMode = about.get("obs") or "state+rgb"  # as published, of one with images
        agent = cls(model, tasks, encoder, PlannerConfig(**about["planner"]), obs=obs)
        agent.prior_weight = float(about.get("prior_weight", 0.0))
        agent.only_pretrained = bool(about.get("only_pretrained", False))
        return agent
