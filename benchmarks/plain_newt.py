"""Newt's update and plan, as one writes them first: the measure that `agent.py` compares with.

The same maths from the same weights and draws: inputs are concatenated, value heads are computed
one after the other, every iteration of a plan rates all its candidates, and PyTorch's own layers,
losses and optimizer are used as they come.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from newt_agent.learner import OptimizerConfig
from newt_agent.losses import Batch, LossConfig
from newt_agent.noise import PlanNoise, UpdateNoise
from newt_agent.planner import PlannerConfig
from newt_agent.planning_agent import PlanningAgent


class SimNorm(nn.Module):
    """Softmax over groups of 8."""

    def forward(self, x: Tensor) -> Tensor:
        """Of the last dimension."""
        return F.softmax(x.unflatten(-1, (-1, 8)), dim=-1).flatten(-2)


def sequence(state: dict[str, Tensor], head: int | None = None) -> nn.Sequential:
    """Layers with copies of the weights of one of our networks, or of one head of the ensemble."""
    own = state if head is None else {name: value[head] for name, value in state.items()}
    inputs = ("weight_x", "weight_extra", "weight_language")
    weights = [torch.cat([own[name] for name in inputs if name in own], dim=1)]
    biases = [own["bias"]]
    if head is None:
        count = sum(name.startswith("linears") for name in own) // 2
        weights += [own[f"linears.{i}.weight"] for i in range(count)]
        biases += [own[f"linears.{i}.bias"] for i in range(count)]
        norms = [
            (own[f"norms.{i}.weight"], own[f"norms.{i}.bias"])
            for i in range(sum(name.startswith("norms") for name in own) // 2)
        ]
    else:
        weights += [own["weight2"], own["weight3"]]
        biases += [own["bias2"], own["bias3"]]
        norms = [(own[f"norm{i}_weight"], own[f"norm{i}_bias"]) for i in (1, 2)]
    layers: list[nn.Module] = []
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        linear = nn.Linear(weight.shape[1], weight.shape[0])
        linear.weight, linear.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
        layers.append(linear)
        if i < len(norms):
            norm = nn.LayerNorm(len(norms[i][0]))
            norm.weight, norm.bias = (nn.Parameter(x.clone()) for x in norms[i])
            layers.append(norm)
            layers.append(nn.Mish() if i < len(weights) - 1 else SimNorm())
    return nn.Sequential(*layers)


class PlainNewt:
    """An agent's networks, and how they learn and plan.

    Args:
        agent: Whose weights are copied.
        loss: Coefficients of the losses.
        optimizer: Settings of both optimizers.
    """

    def __init__(self, agent: PlanningAgent, loss: LossConfig, optimizer: OptimizerConfig) -> None:
        model = agent.model
        self.config, self.loss, self.settings = model.config, loss, optimizer
        self.embeddings, self.mask = model.task_embeddings, model.action_mask.float()
        self.obs_mask, self.discount = model.observation_mask.float(), agent.discount
        nets = (model.encoder, model.dynamics, model.reward_net, model.policy)
        device = agent.device
        made = [sequence(net.state_dict()).to(device) for net in nets]
        self.encoder, self.dynamics, self.reward_net, self.policy = made
        heads = range(model.num_q)
        state = model.q_net.state_dict()
        self.q = nn.ModuleList(sequence(state, head) for head in heads).to(device)
        state = model.target_q_net.state_dict()
        self.target = nn.ModuleList(sequence(state, head) for head in heads).to(device)
        self.target.requires_grad_(False)
        self.bins = torch.linspace(
            self.config.vmin, self.config.vmax, self.config.num_bins, device=device
        )
        self.scale = torch.ones((), device=device)
        rest = [*self.dynamics.parameters(), *self.reward_net.parameters(), *self.q.parameters()]
        encoder = list(self.encoder.parameters())
        self.rest = encoder + rest
        groups = [
            {"params": encoder, "lr": optimizer.lr * optimizer.encoder_lr_scale},
            {"params": rest, "lr": optimizer.lr},
        ]
        self.optimizer = torch.optim.Adam(groups)
        self.policy_optimizer = torch.optim.Adam(
            self.policy.parameters(), lr=optimizer.lr, eps=optimizer.policy_eps
        )

    # The networks

    def join(self, task: Tensor, *inputs: Tensor) -> Tensor:
        """Concatenates inputs and the tasks' embeddings."""
        lead = inputs[0].shape[:-1]
        return torch.cat([*inputs, self.embeddings[task].expand(*lead, -1)], dim=-1)

    def encode(self, obs: Tensor, task: Tensor) -> Tensor:
        """The latent state."""
        return self.encoder(self.join(task, obs * self.obs_mask[task]))

    def act(self, z: Tensor, task: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """An action of the policy, and its log-density before squashing."""
        mean, raw = self.policy(self.join(task, z)).chunk(2, dim=-1)
        low, high = self.config.log_std_min, self.config.log_std_max
        log_std = low + 0.5 * (high - low) * (torch.tanh(raw) + 1)
        mask = self.mask[task]
        mean, log_std, noise = mean * mask, log_std * mask, noise * mask
        density = -0.5 * noise**2 - log_std - 0.9189385175704956
        log_prob = (density * mask).sum(-1)
        return torch.tanh(mean + noise * log_std.exp()) * mask, log_prob

    def decode(self, logits: Tensor) -> Tensor:
        """Scalars from logits of bins."""
        x = (F.softmax(logits, dim=-1) * self.bins).sum(-1)
        return torch.sign(x) * (torch.exp(torch.abs(x)) - 1)

    def heads(self, nets: nn.ModuleList, z: Tensor, action: Tensor, task: Tensor) -> list[Tensor]:
        """The logits of all heads."""
        x = self.join(task, z, action * self.mask[task])
        return [net(x) for net in nets]

    def two_hot(self, x: Tensor) -> Tensor:
        """Weights of the two nearest bins."""
        count, low, high = self.config.num_bins, self.config.vmin, self.config.vmax
        x = torch.clamp(torch.sign(x) * torch.log(1 + torch.abs(x)), low, high)
        place = (x - low) / (high - low) * (count - 1)
        lower = place.floor().clamp(max=count - 2)
        weight = (place - lower).unsqueeze(-1)
        index = lower.long().unsqueeze(-1)
        zeros = torch.zeros(*x.shape, count, device=x.device)
        return zeros.scatter(-1, index, 1 - weight).scatter(-1, index + 1, weight)

    def cross_entropy(self, logits: Tensor, target: Tensor) -> Tensor:
        """To two-hot targets."""
        return -(self.two_hot(target) * F.log_softmax(logits, dim=-1)).sum(-1)

    # The update

    def update(self, batch: Batch, noise: UpdateNoise) -> dict[str, Tensor]:
        """One update."""
        task, horizon, config = batch.task, len(batch.action), self.loss
        weights = [config.rho**t for t in range(horizon + 1)]
        total = sum(weights) if config.normalise_rho else 1.0
        weights = [weight / total for weight in weights]
        with torch.no_grad():
            observed = self.encode(batch.obs[1:], task)
            following, _ = self.act(observed, task, noise.next_action)
            values = self.decode(torch.stack(self.heads(self.target, observed, following, task)))
            two = values[noise.target_heads.topk(2).indices]
            target = batch.reward + self.discount[task] * two.min(0).values
        z = self.encode(batch.obs[0], task)
        states = [z]
        consistency = reward = value = torch.zeros((), device=z.device)
        for t in range(horizon):
            action = batch.action[t] * self.mask[task]
            joined = self.join(task, z, action)
            logits = self.reward_net(joined)
            reward = reward + weights[t] * self.cross_entropy(logits, batch.reward[t]).mean()
            for head in self.q:
                entropy = self.cross_entropy(head(joined), target[t]).mean()
                value = value + weights[t] * entropy / len(self.q)
            z = self.dynamics(joined)
            states.append(z)
            consistency = consistency + weights[t] * F.mse_loss(z, observed[t])
        loss = (
            config.consistency_coef * consistency
            + config.reward_coef * reward
            + config.value_coef * value
        )
        clip = self.settings.grad_clip_norm
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.rest, clip)
        self.optimizer.step()
        with torch.no_grad():
            pairs = zip(self.target.parameters(), self.q.parameters(), strict=True)
            for own, online in pairs:
                own.lerp_(online, self.settings.target_tau)
        return {"model_loss": loss.detach(), "pi_loss": self._update_policy(states, batch, noise)}

    def _update_policy(self, states: list[Tensor], batch: Batch, noise: UpdateNoise) -> Tensor:
        task, horizon, config = batch.task, len(batch.action), self.loss
        weights = config.time_weights(horizon + 1, task.device)
        zs = torch.stack(states).detach()
        action, log_prob = self.act(zs, task, noise.action)
        self.q.requires_grad_(False)
        chosen = noise.heads.topk(2).indices.tolist()
        x = self.join(task, zs, action * self.mask[task])
        q = torch.stack([self.decode(self.q[head](x)) for head in chosen]).mean(0)
        self.q.requires_grad_(True)
        low, high = torch.quantile(q[0].detach(), torch.tensor([0.05, 0.95], device=q.device))
        entries = self.mask[task].sum(-1)
        entropy = (-log_prob * entries).mean(1)
        error = ((action[:horizon] - batch.action) ** 2 * self.mask[task]).sum(-1)
        imitation = (error / entries.clamp(min=1)).mean(1)
        loss = (
            config.imitation * (imitation * weights[:horizon]).sum()
            - ((q / self.scale).mean(1) * weights).sum()
            - config.entropy_coef * (entropy * weights).sum()
        )
        self.policy_optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.policy.parameters(), self.settings.grad_clip_norm)
        self.policy_optimizer.step()
        self.scale = torch.lerp(self.scale, (high - low).clamp(min=1), 0.01)
        return loss.detach()

    # The plan

    @torch.no_grad()
    def plan(
        self, obs: Tensor, task: Tensor, memory: Tensor, config: PlannerConfig, noise: PlanNoise
    ) -> tuple[Tensor, Tensor]:
        """One plan of each environment, with exploration; arguments as of our planner."""
        task = task[:, None]
        z0 = self.encode(obs[:, None], task)
        envs, width = len(obs), self.mask.shape[1]
        z = z0.repeat(1, config.num_pi_trajs, 1)
        proposals = []
        for t in range(config.horizon):
            action, _ = self.act(z, task, noise.policy[t])
            proposals.append(action)
            z = self.dynamics(self.join(task, z, action))
        heads = noise.heads.topk(2).indices.tolist()
        mean = torch.cat([memory[:, 1:], torch.zeros_like(memory[:, :1])], 1)
        mean = mean.transpose(0, 1)[:, :, None]
        std = torch.full_like(mean, config.max_std)
        mask = self.mask[task]
        for i in range(config.iterations):
            samples = (mean + std * noise.candidates[i]).clamp(-1, 1) * mask
            actions = torch.cat([torch.stack(proposals), samples], dim=2)
            last = torch.cat([noise.policy[-1], noise.last[i]], dim=1)
            value = self._value(z0, actions, task, heads, last)
            best, index = value.topk(config.num_elites, dim=1)
            shape = (config.horizon, envs, config.num_elites, width)
            elites = actions.gather(2, index[None, :, :, None].expand(shape))
            score = torch.exp(config.temperature * (best - best[:, :1]))
            score = score / score.sum(1, keepdim=True)
            mean = (score[..., None] * elites).sum(2, keepdim=True)
            std = ((score[..., None] * (elites - mean) ** 2).sum(2, keepdim=True)).sqrt()
            std = std.clamp(config.min_std, config.max_std) * mask
        chosen = (score / noise.race).argmax(1)
        action = elites[0][torch.arange(envs, device=obs.device), chosen]
        action = (action + std[0].squeeze(1) * noise.explore).clamp(-1, 1)
        return action, mean.squeeze(2).transpose(0, 1)

    def _value(
        self, z0: Tensor, actions: Tensor, task: Tensor, heads: list[int], last: Tensor
    ) -> Tensor:
        z, value, factor = z0.repeat(1, actions.shape[2], 1), 0.0, 1.0
        for action in actions:
            joined = self.join(task, z, action)
            value = value + factor * self.decode(self.reward_net(joined))
            z = self.dynamics(joined)
            factor = factor * self.discount[task]
        action, _ = self.act(z, task, last)
        joined = self.join(task, z, action)
        q = torch.stack([self.decode(self.q[head](joined)) for head in heads]).mean(0)
        return torch.nan_to_num(value + factor * q)
