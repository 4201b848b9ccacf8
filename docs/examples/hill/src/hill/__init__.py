"""Hill climbing: a linear policy a task, changed at random; the better one stays."""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from newt_agent.agent import Agent, TaskInfo
from newt_agent.chance import Chance
from newt_agent.config import RunConfig
from newt_agent.method import Method
from newt_agent.settings import Range
from newt_agent.task_module import TaskModule, task_tables


@dataclass(frozen=True)
class HillConfig(RunConfig):
    """Settings of `baselines-train hill`."""

    noise: Annotated[float, Range(0, 10, above=True)] = 0.3
    """Standard deviation of the change of each weight."""


class LinearPolicy(TaskModule):
    """``tanh(W obs)``, with a W for each task."""

    def __init__(self, embeddings: Tensor, action_mask: Tensor, observation_mask: Tensor) -> None:
        super().__init__(embeddings, action_mask, observation_mask)
        tasks, actions = self.action_mask.shape
        self.weight = nn.Parameter(torch.zeros(tasks, actions, self.observation_mask.shape[1]))

    def forward(self, obs: Tensor, task: Tensor, weight: Tensor) -> Tensor:
        """Acts ``[B, 16]`` in ``[B, 128]`` with weights ``[B, 16, 128]``; masked entries are 0."""
        obs = torch.where(self.observation_mask[task], obs, 0.0)
        action = torch.tanh((weight @ obs[..., None]).squeeze(-1))
        return torch.where(self.action_mask[task], action, 0.0)


class HillAgent(Agent):
    """Acts by the best weights so far."""

    method = "hill"
    model: LinearPolicy

    def _choose(self, obs, task, first, explore, generator):
        return self.model(obs, task, self.model.weight[task])

    def _own_description(self):
        return {}

    @classmethod
    def _networks(cls, about, tables):
        return LinearPolicy(*tables)


class Hill(Method):
    """Trains a linear policy for each task by hill climbing."""

    name = "hill"
    config_class = HillConfig
    agent_class = HillAgent
    learns_terminations = True

    def __init__(self, config: HillConfig, agent: HillAgent, rows: Tensor) -> None:
        self.config, self.agent, self.rows = config, agent, rows
        self.updates = 0
        self.chance = Chance(config.seed, agent.device)
        self.best = torch.full((len(agent.tasks),), -1e30, dtype=torch.float64)
        self.returns = torch.zeros(len(rows), dtype=torch.float64)
        self.weights = agent.model.weight.detach()[rows]
        self._change(torch.ones(len(rows), dtype=torch.bool))

    @classmethod
    def check(cls, config, tasks, device):
        """Every task will do."""

    @classmethod
    def create_agent(cls, config, tasks, device):
        model = LinearPolicy(*task_tables(tasks, config.encoder))
        return HillAgent(model.to(device), TaskInfo.of(tasks), config.encoder, config.size)

    def begin(self, obs):
        """There is nothing to remember of it."""

    def act(self, obs, first, step):
        with torch.no_grad():
            obs = torch.as_tensor(obs, device=self.agent.device)
            return self.agent.model(obs, self.rows, self.weights).cpu().numpy()

    def remember(self, step):
        self.returns += torch.from_numpy(step.reward)
        for i in torch.from_numpy(step.done & step.valid).nonzero().flatten().tolist():
            row = int(self.rows[i])
            if self.returns[i] >= self.best[row]:
                self.best[row] = self.returns[i]
                with torch.no_grad():
                    self.agent.model.weight[row] = self.weights[i]
                self.updates += 1
        ended = torch.from_numpy(step.done)
        self.returns[ended] = 0
        if ended.any():
            self._change(ended)

    def learn(self, step):
        return None  # it has learned where an episode ended

    def _change(self, where: Tensor) -> None:
        """Draws new weights, near the best, for the environments that begin an episode."""
        noise = torch.randn(
            self.weights.shape, generator=self.chance.torch, device=self.weights.device
        )
        changed = self.agent.model.weight.detach()[self.rows] + self.config.noise * noise
        self.weights = torch.where(where.to(changed.device)[:, None, None], changed, self.weights)

    def broken(self):
        return []

    def state(self):
        own = {"best": self.best, "returns": self.returns, "weights": self.weights}
        return own | self.chance.state()

    def restore(self, state, step):
        self.best, self.returns = state["best"], state["returns"]
        self.weights = state["weights"].to(self.agent.device)
        return self.chance.restore(state, step)
