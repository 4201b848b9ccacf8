"""`Learner.update` beside the same update written out in plain PyTorch.

`Plain` is the paper's update (section 3) as one reads it, on a copy of the model. It calls the
networks one step at a time and shares no loss, optimiser or statistic with the package; the
networks themselves are written out in `test_losses`. No setting has its default, so that each is
seen to reach its place.
"""

import copy
from dataclasses import replace

import pytest
import torch

from newt_agent.agent import TaskInfo
from newt_agent.learner import Learner, OptimizerConfig
from newt_agent.losses import Batch, LossConfig
from newt_agent.planner import PlannerConfig
from newt_agent.planning_agent import PlanningAgent
from newt_agent.world_model import ModelConfig, WorldModel

MODEL = ModelConfig(16, 24, 16, 2, num_q=3, num_bins=21, obs_dim=7, action_dim=4)
LOSS = LossConfig(3.0, 0.7, 0.4, rho=0.8, entropy_coef=0.02, bc_coef=0.6, pretrain_bc_coef=0.3)
OPTIMIZER = OptimizerConfig(
    lr=1e-3,
    encoder_lr_scale=0.25,
    grad_clip_norm=0.05,
    policy_eps=1e-3,
    anneal=0.5,
    target_tau=0.1,
)
ACTION_MASK = torch.arange(4) < torch.tensor([[4], [2]])
DISCOUNT = torch.tensor([0.95, 0.5])
HORIZON, ROWS = 3, 12

CLIP = OPTIMIZER.grad_clip_norm
BINS = torch.linspace(-10, 10, MODEL.num_bins)
RHO = torch.tensor([1, 0.8, 0.64, 0.512]) / 2.952


def make_agent() -> PlanningAgent:
    g = torch.Generator().manual_seed(0)
    model = WorldModel(MODEL, torch.randn(2, 5, generator=g), ACTION_MASK, generator=g)
    with torch.no_grad():  # fresh heads are all 0
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=g))
    tasks = [TaskInfo("one", "", DISCOUNT[0].item()), TaskInfo("two", "", DISCOUNT[1].item())]
    return PlanningAgent(model, tasks, "minilm", PlannerConfig())


def make_batch(seed: int) -> Batch:
    g = torch.Generator().manual_seed(seed)
    return Batch(
        obs=torch.randn(HORIZON + 1, ROWS, 7, generator=g),
        action=2 * torch.rand(HORIZON, ROWS, 4, generator=g) - 1,
        reward=5 * torch.randn(HORIZON, ROWS, generator=g),
        task=torch.arange(ROWS) % 2,
    )


def cross_entropy(logits, y):
    """Mean over everything; `y` lies between two bins, each of which it weighs by nearness."""
    y = (y.sign() * torch.log(1 + y.abs())).clamp(-10, 10)
    nearness = 1 - (y[..., None] - BINS).abs() / (BINS[1] - BINS[0])
    return -(nearness.clamp(min=0) * logits.log_softmax(-1)).sum(-1).mean()


def decode(logits):
    mean = (logits.softmax(-1) * BINS).sum(-1)
    return mean.sign() * (mean.abs().exp() - 1)


def normal(steps, g):
    return torch.randn(steps, ROWS, 4, generator=g)


def two_heads(g):
    return torch.rand(MODEL.num_q, generator=g).argsort(descending=True)[:2]


