"""One update of the agent from one batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from newt_agent.config import Execution
from newt_agent.execution import compiled, recorded
from newt_agent.losses import (
    Batch,
    LossConfig,
    policy_loss,
    pretrain_policy_loss,
    update_noise,
    world_model_loss,
)
from newt_agent.maths import RunningScale
from newt_agent.noise import UpdateNoise
from newt_agent.optimizers import FiniteWatch, optimizer_state, restore_optimizers
from newt_agent.planning_agent import PlanningAgent
from newt_agent.ranks import Share
from newt_agent.settings import Range, check_settings
from newt_agent.tensors import entries


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam, twice: one for the world model, one for the policy (paper, table of settings)."""

    lr: Annotated[float, Range(0, 1e30)] = 3e-4
    """Learning rate."""
    encoder_lr_scale: Annotated[float, Range(0, 1e6)] = 0.3
    """Factor on the learning rate for the encoder."""
    grad_clip_norm: Annotated[float, Range(0, 1e30, above=True)] = 20.0
    """Largest global norm of the gradients."""
    policy_eps: Annotated[float, Range(0, 1, above=True)] = 1e-5
    """Adam's epsilon for the policy."""
    warm_up: Annotated[float, Range(0, 1)] = 0.025
    """First part of pretraining over which the learning rates rise: 5,000 of 200,000 updates."""
    anneal: Annotated[float, Range(0, 1)] = 0.0
    """Last part of the run over which the learning rates fall linearly to 0; 0 keeps them."""
    target_tau: Annotated[float, Range(0, 1)] = 0.01
    """Rate at which the target value network follows, per update."""

    def __post_init__(self) -> None:
        check_settings(self, "optimizer.")


