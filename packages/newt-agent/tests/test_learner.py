import dataclasses

import numpy as np
import pytest
import torch
from batches import noise_batch

from mmbench import catalog
from newt_agent.learner import Learner, OptimizerConfig
from newt_agent.losses import LossConfig, update_noise
from newt_agent.maths import two_heads
from newt_agent.planner import PlannerConfig
from newt_agent.planning_agent import PlanningAgent

TASKS = catalog.select("walker-walk,pygame-pong")


def make(**settings) -> Learner:
    agent = PlanningAgent.create(
        TASKS, "XS", "minilm", PlannerConfig(), torch.Generator().manual_seed(0)
    )
    return Learner(agent, LossConfig(), dataclasses.replace(OptimizerConfig(), **settings))


def test_updates_lower_the_losses_of_a_fixed_batch():
    learner, generator = make(lr=1e-3), torch.Generator().manual_seed(0)
    first = learner.update(noise_batch(3, seed=0), generator)
    for _ in range(60):
        last = learner.update(noise_batch(3, seed=0), generator)
    assert last["reward_loss"] < 0.7 * first["reward_loss"]
    assert last["consistency_loss"] < first["consistency_loss"]


def test_target_lags_behind_by_tau():
    learner = make(target_tau=0.25)
    before = [p.clone() for p in learner.model.target_q_net.parameters()]
    learner.update(noise_batch(3, seed=0), torch.Generator().manual_seed(0))
    for old, target, online in zip(
        before,
        learner.model.target_q_net.parameters(),
        learner.model.q_net.parameters(),
        strict=True,
    ):
        torch.testing.assert_close(target, old + 0.25 * (online - old))


def test_learning_rates_fall_at_the_end_only():
    learner = make(lr=1e-3, encoder_lr_scale=0.3, anneal=0.25)

    def rates():
        groups = [*learner.optimizer.param_groups, *learner.policy_optimizer.param_groups]
        return sorted({float(group["lr"]) for group in groups})

    for done, factor in ((0.0, 1.0), (0.5, 1.0), (0.75, 1.0), (0.875, 0.5), (1.0, 0.0)):
        learner.set_progress(done)
        assert rates() == pytest.approx(sorted({factor * 3e-4, factor * 1e-3}))
    constant = make(lr=1e-3)
    constant.set_progress(1.0)
    assert constant.optimizer.param_groups[-1]["lr"].item() == pytest.approx(1e-3)


def test_scale_can_begin_with_the_spread_of_the_policy_s_values():
    learner, batch = make(), noise_batch(3, seed=0)
    for head in learner.model.q_net.parameters():
        torch.nn.init.normal_(head, std=0.3, generator=torch.Generator().manual_seed(1))
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    learner.start_scale(batch, torch.Generator().manual_seed(0))
    # The same draws: the first states' values, of two heads, by the policy's actions.
    noise = update_noise(learner.model, batch)
    noise.draw(torch.Generator().manual_seed(0), 1.0)
    context = learner.model.context(batch.task)
    z = learner.model.encode(batch.obs[0], context)
    action, _ = learner.model.sample_action(z, context, noise.action[0])
    logits = learner.model.Q(z, action, context, heads=two_heads(noise.heads))
    q = learner.model.decode(logits).mean(0).detach().numpy()
    low, high = np.percentile(q, [5, 95])
    assert high - low > 1.5
    assert learner.scale.value.item() == pytest.approx(high - low, rel=1e-4)
    assert all(torch.equal(value, before[n]) for n, value in learner.model.state_dict().items())


def test_saved_and_loaded_continues_the_same():
    ours, other = make(), make()
    for seed in range(3):
        ours.update(noise_batch(3, seed=seed), torch.Generator().manual_seed(seed))
    other.model.load_state_dict(ours.model.state_dict())
    other.load_state_dict(ours.state_dict())
    for learner in (ours, other):
        learner.update(noise_batch(3, seed=9), torch.Generator().manual_seed(9))
    for a, b in zip(ours.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(ours.scale.value, other.scale.value)
