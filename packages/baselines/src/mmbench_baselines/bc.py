"""Behaviour cloning (arXiv 2511.19584, appendix D): Newt's encoder and policy, on demonstrations.

The networks are told what a demonstrator did in a state of a task, and learn to do the same. There
are no rewards, no values and no steps in environments, except to evaluate. One agent clones all
tasks, told apart by their instructions; an agent of a single task has no use for language.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mmbench.catalog import Task
from newt_agent.agent import Agent, TaskInfo
from newt_agent.chance import Chance
from newt_agent.config import OfflineConfig
from newt_agent.demonstrations import (
    DemoEpisodes,
    Demonstration,
    Demos,
    load_demonstrations,
    require,
    tell_changed,
)
from newt_agent.layers import MLP
from newt_agent.method import LOG_EVERY_UPDATES, OfflineMethod
from newt_agent.optimizers import FiniteWatch, optimizer_state, restore_optimizers
from newt_agent.settings import Range
from newt_agent.task_module import TaskModule, TaskTables, task_masks, task_tables
from newt_agent.world_model import SIZES, ModelConfig


@dataclass(frozen=True)
class BCConfig(OfflineConfig):
    """Settings of `baselines-train bc`. --updates is the length of the run.

    --size is that of Newt's encoder and policy.
    """

    demos: Demos = "auto"
    demo_episodes: DemoEpisodes = None
    batch_size: Annotated[int, Range(1, 2**20)] = 1024
    """Steps of demonstrations in a batch."""
    lr: Annotated[float, Range(0, 1e30)] = 3e-4
    """Learning rate of Adam."""
    grad_clip_norm: Annotated[float, Range(0, 1e30, above=True)] = 20.0
    """Largest global norm of the gradients."""


class Cloner(TaskModule):
    """Newt's encoder and policy; of the policy, the mean alone.

    Args:
        config: Sizes.
        tables: Task embeddings, action and observation masks; see :class:`TaskModule`.
        generator: Source of the initial weights (on the CPU); None is PyTorch's global one.
    """

    def __init__(
        self,
        config: ModelConfig,
        tables: TaskTables,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(*tables)
        language, actions = self.task_embeddings.shape[1], self.action_mask.shape[1]
        self.encoder = MLP(
            self.observation_mask.shape[1],
            0,
            language,
            [config.enc_dim] * (config.num_enc_layers - 1),
            config.latent_dim,
            simnorm_group=config.simnorm_dim,
            generator=generator,
        )
        hidden = [config.mlp_dim, config.mlp_dim]
        self.policy = MLP(config.latent_dim, 0, language, hidden, actions, generator=generator)

    def forward(self, obs: Tensor, task: Tensor) -> Tensor:
        """Chooses actions.

        Args:
            obs: ``[B, 128]``.
            task: ``[B]``, indices.

        Returns:
            ``[B, 16]`` in (-1, 1), 0 at masked entries.
        """
        obs = torch.where(self.observation_mask[task], obs, 0.0)
        z = self.encoder(obs, None, self.per_task(self.encoder.language_term, task))
        mean = self.policy(z, None, self.per_task(self.policy.language_term, task))
        return torch.where(self.action_mask[task], torch.tanh(mean), 0.0)


class BCAgent(Agent):
    """Acts as the demonstrators did. It has no noise of its own."""

    method = "bc"
    model: Cloner

    def _choose(
        self,
        obs: Tensor,
        task: Tensor,
        first: Tensor,
        explore: bool,
        generator: torch.Generator | None,
    ) -> Tensor:
        return self.model(obs, task)

    def _own_description(self) -> dict[str, Any]:
        return {}

    @classmethod
    def _networks(cls, about: dict[str, Any], tables: TaskTables) -> Cloner:
        return Cloner(SIZES[about["size"]], tables)


class Steps(NamedTuple):
    """All steps of the demonstrations, those of a task beside each other, on the device."""

    obs: Tensor
    """``[S, 128]``."""
    action: Tensor
    """``[S, 16]``."""
    tasks: Tensor
    """``[K]``, the tasks that have demonstrations."""
    start: Tensor
    """``[K]``, where the steps of each begin."""
    lengths: Tensor
    """``[K]``, how many each has."""

    @classmethod
    def of(
        cls, episodes: Sequence[Demonstration], rows: Sequence[int], device: torch.device
    ) -> Steps:
        """Puts the steps of episodes together.

        Args:
            episodes: In the order of their tasks.
            rows: The row of the agent's table of each task.
            device: Where they will lie.
        """
        obs = np.concatenate([episode.obs[:-1] for episode in episodes])
        action = np.concatenate([episode.action for episode in episodes])
        own = np.repeat([rows[e.task] for e in episodes], [len(e.action) for e in episodes])
        tasks, start, count = np.unique(own, return_index=True, return_counts=True)
        return cls(*(torch.from_numpy(a).to(device) for a in (obs, action, tasks, start, count)))

    def sample(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Draws steps: every task as often, and of a task every step as often.

        Returns:
            Observations ``[size, 128]``, actions ``[size, 16]`` and tasks ``[size]``.
        """
        device = self.obs.device
        which = torch.randint(len(self.tasks), (size,), generator=generator, device=device)
        # Double precision: float32 cannot tell the steps of a long dataset apart.
        u = torch.rand(size, generator=generator, device=device, dtype=torch.float64)
        row = self.start[which] + (u * self.lengths[which]).long()
        return self.obs[row], self.action[row], self.tasks[which]

    @property
    def checksum(self) -> int:
        """Tells these demonstrations from others."""
        own = zlib.crc32(self.action.cpu().numpy().tobytes(), zlib.crc32(self._layout()))
        return zlib.crc32(self.obs.cpu().numpy().tobytes(), own)

    def _layout(self) -> bytes:
        return torch.stack([self.tasks, self.start, self.lengths]).cpu().numpy().tobytes()


