"""Planning with the world model: MPPI seeded by the policy (arXiv 2511.19584, section 3).

Every environment is planned for at once. Each iteration draws candidate action sequences from
a Gaussian, imagines them with the model, and refits the Gaussian to the best, weighted by
their value. Sequences drawn from the policy compete in every iteration; since their actions
stay the same, they are imagined only once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import torch
from torch import Tensor

from mmbench.runs import RunError
from newt_agent.config import Execution, Precision
from newt_agent.execution import compiled
from newt_agent.maths import two_heads
from newt_agent.noise import PlanNoise
from newt_agent.settings import Range, check_settings


@dataclass(frozen=True)
class PlannerConfig:
    """Budget and shape of the search; the defaults are the paper's."""

    horizon: Annotated[int, Range(1, 100)] = 3
    """Steps planned ahead."""
    iterations: Annotated[int, Range(1, 1000)] = 6
    """Times the Gaussian is refitted."""
    num_samples: Annotated[int, Range(1, 2**20)] = 512
    """Candidate sequences per environment and iteration, those of the policy included."""
    num_elites: Annotated[int, Range(1, 2**20)] = 64
    """Best candidates that the Gaussian is fitted to."""
    num_pi_trajs: Annotated[int, Range(0, 2**20)] = 24
    """Candidates drawn from the policy."""
    min_std: Annotated[float, Range(0, 100)] = 0.05
    """Least standard deviation of an action entry."""
    max_std: Annotated[float, Range(0, 100, above=True)] = 2.0
    """Greatest, and initial, standard deviation."""
    temperature: Annotated[float, Range(0, 1e6)] = 0.5
    """Elites weigh exp(temperature * (value - best))."""

    def __post_init__(self) -> None:
        check_settings(self, "planner.")
        for part, whole in (
            ("num_elites", "num_samples"),
            ("num_pi_trajs", "num_samples"),
            ("min_std", "max_std"),
        ):
            if getattr(self, part) > getattr(self, whole):
                raise RunError(
                    f"planner.{part}={getattr(self, part)}: more than planner.{whole}="
                    f"{getattr(self, whole)}"
                )


class PlanningModel(Protocol):
    """What the planner needs of a model; `newt_agent.WorldModel` has it.

    `context` is whatever the model knows tasks by, with an attribute ``action_mask`` ``[E, 1,
    action_dim]``. Leading dimensions broadcast: ``z`` may be ``[E, 1, latent]`` where ``action``
    is ``[E, N, action_dim]``.
    """

    @property
    def num_q(self) -> int:
        """Heads of the value ensemble."""

    @property
    def action_mask(self) -> Tensor:
        """The table of action masks, ``[tasks, action_dim]`` bool."""

    def next(self, z: Tensor, action: Tensor, context: Any) -> Tensor:
        """The next latent state."""

    def reward(self, z: Tensor, action: Tensor, context: Any) -> Tensor:
        """Logits of the reward."""

    def Q(self, z: Tensor, action: Tensor, context: Any, *, heads: Tensor | None = None) -> Tensor:
        """Logits of the return, one row a head."""

    def sample_action(self, z: Tensor, context: Any, noise: Tensor) -> tuple[Tensor, Any]:
        """An action of the policy, and a second value that the planner ignores."""

    def decode(self, logits: Tensor) -> Tensor:
        """Scalars of reward or return logits."""

    @property
    def terminates(self) -> bool:
        """Whether it predicts terminations."""

    def termination(self, z: Tensor, context: Any) -> Tensor:
        """Logits of whether a state ended its episode, if it predicts that."""