class Plain:
    """The update in plain PyTorch; `model` is its own copy."""

    def __init__(self, model: WorldModel) -> None:
        self.model = copy.deepcopy(model)
        self.scale = torch.tensor(1.0)
        self.updates = 0
        self.moments: dict[str, tuple] = {}

    def model_loss(self, batch, g):
        model, task = self.model, batch.task
        context = model.context(task)
        with torch.no_grad():
            observed = model.encode(batch.obs[1:], context)
            next_action, _ = model.sample_action(observed, context, normal(HORIZON, g))
            i, j = two_heads(g)
            q = decode(model.Q(observed, next_action, context, target=True))
            target = batch.reward + DISCOUNT[task] * torch.minimum(q[i], q[j])
        zs = [model.encode(batch.obs[0], context)]
        consistency = reward = value = 0.0
        for t in range(HORIZON):
            z, a = zs[t], batch.action[t]
            zs.append(model.next(z, a, context))
            consistency += RHO[t] * (zs[t + 1] - observed[t]).square().mean()
            reward += RHO[t] * cross_entropy(model.reward(z, a, context), batch.reward[t])
            for head in model.Q(z, a, context):
                value += RHO[t] * cross_entropy(head, target[t]) / MODEL.num_q
        loss = (
            LOSS.consistency_coef * consistency
            + LOSS.reward_coef * reward
            + LOSS.value_coef * value
        )
        return loss, zs

    def policy_loss(self, batch, zs, g):
        model, task = self.model, batch.task
        context = model.context(task)
        zs = [z.detach() for z in zs]
        actions, info = model.sample_action(torch.stack(zs), context, normal(HORIZON + 1, g))
        i, j = two_heads(g)
        loss = 0.0
        for t, (z, a) in enumerate(zip(zs, actions, strict=True)):
            heads = decode(model.Q(z, a, context))
            q = (heads[i] + heads[j]) / 2
            if t == 0:
                low, high = torch.quantile(q.detach(), torch.tensor([0.05, 0.95]))
            if t < HORIZON:
                error = ACTION_MASK[task] * (a - batch.action[t]).square()
                imitation = (error.sum(-1) / ACTION_MASK[task].sum(-1)).mean()
                loss += RHO[t] * LOSS.bc_coef * imitation
            loss -= RHO[t] * (q / self.scale).mean()
            loss -= RHO[t] * LOSS.entropy_coef * info["scaled_entropy"][t].mean()
        return loss, high - low

    def imitation_loss(self, batch, zs, g):
        model, task = self.model, batch.task
        states, noise = torch.stack(zs[:HORIZON]), normal(HORIZON + 1, g)[:HORIZON]
        actions, info = model.sample_action(states, model.context(task), noise)
        loss = 0.0
        for t, a in enumerate(actions):
            error = ACTION_MASK[task] * (a - batch.action[t]).square()
            imitation = (error.sum(-1) / ACTION_MASK[task].sum(-1)).mean()
            loss += RHO[t] * LOSS.pretrain_bc_coef * imitation
            loss -= RHO[t] * LOSS.entropy_coef * info["scaled_entropy"][t].mean()
        return loss / HORIZON

    def clipped(self, loss, parameters):
        """Gradients by name, clipped to a norm over all of them, and the norm before."""
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        norm = sum(gradient.square().sum() for gradient in gradients).sqrt()
        factor = (CLIP / norm).clamp(max=1)
        return {name: factor * g for name, g in zip(parameters, gradients, strict=True)}, norm

    @torch.no_grad()
    def adam(self, gradients, rates, eps):
        """A step; gradients and learning rates by the parameter's name."""
        parameters = dict(self.model.named_parameters())
        for name, gradient in gradients.items():
            first, second = self.moments.get(name, (0.0, 0.0))
            first = 0.9 * first + 0.1 * gradient
            second = 0.999 * second + 0.001 * gradient.square()
            self.moments[name] = first, second
            unbiased = first / (1 - 0.9**self.updates), second / (1 - 0.999**self.updates)
            parameters[name] -= rates[name] * unbiased[0] / (unbiased[1].sqrt() + eps)


def split(model: WorldModel):
    """The trained parameters: those of the world model, and those of the policy."""
    trained = {name: p for name, p in model.named_parameters() if not name.startswith("target")}
    policy = {name: p for name, p in trained.items() if name.startswith("policy.")}
    return {name: p for name, p in trained.items() if name not in policy}, policy


