"""The objectives of Newt (arXiv 2511.19584, section 3).

The world model is trained on short windows of replayed experience: from the first observation
it predicts latent states, rewards and returns in imagination, each compared with what
happened. The policy is trained on the same imagined states, held constant but in pretraining, to
raise the value and to stay near the replayed actions. No function here waits for the device, and
what is random comes in as tensors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, NamedTuple

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor

from newt_agent.maths import RunningScale, time_weights, two_heads, two_hot_cross_entropy
from newt_agent.noise import UpdateNoise
from newt_agent.settings import Range, check_settings
from newt_agent.world_model import TaskContext, WorldModel


class Batch(NamedTuple):
    """Windows of H consecutive transitions, each within one episode, time first."""

    obs: Tensor
    """``[H + 1, B, obs_dim]``."""
    action: Tensor
    """``[H, B, action_dim]`` in [-1, 1]; ``action[t]`` was taken in ``obs[t]``."""
    reward: Tensor
    """``[H, B]``; ``reward[t]`` followed ``action[t]``."""
    task: Tensor
    """``[B]``, indices into the model's table."""
    image: Tensor | None = None
    """``[H + 1, B, image_dim]`` features or ``[H + 1, B, 3 * pixels**2]``, if the model sees
    images."""
    terminated: Tensor | None = None
    """``[H, B]`` bool, where a step ended its episode, if any episodes terminate."""


@dataclass(frozen=True)
class LossConfig:
    """Coefficients of the objectives; the defaults are the paper's."""

    consistency_coef: Annotated[float, Range(0, 1e6)] = 20.0
    """Weight of the latent prediction error."""
    reward_coef: Annotated[float, Range(0, 1e6)] = 0.1
    """Weight of the reward loss."""
    value_coef: Annotated[float, Range(0, 1e6)] = 0.1
    """Weight of the value loss."""
    termination_coef: Annotated[float, Range(0, 1e6)] = 1.0
    """Weight of the loss of predicted terminations, where there are any (as in TD-MPC2)."""
    rho: Annotated[float, Range(0, 1)] = 0.5
    """Decay of the weight of a step with its distance into the window."""
    normalise_rho: bool = True
    """Divide these weights by their sum."""
    entropy_coef: Annotated[float, Range(0, 1e6)] = 1e-4
    """Weight of the policy's entropy, which is scaled by the number of action entries."""
    # Random actions are not worth imitating.
    bc_coef: Annotated[Annotated[float, Range(0, 1e6)] | None, tyro.conf.arg(metavar="FLOAT")] = (
        None
    )
    """Weight of imitating the replayed actions; by default that of pretraining, without demos 0."""
    pretrain_bc_coef: Annotated[float, Range(0, 1e6)] = 1.0
    """Weight of imitation in pretraining."""

    def __post_init__(self) -> None:
        check_settings(self, "loss.")

    @property
    def imitation(self) -> float:
        """The weight of imitation; 0 where it is left open."""
        return self.bc_coef or 0.0

    def resolved(self, demonstrations: bool) -> LossConfig:
        """Returns the settings of a run with demonstrations, or without any."""
        if self.bc_coef is not None:
            return self
        return replace(self, bc_coef=self.pretrain_bc_coef if demonstrations else 0.0)

    def time_weights(self, steps: int, device: torch.device) -> Tensor:
        """Weights of the steps of a window, ``[steps]``."""
        return time_weights(steps, self.rho, device, self.normalise_rho)


def update_noise(model: WorldModel, batch: Batch, whole: int | None = None) -> UpdateNoise:
    """Makes the noise of an update from a batch, with any numbers: draw it.

    Args:
        model: The model.
        batch: Replayed windows.
        whole: How many there are in all ranks; by default, these are all.
    """
    horizon, batch_size, action_dim = batch.action.shape
    return UpdateNoise.empty(
        horizon,
        whole or batch_size,
        action_dim,
        model.num_q,
        model.config.mlp_dim if model.config.q_dropout else 0,
        batch.action.device,
    )


