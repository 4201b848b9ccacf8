"""The objectives against a second derivation of them (`losses_by_hand`)."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from losses_by_hand import (
    ACTION_MASK,
    CONFIG,
    DISCOUNT,
    HORIZON,
    RHO,
    Reference,
    make_batch,
    make_model,
    noise,
)

from newt_agent.losses import (
    LossConfig,
    policy_loss,
    pretrain_policy_loss,
    td_target,
    world_model_loss,
)
from newt_agent.maths import RunningScale

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


def test_imitation_counts_as_in_pretraining_in_runs_with_demonstrations():
    assert LossConfig().resolved(demonstrations=True).imitation == 1
    assert LossConfig(pretrain_bc_coef=10.0).resolved(demonstrations=True).imitation == 10
    assert LossConfig(pretrain_bc_coef=10.0).resolved(demonstrations=False).imitation == 0
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