class Planner:
    """Model-predictive control for a batch of environments.

    Args:
        model: The world model, used without gradients.
        config: Budget.
    """

    def __init__(self, model: PlanningModel, config: PlannerConfig | None = None):
        self.model = model
        self.config = config or PlannerConfig()
        self.run_by("eager")

    def run_by(self, execution: Execution, precision: Precision = "float32") -> None:
        """Sets how the model is followed; at first as written, in float32.

        Args:
            execution: Not ``auto``.
            precision: Of the products of matrices.
        """
        self.precision = precision
        self._imagine = compiled(self._plain_imagine, execution)

    def initial(self, num_envs: int) -> Tensor:
        """A `prev_mean` for the first call: zeros ``[num_envs, horizon, action_dim]``."""
        mask = self.model.action_mask
        return torch.zeros(num_envs, self.config.horizon, mask.shape[-1], device=mask.device)

    def noise(self, num_envs: int) -> PlanNoise:
        """Makes the noise of plans for a number of environments; draw it anew for each plan."""
        config, mask = self.config, self.model.action_mask
        return PlanNoise.empty(
            num_envs,
            config.horizon,
            config.iterations,
            config.num_samples - config.num_pi_trajs,
            config.num_pi_trajs,
            config.num_elites,
            mask.shape[-1],
            self.model.num_q,
            mask.device,
        )

    @torch.no_grad()
    def plan(
        self,
        z: Tensor,
        context: Any,
        prev_mean: Tensor,
        first: Tensor,
        discount: Tensor,
        explore: bool,
        noise: PlanNoise,
        prior_weight: float | Tensor = 0.0,
    ) -> tuple[Tensor, Tensor]:
        """Choose one action for each of E environments.

        Args:
            z: ``[E, 1, latent_dim]``, encoded observations.
            context: The tasks, ``[E, 1]``: candidates broadcast against the second dimension.
            prev_mean: ``[E, horizon, action_dim]``, the mean returned by the previous call. It
                is shifted by one step to start the search from.
            first: ``[E]`` bool, True where an episode begins: there `prev_mean` is ignored.
            discount: ``[E]``, the discount of each environment's task.
            explore: Add noise of the final standard deviation to the action.
            noise: As of :meth:`noise`, drawn, on the device of `z`.
            prior_weight: In [0, 1], how far the initial Gaussian is that of the policy's
                sequences instead of the shifted mean with `max_std` (section 3 of the paper
                anneals it from 1 to 0 early in training).

        Returns:
            The action ``[E, action_dim]`` in [-1, 1], 0 at masked entries, and the fitted mean
            ``[E, horizon, action_dim]`` to hand to the next call.
        """
        config = self.config
        mask = context.action_mask
        heads = two_heads(noise.heads)
        discount = discount[:, None]

        # Inside, time comes first: [horizon, E, candidates, action_dim].
        pi_actions, pi_values = self._imagine(
            z.expand(-1, config.num_pi_trajs, -1), None, context, discount, heads, noise.policy
        )
        shifted = torch.cat([prev_mean[:, 1:], torch.zeros_like(prev_mean[:, :1])], dim=1)
        mean = torch.where(first[:, None, None], 0.0, shifted).transpose(0, 1).unsqueeze(2)
        std = torch.full_like(mean, config.max_std)
        if config.num_pi_trajs and (isinstance(prior_weight, Tensor) or prior_weight > 0):
            # The unbiased estimate, as published; of a single sequence, which has none, 0.
            correction = min(1, config.num_pi_trajs - 1)
            pi_std = pi_actions.std(2, correction=correction, keepdim=True)
            pi_std = pi_std.clamp(config.min_std, config.max_std)
            mean = torch.lerp(mean, pi_actions.mean(2, keepdim=True), prior_weight)
            std = torch.lerp(std, pi_std, prior_weight)

        for each, last in zip(noise.candidates, noise.last, strict=True):
            actions = torch.where(mask, (mean + std * each).clamp(-1, 1), 0.0)
            actions, values = self._imagine(z, actions, context, discount, heads, last[None])
            actions = torch.cat([pi_actions, actions], dim=2)
            values = torch.cat([pi_values, values], dim=1)

            best, index = values.topk(config.num_elites, dim=1)
            size = (config.horizon, len(z), config.num_elites, actions.shape[3])
            elites = actions.gather(2, index[None, :, :, None].expand(size))
            weights = torch.softmax(config.temperature * best, dim=1)
            mean = (weights[..., None] * elites).sum(2, keepdim=True)
            variance = (weights[..., None] * (elites - mean).square()).sum(2, keepdim=True)
            std = variance.sqrt().clamp(config.min_std, config.max_std)
            std = torch.where(mask, std, 0.0)

        # Samples by weight: the largest of weight / Exp(1), which needs no host synchronisation.
        race = weights / noise.race
        chosen = race.argmax(1)[:, None, None].expand(-1, 1, elites.shape[3])
        action = elites[0].gather(1, chosen).squeeze(1)
        if explore:
            action = (action + std[0].squeeze(1) * noise.explore).clamp(-1, 1)
        return action, mean.squeeze(2).transpose(0, 1).contiguous()

    def _plain_imagine(
        self,
        z: Tensor,
        sequences: Tensor | None,
        context: Any,
        discount: Tensor,
        heads: Tensor,
        noise: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Follow action sequences in the model.

        Args:
            z: ``[E, N, latent_dim]``, or ``[E, 1, latent_dim]`` for one start of all sequences.
            sequences: ``[horizon, E, N, action_dim]``; None is what the policy does from `z`.
            context: The tasks.
            discount: ``[E, 1]``.
            heads: Indices of the two heads of the terminal value.
            noise: ``[steps, E, N, action_dim]``, of the policy's actions: horizon + 1 of them
                where it chooses the sequences, else the last one.

        Returns:
            The sequences, and their values ``[E, N]``: the discounted sum of the rewards and of
            the mean terminal value of the two heads. NaN counts as 0.
        """
        low = self.precision == "bfloat16"
        with torch.autocast(z.device.type, torch.bfloat16, enabled=low):
            model = self.model
            actions: list[Tensor] = []
            value: Tensor | float = 0.0
            factor = torch.ones_like(discount)
            for t in range(self.config.horizon):
                if sequences is None:
                    action, _ = model.sample_action(z, context, noise[t])
                    actions.append(action)
                else:
                    action = sequences[t]
                value = value + factor * self._decode(model.reward(z, action, context))
                z = model.next(z, action, context)
                factor = factor * discount
                if model.terminates:  # what would come after an end counts nothing
                    factor = torch.where(model.termination(z, context) > 0, 0.0, factor)
            last, _ = model.sample_action(z, context, noise[-1])
            value = value + factor * self._decode(model.Q(z, last, context, heads=heads)).mean(0)
            if sequences is None:
                sequences = torch.stack(actions)
            return sequences, torch.nan_to_num(value, nan=0.0)

    def _decode(self, logits: Tensor) -> Tensor:
        # In float32 always: the bins are too close for less.
        with torch.autocast(logits.device.type, enabled=False):
            return self.model.decode(logits.float())