def assert_close(ours: dict, expected: dict, rtol: float) -> None:
    for name, value in expected.items():
        torch.testing.assert_close(
            ours[name], value, rtol=rtol, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_update_by_hand():
    agent = make_agent()
    learner, plain = Learner(agent, LOSS, OPTIMIZER), Plain(agent.model)
    # The learning rates fall to 0 over the last half of the run.
    rates = [(0.0, 1e-3, 2.5e-4), (0.5, 1e-3, 2.5e-4), (0.75, 5e-4, 1.25e-4), (0.9, 2e-4, 5e-5)]
    for seed, (progress, rate, encoder_rate) in enumerate(rates):
        batch = make_batch(seed)
        learner.set_progress(progress)
        metrics = learner.update(batch, torch.Generator().manual_seed(seed))
        ours = {n: p.grad for n, p in agent.model.named_parameters() if p.grad is not None}

        g = torch.Generator().manual_seed(seed)  # the same draws, in the same order
        plain.updates += 1
        rest, policy = split(plain.model)

        loss, zs = plain.model_loss(batch, g)
        gradients, norm = plain.clipped(loss, rest)
        assert metrics["model_loss"].item() == pytest.approx(loss.item(), rel=1e-4)
        assert metrics["grad_norm"].item() == pytest.approx(norm.item(), rel=1e-3)
        assert norm > 2 * CLIP  # there is something to clip
        assert_close(ours, gradients, rtol=1e-3)
        # Adam makes a full step of a gradient near 0, whatever its sign: it gets the very same.
        gradients = {name: ours[name] for name in rest}
        encoder = {name for name in rest if name.startswith("encoder.")}
        plain.adam(gradients, {n: encoder_rate if n in encoder else rate for n in rest}, eps=1e-8)
        for name, parameter in plain.model.q_net.named_parameters():
            target = plain.model.target_q_net.get_parameter(name)
            target.data = 0.9 * target.data + 0.1 * parameter.data  # target_tau

        loss, spread = plain.policy_loss(batch, zs, g)
        gradients, norm = plain.clipped(loss, policy)
        assert metrics["pi_loss"].item() == pytest.approx(loss.item(), rel=1e-4, abs=1e-4)
        assert metrics["policy_grad_norm"].item() == pytest.approx(norm.item(), rel=1e-3)
        assert norm > 2 * CLIP
        assert_close(ours, gradients, rtol=1e-3)
        gradients = {name: ours[name] for name in policy}
        plain.adam(gradients, dict.fromkeys(policy, rate), OPTIMIZER.policy_eps)
        plain.scale += 0.01 * (spread.clamp(min=1) - plain.scale)

        assert learner.scale.value.item() == pytest.approx(plain.scale.item(), rel=1e-5)
        assert_close(agent.model.state_dict(), plain.model.state_dict(), rtol=1e-6)
    assert plain.scale > 1.1


def test_pretraining_by_hand():
    agent = make_agent()
    optimizer = replace(OPTIMIZER, warm_up=0.2)
    learner, plain = Learner(agent, LOSS, optimizer), Plain(agent.model)
    rates = [(0.05, 2.5e-4, 6.25e-5), (0.2, 1e-3, 2.5e-4), (1.0, 1e-3, 2.5e-4)]
    for seed, (done, rate, encoder_rate) in enumerate(rates):
        batch = make_batch(seed)
        learner.set_pretraining(done)
        metrics = learner.pretrain(batch, torch.Generator().manual_seed(seed))
        ours = {n: p.grad for n, p in agent.model.named_parameters() if p.grad is not None}

        g = torch.Generator().manual_seed(seed)
        plain.updates += 1
        rest, policy = split(plain.model)
        model_loss, zs = plain.model_loss(batch, g)
        imitation = plain.imitation_loss(batch, zs, g)
        gradients, norm = plain.clipped(model_loss + imitation, rest | policy)
        assert metrics["model_loss"].item() == pytest.approx(model_loss.item(), rel=1e-4)
        assert metrics["pi_loss"].item() == pytest.approx(imitation.item(), rel=1e-4)
        assert metrics["grad_norm"].item() == pytest.approx(norm.item(), rel=1e-3)
        assert norm > 2 * CLIP
        assert_close(ours, gradients, rtol=1e-3)
        encoder = {name for name in rest if name.startswith("encoder.")}
        own = {n: encoder_rate if n in encoder else rate for n in rest}
        plain.adam({name: ours[name] for name in rest}, own, eps=1e-8)
        own = dict.fromkeys(policy, rate)
        plain.adam({name: ours[name] for name in policy}, own, OPTIMIZER.policy_eps)
        for name, parameter in plain.model.q_net.named_parameters():
            target = plain.model.target_q_net.get_parameter(name)
            target.data = 0.9 * target.data + 0.1 * parameter.data
        assert_close(agent.model.state_dict(), plain.model.state_dict(), rtol=1e-6)
    assert learner.scale.value == 1  # no value counts
    assert learner.broken == []
