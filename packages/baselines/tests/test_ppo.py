"""PPO: its maths by hand, what must not matter, and that it learns."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from points import IGNORANT, LEFT, RIGHT, TRAINING
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution

from mmbench import catalog
from mmbench.runs import RunError
from mmbench_baselines import ppo
from mmbench_baselines.ppo import PPO, ActorCritic, Minibatch, PPOConfig, ppo_loss
from mmbench_baselines.rollout import Rollout, advantages
from newt_agent.method import Step

TASKS = catalog.select("pygame-cowboy,walker-walk")
SMALL = PPOConfig(size="XS", rollout=6, minibatches=2, epochs=2, steps=1000)
LEARNING = PPOConfig(
    **TRAINING,
    rollout=40,
    lr=1e-3,
    steps=8000,
    eval_episodes=10,
)
"""Seconds, for the two tasks of tests/support/points.py."""


def rollout(reward, **ends):
    """A rollout of one environment of which only rewards and ends matter."""
    shape = (len(reward), 1)
    flags = {name: torch.zeros(shape, dtype=torch.bool) for name in ("terminated", "ended")}
    flags["valid"] = torch.ones(shape, dtype=torch.bool)
    for name, (at, flag) in ends.items():
        flags[name][at] = flag
    zeros = torch.zeros(*shape, 1)
    rewards = torch.tensor(reward)[:, None]
    return Rollout(zeros, zeros, zeros[..., 0], rewards, zeros, **flags)


def estimate(steps, value, next_value):
    columns = (torch.tensor(each)[:, None] for each in (value, next_value))
    result = advantages(steps, *columns, discount=torch.tensor([0.5]), gae_lambda=0.8)
    return result[:, 0].tolist()


# Errors without any end: 1 + 0.5 * 4 - 2 = 1, 2 + 0.5 * 6 - 4 = 1, 3 + 0.5 * 8 - 6 = 1; a later
# one counts 0.5 * 0.8 = 0.4 times as much.
VALUE, NEXT_VALUE = [2.0, 4.0, 6.0], [4.0, 6.0, 8.0]


def test_advantages_of_an_episode_that_goes_on():
    expected = [1 + 0.4 * 1.4, 1 + 0.4 * 1.0, 1.0]
    assert estimate(rollout([1.0, 2, 3]), VALUE, NEXT_VALUE) == pytest.approx(expected)


def test_advantages_end_at_a_time_limit_whose_state_has_a_value():
    steps = rollout([1.0, 2, 3], ended=(1, True))
    # The last observation's value, 10, is not that of the next episode's first one.
    later = estimate(steps, VALUE, [4.0, 10.0, 8.0])
    assert later == pytest.approx([1 + 0.4 * 3, 2 + 0.5 * 10 - 4, 1.0])


def test_advantages_end_at_a_final_state_which_has_none():
    steps = rollout([1.0, 2, 3], ended=(1, True), terminated=(1, True))
    later = estimate(steps, VALUE, [4.0, 10.0, 8.0])
    assert later == pytest.approx([1 + 0.4 * -2, 2 - 4, 1.0])


def test_advantages_end_before_a_step_that_did_not_happen():
    steps = rollout([1.0, 1e6, 3], valid=(1, False))
    assert estimate(steps, VALUE, NEXT_VALUE) == pytest.approx([1.0, 0.0, 1.0])


def make_model(seed=0, spread=0.3):
    """Networks of two tasks, of 3 and 1 action entries, whose outputs are not all 0."""
    generator = torch.Generator().manual_seed(seed)
    actions = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]])
    tables = torch.randn(2, 5, generator=generator), actions, torch.ones(2, 6)
    model = ActorCritic(16, tables, generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(spread * torch.randn(parameter.shape, generator=generator))
    return model


def test_density_is_that_of_a_squashed_gaussian_over_the_own_entries():
    model, task = make_model(), torch.tensor([0, 1, 1])
    mean, log_std = model.policy(torch.randn(3, 6), task)
    before = torch.randn(3, 4)
    ours = model.log_prob(before, mean, log_std, task)
    for row, size in enumerate((3, 1, 1)):
        gaussian = Normal(mean[row, :size], log_std[row, :size].exp())
        squashed = TransformedDistribution(gaussian, TanhTransform())
        action = torch.tanh(before[row, :size])
        expected = Independent(squashed, 1).log_prob(action)
        assert ours[row].item() == pytest.approx(expected.item(), rel=1e-4)
    assert (mean[1, 1:] == 0).all() and (log_std[1, 1:] == 0).all()


def test_density_integrates_to_1():
    model, task = make_model(), torch.ones(20_000, dtype=torch.long)
    action = torch.linspace(-1, 1, 20_002, dtype=torch.float64)[1:-1].float()
    before = torch.zeros(20_000, 4)
    before[:, 0] = torch.atanh(action)
    mean, log_std = (part.expand(20_000, 4) for part in model.policy(torch.zeros(6), task[0]))
    density = model.log_prob(before, mean, log_std, task).exp()
    assert torch.trapezoid(density, action).item() == pytest.approx(1, abs=1e-3)


def batch_of(model, ratios, advantage, moved):
    """One step a ratio; ``moved`` is how far the values have moved since the rollout."""
    size = len(ratios)
    normal, task, before = torch.randn(size, 6), torch.arange(size) % 2, torch.randn(size, 4)
    with torch.no_grad():
        log_prob = model.log_prob(before, *model.policy(normal, task), task)
        value = model.value(normal, task) - torch.tensor(moved)
    log_prob = log_prob - torch.tensor(ratios).log()
    return Minibatch(normal, task, before, log_prob, value, torch.tensor(advantage))


def test_objectives_by_hand():
    model = make_model()
    ratios, advantage = [1.0, 1.5, 1.5, 0.5], [4.0, 2.0, 0.0, -2.0]
    moved = [0.1, 0.5, -0.5, 0.0]
    batch = batch_of(model, ratios, advantage, moved)
    loss, numbers = ppo_loss(model, batch, clip=0.2, value_coef=2.0)

    std = math.sqrt((9 + 1 + 1 + 9) / 4)  # of 3, 1, -1, -3: the mean is taken off
    # A rise is worth nothing beyond 1.2, a fall nothing below 0.8; what makes it worse counts.
    gains = [1.0 * 3, 1.2 * 1, 1.5 * -1, 0.8 * -3]
    assert numbers["policy_loss"].item() == pytest.approx(-sum(gains) / 4 / std, rel=1e-4)

    errors = []
    for then, far, own in zip(batch.value.tolist(), moved, advantage, strict=True):
        now, target, near = then + far, then + own, then + max(-0.2, min(0.2, far))
        errors.append(max((now - target) ** 2, (near - target) ** 2))
    assert numbers["value_loss"].item() == pytest.approx(0.5 * sum(errors) / 4, rel=1e-4)
    expected = numbers["policy_loss"] + 2.0 * numbers["value_loss"]
    assert loss.item() == pytest.approx(expected.item())
    assert numbers["clipped"].item() == pytest.approx(3 / 4)


@pytest.mark.parametrize(("ratios", "learns"), [([1.3, 0.7], False), ([0.7, 1.3], True)])
def test_a_change_that_went_far_enough_is_not_pushed_on(ratios, learns):
    model = make_model()
    batch = batch_of(model, ratios, advantage=[1.0, -1.0], moved=[0.0, 0.0])
    ppo_loss(model, batch, clip=0.2, value_coef=0.0)[0].backward()
    assert any((p.grad != 0).any() for p in model.actor.parameters()) == learns


def make_method(config=SMALL, envs=2):
    agent = PPO.create_agent(config, TASKS, torch.device("cpu"))
    rows = torch.arange(len(TASKS)).repeat_interleave(envs)
    return PPO(config, agent, rows)


def take(method, steps, seed=0, spoil=lambda obs, mask: obs, **changes):
    """Takes steps with made-up observations and rewards; returns the actions and metrics."""
    rng = np.random.default_rng(seed)
    rows, mask = method._rows.numpy(), method.agent.model.observation_mask.numpy()
    actions, metrics = [], []
    for t in range(steps):
        obs, later = (
            spoil(np.where(mask[rows], rng.normal(2, 3, (len(rows), 128)), 0), mask[rows]).astype(
                np.float32
            )
            for _ in range(2)
        )
        action = method.act(obs, np.zeros(len(rows), bool), t * len(rows))
        ends = {"terminated": False, "truncated": t % 5 == 4, "valid": True} | changes
        flags = {name: np.full(len(rows), flag) for name, flag in ends.items()}
        method.remember(
            Step(obs, action, rng.normal(size=len(rows)), later, reset_obs=later, **flags)
        )
        actions.append(action)
        metrics.append(method.learn((t + 1) * len(rows)))
    return np.array(actions), metrics


def same(ours, other):
    """Whether two methods have the same weights and statistics."""
    a, b = (method.agent.model.state_dict() for method in (ours, other))
    return all(torch.equal(a[name], b[name]) for name in a)


def test_learns_when_a_rollout_is_full():
    method = make_method()
    before = make_method()
    _, metrics = take(method, 5)
    assert same(method, before) and method.updates == 0
    assert metrics == [None] * 5
    _, metrics = take(method, 1)
    assert metrics[0] is not None and not same(method, before)
    assert method.updates == SMALL.epochs * SMALL.minibatches
    assert method.broken() == []


def test_masked_entries_change_nothing():
    clean, other = make_method(), make_method()
    actions, _ = take(clean, 13)
    spoilt, _ = take(other, 13, spoil=lambda obs, mask: np.where(mask, obs, np.nan))
    np.testing.assert_array_equal(actions, spoilt)
    assert same(clean, other)
    assert other.broken() == []
    masked = ~clean.agent.model.action_mask[clean._rows].numpy()
    assert (actions[:, masked] == 0).all()
    # Their weights were never moved.
    fresh = make_method()
    unused = ~clean.agent.model.observation_mask.any(0)
    for name in ("actor", "critic"):
        moved, start = (getattr(m.agent.model, name).weight_x for m in (clean, fresh))
        assert torch.equal(moved[:, unused], start[:, unused])
        assert not torch.equal(moved, start)


def test_a_rollout_is_judged_with_the_statistics_it_was_drawn_with(monkeypatch):
    seen = []

    def watched(*args, **kwargs):
        loss, numbers = ppo_loss(*args, **kwargs)
        seen.append(numbers)
        return loss, numbers

    monkeypatch.setattr(ppo, "ppo_loss", watched)
    method = make_method(dataclasses.replace(SMALL, epochs=1, minibatches=1))
    take(method, 18)
    assert (method.agent.model.normaliser.count > 0).all()
    assert len(seen) == 3
    for numbers in seen:  # the weights have not moved yet, so neither have the probabilities
        assert abs(numbers["approx_kl"].item()) < 1e-6 and numbers["clipped"] == 0


def test_steps_that_did_not_happen_teach_nothing():
    ours = make_method()
    take(ours, 6, valid=False)
    assert same(ours, make_method()) and ours.updates == 0
    ours, other = make_method(), make_method()
    valid = np.array([True, True, False, True])
    take(ours, 6, valid=valid)

    def elsewhere(obs, mask):
        obs[2] = np.where(mask[2], 77.0, 0.0)
        return obs

    take(other, 6, valid=valid, spoil=elsewhere)
    assert same(ours, other)


def test_each_task_has_its_discount(monkeypatch):
    seen = []
    monkeypatch.setattr(ppo, "advantages", lambda *args: seen.append(args[3]) or advantages(*args))
    method = make_method()
    take(method, 6)
    method.agent.limit_discount(0.5)
    take(method, 6)
    own = [task.discount for task in TASKS for _ in range(2)]
    assert seen[0].tolist() == pytest.approx(own)
    assert seen[1].tolist() == pytest.approx([0.5] * 4)


def test_saved_and_restored_continues_the_same():
    whole, part = make_method(), make_method()
    take(whole, 9, seed=1)
    take(part, 9, seed=1)
    other = make_method()
    other.agent.model.load_state_dict(part.agent.model.state_dict())
    state = {name: tensor.clone() for name, tensor in part.state().items()}
    assert other.restore(state, step=36) == ""
    actions, _ = take(whole, 9, seed=2)
    again, _ = take(other, 9, seed=2)
    np.testing.assert_array_equal(actions, again)
    assert same(whole, other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rollout": 300}, "rollout=300.* more than steps=1,000"),
        ({"minibatches": 25}, "minibatches=25: a rollout has only 24 steps"),
    ],
)
def test_settings_that_do_not_fit(changes, message):
    config = dataclasses.replace(SMALL, envs_per_task=2, **changes)
    with pytest.raises(RunError, match=message):
        PPO.check(config, TASKS, "cpu")


def test_large_size_has_the_parameters_of_the_paper():
    config = dataclasses.replace(PPO.preset("paper", "cpu", 200), size="L")
    tables = torch.zeros(200, 512), torch.ones(200, 16), torch.ones(200, 128)  # 512: CLIP
    model = ActorCritic(ppo.WIDTHS[config.size], tables)
    assert 3.4e6 < model.num_parameters < 3.6e6


def scores(make_trainer, points):
    trainer = make_trainer(PPO, dataclasses.replace(LEARNING, tasks=points))
    tasks = trainer.run()["after"]["tasks"]
    return [tasks[task.name]["score"] for task in (RIGHT, LEFT)]


def test_learns_what_the_instruction_says(make_trainer, points):
    assert min(scores(make_trainer, points)) > 0.92


@pytest.mark.slow  # it tells what the test before can fail of
def test_learns_nothing_from_the_advantages_of_others(make_trainer, points, monkeypatch):
    """The core line is the policy's gain, ``ratio * advantage``: here with others' advantages."""
    monkeypatch.setattr(ppo, "advantages", lambda *args: advantages(*args).roll(1, dims=1))
    assert sum(scores(make_trainer, points)) / 2 < IGNORANT
