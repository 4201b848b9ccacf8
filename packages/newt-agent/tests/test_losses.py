"""The objectives against a second derivation in NumPy, in double precision.

The tiny model has two heads, so that both are always drawn, and a policy with nearly no noise,
so that its samples are its means: the losses are then functions without chance.
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from newt_agent.losses import (
    Batch,
    LossConfig,
    policy_loss,
    pretrain_policy_loss,
    td_target,
    update_noise,
    world_model_loss,
)
from newt_agent.maths import RunningScale
from newt_agent.world_model import ModelConfig, WorldModel

CONFIG = ModelConfig(
    enc_dim=12,
    mlp_dim=20,
    latent_dim=16,
    num_enc_layers=3,
    num_q=2,
    num_bins=21,
    log_std_min=-30.0,
    log_std_max=-25.0,
    obs_dim=9,
    action_dim=5,
)
TASKS, HORIZON, BATCH = 3, 3, 6
ACTION_MASK = torch.arange(5) < torch.tensor([[5], [2], [3]])
OBS_MASK = torch.arange(9) < torch.tensor([[9], [4], [7]])
DISCOUNT = torch.tensor([0.99, 0.95, 0.5])
RHO = np.array([8, 4, 2, 1]) / 15


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(model, batch, seed=0):
    return update_noise(model, batch).draw(generator(seed))


def make_model(config=CONFIG, seed=0):
    g = generator(seed)
    model = WorldModel(config, torch.randn(TASKS, 6, generator=g), ACTION_MASK, OBS_MASK, g)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=g))
    return model


def make_batch(seed=1, fill=0.0, image_dim=0):
    g = generator(seed)
    task = torch.randint(TASKS, (BATCH,), generator=g)
    obs = torch.randn(HORIZON + 1, BATCH, 9, generator=g)
    action = torch.rand(HORIZON, BATCH, 5, generator=g) * 2 - 1
    reward = 3 * torch.randn(HORIZON, BATCH, generator=g)
    image = torch.randn(HORIZON + 1, BATCH, image_dim, generator=g) if image_dim else None
    obs = torch.where(OBS_MASK[task], obs, fill)
    action = torch.where(ACTION_MASK[task], action, fill)
    return Batch(obs, action, reward, task, image)


class Reference:
    """The model and its losses in NumPy float64; inputs are concatenated, loops are plain."""

    def __init__(self, model):
        self.p = {k: v.double().numpy().copy() for k, v in model.state_dict().items()}
        self.emb, self.mask = self.p["task_embeddings"], ACTION_MASK.numpy()
        self.config = model.config

    def layer_norm(self, x, weight, bias):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * weight + bias

    def mish(self, x):
        return x * np.tanh(np.log1p(np.exp(x)))

    def softmax(self, x):
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    def mlp(self, name, inputs, simnorm=False):
        p = self.p
        weight = [p[f"{name}.weight_x"], p[f"{name}.weight_language"]]
        if f"{name}.weight_extra" in p:
            weight.append(p[f"{name}.weight_extra"])
        h = np.concatenate(inputs, -1) @ np.concatenate(weight, -1).T + p[f"{name}.bias"]
        layers = sum(k.startswith(f"{name}.linears") and k.endswith("weight") for k in p)
        for i in range(layers):
            h = self.layer_norm(h, p[f"{name}.norms.{i}.weight"], p[f"{name}.norms.{i}.bias"])
            h = self.mish(h) @ p[f"{name}.linears.{i}.weight"].T + p[f"{name}.linears.{i}.bias"]
        if simnorm:
            norm = f"{name}.norms.{layers}"
            h = self.layer_norm(h, p[f"{norm}.weight"], p[f"{norm}.bias"])
            h = self.softmax(h.reshape(*h.shape[:-1], -1, 8)).reshape(h.shape)
        return h

    def encode(self, obs, task):
        return self.mlp("encoder", [obs, self.emb[task]], simnorm=True)

    def next(self, z, a, task):
        return self.mlp("dynamics", [z, self.emb[task], a], simnorm=True)

    def reward(self, z, a, task):
        return self.mlp("reward_net", [z, self.emb[task], a])

    def pi(self, z, task):
        return np.tanh(self.mlp("policy", [z, self.emb[task]])[..., :5]) * self.mask[task]

    def Q(self, z, a, task, head, name="q_net"):
        p = {k.split(".")[1]: v[head] for k, v in self.p.items() if k.startswith(name + ".")}
        weight = np.concatenate([p["weight_x"], p["weight_language"], p["weight_extra"]], -1)
        h = np.concatenate([z, self.emb[task], a], -1) @ weight.T + p["bias"]
        h = self.mish(self.layer_norm(h, p["norm1_weight"], p["norm1_bias"]))
        h = h @ p["weight2"].T + p["bias2"]
        h = self.mish(self.layer_norm(h, p["norm2_weight"], p["norm2_bias"]))
        return h @ p["weight3"].T + p["bias3"]

    def decode(self, logits):
        v = self.softmax(logits) @ np.linspace(-10, 10, CONFIG.num_bins)
        return np.sign(v) * (np.exp(np.abs(v)) - 1)

    def cross_entropy(self, logits, target):
        """Mean over the batch, one sample at a time."""
        bins = np.linspace(-10, 10, CONFIG.num_bins)
        total = 0.0
        for row, y in zip(logits, target, strict=True):
            y = np.clip(np.sign(y) * np.log1p(np.abs(y)), -10, 10)
            soft = np.maximum(0, 1 - np.abs(y - bins) / (bins[1] - bins[0]))
            total -= soft @ np.log(self.softmax(row))
        return total / len(target)

    def constants(self, batch):
        """What the world-model loss holds constant: encodings of what followed, TD targets."""
        task = batch.task.numpy()
        observed = self.encode(batch.obs[1:].double().numpy(), task[None].repeat(HORIZON, 0))
        targets = []
        for t in range(HORIZON):
            a = self.pi(observed[t], task)
            q = [self.decode(self.Q(observed[t], a, task, head, "target_q_net")) for head in (0, 1)]
            discount = DISCOUNT.double().numpy()[task]
            targets.append(batch.reward[t].double().numpy() + discount * np.minimum(*q))
        return observed, targets

    def rollout(self, batch):
        task = batch.task.numpy()
        zs = [self.encode(batch.obs[0].double().numpy(), task)]
        for t in range(HORIZON):
            zs.append(self.next(zs[-1], batch.action[t].double().numpy(), task))
        return zs

    def world_model_loss(self, batch, constants):
        task, (observed, targets) = batch.task.numpy(), constants
        zs = self.rollout(batch)
        consistency = reward = value = 0.0
        for t in range(HORIZON):
            a, r = batch.action[t].double().numpy(), batch.reward[t].double().numpy()
            consistency += RHO[t] * ((zs[t + 1] - observed[t]) ** 2).mean()
            reward += RHO[t] * self.cross_entropy(self.reward(zs[t], a, task), r)
            for head in (0, 1):
                logits = self.Q(zs[t], a, task, head)
                value += RHO[t] * self.cross_entropy(logits, targets[t]) / 2
        total = 20 * consistency + 0.1 * reward + 0.1 * value
        return SimpleNamespace(consistency=consistency, reward=reward, value=value, total=total)

    def policy_loss(self, batch, zs, scale, pretrain=False):
        """Without entropy. `zs` are constants."""
        task = batch.task.numpy()
        bc = value = 0.0
        for t, z in enumerate(zs):
            a = self.pi(z, task)
            if t < HORIZON:
                replayed = batch.action[t].double().numpy()
                for i in range(BATCH):
                    n = self.mask[task[i]].sum()
                    error = a[i, :n] - replayed[i, :n]
                    bc += RHO[t] * (error**2).mean() / BATCH
            q = [self.decode(self.Q(z, a, task, head)) for head in (0, 1)]
            value += RHO[t] * np.mean(q) / scale
        return bc / HORIZON if pretrain else bc - value


# The world model


def test_world_model_loss_by_hand():
    model, batch = make_model(), make_batch()
    loss, metrics, zs = world_model_loss(model, batch, DISCOUNT, LossConfig(), noise(model, batch))
    ref = Reference(model)
    expected = ref.world_model_loss(batch, ref.constants(batch))
    assert metrics["consistency_loss"].item() == pytest.approx(expected.consistency, rel=1e-4)
    assert metrics["reward_loss"].item() == pytest.approx(expected.reward, rel=1e-5)
    assert metrics["value_loss"].item() == pytest.approx(expected.value, rel=1e-5)
    assert metrics["model_loss"].item() == pytest.approx(expected.total, rel=1e-5)
    assert loss.item() == metrics["model_loss"].item()
    np.testing.assert_allclose(zs.detach().numpy(), np.stack(ref.rollout(batch)), atol=1e-5)
    assert all(not m.requires_grad and m.ndim == 0 for m in metrics.values())


@pytest.mark.parametrize("name", ["encoder", "dynamics", "reward_net", "q_net"])
def test_world_model_gradient_by_finite_differences(name):
    """Through the whole rollout, and through nothing that must be held constant."""
    model, batch = make_model(), make_batch()
    world_model_loss(model, batch, DISCOUNT, LossConfig(), noise(model, batch))[0].backward()
    ref, g = Reference(model), np.random.default_rng(0)
    constants = ref.constants(batch)
    slope, start = 0.0, {k: v.copy() for k, v in ref.p.items()}
    directions = {}
    for key, parameter in getattr(model, name).named_parameters():
        directions[f"{name}.{key}"] = d = g.standard_normal(parameter.shape)
        slope += (d * parameter.grad.double().numpy()).sum()
    losses = []
    for step in (1e-5, -1e-5):
        for key, d in directions.items():
            ref.p[key] = start[key] + step * d
        losses.append(ref.world_model_loss(batch, constants).total)
    assert slope == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-3)


def test_world_model_loss_trains_all_but_policy_and_target():
    model = make_model()
    batch = make_batch()
    world_model_loss(model, batch, DISCOUNT, LossConfig(), noise(model, batch))[0].backward()
    for name, p in model.named_parameters():
        if name.startswith(("policy", "target_q_net")):
            assert p.grad is None or not p.grad.any(), name
        else:
            assert p.grad.any(), name


@pytest.mark.parametrize("term", ["consistency", "reward", "value"])
def test_coefficients_select_terms(term):
    model, batch = make_model(), make_batch()
    off = LossConfig(consistency_coef=0, reward_coef=0, value_coef=0)
    config = replace(off, **{f"{term}_coef": 7.0})
    loss, metrics, _ = world_model_loss(model, batch, DISCOUNT, config, noise(model, batch))
    assert loss.item() == pytest.approx(7 * metrics[f"{term}_loss"].item())


def test_td_target_uses_the_target_network_and_the_task_s_discount():
    model, batch = make_model(), make_batch()
    z = model.encode(batch.obs[1:], model.context(batch.task)).detach()

    def target():
        context = model.context(batch.task)
        return td_target(model, z, batch.reward, context, DISCOUNT, noise(model, batch))

    before = target()
    np.testing.assert_allclose(
        before.numpy(), np.stack(Reference(model).constants(batch)[1]), rtol=1e-4, atol=1e-4
    )
    assert not before.requires_grad
    with torch.no_grad():
        for p in model.q_net.parameters():
            p.add_(1.0)
    assert torch.equal(target(), before), "read the online network"
    with torch.no_grad():
        model.target_q_net.bias3.add_(torch.linspace(0, 5, CONFIG.num_bins))
    assert (target() > before).all(), "did not read the target network"


def test_td_target_lags_behind_an_optimiser_step():
    model, batch = make_model(), make_batch()
    z = model.encode(batch.obs[1:], model.context(batch.task)).detach()

    def target():
        context = model.context(batch.task)
        return td_target(model, z, batch.reward, context, DISCOUNT, noise(model, batch))

    start = target()
    world_model_loss(model, batch, DISCOUNT, LossConfig(), noise(model, batch))[0].backward()
    with torch.no_grad():
        for p in model.q_net.parameters():
            p.sub_(0.1 * p.grad)
    assert torch.equal(target(), start)
    model.update_target(0.01)
    slow = target()
    model.update_target(1.0)
    full = target()
    assert not torch.equal(slow, start)
    assert (slow - start).abs().max() < 0.1 * (full - start).abs().max()


def test_td_target_takes_two_heads_of_all():
    model = make_model(replace(CONFIG, num_q=4))
    with torch.no_grad():
        model.target_q_net.weight3.mul_(4)  # no head is the least everywhere
    batch = make_batch()
    context = model.context(batch.task)
    z = model.encode(batch.obs[1:], context).detach()
    action = model.pi(z, context)[0]
    q = model.decode(model.Q(z, action, context, target=True))
    gamma = DISCOUNT[batch.task]
    pairs = [batch.reward + gamma * torch.minimum(q[i], q[j]) for i in range(4) for j in range(i)]
    for i, one in enumerate(pairs):
        assert not any(torch.allclose(one, other, rtol=1e-3) for other in pairs[:i])
    drawn = set()
    for seed in range(60):
        target = td_target(model, z, batch.reward, context, DISCOUNT, noise(model, batch, seed))
        matches = [torch.allclose(target, pair, rtol=1e-4, atol=1e-4) for pair in pairs]
        assert sum(matches) == 1
        drawn.add(matches.index(True))
    assert len(drawn) == 6


# The policy


def imagined(model, batch):
    return world_model_loss(model, batch, DISCOUNT, LossConfig(), noise(model, batch))[2]


def policy_call(model, batch, zs, pretrain, entropy_coef, scale_value=2.5):
    config = LossConfig(entropy_coef=entropy_coef, bc_coef=1.0)
    if pretrain:
        return pretrain_policy_loss(model, zs, batch, config, noise(model, batch))
    scale = RunningScale()
    scale.value.fill_(scale_value)
    return policy_loss(model, zs, batch, scale, config, noise(model, batch))[:2]


@pytest.mark.parametrize("pretrain", [False, True])
def test_policy_loss_by_hand_and_its_gradient(pretrain):
    model, batch = make_model(), make_batch()
    zs = imagined(model, batch)
    loss, metrics = policy_call(model, batch, zs, pretrain, entropy_coef=0.0)
    ref = Reference(model)
    constants = zs.detach().double().numpy()
    expected = ref.policy_loss(batch, constants, 2.5, pretrain)
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    assert metrics["pi_loss"].item() == loss.item()
    assert all(not m.requires_grad and m.ndim == 0 for m in metrics.values())

    loss.backward()
    rng, slope, losses = np.random.default_rng(0), 0.0, []
    start, directions = {k: v.copy() for k, v in ref.p.items()}, {}
    for key, parameter in model.policy.named_parameters():
        directions[f"policy.{key}"] = d = rng.standard_normal(parameter.shape)
        slope += (d * parameter.grad.double().numpy()).sum()
    for step in (1e-5, -1e-5):
        for key, d in directions.items():
            ref.p[key] = start[key] + step * d
        losses.append(ref.policy_loss(batch, constants, 2.5, pretrain))
    assert slope == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-3)


def test_pretraining_shapes_the_states_that_the_policy_reads():
    model, batch = make_model(replace(CONFIG, log_std_min=-10.0, log_std_max=2.0)), make_batch()
    policy_call(model, batch, imagined(model, batch), pretrain=True, entropy_coef=1e-4)[
        0
    ].backward()
    reached = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert reached == {"policy", "encoder", "dynamics"}


def test_policy_loss_leaves_no_gradient_elsewhere():
    model, batch = make_model(replace(CONFIG, log_std_min=-10.0, log_std_max=2.0)), make_batch()
    zs = imagined(model, batch)
    model.zero_grad(set_to_none=True)
    policy_call(model, batch, zs, pretrain=False, entropy_coef=1e-4)[0].backward()
    for name, p in model.named_parameters():
        if name.startswith("policy"):
            assert p.grad.any(), name
        else:
            assert p.grad is None, name
    assert all(p.requires_grad != n.startswith("target_q_net") for n, p in model.named_parameters())


@pytest.mark.parametrize("pretrain", [False, True])
def test_entropy_is_rewarded_by_the_number_of_entries(pretrain):
    model, batch = make_model(replace(CONFIG, log_std_min=-3.0, log_std_max=0.0)), make_batch()
    steps = HORIZON if pretrain else HORIZON + 1
    zs = imagined(model, batch).detach()
    without, _ = policy_call(model, batch, zs, pretrain, entropy_coef=0.0)
    with_it, metrics = policy_call(model, batch, zs, pretrain, entropy_coef=1.0)
    draws = noise(model, batch).action[:steps]
    _, info = model.sample_action(zs[:steps], model.context(batch.task), draws)
    scaled = -info["log_prob"] * torch.tensor([5, 2, 3])[batch.task]
    weights = torch.tensor(RHO[:steps]) / (HORIZON if pretrain else 1)
    expected = scaled.mean(1).double() @ weights
    assert (without - with_it).item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-5)
    std = model.pi(zs[:steps], model.context(batch.task))[1].exp()[:, ACTION_MASK[batch.task]]
    assert metrics["pi_std_mean"].item() == pytest.approx(std.mean().item(), rel=1e-4)
    assert metrics["pi_std_max"].item() == pytest.approx(std.max().item(), rel=1e-6)


def test_imitation_has_a_coefficient_which_pretraining_does_not_heed():
    model, batch = make_model(), make_batch()
    zs = imagined(model, batch)
    losses, pretrained = {}, set()
    for coef in (None, 0.0, 1.0, 3.0):
        config = LossConfig(bc_coef=coef)
        loss, metrics, _ = policy_loss(
            model, zs, batch, RunningScale(), config, noise(model, batch)
        )
        losses[coef] = loss.item()
        pretrained.add(
            pretrain_policy_loss(model, zs, batch, config, noise(model, batch))[0].item()
        )
    imitation = metrics["bc_loss"].item()
    assert losses[3.0] - losses[1.0] == pytest.approx(2 * imitation, rel=1e-4)
    assert losses[1.0] - losses[0.0] == pytest.approx(imitation, rel=1e-4)
    assert losses[None] == losses[0.0]
    assert len(pretrained) == 1


def test_imitation_is_on_by_default_in_runs_with_demonstrations():
    assert LossConfig().resolved(demonstrations=True).imitation == 1
    assert LossConfig().resolved(demonstrations=False).imitation == 0
    for there in (True, False):
        assert LossConfig(bc_coef=0.3).resolved(there).imitation == 0.3


def test_policy_imitates_samples_not_means():
    model, batch = make_model(replace(CONFIG, log_std_min=-1.0, log_std_max=0.0)), make_batch()
    zs = imagined(model, batch)
    action, _ = model.sample_action(
        zs.detach(), model.context(batch.task), noise(model, batch).action
    )
    mask = ACTION_MASK[batch.task]
    error = ((action[:3] - batch.action) ** 2 * mask).sum(-1) / mask.sum(-1)
    _, metrics = policy_call(model, batch, zs, False, 0.0)
    expected = error.mean(1).double() @ torch.tensor(RHO[:3])
    assert metrics["bc_loss"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_scale_follows_the_values_of_the_first_step():
    model, batch = make_model(), make_batch()
    zs = imagined(model, batch)
    scale = RunningScale()
    _, metrics, values = policy_loss(model, zs, batch, scale, LossConfig(), noise(model, batch))
    assert scale.value == 1, "the loss itself must not move it"
    ref, task = Reference(model), batch.task.numpy()
    z = zs[0].detach().double().numpy()
    a = ref.pi(z, task)
    q = np.mean([ref.decode(ref.Q(z, a, task, head)) for head in (0, 1)], 0)
    low, high = np.percentile(q, [5, 95])
    assert scale.spread(values).item() == pytest.approx(high - low, rel=1e-3)
    assert metrics["pi_scale"] == 1


# Masks, chance, images, bad data


@pytest.mark.parametrize("fill", [0.3, float("nan"), float("inf")])
def test_masked_entries_change_no_loss_and_no_gradient(fill):
    model = make_model(replace(CONFIG, log_std_min=-10.0, log_std_max=2.0))
    results = []
    for batch in (make_batch(), make_batch(fill=fill)):
        model.zero_grad(set_to_none=True)
        loss, metrics, zs = world_model_loss(
            model, batch, DISCOUNT, LossConfig(), noise(model, batch)
        )
        config = LossConfig(bc_coef=1.0)
        pi, pi_metrics, _ = policy_loss(
            model, zs, batch, RunningScale(), config, noise(model, batch)
        )
        pre, _ = pretrain_policy_loss(model, zs, batch, LossConfig(), noise(model, batch))
        (loss + pi + pre).backward()
        grads = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
        results.append({**metrics, **pi_metrics, **grads, "pre": pre.detach()})
    for name, value in results[0].items():
        assert torch.isfinite(value).all(), name
        assert torch.equal(value, results[1][name]), name


def test_losses_are_functions_of_the_noise():
    model, batch = make_model(replace(CONFIG, log_std_min=-1.0, log_std_max=0.0)), make_batch()

    def losses(seed):
        g = noise(model, batch, seed)
        loss, _, zs = world_model_loss(model, batch, DISCOUNT, LossConfig(), g)
        pi, *_ = policy_loss(model, zs, batch, RunningScale(), LossConfig(), g)
        return loss.item(), pi.item()

    before = torch.random.get_rng_state()
    assert losses(0) == losses(0)
    a, b = losses(0), losses(1)
    assert a[0] != b[0] and a[1] != b[1]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_images_reach_the_loss():
    model = make_model(replace(CONFIG, image_dim=4))
    batch = make_batch(image_dim=4)
    loss = world_model_loss(model, batch, DISCOUNT, LossConfig(), noise(model, batch))[0]
    loss.backward()
    assert model.encoder.weight_extra.grad.any()
    for t in range(HORIZON + 1):  # each step's features matter
        image = batch.image.clone()
        image[t] += 1
        other = batch._replace(image=image)
        assert (
            world_model_loss(model, other, DISCOUNT, LossConfig(), noise(model, other))[0] != loss
        )
