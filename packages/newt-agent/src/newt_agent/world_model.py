"""The world model of Newt: encoder, dynamics, reward, policy and value ensemble.

arXiv 2511.19584, section 3 and the table of components in the appendix. One network of each
kind serves all tasks; a task enters as the embedding of its instruction, and as masks over the
entries of the action and the observation that it uses.

Shapes. Tasks are indices into the model's table. `WorldModel.context` looks up what the networks
need of them, and the networks take this context. Its indices broadcast against the leading
dimensions of the other arguments as usual, aligned on the right:

======================  ==================  ===================
use                     z                   indices
======================  ==================  ===================
acting                  [envs, latent]      [envs]
losses, over time       [time, batch, ...]  [batch]
planning, candidates    [envs, n, latent]   [envs, 1]
======================  ==================  ===================

Masks hold everywhere: what the masked entries of an observation or an action contain, NaN
included, changes no output and no gradient.
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor, nn

from mmbench.runs import RunError
from newt_agent.cnn import CNN
from newt_agent.layers import MLP, MLPEnsemble
from newt_agent.maths import (
    bounded_log_std,
    decode_two_hot,
    gaussian_log_prob,
    tanh_log_det,
)
from newt_agent.settings import Range, check_settings
from newt_agent.task_module import TaskModule

Size = Annotated[int, Range(1, 2**20)]


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of a world model."""

    enc_dim: Size
    """Width of the encoder's hidden layers."""
    mlp_dim: Size
    """Width of the hidden layers of every other network (two each)."""
    latent_dim: Size
    """Size of the latent state, a multiple of `simnorm_dim`."""
    num_enc_layers: Annotated[int, Range(2, 1000)]
    """Linear layers of the encoder, the last one included; at least 2."""
    num_q: Annotated[int, Range(2, 1000)]
    """Heads of the value ensemble; at least 2."""
    simnorm_dim: Size = 8
    """Entries per simplex of the latent state."""
    num_bins: Annotated[int, Range(2, 2**16)] = 101
    """Bins of the reward and value distributions."""
    vmin: Annotated[float, Range(-100, 100)] = -10.0
    """Centre of the first bin, in symlog space."""
    vmax: Annotated[float, Range(-100, 100)] = 10.0
    """Centre of the last bin, in symlog space."""
    log_std_min: Annotated[float, Range(-100, 100)] = -10.0
    """Lowest log standard deviation of the policy, before squashing."""
    log_std_max: Annotated[float, Range(-100, 100)] = 2.0
    """Highest log standard deviation of the policy, before squashing."""
    obs_dim: Size = 128
    """Size of the padded observation."""
    action_dim: Size = 16
    """Size of the padded action."""
    image_dim: Annotated[int, Range(0, 2**20)] = 0
    """Size of the image features (768 for DINOv2 base), 0 for none."""
    pixels: Annotated[int, Range(0, 4096)] = 0
    """Side of the images of which a CNN makes these features; 0: they come in."""
    q_dropout: Annotated[float, Range(0, 0.9)] = 0.0
    """Dropout in the first layer of the value ensemble while it is trained (TD-MPC2: 0.01)."""
    terminations: bool = False
    """Predict which states end an episode, for tasks whose episodes terminate."""

    def __post_init__(self) -> None:
        check_settings(self, "model.")
        if self.latent_dim % self.simnorm_dim:
            raise RunError(
                f"model.latent_dim={self.latent_dim}: has to be a multiple of simnorm_dim="
                f"{self.simnorm_dim}"
            )
        if self.vmin >= self.vmax or self.log_std_min >= self.log_std_max:
            raise RunError("model.vmin and log_std_min have to be less than vmax and log_std_max")