class Learner:
    """Optimizers and running statistics around an agent's world model.

    An update is, in this order: the world model's loss and step, the target network's move, the
    policy's loss and step, and the scale of the values (paper, section 3.2). One of pretraining on
    demonstrations is a step of both at once, in which the policy imitates and no value counts.

    Args:
        agent: Whose model learns.
        loss: Coefficients of the losses.
        optimizer: Settings of both optimizers.
        execution: How updates are run; not ``auto``.
        share: The part of each batch that this rank learns from; None is all of it. The others'
            parts count in the step just so.
    """

    def __init__(
        self,
        agent: PlanningAgent,
        loss: LossConfig,
        optimizer: OptimizerConfig,
        execution: Execution = "eager",
        share: Share | None = None,
    ) -> None:
        model = agent.model
        self.model = model
        self._share = share
        self._discount = agent.discount
        self._keep = 1.0 - model.config.q_dropout
        self._loss = loss
        self._settings = optimizer
        self._policy = list(model.policy.parameters())
        groups = model.parameter_groups(optimizer.lr, optimizer.encoder_lr_scale)
        self._rest = [parameter for group in groups for parameter in group["params"]]
        # Rates are tensors, so that a recorded step reads the present ones.
        on_gpu = agent.device.type == "cuda"
        for group in groups:
            group["lr"] = torch.tensor(group["lr"], device=agent.device)
        self.optimizer = torch.optim.Adam(groups, fused=True, capturable=on_gpu)
        self.policy_optimizer = torch.optim.Adam(
            self._policy,
            lr=torch.tensor(optimizer.lr, device=agent.device),
            eps=optimizer.policy_eps,
            fused=True,
            capturable=on_gpu,
        )
        self.scale = RunningScale().to(agent.device)
        # The metrics that a watch sees always have the same names.
        self._watch, self._pretraining_watch = FiniteWatch(), FiniteWatch()
        self._rates = [
            (one, [float(group["lr"]) for group in one.param_groups])
            for one in (self.optimizer, self.policy_optimizer)
        ]
        self._factor = 1.0
        self._metrics: list[str] = []
        self._pretraining_metrics: list[str] = []
        self._model_loss = compiled(self._plain_model_loss, execution)
        self._policy_loss = compiled(self._plain_policy_loss, execution)
        self._pretrain_loss = compiled(self._plain_pretrain_loss, execution)
        self._update = recorded(self._take_update, execution)
        self._pretrain = recorded(self._take_pretraining, execution)

    def set_progress(self, done: float) -> None:
        """Sets the learning rates for a point of the run.

        Args:
            done: Part of the run that is done, in [0, 1].
        """
        anneal = self._settings.anneal
        self._scale_rates(min(1.0, max(0.0, 1.0 - done) / anneal) if anneal else 1.0)

    def set_pretraining(self, done: float) -> None:
        """Sets the learning rates for the next update of pretraining.

        Args:
            done: Part of pretraining that is done after it, in (0, 1].
        """
        warm_up = self._settings.warm_up
        self._scale_rates(min(1.0, done / warm_up) if warm_up else 1.0)

    def _scale_rates(self, factor: float) -> None:
        if factor == self._factor:
            return
        self._factor = factor
        for optimizer, rates in self._rates:
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"].fill_(factor * rate)

    @torch.no_grad()
    def start_scale(self, batch: Batch, generator: torch.Generator) -> None:
        """Sets the scale that divides values to their spread; for a model that has values already.

        From 1, the scale follows in some hundred updates, in which the values of a pretrained
        model, a few hundred apart, would drown all else that the policy learns from.

        Args:
            batch: As of :meth:`update`.
            generator: The same.
        """
        noise = self._noise(batch, generator)
        zs = self.model.encode(batch.obs, self.model.context(batch.task), batch.image)
        *_, values = self._plain_policy_loss(zs, batch, noise)
        self.scale.start(self._spread(values))

    def update(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Takes one step of both optimizers.

        Args:
            batch: Windows of transitions.
            generator: Source of noise, on the model's device.

        Returns:
            Losses and statistics as scalar tensors on the model's device; nothing waits for it.
        """
        return self.step(batch, self._noise(batch, generator))

    def step(self, batch: Batch, noise: UpdateNoise) -> dict[str, Tensor]:
        """As :meth:`update`, from draws."""
        numbers = self._update(batch, noise).unbind()
        metrics = dict(zip(self._metrics, numbers, strict=True))
        self._watch.see(metrics)
        return metrics

    def pretrain(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Takes one step of both optimizers towards the objective of pretraining.

        The world model's loss plus imitation and entropy of the policy, all in one gradient, which
        is clipped as one (paper, section 3.3).

        Args:
            batch: Windows of demonstrations.
            generator: Source of noise, on the model's device.

        Returns:
            As :meth:`update`.
        """
        noise = self._noise(batch, generator)
        numbers = self._pretrain(batch, noise).unbind()
        metrics = dict(zip(self._pretraining_metrics, numbers, strict=True))
        self._pretraining_watch.see(metrics)
        return metrics

    def _noise(self, batch: Batch, generator: torch.Generator) -> UpdateNoise:
        """Draws for the whole batch, whichever part of it is learned from here."""
        share = self._share
        noise = update_noise(self.model, batch, share and share.total)
        noise.draw(generator, self._keep)
        return noise if share is None else noise.part(share.begin, share.end)

    def _spread(self, values: Tensor) -> Tensor:
        """The spread of values over the whole batch."""
        return self.scale.spread(values if self._share is None else self._share.union(values))

    def _average(self, parameters: list[nn.Parameter], metrics: dict[str, Tensor]) -> None:
        """Averages gradients and what is logged over the parts of a batch."""
        if self._share is not None:
            gradients = [one.grad for one in parameters if one.grad is not None]
            self._share.mean_([*gradients, *metrics.values()])

    def _take_update(self, batch: Batch, noise: UpdateNoise) -> Tensor:
        """Takes an update; returns the metrics, which ``_metrics`` names."""
        clip = self._settings.grad_clip_norm
        loss, metrics, zs = self._model_loss(batch, noise)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._average(self._rest, metrics)
        metrics["grad_norm"] = nn.utils.clip_grad_norm_(self._rest, clip)
        self.optimizer.step()
        self.model.update_target(self._settings.target_tau)
        loss, policy_metrics, values = self._policy_loss(zs, batch, noise)
        self.policy_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._average(self._policy, policy_metrics)
        metrics["policy_grad_norm"] = nn.utils.clip_grad_norm_(self._policy, clip)
        self.policy_optimizer.step()
        metrics["q_spread"] = self._spread(values)
        self.scale.update(metrics["q_spread"])
        metrics |= policy_metrics
        self._metrics = list(metrics)
        return torch.stack(list(metrics.values()))

    def _take_pretraining(self, batch: Batch, noise: UpdateNoise) -> Tensor:
        """Takes an update of pretraining; ``_pretraining_metrics`` names what it returns."""
        loss, metrics, zs = self._model_loss(batch, noise)
        imitation, policy_metrics = self._pretrain_loss(zs, batch, noise)
        for optimizer in self._optimizers().values():
            optimizer.zero_grad(set_to_none=True)
        (loss + imitation).backward()
        both = self._rest + self._policy
        self._average(both, metrics | policy_metrics)
        metrics["grad_norm"] = nn.utils.clip_grad_norm_(both, self._settings.grad_clip_norm)
        for optimizer in self._optimizers().values():
            optimizer.step()
        self.model.update_target(self._settings.target_tau)
        metrics |= policy_metrics
        self._pretraining_metrics = list(metrics)
        return torch.stack(list(metrics.values()))

    # The losses, as functions of tensors alone

    def _plain_model_loss(
        self, batch: Batch, noise: UpdateNoise
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        return world_model_loss(self.model, batch, self._discount, self._loss, noise)

    def _plain_policy_loss(
        self, zs: Tensor, batch: Batch, noise: UpdateNoise
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        return policy_loss(self.model, zs, batch, self.scale, self._loss, noise)

    def _plain_pretrain_loss(
        self, zs: Tensor, batch: Batch, noise: UpdateNoise
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return pretrain_policy_loss(self.model, zs, batch, self._loss, noise)

    @property
    def broken(self) -> list[str]:
        """Losses and gradients that were NaN or infinite in any update; waits for the device."""
        return self._pretraining_watch.broken + self._watch.broken

    def state_dict(self) -> dict[str, Tensor]:
        """Returns moments, step counts and the scale as flat tensors."""
        scale = {f"scale/{name}": value for name, value in self.scale.state_dict().items()}
        return scale | optimizer_state(self._optimizers())

    def load_state_dict(self, flat: dict[str, Tensor]) -> None:
        """Restores :meth:`state_dict`."""
        self.scale.load_state_dict(entries(flat, "scale"))
        restore_optimizers(self._optimizers(), flat)

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"optimizer": self.optimizer, "policy_optimizer": self.policy_optimizer}
