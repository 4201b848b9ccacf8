"""BRC (arXiv 2505.23150, "Bigger, Regularized, Categorical"): a soft actor-critic for many tasks.

What makes it: a large residual critic with LayerNorm and weight decay; values as distributions,
trained by cross-entropy; and rewards divided, task by task, so that returns fit one range.

The published method learns a vector of 32 entries for each task. Here the networks read the
embedding of the task's instruction, as those of the other methods do; ``--embedding learned`` is
the published way.

Ours to choose: the critic has the width that ``--size`` says, 4096 only at XL; its two heads are
two whole networks; each task aims at the entropy of its own action entries, and one temperature
serves all. As published, observations are not normalised.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mmbench.catalog import Task
from mmbench.runs import RunError
from mmbench_baselines.bronet import ACTOR_WIDTH, LARGEST_VALUE, ActorCritic
from mmbench_baselines.normaliser import RewardNormaliser
from newt_agent.agent import Agent, TaskInfo
from newt_agent.losses import Batch
from newt_agent.maths import project
from newt_agent.method import Step
from newt_agent.off_policy import OffPolicyConfig, OffPolicyMethod, rows_that_fit
from newt_agent.optimizers import FiniteWatch, optimizer_state, restore_optimizers
from newt_agent.settings import Range
from newt_agent.task_module import TaskTables, task_masks, task_tables

WIDTHS = {"XS": 128, "S": 256, "B": 512, "L": 1024, "XL": 4096}
"""Width of the critics; XL is the published one. The actor is as wide, but 256 at most."""
FIRST_TEMPERATURE = 0.1
SEED_STEPS = 5000
"""Random steps of each environment."""

Embedding = Literal["language", "learned"]


@dataclass(frozen=True)
class BRCConfig(OffPolicyConfig):
    """Settings of `baselines-train brc`. Steps are agent steps, summed over environments.

    --size is the width of the critics' layers: XS 128, S 256, B 512, L 1024, XL 4096 (as
    published). The actor's have 256, or 128 at XS.
    """

    embedding: Embedding = "language"
    """What tells tasks apart: the instruction, or a learned vector of 32 entries as published."""
    batch_size: Annotated[int, Range(1, 2**20)] = 1024
    """Steps in a batch (256 for a single task)."""
    updates_per_step: Annotated[float, Range(0, 1000)] = 2.0
    """Updates for each step that all environments take together."""
    seed_steps: Annotated[int, Range(0, 10**12)] = 0
    """Random steps first; 0: 5,000 of each environment, half of the run or less."""
    lr: Annotated[float, Range(0, 1e30)] = 3e-4
    """Learning rate of actor, critics and temperature."""
    weight_decay: Annotated[float, Range(0, 1e6)] = 1e-4
    """Weight decay of AdamW, of actor and critics."""
    tau: Annotated[float, Range(0, 1)] = 0.005
    """Rate at which the target critics follow."""

    fixed = (*OffPolicyConfig.fixed, "embedding")


class BRCAgent(Agent):
    """Acts by the mode of the policy; exploring, by a sample of it."""

    method = "brc"
    fixed = ("embedding",)
    model: ActorCritic

    def _choose(
        self,
        obs: Tensor,
        task: Tensor,
        first: Tensor,
        explore: bool,
        generator: torch.Generator | None,
    ) -> Tensor:
        action, mode, _ = self.model.sample_action(obs, task, generator)
        return action if explore else mode

    def _own_description(self) -> dict[str, Any]:
        embedding: Embedding = "language" if self.model.critic.vectors is None else "learned"
        return {"width": self.model.width, "embedding": embedding}

    @classmethod
    def _networks(cls, about: dict[str, Any], tables: TaskTables) -> ActorCritic:
        return ActorCritic(about["width"], tables)


class BRC(OffPolicyMethod):
    """Trains BRC on tasks of MMBench: off-policy, with a large critic and no model.

    A soft actor-critic whose categorical critic learns all tasks from the replay of each.
    """

    name = "brc"
    config_class = BRCConfig
    agent_class = BRCAgent
    presets = ("machine", "paper")

    agent: BRCAgent

    def __init__(self, config: BRCConfig, agent: BRCAgent, rows: Tensor) -> None:
        super().__init__(config, agent, rows)
        model = agent.model
        self._log_temperature = torch.tensor(
            math.log(FIRST_TEMPERATURE), device=agent.device, requires_grad=True
        )
        self._optimizers: dict[str, Optimizer] = {
            **{
                name: torch.optim.AdamW(
                    net.parameters(), config.lr, weight_decay=config.weight_decay, fused=True
                )
                for name, net in (("critic", model.critic), ("actor", model.actor))
            },
            "temperature": torch.optim.Adam(
                [self._log_temperature], config.lr, betas=(0.5, 0.999), fused=True
            ),
        }
        self._target_entropy = -0.5 * model.action_mask.sum(1)
        self._normaliser = RewardNormaliser(agent.discount, self._target_entropy, LARGEST_VALUE)
        self._rewards: list[list[float]] = [[] for _ in rows]  # of the running episodes
        self._watch = FiniteWatch()

    @classmethod
    def preset(cls, name: str, device: str, num_tasks: int) -> BRCConfig:
        config = BRCConfig(
            batch_size=1024 if num_tasks > 1 else 256,
            replay_capacity=1_000_000 * num_tasks,
            steps=1_000_000 * num_tasks,
            eval_every=50_000 * num_tasks,
            checkpoint_every=50_000 * num_tasks,
        )
        if name == "paper":
            return dataclasses.replace(config, size="XL", embedding="learned")
        return dataclasses.replace(
            config,
            size="L" if device == "cuda" else "S",
            replay_capacity=min(1_000_000 * num_tasks, rows_that_fit(device)),
        )

    @classmethod
    def complete(cls, config: BRCConfig, tasks: Sequence[Task], device: str) -> BRCConfig:
        config = super().complete(config, tasks, device)
        steps = SEED_STEPS * len(tasks) * config.envs_per_task
        seed_steps = config.seed_steps or min(steps, config.steps // 2)
        return dataclasses.replace(config, seed_steps=seed_steps)

    @classmethod
    def check(cls, config: BRCConfig, tasks: Sequence[Task], device: str) -> None:
        for task in tasks:
            if min(task.discount, config.discount_max) >= 1:
                raise RunError(
                    f"task {task.versioned_name!r} has the discount 1, with which returns have no "
                    "bound to divide rewards by: give a smaller one with --discount-max 0.99"
                )
        super().check(config, tasks, device)

    @classmethod
    def create_agent(
        cls, config: BRCConfig, tasks: Sequence[Task], device: torch.device
    ) -> BRCAgent:
        generator = torch.Generator().manual_seed(config.seed)
        if config.embedding == "learned":
            tables = (torch.zeros(len(tasks), 0), *task_masks(tasks))
        else:
            tables = task_tables(tasks, config.encoder)
        model = ActorCritic(WIDTHS[config.size], tables, generator).to(device)
        return BRCAgent(model, TaskInfo.of(tasks), config.encoder, config.size)

    def summary(self) -> str:
        model = self.agent.model
        actor = min(model.width, ACTOR_WIDTH)
        tasks = "instructions" if model.critic.vectors is None else "learned vectors"
        sizes = f"two critics of width {model.width}, an actor of width {actor}; tasks by {tasks}"
        return f"{sizes}; {super().summary()}"

    def remember(self, step: Step) -> None:
        super().remember(step)
        for env, rewards in enumerate(self._rewards):
            rewards.append(float(step.reward[env]))
        if step.done.any():
            tasks, discounts = self._rows.tolist(), self.agent.discount.tolist()
            for env in np.flatnonzero(step.done):
                task, episode = tasks[env], np.array(self._rewards[env])
                if step.valid[env]:
                    self._normaliser.see(task, episode, discounts[task], bool(step.truncated[env]))
                self._rewards[env] = []

    def due(self, step: int) -> int:
        rounds = max(0, step - self.config.seed_steps) / len(self._rows)
        return math.floor(self.config.updates_per_step * rounds)

    def update(self) -> dict[str, Tensor]:
        return self.update_from(self.replay.sample(self.config.batch_size, self._chance.numpy))

    def update_from(self, batch: Batch) -> dict[str, Tensor]:
        """Takes one step of critics, target networks, actor and temperature, in this order.

        Args:
            batch: Windows of one step.

        Returns:
            Losses and statistics as scalars on the device; nothing waits for it.
        """
        model, task = self.agent.model, batch.task
        obs, next_obs = batch.obs
        temperature = self._log_temperature.detach().exp()

        target = self._target(batch.reward[0], next_obs, task, temperature)
        log_probs = model.logits(obs, batch.action[0], task).log_softmax(-1)
        critic_loss = -(target * log_probs).sum(-1).mean(1).sum()
        critic_grad = self._descend("critic", critic_loss)
        model.update_target(self.config.tau)

        action, _, log_prob = model.sample_action(obs, task, self._chance.torch)
        value = model.logits(obs, action, task).softmax(-1).mean(0) @ model.bins
        actor_loss = (temperature * log_prob - value).mean()
        actor_grad = self._descend("actor", actor_loss)

        excess = (-log_prob.detach() - self._target_entropy[task]).mean()
        self._descend("temperature", self._log_temperature.exp() * excess)
        metrics = {
            "critic_loss": critic_loss.detach(),
            "critic_grad_norm": critic_grad,
            "actor_loss": actor_loss.detach(),
            "actor_grad_norm": actor_grad,
            "value": value.detach().mean(),
            "entropy": -log_prob.detach().mean(),
            "temperature": temperature,
        }
        self._watch.see(metrics)
        return metrics

    @torch.no_grad()
    def _target(
        self, reward: Tensor, next_obs: Tensor, task: Tensor, temperature: Tensor
    ) -> Tensor:
        """The distribution of the return after a step, ``[batch, bins]``."""
        model = self.agent.model
        action, _, log_prob = model.sample_action(next_obs, task, self._chance.torch)
        # The mean of both networks, not the lesser: without a maximum there is little to correct.
        probability = model.logits(next_obs, action, task, target=True).softmax(-1).mean(0)
        reward = reward / self._normaliser.divisors(temperature)[task]
        later = model.bins - temperature * log_prob[:, None]
        value = reward[:, None] + self.agent.discount[task][:, None] * later
        return project(probability, value, model.bins)

    def _descend(self, name: str, loss: Tensor) -> Tensor:
        """Takes a step of an optimizer; no other parameters get gradients. Returns their norm."""
        optimizer = self._optimizers[name]
        (group,) = optimizer.param_groups
        gradients = torch.autograd.grad(loss, group["params"])
        for parameter, gradient in zip(group["params"], gradients, strict=True):
            # A GPU's fused optimizer takes only gradients that lie in memory as the parameter does.
            parameter.grad = gradient.contiguous()
        optimizer.step()
        return nn.utils.get_total_norm(gradients)

    def broken(self) -> list[str]:
        return self._watch.broken

    def state(self) -> dict[str, Tensor]:
        return (
            super().state()
            | optimizer_state(self._optimizers)
            | {
                "log_temperature": self._log_temperature.detach(),
                "largest": self._normaliser.largest,
                "lengths": torch.tensor([len(rewards) for rewards in self._rewards]),
                "rewards": torch.tensor(sum(self._rewards, []), dtype=torch.float64),
            }
        )

    def restore(self, state: dict[str, Tensor], step: int) -> str:
        restore_optimizers(self._optimizers, state)
        self._log_temperature.data.copy_(state["log_temperature"])
        self._normaliser.largest.copy_(state["largest"])
        parts = state["rewards"].split(state["lengths"].tolist())
        self._rewards = [rewards.tolist() for rewards in parts]
        return super().restore(state, step)
