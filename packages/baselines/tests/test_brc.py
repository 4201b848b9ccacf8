"""BRC: its mathematics by hand, and that it learns."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from batches import noise_batch
from points import IGNORANT, TRAINING

from mmbench import catalog
from mmbench.runs import RunError, publish_folder
from mmbench_baselines.brc import BRC, WIDTHS, BRCConfig
from mmbench_baselines.bronet import ActorCritic, BroNet
from mmbench_baselines.normaliser import RewardNormaliser
from newt_agent.agent import Agent
from newt_agent.method import Step

TINY = BRCConfig(
    **TRAINING,
    steps=1600,
    seed_steps=400,
    eval_episodes=3,
    batch_size=64,
    updates_per_step=6,
    replay_capacity=20_000,
    lr=2e-3,
    tau=0.1,
    discount_max=0.5,
)
TASKS = catalog.select("walker-walk,pygame-pong")
BINS = torch.linspace(-10, 10, 101)


def method(**changes) -> BRC:
    config = dataclasses.replace(TINY, tasks="walker-walk,pygame-pong", **changes)
    agent = BRC.create_agent(config, TASKS, torch.device("cpu"))
    return BRC(config, agent, torch.arange(2))


# Rewards


def normaliser() -> RewardNormaliser:
    # Two tasks, of two and of four action entries.
    return RewardNormaliser(torch.tensor([0.5, 0.9]), torch.tensor([-1.0, -2.0]), 10.0)


def test_rewards_are_divided_by_the_largest_return_and_the_entropy_bonus():
    one = normaliser()
    # The episode goes on with its mean reward 1: 2 from its end on. Backwards 2 + 2 / 2 = 3,
    # 0 + 3 / 2 = 1.5, 1 + 1.5 / 2 = 1.75.
    one.see(0, np.array([1.0, 0.0, 2.0]), 0.5, cut=True)
    assert one.largest.tolist() == [3.0, 0.0]
    # The bonus is 0.1 * 1 / (2 * 0.5) = 0.1, and 0.1 * 2 / (2 * 0.1) = 1.
    divisors = one.divisors(torch.tensor(0.1))
    assert divisors.tolist() == pytest.approx([(3 + 0.1) / 10, (0 + 1) / 10])


def test_the_largest_return_counts_by_magnitude_and_is_kept():
    one = normaliser()
    # The mean is -2, so -4 from the end on: -1 - 2 = -3, then -3 - 1.5 = -4.5.
    one.see(0, np.array([-3.0, -1.0]), 0.5, cut=True)
    assert one.largest.tolist() == [4.5, 0.0]
    one.see(0, np.array([1.0, 0.0, 2.0]), 0.5, cut=True)
    assert one.largest.tolist() == [4.5, 0.0]


def test_nothing_follows_a_final_state():
    one = normaliser()
    one.see(0, np.array([1.0, 0.0, 2.0]), 0.5, cut=False)  # 2, 1 and 1.5
    assert one.largest.tolist() == [2.0, 0.0]


def test_only_steps_that_happened_count():
    one = method()

    def step(reward, done=False, valid=True):
        flags = np.array([done, False]), np.array([valid, True])
        zeros = np.zeros((2, 128), np.float32)
        one.remember(
            Step(
                zeros,
                np.zeros((2, 16), np.float32),
                np.array([reward, 0.0]),
                zeros,
                np.zeros(2, bool),
                *flags,
                zeros,
            )
        )

    one.begin(np.zeros((2, 128), np.float32))
    step(100.0)
    step(0.0, done=True, valid=False)  # the environment failed, and its episode with it
    assert one._normaliser.largest.tolist() == [0.0, 0.0]
    step(1.0)
    step(1.0, done=True)
    discount = one.agent.discount[0].item()
    assert one._normaliser.largest.tolist() == pytest.approx([1 / (1 - discount), 0.0])


def test_rewards_of_a_batch_are_divided_by_what_is_known_when_it_is_sampled():
    one = method(updates_per_step=1)
    seen = []
    target = one._target

    def look(reward, *rest):
        seen.append(one._normaliser.divisors(rest[-1])[0].item())
        return target(reward, *rest)

    one._target = look
    one.update_from(noise_batch(1))
    one._normaliser.see(0, np.array([1e3, 1e3]), 0.5, cut=True)
    one.update_from(noise_batch(1))
    assert seen[1] > 10 * seen[0]


# Distributions


def test_the_target_is_the_shifted_mean_of_both_target_networks():
    one = method()
    model, given = one.agent.model, noise_batch(1, 4)
    temperature = torch.tensor(0.2)
    one._normaliser.largest[:] = torch.tensor([4.0, 7.0])
    state = one._chance.torch.get_state()
    target = one._target(given.reward[0], given.obs[1], given.task, temperature)

    one._chance.torch.set_state(state)
    action, _, log_prob = model.sample_action(given.obs[1], given.task, one._chance.torch)
    first, second = model.logits(given.obs[1], action, given.task, target=True).softmax(-1)
    for row in range(4):
        task = int(given.task[row])
        entries, discount = TASKS[task].action_dim, one.agent.discount[task].item()
        divisor = (one._normaliser.largest[task] + 0.2 * entries / 4 / (1 - discount)) / 10
        expected = torch.zeros(101)
        for atom, p, q in zip(BINS, first[row], second[row], strict=True):
            value = given.reward[0, row] / divisor + discount * (atom - 0.2 * log_prob[row])
            place = (value.clamp(-10, 10).item() + 10) / 0.2
            below = min(int(place), 99)
            expected[below] += (1 - (place - below)) * (p.item() + q.item()) / 2
            expected[below + 1] += (place - below) * (p.item() + q.item()) / 2
        torch.testing.assert_close(target[row], expected, atol=1e-4, rtol=1e-3)


# Networks and policy


def test_the_networks_of_a_bronet_are_those_of_the_paper():
    net = BroNet(2, 5, 3, 16, 2, 4, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    x, task = torch.randn(7, 5, generator=generator), torch.randn(7, 3, generator=generator)
    for parameter in net.parameters():  # of the norms too
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    out = net(x, net.task_term(task))
    for i in range(2):

        def dense(layer, h, i=i):
            return h @ layer.weight[i].T + layer.bias[i]

        def norm(layer, h, i=i):
            h = (h - h.mean(-1, keepdim=True)) / (
                h.var(-1, correction=0, keepdim=True) + 1e-5
            ).sqrt()
            return h * layer.weight[i, 0] + layer.bias[i, 0]

        h = torch.relu(norm(net.norm, dense(net.first, torch.cat([x, task], -1))))
        for first, norm1, _, second, norm2 in net.blocks:
            inner = torch.relu(norm(norm1, dense(first, h)))
            h = h + norm(norm2, dense(second, inner))
        torch.testing.assert_close(out[i], dense(net.last, h), atol=1e-4, rtol=1e-4)


def test_weights_start_orthogonal():
    net = BroNet(2, 5, 3, 16, 1, 4, torch.Generator().manual_seed(0))
    for weight in net.blocks[0][0].weight:
        torch.testing.assert_close(weight @ weight.T, 2 * torch.eye(16), atol=1e-5, rtol=0)
    assert not torch.equal(*net.first.weight)


def test_log_densities_are_those_of_a_squashed_gaussian_over_the_own_entries():
    model = method().agent.model
    given, generator = noise_batch(1, 4), torch.Generator().manual_seed(3)
    action, mode, log_prob = model.sample_action(given.obs[0], given.task, generator)
    table = model.task_embeddings[given.task]
    seen = torch.where(model.observation_mask[given.task], given.obs[0], 0.0)
    mean, raw = model.actor(seen, model.actor.task_term(table))[0].double().chunk(2, -1)
    std = torch.exp(-10 + 6 * (torch.tanh(raw) + 1))
    for row in range(4):
        own = TASKS[int(given.task[row])].action_dim
        before = torch.atanh(action[row, :own].double())
        density = torch.distributions.Normal(mean[row, :own], std[row, :own]).log_prob(before)
        density = density - torch.log(1 - action[row, :own].double() ** 2)
        assert log_prob[row].item() == pytest.approx(density.sum().item(), rel=1e-2, abs=1e-2)
        assert (action[row, own:] == 0).all() and (mode[row, own:] == 0).all()
        torch.testing.assert_close(mode[row, :own], torch.tanh(mean[row, :own]).float())


# Learned vectors


def test_learned_vectors_have_norm_1_and_are_the_critics():
    one = method(embedding="learned")
    model, given = one.agent.model, noise_batch(1)
    assert model.task_embeddings.shape == (2, 0) and model.critic.vectors.shape == (2, 32)
    norms = model.embeddings(model.critic).norm(dim=1)
    torch.testing.assert_close(norms, torch.ones(2))
    assert (model.critic.vectors.norm(dim=1) - 1).abs().min() > 0.1
    _, _, log_prob = model.sample_action(given.obs[0], given.task, torch.Generator())
    assert torch.autograd.grad(log_prob.sum(), model.critic.vectors, allow_unused=True) == (None,)
    before = model.critic.vectors.detach().clone()
    one.update_from(given)
    assert not torch.equal(model.critic.vectors, before)


def test_instructions_are_not_learned():
    model = method().agent.model
    assert model.critic.vectors is None and model.task_embeddings.shape == (2, 384)


# Updates


def test_target_networks_follow_by_tau():
    one = method(tau=0.25, embedding="learned")
    model = one.agent.model
    before = [p.clone() for p in model.target_critic.parameters()]
    one.update_from(noise_batch(1))
    after = zip(model.target_critic.parameters(), model.critic.parameters(), strict=True)
    for old, (target, online) in zip(before, after, strict=True):
        torch.testing.assert_close(target, old + 0.25 * (online - old))


@pytest.mark.parametrize(("aim", "move"), [(-100.0, -TINY.lr), (100.0, TINY.lr)])
def test_the_temperature_falls_while_there_is_more_entropy_than_is_aimed_at(aim, move):
    one = method()
    one._target_entropy[:] = aim
    metrics = one.update_from(noise_batch(1))
    assert metrics["temperature"].item() == pytest.approx(0.1)
    # Adam's first step is the learning rate.
    assert one._log_temperature.item() == pytest.approx(math.log(0.1) + move)


def test_the_aim_is_half_the_number_of_action_entries():
    assert method()._target_entropy.tolist() == [-task.action_dim / 2 for task in TASKS]


def test_what_masked_entries_hold_changes_no_loss_and_no_weight():
    clean, dirty = method(), method()
    model, given = clean.agent.model, noise_batch(1)
    obs, action = given.obs.clone(), given.action.clone()
    obs[:, ~model.observation_mask[given.task]] = math.nan
    action[:, ~model.action_mask[given.task]] = math.nan
    assert obs.isnan().any() and action.isnan().any()
    losses = clean.update_from(given)
    others = dirty.update_from(given._replace(obs=obs, action=action))
    assert {n: v.item() for n, v in losses.items()} == {n: v.item() for n, v in others.items()}
    for one, other in zip(model.parameters(), dirty.agent.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_updates_are_two_for_each_step_of_all_environments():
    one = method(updates_per_step=2, seed_steps=10, batch_size=4)
    one.begin(np.zeros((2, 128), np.float32))
    zeros, no = np.zeros((2, 128), np.float32), np.zeros(2, bool)
    action = np.zeros((2, 16), np.float32)
    for _ in range(4):
        one.remember(Step(zeros, action, np.zeros(2), zeros, no, no, ~no, zeros))
    counts = []
    for step in (10, 12, 14):
        one.learn(step)
        counts.append(one.updates)
    assert counts == [0, 2, 4]


# Settings, sizes, saving


def test_random_steps():
    config = BRCConfig(steps=10**6, envs_per_task=10)
    assert BRC.complete(config, TASKS, "cpu").seed_steps == 100_000
    assert BRC.complete(dataclasses.replace(config, steps=3000), TASKS, "cpu").seed_steps == 1500
    own = dataclasses.replace(config, seed_steps=7, replay_capacity=1000)
    assert BRC.complete(own, TASKS, "cpu") == own


def test_a_discount_of_1_is_refused():
    endless = [dataclasses.replace(TASKS[0], discount=1.0)]
    with pytest.raises(RunError, match="walker-walk.*--discount-max"):
        BRC.check(dataclasses.replace(TINY, discount_max=1.0), endless, "cpu")
    BRC.check(TINY, endless, "cpu")


def test_presets():
    published = BRC.preset("paper", "cuda", 10)
    assert (published.size, published.embedding) == ("XL", "learned")
    assert (published.batch_size, published.replay_capacity) == (1024, 10**7)
    assert BRC.preset("paper", "cuda", 1).batch_size == 256
    assert BRC.preset("machine", "cpu", 10).size == "S"


@pytest.mark.parametrize("embedding", ["language", "learned"])
def test_what_is_saved_acts_alike(tmp_path, embedding):
    one = method(embedding=embedding)
    one.update_from(noise_batch(1))
    publish_folder(tmp_path / "agent", one.agent.save)
    again = Agent.load(tmp_path / "agent")
    assert isinstance(again.model, ActorCritic) and again.size == "XS"
    obs, names = torch.randn(2, 128), [task.name for task in TASKS]
    acts = [each.act(obs, names, torch.ones(2)) for each in (one.agent, again)]
    assert (acts[0] == acts[1]).all()


def test_widths_are_said():
    assert str(WIDTHS["XS"]) in method().summary()


# Learning


def scores(trainer) -> list[float]:
    return [row["score"] for row in trainer.run()["after"]["tasks"].values()]


@pytest.mark.parametrize("embedding", ["language", pytest.param("learned", marks=pytest.mark.slow)])
def test_it_learns_two_tasks_that_only_their_embeddings_tell_apart(make_trainer, points, embedding):
    trainer = make_trainer(BRC, dataclasses.replace(TINY, embedding=embedding))
    assert min(scores(trainer)) > 0.9


@pytest.mark.slow  # it tells what the test before can fail of
def test_it_does_not_where_the_target_lacks_the_reward(make_trainer, points, monkeypatch):
    # In place of `value = reward + discount * later` in BRC._target.
    target = BRC._target
    monkeypatch.setattr(BRC, "_target", lambda self, reward, *rest: target(self, 0 * reward, *rest))
    assert min(scores(make_trainer(BRC, TINY))) < IGNORANT