SIZES: dict[str, ModelConfig] = {
    "XS": ModelConfig(enc_dim=64, mlp_dim=64, latent_dim=64, num_enc_layers=2, num_q=2),
    "S": ModelConfig(enc_dim=128, mlp_dim=256, latent_dim=384, num_enc_layers=2, num_q=3),
    "B": ModelConfig(enc_dim=256, mlp_dim=512, latent_dim=512, num_enc_layers=2, num_q=5),
    "L": ModelConfig(enc_dim=1024, mlp_dim=1024, latent_dim=512, num_enc_layers=3, num_q=5),
    "XL": ModelConfig(enc_dim=2048, mlp_dim=2048, latent_dim=704, num_enc_layers=4, num_q=7),
}
"""The published sizes, of 2M (S), 7M (B; 5M without language), 20M (L) and 82M (XL) parameters,
and one that is not the paper's: XS, 0.3M, with which two cores learn something in minutes."""


class TaskContext(NamedTuple):
    """What the networks need of some tasks, computed once.

    Made by `WorldModel.context`. Valid until the weights change.
    """

    task: Tensor
    """Indices into the model's table, any shape."""
    action_mask: Tensor
    """``[*task, action_dim]`` bool."""
    observation_mask: Tensor
    """``[*task, obs_dim]`` bool."""
    encoder: Tensor
    """``[*task, hidden]``, what the instruction adds to the first layer. So for each network."""
    dynamics: Tensor
    reward_net: Tensor
    policy: Tensor
    q_net: Tensor
    """``[*task, num_q, hidden]``."""
    target_q_net: Tensor
    termination_net: Tensor | None = None
    terminating: Tensor | None = None
    """``[*task]`` bool, whether episodes may terminate; None of a model that predicts none."""


_NEVER = -1e9
"""Logit of a termination that cannot be: its probability, its loss and their gradients are 0."""


