"""FastTD3 (arXiv 2505.22642) for many tasks at once, as a baseline of arXiv 2511.19584.

TD3 (arXiv 1802.09477) with many environments, large batches, a distributional critic, and noise of
another size in each environment; the second paper adds returns of 8 steps, language and a discount
of each task's own. Each of these can be switched off; without them it is TD3::

    --n-step 1 --num-atoms 1 --noise-min 0.1 --noise-max 0.1 --target-noise 0.2 --tau 0.005
    --no-normalise --weight-decay 0 --batch-size 256 --updates-per-step 1

**The critic's distribution.** It lies on atoms that are uniform in symlog space, from -22,025 to
22,025, as Newt's values. A fixed range with uniform atoms, as published, does not suit 200 tasks:
values are below 0.2 in some and about 5,000 in others. A target atom's probability is divided
between its neighbours so that its mean *in units of the return* is preserved. Division in symlog
space would not preserve it: with atoms 22 % apart every backup would add up to 0.5 %, and there are
1 / (1 - discount) of them, one after the other.

What differs from the published code: a target network of the actor, as in TD3; target networks and
actor are updated together, after every second update of the critic; the networks have LayerNorm,
which Newt's have too.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmbench.catalog import Task
from mmbench.runs import RunError
from mmbench_baselines.normaliser import ObservationNormaliser
from newt_agent.agent import Agent, TaskInfo
from newt_agent.layers import MLP
from newt_agent.maths import project, symexp
from newt_agent.method import Step
from newt_agent.off_policy import OffPolicyConfig, OffPolicyMethod
from newt_agent.optimizers import FiniteWatch, optimizer_state, restore_optimizers
from newt_agent.replay import Steps
from newt_agent.settings import Range
from newt_agent.task_module import TaskModule, TaskTables, task_tables

WIDTHS = {"XS": 128, "S": 256, "B": 512, "L": 1024, "XL": 2048}
"""Width of the critics' first layer; the second and third have a half and a quarter of it. The
actor's layers have half the width of theirs. L has the published widths."""

LARGEST_ATOM = 10.0
"""In symlog space."""

Std = Annotated[float, Range(0, 1e6)]


@dataclass(frozen=True)
class FastTD3Config(OffPolicyConfig):
    """Settings of `baselines-train fast_td3`. Steps are agent steps, summed over environments.

    --size is the widths of the hidden layers, three each of critic and actor: XS 128-64-32 and
    64-32-16, S twice as wide, B four times, L 1024-512-256 and 512-256-128 (as published), XL twice
    that.
    """

    batch_size: Annotated[int, Range(1, 2**20)] = 32_768
    """Steps in a batch."""
    updates_per_step: Annotated[float, Range(0, 1000)] = 2.0
    """Updates for each step that all environments take together."""
    seed_steps: Annotated[int, Range(0, 10**12)] = 100_000
    """Steps with random actions, before the first update."""
    n_step: Annotated[int, Range(1, 1000)] = 8
    """Rewards in a return, before the critic's value; 1 as in TD3."""
    num_atoms: Annotated[int, Range(1, 10_001)] = 101
    """Atoms of the critic's distribution; 1 is a plain value, learned by its squared error."""
    noise_min: Std = 0.001
    """Least standard deviation of the noise of actions; each episode draws its own."""
    noise_max: Std = 0.4
    """Greatest standard deviation of the noise of actions."""
    policy_delay: Annotated[int, Range(1, 1000)] = 2
    """Updates of the critic for each one of the actor and the target networks."""
    target_noise: Std = 0.001
    """Standard deviation of the noise of the target's actions."""
    target_noise_clip: Std = 0.5
    """Largest noise of the target's actions."""
    tau: Annotated[float, Range(0, 1)] = 0.1
    """Rate at which the target networks follow."""
    lr: Annotated[float, Range(0, 1e30)] = 3e-4
    """Learning rate of AdamW, of actor and critics."""
    weight_decay: Annotated[float, Range(0, 1e6)] = 0.1
    """Weight decay of AdamW."""
    normalise: bool = True
    """Normalise observations by running statistics of each task."""

    fixed = (*OffPolicyConfig.fixed, "num_atoms", "normalise")


