"""PPO (arXiv 1707.06347) for many tasks at once, with the settings of arXiv 2511.19584, appendix D.

One actor and one critic serve all tasks. They read the observation, normalised per task, and the
embedding of the task's instruction. The policy is a Gaussian squashed by a tanh, so that actions
keep to their range without clipping. Each task has a discount of its own.

All environments take ``rollout`` steps with one policy; then follow ``epochs`` passes over these
steps in ``minibatches`` parts. Nothing is learned from a step twice after that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mmbench.catalog import Task
from mmbench.runs import RunError
from mmbench_baselines.normaliser import ObservationNormaliser
from mmbench_baselines.rollout import Rollout, advantages
from newt_agent.agent import Agent, TaskInfo
from newt_agent.chance import Chance
from newt_agent.config import RunConfig
from newt_agent.layers import MLP
from newt_agent.maths import bounded_log_std, squashed_log_prob
from newt_agent.method import Method, Step
from newt_agent.optimizers import FiniteWatch, optimizer_state, restore_optimizers
from newt_agent.settings import Range
from newt_agent.task_module import TaskModule, TaskTables, task_tables
from newt_agent.tensors import entries

WIDTHS = {"XS": 64, "S": 256, "B": 512, "L": 1024, "XL": 2048}
"""Width of both hidden layers of actor and critic. L has the paper's 3.5M parameters with CLIP."""

LOG_STD = (-3.5, 2.0)
"""Least and greatest log standard deviation of the policy, before squashing. The middle, a standard
deviation of about 0.5, is where it starts (arXiv 2006.05990, section 3.2)."""


@dataclass(frozen=True)
class PPOConfig(RunConfig):
    """Settings of `baselines-train ppo`. Steps are agent steps, summed over all environments.

    --size is the width of the hidden layers, two each of actor and critic: XS 64, S 256, B 512,
    L 1024 (3.5M parameters in all with the encoder clip, as the paper's), XL 2048.
    """

    rollout: Annotated[int, Range(1, 100_000)] = 128
    """Steps of each environment between two times of learning."""
    minibatches: Annotated[int, Range(1, 10_000)] = 8
    """Parts of a rollout, each of which is one gradient update."""
    epochs: Annotated[int, Range(1, 1000)] = 8
    """Times that a rollout is gone through."""
    lr: Annotated[float, Range(0, 1e30)] = 3e-4
    """Learning rate of Adam."""
    gae_lambda: Annotated[float, Range(0, 1)] = 0.95
    """Decay of the weight of later steps in an advantage, besides the discount."""
    clip: Annotated[float, Range(0, 1e6, above=True)] = 0.2
    """Largest change of a probability (as a ratio), and of a value, that a rollout rewards."""
    value_coef: Annotated[float, Range(0, 1e6)] = 1.0
    """Weight of the value loss."""
    reward_scale: Annotated[float, Range(0, 1e6, above=True)] = 0.1
    """Factor on the rewards."""
    grad_clip_norm: Annotated[float, Range(0, 1e30, above=True)] = 0.5
    """Largest global norm of the gradients."""

    fixed = (*RunConfig.fixed, "rollout")