class WorldModel(TaskModule):
    """All networks of the agent, and its table of tasks.

    Submodules: ``encoder``, ``dynamics``, ``reward_net``, ``policy``, ``q_net``, and
    ``target_q_net``, a copy of ``q_net`` that no gradient reaches and `update_target` moves; and
    ``termination_net``, None if the model predicts no terminations.
    Buffers, frozen and saved: ``task_embeddings`` ``[tasks, language]``, ``action_mask``
    ``[tasks, action_dim]`` bool, ``observation_mask`` ``[tasks, obs_dim]`` bool; and with
    ``termination_net``, ``terminating`` ``[tasks]`` bool, the tasks of which it predicts any: at
    first all.

    Args:
        config: Sizes.
        task_embeddings: ``[tasks, language]`` float, one instruction embedding a task;
            ``[tasks, 0]`` for a model without language.
        action_mask: ``[tasks, action_dim]``, nonzero where the task uses the entry.
        observation_mask: ``[tasks, obs_dim]``, the same for observations; None is all.
        generator: Source of the initial weights (a CPU generator); None is PyTorch's global one.

    Raises:
        ValueError: A table does not have the shape that `config` and the others say.
    """

    bins: Tensor
    terminating: Tensor

    def __init__(
        self,
        config: ModelConfig,
        task_embeddings: Tensor,
        action_mask: Tensor,
        observation_mask: Tensor | None = None,
        generator: torch.Generator | None = None,
    ):
        if observation_mask is None:
            observation_mask = torch.ones(len(task_embeddings), config.obs_dim)
        super().__init__(task_embeddings, action_mask, observation_mask)
        for name, size in (
            ("action_mask", config.action_dim),
            ("observation_mask", config.obs_dim),
        ):
            mask = getattr(self, name)
            if mask.shape[1] != size:
                raise ValueError(f"{name} must be [{len(mask)}, {size}], not {list(mask.shape)}")
        language = task_embeddings.shape[1]
        self.config = config
        self.register_buffer(
            "bins", torch.linspace(config.vmin, config.vmax, config.num_bins), persistent=False
        )

        latent, action = config.latent_dim, config.action_dim
        hidden = [config.mlp_dim, config.mlp_dim]
        self.encoder = MLP(
            config.obs_dim,
            config.image_dim,
            language,
            [config.enc_dim] * (config.num_enc_layers - 1),
            latent,
            simnorm_group=config.simnorm_dim,
            generator=generator,
        )
        self.dynamics = MLP(
            latent,
            action,
            language,
            hidden,
            latent,
            simnorm_group=config.simnorm_dim,
            generator=generator,
        )
        self.reward_net = MLP(
            latent,
            action,
            language,
            hidden,
            config.num_bins,
            zero_last=True,
            generator=generator,
        )
        self.policy = MLP(latent, 0, language, hidden, 2 * action, generator=generator)
        self.q_net = MLPEnsemble(
            config.num_q,
            latent,
            action,
            language,
            config.mlp_dim,
            config.num_bins,
            dropout=config.q_dropout,
            generator=generator,
        )
        self.target_q_net = copy.deepcopy(self.q_net).requires_grad_(False)
        self.termination_net: MLP | None = None
        if config.terminations:
            self.predict_terminations(torch.ones(self.num_tasks), generator)
        self.cnn = CNN(config.pixels, generator) if config.pixels else None

    def predict_terminations(
        self, terminating: Tensor, generator: torch.Generator | None = None
    ) -> None:
        """Adds the network that predicts terminations; at first it predicts none.

        Args:
            terminating: ``[tasks]``, nonzero where episodes of the task may terminate.
            generator: Source of its weights, on the CPU.
        """
        device = self.action_mask.device
        self.register_buffer("terminating", (terminating != 0).to(device))
        self.config = dataclasses.replace(self.config, terminations=True)
        self.termination_net = MLP(
            self.config.latent_dim,
            0,
            self.task_embeddings.shape[1],
            [self.config.mlp_dim, self.config.mlp_dim],
            1,
            zero_last=True,
            generator=generator,
        ).to(device)

    @property
    def terminates(self) -> bool:
        """Whether it predicts terminations, of any task."""
        return self.termination_net is not None

    def add_tasks(
        self, task_embeddings: Tensor, action_mask: Tensor, observation_mask: Tensor
    ) -> None:
        """As of any network with tables; of the new tasks it predicts no terminations yet."""
        super().add_tasks(task_embeddings, action_mask, observation_mask)
        if self.terminates:
            never = self.terminating.new_zeros(len(task_embeddings))
            self.terminating = torch.cat([self.terminating, never])

    def add_images(self, image_dim: int, pixels: int, generator: torch.Generator) -> None:
        """Lets the model see images too. At first they change nothing: their weights are 0.

        Args:
            image_dim: As of the config.
            pixels: The same.
            generator: Source of the CNN's weights, on the CPU.

        Raises:
            ValueError: It sees images already.
        """
        if self.config.image_dim:
            raise ValueError("this model sees images already")
        self.config = dataclasses.replace(self.config, image_dim=image_dim, pixels=pixels)
        device = self.action_mask.device
        weight = torch.zeros(self.config.enc_dim, image_dim, device=device)
        self.encoder.weight_extra = nn.Parameter(weight)
        self.cnn = CNN(pixels, generator).to(device) if pixels else None

    @property
    def num_q(self) -> int:
        """Heads of the value ensemble."""
        return self.config.num_q

    def context(self, task: Tensor) -> TaskContext:
        """Look up what the networks need of some tasks.

        Args:
            task: Indices into the model's table, any shape.

        Returns:
            The context. It carries gradients to the weights if gradients are enabled.
        """
        return TaskContext(
            task,
            self.action_mask[task],
            self.observation_mask[task],
            encoder=self.per_task(self.encoder.language_term, task),
            dynamics=self.per_task(self.dynamics.language_term, task),
            reward_net=self.per_task(self.reward_net.language_term, task),
            policy=self.per_task(self.policy.language_term, task),
            q_net=self.per_task(self.q_net.language_term, task),
            target_q_net=self.per_task(self.target_q_net.language_term, task),
            termination_net=None
            if self.termination_net is None
            else self.per_task(self.termination_net.language_term, task),
            terminating=None if self.termination_net is None else self.terminating[task],
        )

    # The networks

    def encode(self, obs: Tensor, context: TaskContext, image: Tensor | None = None) -> Tensor:
        """Map an observation to a latent state.

        Args:
            obs: ``[..., obs_dim]``, padded.
            context: Tasks, whose indices broadcast to ``obs.shape[:-1]``.
            image: ``[..., image_dim]`` features, or ``[..., 3 * pixels**2]`` of any type if the
                model has a CNN; exactly if the model has ``image_dim``.

        Returns:
            ``[..., latent_dim]``: simplices of ``simnorm_dim`` entries in (0, 1).

        Raises:
            ValueError: `image` is missing, or given to a model without images.
        """
        if (image is None) != (self.config.image_dim == 0):
            wants = f"needs image features [..., {self.config.image_dim}]"
            raise ValueError(f"this model {wants if image is None else 'takes no image features'}")
        obs = torch.where(context.observation_mask, obs, 0.0)
        if image is not None:
            image = image.float() if self.cnn is None else self.cnn(image)
        return self.encoder(obs, image, context.encoder)

    def next(self, z: Tensor, action: Tensor, context: TaskContext) -> Tensor:
        """Predict the next latent state.

        Args:
            z: ``[..., latent_dim]``.
            action: ``[..., action_dim]`` in [-1, 1]; broadcasts against `z`.
            context: Tasks, whose indices broadcast to the leading dimensions.

        Returns:
            ``[..., latent_dim]``.
        """
        return self.dynamics(z, _mask(action, context), context.dynamics)

    def reward(self, z: Tensor, action: Tensor, context: TaskContext) -> Tensor:
        """Predict the reward of a step as logits ``[..., num_bins]``; arguments as `next`."""
        return self.reward_net(z, _mask(action, context), context.reward_net)

    def termination(self, z: Tensor, context: TaskContext) -> Tensor:
        """Predict whether a state ended its episode.

        Args:
            z: ``[..., latent_dim]``, a state that was reached.
            context: Tasks, whose indices broadcast to ``z.shape[:-1]``.

        Returns:
            Logits ``[...]``: above 0 where an end is likelier than none. Far below, and without a
            gradient, where episodes of the task never terminate.
        """
        assert self.termination_net is not None and context.terminating is not None
        logits = self.termination_net(z, None, context.termination_net).squeeze(-1)
        return torch.where(context.terminating, logits, _NEVER)

    def Q(
        self,
        z: Tensor,
        action: Tensor,
        context: TaskContext,
        target: bool = False,
        heads: Tensor | None = None,
        detach: bool = False,
        kept: Tensor | None = None,
    ) -> Tensor:
        """Predict the return as logits.

        Args:
            z: ``[..., latent_dim]``.
            action: ``[..., action_dim]`` in [-1, 1]; broadcasts against `z`.
            context: Tasks, whose indices broadcast to the leading dimensions.
            target: Use the target network.
            heads: Indices of the heads to compute; None is all.
            detach: Let gradients reach `z` and `action` but not the weights.
            kept: ``[..., num_q or len(heads), mlp_dim]``, the dropout: 1 where training keeps an
                output of the first layer, else 0; None keeps all.

        Returns:
            ``[num_q or len(heads), ..., num_bins]``.
        """
        net = self.target_q_net if target else self.q_net
        term = context.target_q_net if target else context.q_net
        term = term.detach() if detach else term
        return net(z, _mask(action, context), term, heads, detach, kept)

    def decode(self, logits: Tensor) -> Tensor:
        """Turn reward or value logits ``[..., num_bins]`` into scalars ``[...]``."""
        return decode_two_hot(logits, self.bins)

    # The policy

    def _gaussian(self, z: Tensor, context: TaskContext) -> tuple[Tensor, Tensor]:
        """Mean and log-std before squashing, 0 at masked entries."""
        mean, raw = self.policy(z, None, context.policy).chunk(2, dim=-1)
        low, high = self.config.log_std_min, self.config.log_std_max
        log_std = bounded_log_std(raw, low, high)
        mask = context.action_mask
        return torch.where(mask, mean, 0.0), torch.where(mask, log_std, 0.0)

    def pi(self, z: Tensor, context: TaskContext) -> tuple[Tensor, Tensor]:
        """The policy's distribution.

        Args:
            z: ``[..., latent_dim]``.
            context: Tasks, whose indices broadcast to ``z.shape[:-1]``.

        Returns:
            The squashed mean in (-1, 1) and the log-std before squashing in [log_std_min,
            log_std_max], both ``[..., action_dim]`` and 0 at masked entries.
        """
        mean, log_std = self._gaussian(z, context)
        return torch.tanh(mean), log_std

    def sample_action(
        self, z: Tensor, context: TaskContext, noise: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """An action of the policy, differentiably.

        Args:
            z: ``[..., latent_dim]``.
            context: Tasks, whose indices broadcast to ``z.shape[:-1]``.
            noise: ``[..., action_dim]`` standard normal.

        Returns:
            The action ``[..., action_dim]`` in (-1, 1), 0 at masked entries, and a dict:
            ``mean`` (squashed) and ``log_std`` (before squashing) ``[..., action_dim]``;
            ``mask``, the action mask; and ``[...]``, over the task's own entries: ``log_prob``
            (the sum before squashing), ``entropy`` (one sample's, after squashing) and
            ``scaled_entropy``, ``-log_prob`` times the number of entries, which is what the
            policy loss rewards (section 3.2 of the paper).
        """
        mean, log_std = self._gaussian(z, context)
        mask = context.action_mask
        raw = torch.where(mask, mean + noise * log_std.exp(), 0.0)
        log_prob = torch.where(mask, gaussian_log_prob(noise, log_std), 0.0).sum(-1)
        info: dict[str, Any] = {
            "mean": torch.tanh(mean),
            "log_std": log_std,
            "mask": mask,
            "log_prob": log_prob,
            "entropy": -(log_prob - torch.where(mask, tanh_log_det(raw), 0.0).sum(-1)),
            "scaled_entropy": -log_prob * mask.sum(-1),
        }
        return torch.tanh(raw), info

    # Training

    @torch.no_grad()
    def update_target(self, tau: float) -> None:
        """Move the target network a fraction `tau` towards the online one."""
        target: list[Tensor] = list(self.target_q_net.parameters())
        online: list[Tensor] = list(self.q_net.parameters())
        torch._foreach_lerp_(target, online, tau)

    def parameter_groups(
        self, lr: float, encoder_lr_scale: float, policy: bool = False
    ) -> list[dict[str, Any]]:
        """Parameter groups of the main optimiser.

        Args:
            lr: Learning rate.
            encoder_lr_scale: Factor on it for the encoder.
            policy: Include the policy, which has an optimiser of its own except in pretraining.
        """
        nets: list[nn.Module] = [self.dynamics, self.reward_net, self.q_net]
        if self.termination_net is not None:
            nets.append(self.termination_net)
        if policy:
            nets.append(self.policy)
        encoders: list[nn.Module] = [self.encoder, *([] if self.cnn is None else [self.cnn])]
        encoding = [p for net in encoders for p in net.parameters()]
        return [
            {"params": encoding, "lr": lr * encoder_lr_scale},
            {"params": [p for net in nets for p in net.parameters()], "lr": lr},
        ]


def _mask(action: Tensor, context: TaskContext) -> Tensor:
    # A selection, not a product: 0 * NaN is NaN.
    return torch.where(context.action_mask, action, 0.0)