def cloning_loss(action: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over each task's own entries; every step counts the same.

    Args:
        action: ``[B, 16]``, what the agent would do.
        target: ``[B, 16]``, what the demonstrator did.
        mask: ``[B, 16]`` bool.

    Returns:
        A scalar.
    """
    error = torch.where(mask, action - target, 0.0).square().sum(-1)
    return (error / mask.sum(-1).clamp(min=1)).mean()


class BC(OfflineMethod):
    """Clones the behaviour of demonstrations: no environment steps, and no rewards.

    One language-conditioned agent for all tasks, or an agent without language for a single one.
    """

    name = "bc"
    config_class = BCConfig
    agent_class = BCAgent
    presets = ("machine", "paper")

    agent: BCAgent

    def __init__(self, config: BCConfig, agent: BCAgent, rows: Tensor) -> None:
        self.config = config
        self.agent = agent
        self.updates = 0
        own = rows.unique().tolist()
        names = [agent.tasks[row].name for row in own]
        found = load_demonstrations(names, config.demos, config.demo_episodes)
        require(found, config.demos)
        self._summary = found.summary
        self._steps = Steps.of(found.episodes, own, agent.device)
        self._parameters = list(agent.model.parameters())
        self._optimizer = torch.optim.Adam(self._parameters, lr=config.lr, fused=True)
        self._chance = Chance(config.seed, agent.device)
        self._watch = FiniteWatch()

    @classmethod
    def preset(cls, name: str, device: str, num_tasks: int) -> BCConfig:
        if name == "paper":
            return BCConfig()
        updates = min(200_000, 10_000 * num_tasks)
        common: dict[str, Any] = {
            "updates": updates,
            "eval_every": updates // 4,
            "checkpoint_every": updates // 4,
        }
        if device == "cuda":
            return BCConfig(size="L" if num_tasks > 20 else "B", **common)
        return BCConfig(size="S", batch_size=256, **common)

    @classmethod
    def create_agent(cls, config: BCConfig, tasks: Sequence[Task], device: torch.device) -> BCAgent:
        generator = torch.Generator().manual_seed(config.seed)
        tables = task_tables(tasks, config.encoder)
        if len(tasks) == 1:
            tables = torch.zeros(1, 0), *task_masks(tasks)
        model = Cloner(SIZES[config.size], tables, generator)
        return BCAgent(model.to(device), TaskInfo.of(tasks), config.encoder, config.size)

    def learn(self, step: int) -> dict[str, Tensor] | None:
        model = self.agent.model
        obs, target, task = self._steps.sample(self.config.batch_size, self._chance.torch)
        loss = cloning_loss(model(obs, task), target, model.action_mask[task])
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self._parameters, self.config.grad_clip_norm)
        self._optimizer.step()
        metrics = {"bc_loss": loss.detach(), "grad_norm": norm}
        self._watch.see(metrics)
        self.updates += 1
        return None if self.updates % LOG_EVERY_UPDATES else metrics

    def broken(self) -> list[str]:
        return self._watch.broken

    def summary(self) -> str:
        return self._summary

    def state(self) -> dict[str, Tensor]:
        state = optimizer_state({"optimizer": self._optimizer})
        state["demonstrations"] = torch.tensor(self._steps.checksum)
        return state | self._chance.state()

    def restore(self, state: dict[str, Tensor], step: int) -> str:
        restore_optimizers({"optimizer": self._optimizer}, state)
        return tell_changed(self._chance.restore(state, step), state, self._steps.checksum)