class ActorCritic(TaskModule):
    """Policy and value of all tasks.

    Args:
        width: Of both hidden layers of each network.
        tables: Task embeddings, action and observation masks; see :class:`TaskModule`.
        generator: Source of the initial weights (on the CPU); None is PyTorch's global one.
    """

    def __init__(
        self, width: int, tables: TaskTables, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(*tables)
        language, actions = self.task_embeddings.shape[1], self.action_mask.shape[1]
        entries, hidden = self.observation_mask.shape[1], [width, width]
        self.width = width
        self.normaliser = ObservationNormaliser(self.observation_mask)
        # Outputs start at 0: the mean action in the middle of its range, and no values.
        self.actor = MLP(
            entries, 0, language, hidden, 2 * actions, zero_last=True, generator=generator
        )
        self.critic = MLP(entries, 0, language, hidden, 1, zero_last=True, generator=generator)

    def normalise(self, obs: Tensor, task: Tensor) -> Tensor:
        """Brings observations ``[..., 128]`` to the scale that the networks read."""
        return self.normaliser(obs, task, self.observation_mask)

    def policy(self, normal: Tensor, task: Tensor) -> tuple[Tensor, Tensor]:
        """The policy's distribution before squashing.

        Args:
            normal: ``[..., 128]``, normalised observations.
            task: Indices ``[...]``.

        Returns:
            Mean and log standard deviation, ``[..., 16]`` each, 0 at masked entries.
        """
        term = self.per_task(self.actor.language_term, task)
        mean, raw = self.actor(normal, None, term).chunk(2, dim=-1)
        log_std, mask = bounded_log_std(raw, *LOG_STD), self.action_mask[task]
        return torch.where(mask, mean, 0.0), torch.where(mask, log_std, 0.0)

    def log_prob(self, before: Tensor, mean: Tensor, log_std: Tensor, task: Tensor) -> Tensor:
        """Log-density of actions under the squashed Gaussian, over the task's own entries.

        Args:
            before: ``[..., 16]``, the actions before squashing.
            mean: ``[..., 16]``, of the Gaussian.
            log_std: ``[..., 16]``.
            task: Indices ``[...]``.

        Returns:
            ``[...]``.
        """
        mask = self.action_mask[task]
        before = torch.where(mask, before, 0.0)
        noise = (before - mean) * torch.exp(-log_std)
        return squashed_log_prob(noise, log_std, before, mask)

    def value(self, normal: Tensor, task: Tensor) -> Tensor:
        """The value of states, ``[...]``, in units of the scaled reward; arguments as `policy`."""
        term = self.per_task(self.critic.language_term, task)
        return self.critic(normal, None, term).squeeze(-1)


class PPOAgent(Agent):
    """Acts by the mean of the policy, or by a draw from it."""

    method = "ppo"
    model: ActorCritic

    def draw(
        self, obs: Tensor, task: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Draws actions before squashing ``[B, 16]``, and their log-densities ``[B]``."""
        mean, log_std = self.model.policy(self.model.normalise(obs, task), task)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        before = torch.where(self.model.action_mask[task], mean + log_std.exp() * noise, 0.0)
        return before, self.model.log_prob(before, mean, log_std, task)

    def _choose(
        self,
        obs: Tensor,
        task: Tensor,
        first: Tensor,
        explore: bool,
        generator: torch.Generator | None,
    ) -> Tensor:
        if explore:
            return torch.tanh(self.draw(obs, task, generator)[0])
        return torch.tanh(self.model.policy(self.model.normalise(obs, task), task)[0])

    def _own_description(self) -> dict[str, Any]:
        return {"width": self.model.width}

    @classmethod
    def _networks(cls, about: dict[str, Any], tables: TaskTables) -> ActorCritic:
        return ActorCritic(about["width"], tables)


class Minibatch(NamedTuple):
    """Some of a rollout's steps, with what they are to teach."""

    normal: Tensor
    """``[B, 128]``, normalised observations."""
    task: Tensor
    """``[B]``, indices."""
    before: Tensor
    """``[B, 16]``, actions before squashing."""
    log_prob: Tensor
    """``[B]``, of the actions when they were drawn."""
    value: Tensor
    """``[B]``, before the update."""
    advantage: Tensor
    """``[B]``."""


def ppo_loss(
    model: ActorCritic, batch: Minibatch, clip: float, value_coef: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """The clipped objectives of policy and value.

    The policy's gain is the lesser of ``ratio * advantage`` and ``clamped ratio * advantage``, with
    the advantages normalised over the batch. The value's loss is the greater one of the squared
    errors of the value, and of the value moved by ``clip`` at most.

    Returns:
        The loss, and detached scalars to log.
    """
    mean, log_std = model.policy(batch.normal, batch.task)
    log_ratio = model.log_prob(batch.before, mean, log_std, batch.task) - batch.log_prob
    ratio = log_ratio.exp()
    advantage = batch.advantage - batch.advantage.mean()
    advantage = advantage / (batch.advantage.std(correction=0) + 1e-8)
    clamped = ratio.clamp(1 - clip, 1 + clip)
    policy_loss = -torch.minimum(ratio * advantage, clamped * advantage).mean()

    target = batch.value + batch.advantage
    value = model.value(batch.normal, batch.task)
    near = batch.value + (value - batch.value).clamp(-clip, clip)
    error = torch.maximum((value - target).square(), (near - target).square())
    value_loss = 0.5 * error.mean()

    loss = policy_loss + value_coef * value_loss
    numbers = {
        "policy_loss": policy_loss,
        "value_loss": value_loss,
        "approx_kl": (ratio - 1 - log_ratio).mean(),
        "clipped": (ratio != clamped).float().mean(),
        "log_std": log_std.sum() / model.action_mask[batch.task].sum(),
        "value": value.mean(),
    }
    return loss, {name: number.detach() for name, number in numbers.items()}


class PPO(Method):
    """Trains PPO on tasks of MMBench: on-policy, by many steps that take little time.

    One language-conditioned policy learns all tasks, each with its own discount.
    """

    name = "ppo"
    config_class = PPOConfig
    agent_class = PPOAgent
    presets = ("machine", "paper")
    learns_terminations = True

    agent: PPOAgent

    def __init__(self, config: PPOConfig, agent: PPOAgent, rows: Tensor) -> None:
        self.config = config
        self.agent = agent
        self.updates = 0
        self._rows = rows
        self._parameters = list(agent.model.parameters())
        self._optimizer = torch.optim.Adam(self._parameters, lr=config.lr, eps=1e-5, fused=True)
        self._chance = Chance(config.seed, agent.device)
        self._watch = FiniteWatch()
        self._filled = 0
        shape, entries = (config.rollout, len(rows)), agent.model.observation_mask.shape[1]
        actions = agent.model.action_mask.shape[1]

        def empty(*sizes: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(*shape, *sizes, dtype=dtype, device=agent.device)

        self._rollout = Rollout(
            obs=empty(entries),
            before=empty(actions),
            log_prob=empty(),
            reward=empty(),
            next_obs=empty(entries),
            terminated=empty(dtype=torch.bool),
            ended=empty(dtype=torch.bool),
            valid=torch.zeros(shape, dtype=torch.bool),
        )

    @classmethod
    def preset(cls, name: str, device: str, num_tasks: int) -> PPOConfig:
        if name == "paper":
            return PPOConfig()
        # Batches of a few steps teach little, so few tasks have several environments each.
        return PPOConfig(
            size=("L" if num_tasks > 20 else "B") if device == "cuda" else "S",
            envs_per_task=max(1, (64 if device == "cuda" else 16) // num_tasks),
            steps=1_000_000 * num_tasks,
            eval_every=50_000 * num_tasks,
            checkpoint_every=50_000 * num_tasks,
        )

    @classmethod
    def check(cls, config: PPOConfig, tasks: Sequence[Task], device: str) -> None:
        steps = config.rollout * len(tasks) * config.envs_per_task
        if steps > config.steps:
            raise RunError(
                f"rollout={config.rollout}: these are {steps:,} steps of all environments, more "
                f"than steps={config.steps:,}, so nothing is learned"
            )
        if config.minibatches > steps:
            raise RunError(f"minibatches={config.minibatches}: a rollout has only {steps:,} steps")

    @classmethod
    def create_agent(
        cls, config: PPOConfig, tasks: Sequence[Task], device: torch.device
    ) -> PPOAgent:
        generator = torch.Generator().manual_seed(config.seed)
        tables = task_tables(tasks, config.encoder)
        model = ActorCritic(WIDTHS[config.size], tables, generator)
        return PPOAgent(model.to(device), TaskInfo.of(tasks), config.encoder, config.size)

    def begin(self, obs: np.ndarray) -> None:
        pass  # nothing is learned from a state without an action

    @torch.no_grad()
    def act(self, obs: np.ndarray, first: np.ndarray, step: int) -> np.ndarray:
        observed = torch.as_tensor(obs, device=self.agent.device)
        before, log_prob = self.agent.draw(observed, self._rows, self._chance.torch)
        t = self._filled
        self._rollout.obs[t] = observed
        self._rollout.before[t] = before
        self._rollout.log_prob[t] = log_prob
        action = torch.tanh(before).cpu().numpy()
        self.agent.check_actions(action, observed, self._rows)
        return action

    def remember(self, step: Step) -> None:
        t, rollout = self._filled, self._rollout
        rollout.reward[t] = torch.from_numpy(self.config.reward_scale * step.reward)
        rollout.next_obs[t] = torch.from_numpy(step.next_obs)
        rollout.terminated[t] = torch.from_numpy(step.terminated)
        rollout.ended[t] = torch.from_numpy(step.done)
        rollout.valid[t] = torch.from_numpy(step.valid)
        self._filled += 1

    def learn(self, step: int) -> dict[str, Tensor] | None:
        if self._filled < self.config.rollout:
            return None
        self._filled = 0
        metrics = self._update(self._rollout)
        # Only now: the log-densities of the rollout belong to the statistics it was drawn with.
        model, steps = self.agent.model, self._rollout.obs[..., 0].numel()
        model.normaliser.update(
            self._rollout.obs.view(steps, -1),
            self._rows.repeat(self.config.rollout),
            model.observation_mask,
            self._rollout.valid.view(steps).to(self.agent.device),
        )
        return metrics

    def _update(self, rollout: Rollout) -> dict[str, Tensor]:
        """Takes the gradient updates of a rollout."""
        config, model = self.config, self.agent.model
        task = self._rows.expand_as(rollout.log_prob)
        with torch.no_grad():
            normal = model.normalise(rollout.obs, task)
            value = model.value(normal, task)
            next_value = model.value(model.normalise(rollout.next_obs, task), task)
            discount = self.agent.discount[self._rows]
            advantage = advantages(rollout, value, next_value, discount, config.gae_lambda)
        steps = Minibatch(normal, task, rollout.before, rollout.log_prob, value, advantage)
        flat = [part.flatten(0, 1) for part in steps]
        # Found on the CPU, so that the device is not waited for.
        valid = torch.from_numpy(np.flatnonzero(rollout.valid.numpy())).to(self.agent.device)
        parts = max(1, min(config.minibatches, len(valid)))
        metrics: dict[str, Tensor] = {}
        for _ in range(config.epochs if len(valid) else 0):
            order = torch.randperm(len(valid), generator=self._chance.torch, device=valid.device)
            for part in valid[order].tensor_split(parts):
                batch = Minibatch(*(each[part] for each in flat))
                loss, metrics = ppo_loss(model, batch, config.clip, config.value_coef)
                self._optimizer.zero_grad(set_to_none=True)
                loss.backward()
                metrics["grad_norm"] = nn.utils.clip_grad_norm_(
                    self._parameters, config.grad_clip_norm
                )
                self._optimizer.step()
                self._watch.see(metrics)
                self.updates += 1
        return metrics

    def broken(self) -> list[str]:
        return self._watch.broken

    def state(self) -> dict[str, Tensor]:
        state = optimizer_state({"optimizer": self._optimizer})
        for name, part in self._rollout._asdict().items():
            state[f"rollout/{name}"] = part[: self._filled]
        return state | self._chance.state()

    def restore(self, state: dict[str, Tensor], step: int) -> str:
        restore_optimizers({"optimizer": self._optimizer}, state)
        rollout = entries(state, "rollout")
        self._filled = len(rollout["obs"])
        for name, part in self._rollout._asdict().items():
            part[: self._filled] = rollout[name].to(part.device)
        return self._chance.restore(state, step)