@torch.no_grad()
def td_target(
    model: WorldModel,
    next_z: Tensor,
    reward: Tensor,
    context: TaskContext,
    discount: Tensor,
    noise: UpdateNoise,
    terminated: Tensor | None = None,
) -> Tensor:
    """One-step targets of the value: ``r + discount * min(Q_i, Q_j)`` of the target network.

    The two heads are sampled once for the whole batch; the next action is the policy's. A step
    bootstraps also where its episode times out, and not where it terminates.

    Args:
        model: The model.
        next_z: ``[..., B, latent_dim]``, states that followed.
        reward: ``[..., B]``.
        context: Tasks, ``[B]``.
        discount: ``[tasks]``, the discount of each task.
        noise: Of the heads and the actions.
        terminated: ``[..., B]`` bool, where nothing follows; None is nowhere.

    Returns:
        ``[..., B]``.
    """
    action, _ = model.sample_action(next_z, context, noise.next_action)
    heads = two_heads(noise.target_heads)
    values = model.decode(model.Q(next_z, action, context, target=True, heads=heads)).amin(0)
    if terminated is not None:
        values = torch.where(terminated, 0.0, values)
    return reward + discount[context.task] * values


def world_model_loss(
    model: WorldModel,
    batch: Batch,
    discount: Tensor,
    config: LossConfig,
    noise: UpdateNoise,
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """The loss of encoder, dynamics, reward and value.

    All terms are measured along the imagined rollout, and gradients flow through all of it.
    Consistency: mean squared error to the encoding of what was observed, which is held
    constant. Reward and value: cross-entropy to two-hot targets. Each is a sum over time with
    weights ``rho**t``, t = 0..H, by default normalised to sum to 1 (so the H weights of the terms
    that have only H steps sum to less), and a mean over the batch and the heads. Where episodes
    terminate: the binary cross-entropy of where, a mean over steps and batch, as in TD-MPC2; 0 of
    tasks whose episodes never do, whatever the batch says of them.

    Args:
        model: The model.
        batch: Replayed windows.
        discount: ``[tasks]``, the discount of each task.
        config: Coefficients.
        noise: Of the target's heads and actions, on the model's device.

    Returns:
        The loss; detached scalars to log; and the imagined states ``[H + 1, B, latent_dim]``,
        of which the first is encoded.
    """
    horizon = batch.action.shape[0]
    weights = config.time_weights(horizon + 1, batch.obs.device)[:horizon]
    first, later = (None, None) if batch.image is None else (batch.image[0], batch.image[1:])

    context = model.context(batch.task)
    ends = batch.terminated
    if ends is not None and context.terminating is not None:
        ends = ends & context.terminating
    with torch.no_grad():
        observed = model.encode(batch.obs[1:], context, later)
        target = td_target(model, observed, batch.reward, context, discount, noise, ends)

    states = [model.encode(batch.obs[0], context, first)]
    for action in batch.action:
        states.append(model.next(states[-1], action, context))
    zs = torch.stack(states)

    vmin, vmax = model.config.vmin, model.config.vmax
    reward_logits = model.reward(zs[:-1], batch.action, context)
    value_logits = model.Q(zs[:-1], batch.action, context, kept=noise.model_dropout)
    consistency = (zs[1:] - observed).square().mean((1, 2)) @ weights
    reward = two_hot_cross_entropy(reward_logits, batch.reward, vmin, vmax).mean(1) @ weights
    value = two_hot_cross_entropy(value_logits, target, vmin, vmax).mean((0, 2)) @ weights
    loss = (
        config.consistency_coef * consistency
        + config.reward_coef * reward
        + config.value_coef * value
    )
    metrics = {
        "consistency_loss": consistency,
        "reward_loss": reward,
        "value_loss": value,
        "model_loss": loss,
        "td_target": target.mean(),
    }
    if ends is not None and model.terminates:
        logits = model.termination(zs[1:], context)
        termination = F.binary_cross_entropy_with_logits(logits, ends.float())
        loss = loss + config.termination_coef * termination
        metrics |= {"termination_loss": termination, "model_loss": loss}
    return loss, {name: x.detach() for name, x in metrics.items()}, zs


def _imitation(action: Tensor, mask: Tensor, replayed: Tensor) -> Tensor:
    """Squared distance to the replayed actions, a mean over each task's own entries."""
    error = torch.where(mask, action[: len(replayed)] - replayed, 0.0)
    return error.square().sum(-1) / mask.sum(-1).clamp(min=1)


def _policy_metrics(info: dict[str, Tensor]) -> dict[str, Tensor]:
    std = torch.where(info["mask"], info["log_std"].exp(), 0.0)
    entries = info["mask"].expand_as(std).sum().clamp(min=1)
    return {
        "pi_entropy": info["entropy"].mean(),
        "pi_scaled_entropy": info["scaled_entropy"].mean(),
        "pi_std_mean": std.sum() / entries,
        "pi_std_max": std.max(),
    }


def policy_loss(
    model: WorldModel,
    zs: Tensor,
    batch: Batch,
    scale: RunningScale,
    config: LossConfig,
    noise: UpdateNoise,
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """The loss of the policy during reinforcement learning.

    ``sum_t rho_t (bc - mean(Q_i, Q_j) / scale - entropy)``, with the replayed actions known
    for the first H of the H + 1 states. Two online heads, drawn once; gradients reach the
    policy through the sampled action, and nothing but the policy.

    Args:
        model: The model.
        zs: ``[H + 1, B, latent_dim]`` from `world_model_loss`; treated as constant.
        batch: The windows they were imagined from; the actions are imitated.
        scale: Divides the values; not changed here.
        config: Coefficients.
        noise: Of the actions and heads, on the model's device.

    Returns:
        The loss; detached scalars to log; and the values of the first states ``[B]``, whose spread
        the scale follows.
    """
    zs, context = zs.detach(), model.context(batch.task)
    weights = config.time_weights(len(zs), zs.device)
    action, info = model.sample_action(zs, context, noise.action)
    heads = two_heads(noise.heads)
    logits = model.Q(zs, action, context, heads=heads, detach=True, kept=noise.dropout)
    q = model.decode(logits).mean(0)

    horizon = batch.action.shape[0]
    bc = _imitation(action, info["mask"], batch.action).mean(1) @ weights[:horizon]
    value = scale(q).mean(1) @ weights
    entropy = info["scaled_entropy"].mean(1) @ weights
    loss = config.imitation * bc - value - config.entropy_coef * entropy
    metrics = {
        "pi_loss": loss,
        "bc_loss": bc,
        "pi_q": q.mean(),
        "pi_scale": scale.value.clone(),
        **_policy_metrics(info),
    }
    return loss, {name: x.detach() for name, x in metrics.items()}, q[0].detach()


def pretrain_policy_loss(
    model: WorldModel,
    zs: Tensor,
    batch: Batch,
    config: LossConfig,
    noise: UpdateNoise,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The policy's part of the pretraining objective: imitation and entropy, no value.

    ``sum_t rho_t (pretrain_bc_coef * bc - entropy) / H`` over the H states whose action is known.
    It is a part of the model's loss then: gradients reach the states too, so that these tell what
    the demonstrators went by (docs/results/lite.md has what that is worth).

    Args:
        model: The model.
        zs: ``[H + 1, B, latent_dim]`` from `world_model_loss`.
        batch: The windows they were imagined from.
        config: Coefficients.
        noise: Of the actions, on the model's device.

    Returns:
        The loss and detached scalars to log.
    """
    horizon = batch.action.shape[0]
    weights = config.time_weights(horizon + 1, zs.device)[:horizon] / horizon
    context = model.context(batch.task)
    action, info = model.sample_action(zs[:horizon], context, noise.action[:horizon])
    bc = _imitation(action, info["mask"], batch.action).mean(1) @ weights
    entropy = info["scaled_entropy"].mean(1) @ weights
    loss = config.pretrain_bc_coef * bc - config.entropy_coef * entropy
    metrics = {"pi_loss": loss, "bc_loss": bc, **_policy_metrics(info)}
    return loss, {name: x.detach() for name, x in metrics.items()}