class ActorCritics(TaskModule):
    """An actor, two critics and the target networks of all three, for all tasks.

    Args:
        width: Of the critics' first layer.
        num_atoms: Of the critics' distributions; 1 for plain values.
        normalise: Whether observations are normalised.
        tables: Task embeddings, action and observation masks; see :class:`TaskModule`.
        generator: Source of the initial weights (on the CPU); None is PyTorch's global one.
    """

    atoms: Tensor

    def __init__(
        self,
        width: int,
        num_atoms: int,
        normalise: bool,
        tables: TaskTables,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(*tables)
        self.width, self.normalise = width, normalise
        language, actions = self.task_embeddings.shape[1], self.action_mask.shape[1]
        obs_dim, hidden = self.observation_mask.shape[1], [width, width // 2, width // 4]
        self.normaliser = ObservationNormaliser(self.observation_mask)
        atoms = symexp(torch.linspace(-LARGEST_ATOM, LARGEST_ATOM, num_atoms))
        self.register_buffer("atoms", atoms, persistent=False)
        # Outputs start at 0: the middle of the actions' range, and values of 0.
        self.actor = MLP(
            obs_dim,
            0,
            language,
            [size // 2 for size in hidden],
            actions,
            zero_last=True,
            generator=generator,
        )
        self.critics = nn.ModuleList(
            MLP(obs_dim, actions, language, hidden, num_atoms, zero_last=True, generator=generator)
            for _ in range(2)
        )
        self.target_actor = copy.deepcopy(self.actor).requires_grad_(False)
        self.target_critics = copy.deepcopy(self.critics).requires_grad_(False)

    def prepare(self, obs: Tensor, task: Tensor) -> Tensor:
        """Brings observations ``[B, 128]`` to what the networks read: 0 at masked entries."""
        if self.normalise:
            return self.normaliser(obs, task, self.observation_mask)
        return torch.where(self.observation_mask[task], obs, 0.0)

    def act(self, seen: Tensor, task: Tensor, target: bool = False) -> Tensor:
        """The policy's actions ``[B, 16]`` in [-1, 1], 0 at masked entries.

        Args:
            seen: ``[B, 128]``, from :meth:`prepare`.
            task: ``[B]``, indices.
            target: Use the target network.
        """
        net: MLP = self.target_actor if target else self.actor
        action = torch.tanh(net(seen, None, self.per_task(net.language_term, task)))
        return torch.where(self.action_mask[task], action, 0.0)

    def logits(self, seen: Tensor, action: Tensor, task: Tensor, target: bool = False) -> Tensor:
        """What both critics say, ``[2, B, num_atoms]``; arguments as of :meth:`act`."""
        action = torch.where(self.action_mask[task], action, 0.0)
        nets: Any = self.target_critics if target else self.critics
        terms = [self.per_task(net.language_term, task) for net in nets]
        return torch.stack([net(seen, action, term) for net, term in zip(nets, terms, strict=True)])

    def value(self, logits: Tensor) -> Tensor:
        """Reads values ``[...]`` from ``[..., num_atoms]``."""
        if len(self.atoms) == 1:
            return logits.squeeze(-1)
        return logits.softmax(-1) @ self.atoms

    @torch.no_grad()
    def update_targets(self, tau: float) -> None:
        """Moves the target networks a fraction ``tau`` towards the others."""
        for target, online in (
            (self.target_actor, self.actor),
            (self.target_critics, self.critics),
        ):
            torch._foreach_lerp_(list(target.parameters()), list(online.parameters()), tau)


class FastTD3Agent(Agent):
    """Acts by the actor; exploring, with noise.

    Attributes:
        noise_std: Standard deviation of the noise, broadcast against ``[B, 16]``.
    """

    method = "fast_td3"
    fixed = ("num_atoms", "normalise")
    model: ActorCritics
    noise_std: Tensor | float = 0.1

    def _choose(
        self,
        obs: Tensor,
        task: Tensor,
        first: Tensor,
        explore: bool,
        generator: torch.Generator | None,
    ) -> Tensor:
        action = self.model.act(self.model.prepare(obs, task), task)
        if not explore:
            return action
        noise = torch.randn(action.shape, generator=generator, device=action.device)
        noisy = (action + self.noise_std * noise).clamp(-1.0, 1.0)
        return torch.where(self.model.action_mask[task], noisy, 0.0)

    def _own_description(self) -> dict[str, Any]:
        model = self.model
        return {
            "width": model.width,
            "num_atoms": len(model.atoms),
            "normalise": model.normalise,
        }

    @classmethod
    def _networks(cls, about: dict[str, Any], tables: TaskTables) -> ActorCritics:
        return ActorCritics(about["width"], about["num_atoms"], about["normalise"], tables)


def n_step_return(steps: Steps, discount: Tensor) -> tuple[Tensor, Tensor]:
    """The discounted sum of rewards, and the factor of the value that follows them.

    Episodes are cut by a time limit only, so the state after the last reward has a value, however
    many rewards there are.

    Args:
        steps: Sampled steps.
        discount: ``[B]``.

    Returns:
        ``[B]`` each.
    """
    powers = discount ** torch.arange(len(steps.reward), device=discount.device)[:, None]
    return (powers * steps.reward).sum(0), discount**steps.length


class FastTD3(OffPolicyMethod):
    """Trains FastTD3 on tasks of MMBench: off-policy, with large batches and no model.

    One language-conditioned actor and two categorical critics learn from the replay of all tasks.
    """

    name = "fast_td3"
    config_class = FastTD3Config
    agent_class = FastTD3Agent
    presets = ("machine", "paper")

    agent: FastTD3Agent

    def __init__(self, config: FastTD3Config, agent: FastTD3Agent, rows: Tensor) -> None:
        super().__init__(config, agent, rows)
        model = agent.model
        self._optimizers = {
            name: torch.optim.AdamW(
                net.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True
            )
            for name, net in (("actor", model.actor), ("critics", model.critics))
        }
        self._noise_std = np.zeros(len(rows), np.float32)
        self._watches = FiniteWatch(), FiniteWatch()

    @classmethod
    def preset(cls, name: str, device: str, num_tasks: int) -> FastTD3Config:
        if name == "paper":
            return FastTD3Config()
        gpu = device == "cuda"
        return FastTD3Config(
            size=("L" if num_tasks > 20 else "B") if gpu else "S",
            batch_size=(32_768 if num_tasks > 20 else 8192) if gpu else 512,
            # Fewer tasks have more environments each.
            envs_per_task=max(1, (128 if gpu else 16) // num_tasks),
            steps=500_000 * num_tasks,
            seed_steps=2_000 * num_tasks,
            eval_every=25_000 * num_tasks,
            checkpoint_every=25_000 * num_tasks,
        )

    @classmethod
    def check(cls, config: FastTD3Config, tasks: Sequence[Task], device: str) -> None:
        if config.noise_min > config.noise_max:
            raise RunError(f"noise_min={config.noise_min}: at most noise_max={config.noise_max}")
        super().check(config, tasks, device)

    @classmethod
    def create_agent(
        cls, config: FastTD3Config, tasks: Sequence[Task], device: torch.device
    ) -> FastTD3Agent:
        generator = torch.Generator().manual_seed(config.seed)
        model = ActorCritics(
            WIDTHS[config.size],
            config.num_atoms,
            config.normalise,
            task_tables(tasks, config.encoder),
            generator,
        )
        return FastTD3Agent(model.to(device), TaskInfo.of(tasks), config.encoder, config.size)

    def act(self, obs: np.ndarray, first: np.ndarray, step: int) -> np.ndarray:
        config = self.config
        if first.any():
            drawn = self._chance.numpy.uniform(config.noise_min, config.noise_max, len(first))
            self._noise_std = np.where(first, drawn, self._noise_std).astype(np.float32)
            self.agent.noise_std = torch.from_numpy(self._noise_std[:, None]).to(self.agent.device)
        return super().act(obs, first, step)

    def remember(self, step: Step) -> None:
        super().remember(step)
        if self.config.normalise:
            model, device = self.agent.model, self.agent.device
            obs, valid = (torch.from_numpy(x).to(device) for x in (step.next_obs, step.valid))
            model.normaliser.update(obs, self._rows, model.observation_mask, valid)

    def due(self, step: int) -> int:
        rounds = max(0, step - self.config.seed_steps) / len(self._rows)
        return math.floor(self.config.updates_per_step * rounds)

    def update(self) -> dict[str, Tensor]:
        config = self.config
        steps = self.replay.sample_steps(config.batch_size, config.n_step, self._chance.numpy)
        metrics = self._update_critics(steps)
        if (self.updates + 1) % config.policy_delay == 0:
            metrics |= self._update_actor(steps)
            self.agent.model.update_targets(config.tau)
        return metrics

    def _update_critics(self, steps: Steps) -> dict[str, Tensor]:
        model, task = self.agent.model, steps.task
        target = self._target(steps)
        logits = model.logits(model.prepare(steps.obs, task), steps.action, task)
        if len(model.atoms) == 1:
            loss = (logits - target).square().mean(1).sum()
        else:
            loss = -(target * F.log_softmax(logits, -1)).sum(-1).mean(1).sum()
        self._step("critics", loss)
        metrics = {"critic_loss": loss.detach(), "target": self._mean(target)}
        self._watches[0].see(metrics)
        return metrics

    @torch.no_grad()
    def _target(self, steps: Steps) -> Tensor:
        """What both critics learn, ``[B, num_atoms]``: a distribution, or a value."""
        config, model, task = self.config, self.agent.model, steps.task
        seen = model.prepare(steps.last_obs, task)
        action = model.act(seen, task, target=True)
        noise = torch.randn(action.shape, generator=self._chance.torch, device=action.device)
        clip = config.target_noise_clip
        action = (action + (config.target_noise * noise).clamp(-clip, clip)).clamp(-1.0, 1.0)
        first, second = logits = model.logits(seen, action, task, target=True)
        values = model.value(logits)
        rewards, factor = n_step_return(steps, self.agent.discount[task])
        if len(model.atoms) == 1:
            return (rewards + factor * values.amin(0))[:, None]
        lower = torch.where((values[0] <= values[1])[:, None], first, second)
        moved = rewards[:, None] + factor[:, None] * model.atoms
        return project(lower.softmax(-1), moved, model.atoms)

    def _mean(self, target: Tensor) -> Tensor:
        atoms = self.agent.model.atoms
        return target.mean() if len(atoms) == 1 else (target @ atoms).mean()

    def _update_actor(self, steps: Steps) -> dict[str, Tensor]:
        model, task = self.agent.model, steps.task
        seen = model.prepare(steps.obs, task)
        loss = -model.value(model.logits(seen, model.act(seen, task), task)[0]).mean()
        self._step("actor", loss)
        metrics = {"actor_loss": loss.detach()}
        self._watches[1].see(metrics)
        return metrics

    def _step(self, name: str, loss: Tensor) -> None:
        """Takes a step of one optimizer; no gradient reaches the other's weights."""
        optimizer = self._optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=optimizer.param_groups[0]["params"])
        optimizer.step()

    def broken(self) -> list[str]:
        return [name for watch in self._watches for name in watch.broken]

    def state(self) -> dict[str, Tensor]:
        own = {"noise_std": torch.from_numpy(self._noise_std)}
        return super().state() | optimizer_state(self._optimizers) | own

    def restore(self, state: dict[str, Tensor], step: int) -> str:
        restore_optimizers(self._optimizers, state)
        self._noise_std = state["noise_std"].numpy().copy()
        self.agent.noise_std = torch.from_numpy(self._noise_std[:, None]).to(self.agent.device)
        return super().restore(state, step)
