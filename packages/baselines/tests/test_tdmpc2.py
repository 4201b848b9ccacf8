"""TD-MPC2: what it does otherwise than Newt, and that it learns."""

import dataclasses
import math

import pytest
import torch
from batches import noise_batch
from points import IGNORANT, TRAINING

from mmbench import catalog
from mmbench.runs import publish_folder
from mmbench_baselines.tdmpc2 import (
    MULTITASK_SIZES,
    TDMPC2,
    TaskVectorModel,
    TDMPC2Agent,
    TDMPC2Config,
    newt_parameters,
)
from newt_agent.agent import Agent
from newt_agent.layers import MLPEnsemble
from newt_agent.learner import OptimizerConfig
from newt_agent.losses import LossConfig, policy_loss, update_noise, world_model_loss
from newt_agent.maths import RunningScale
from newt_agent.off_policy import MOST_UPDATES
from newt_agent.planner import PlannerConfig
from newt_agent.planning_agent import PlanningAgent
from newt_agent.train import Interrupted

TASKS = catalog.select("walker-walk,pygame-pong")
LITTLE = PlannerConfig(num_samples=32, num_elites=8, num_pi_trajs=8, iterations=2)
TINY = TDMPC2Config(
    **TRAINING,
    steps=1200,
    seed_steps=400,
    eval_episodes=3,
    batch_size=64,
    utd=0.15,
    replay_capacity=20_000,
    planner=LITTLE,
    optimizer=OptimizerConfig(lr=1e-3, encoder_lr_scale=1.0, target_tau=0.05),
)


def agent(tasks=TASKS) -> TDMPC2Agent:
    generator = torch.Generator().manual_seed(0)
    made = TDMPC2Agent.create(tasks, "XS", "minilm", LITTLE, generator)
    for net in (made.model.reward_net.linears[-1].weight, made.model.q_net.weight3):
        net.data.normal_(std=0.05, generator=generator)  # otherwise 0: no gradient passes
    return made


def method(tasks=TASKS, **settings) -> TDMPC2:
    config = dataclasses.replace(
        TINY, tasks=",".join(task.name for task in tasks), seed_steps=0, utd=1.0
    )
    config = TDMPC2.complete(dataclasses.replace(config, **settings), tasks, "cpu")
    return TDMPC2(config, agent(tasks), torch.arange(len(tasks)))


def noise() -> torch.Generator:
    return torch.Generator().manual_seed(2)


def draws(made, rows=16):
    noise_of = update_noise(made.model, noise_batch(3, rows))
    return noise_of.draw(noise(), 1.0 - made.model.config.q_dropout)


# The vectors of the tasks


def test_a_vector_that_is_too_long_is_scaled_to_norm_1_and_others_stay():
    model = agent().model
    vectors = model.task_embeddings.data.zero_()
    vectors[0, 0], vectors[0, 95] = 3.0, -4.0
    vectors[1, 5] = 0.25
    model.limit_norms()
    expected = torch.zeros(2, 96)
    expected[0, 0], expected[0, 95] = 0.6, -0.8
    expected[1, 5] = 0.25
    torch.testing.assert_close(model.task_embeddings.data, expected)


def test_norms_are_limited_after_each_update():
    learner = method(optimizer=OptimizerConfig(lr=1.0)).learner
    model = learner.model
    before = model.task_embeddings.detach().clone()
    learner.update(noise_batch(3), noise())
    # Adam's first step is as long as the learning rate in each of 96 entries.
    torch.testing.assert_close(model.task_embeddings.detach().norm(dim=1), torch.ones(2))
    assert not torch.equal(model.task_embeddings, before)


@pytest.mark.parametrize("rows", [1, 16], ids=["fewer rows than tasks", "more"])
def test_the_loss_of_the_world_model_trains_the_vectors(rows):
    made = agent()
    loss, _, zs = world_model_loss(
        made.model, noise_batch(3, rows), made.discount, LossConfig(), draws(made, rows)
    )
    loss.backward()
    norms = made.model.task_embeddings.grad.norm(dim=1)
    assert (norms[: min(rows, 2)] > 0).all() and (norms[rows:] == 0).all()


def test_the_loss_of_the_policy_sends_no_gradient_through_the_value():
    made = agent()
    made.model.policy.requires_grad_(False)
    made.model.policy.weight_language.data.zero_()
    _, _, zs = world_model_loss(
        made.model, noise_batch(3), made.discount, LossConfig(), draws(made)
    )
    made.model.policy.requires_grad_(True)
    loss, *_ = policy_loss(
        made.model, zs, noise_batch(3), RunningScale(), LossConfig(), draws(made)
    )
    loss.backward()
    assert made.model.policy.weight_x.grad.norm() > 0
    assert made.model.task_embeddings.grad.norm() == 0


def test_vectors_are_saved_and_loaded(tmp_path):
    made = agent()
    made.model.task_embeddings.data.normal_(generator=noise())
    publish_folder(tmp_path / "agent", made.save)
    again = Agent.load(tmp_path / "agent")
    assert isinstance(again, TDMPC2Agent) and isinstance(again.model, TaskVectorModel)
    assert again.size == "XS"
    assert again.model.task_embeddings.requires_grad
    assert torch.equal(again.model.task_embeddings, made.model.task_embeddings)
    # Where a file's bytes begin is anywhere; sums may depend on it (on some processors only).
    assert again.model.task_embeddings.data_ptr() % 64 == 0
    obs, first = torch.randn(2, 128, generator=noise()), torch.ones(2, dtype=torch.bool)
    names = [task.name for task in TASKS]
    acts = [one.act(obs, names, first, generator=noise()) for one in (made, again)]
    assert (acts[0] == acts[1]).all()


# The value heads and the losses


def test_dropout_leaves_out_one_entry_in_a_hundred_while_training():
    ensemble = MLPEnsemble(2, 8, 1, 0, 5000, 3, dropout=0.01, generator=noise())
    seen = []
    x, extra, term = torch.zeros(4, 8), torch.zeros(4, 1), torch.ones(2, 5000)

    def look(h, *args):
        seen.append(h)
        return torch.zeros_like(h)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("newt_agent.layers.F.layer_norm", look)
        ensemble(x, extra, term, kept=torch.empty(4, 2, 5000).bernoulli_(0.99, generator=noise()))
        ensemble(x, extra, term)
    trained, acting = seen[0], seen[2]
    assert trained.unique().tolist() == [0.0, pytest.approx(1 / 0.99)]
    dropped = (trained == 0).float().mean()
    # 40,000 entries: 400 left out on average, with a deviation of 20.
    assert dropped * 40_000 == pytest.approx(400, abs=100)
    assert (acting == 1).all()


def test_without_dropout_nothing_is_drawn():
    newts = PlanningAgent.create(TASKS, "XS", "minilm", LITTLE, noise())
    drawn = update_noise(newts.model, noise_batch(3))
    assert drawn.model_dropout is None and drawn.dropout is None


def test_both_losses_train_with_dropout_and_nothing_else_does(monkeypatch):
    made = agent()
    calls = []
    forward = MLPEnsemble.forward

    def watch(self, x, extra, term, heads=None, detach=False, kept=None):
        calls.append((self is made.model.target_q_net, kept is not None))
        return forward(self, x, extra, term, heads, detach, kept)

    monkeypatch.setattr(MLPEnsemble, "forward", watch)
    _, _, zs = world_model_loss(
        made.model, noise_batch(3), made.discount, LossConfig(), draws(made)
    )
    assert calls == [(True, False), (False, True)]
    policy_loss(made.model, zs, noise_batch(3), RunningScale(), LossConfig(), draws(made))
    assert calls[2:] == [(False, True)]
    made.act(torch.zeros(1, 128), ["walker-walk"], torch.ones(1, dtype=torch.bool))
    assert len(calls) > 3 and not any(dropped for _, dropped in calls[3:])


def test_time_weights_are_not_normalised():
    weights = TINY.loss.time_weights(4, torch.device("cpu"))
    assert weights.tolist() == [1.0, 0.5, 0.25, 0.125]
    made = agent()
    ours, newts = (
        world_model_loss(made.model, noise_batch(3), made.discount, config, draws(made))[0]
        for config in (TINY.loss, LossConfig())
    )
    torch.testing.assert_close(ours, 1.875 * newts)


def test_no_action_is_imitated():
    made = agent()
    _, _, zs = world_model_loss(made.model, noise_batch(3), made.discount, TINY.loss, draws(made))
    other = noise_batch(3)._replace(action=-noise_batch(3).action)
    first, second = (
        policy_loss(made.model, zs, each, RunningScale(), TINY.loss, draws(made))[0]
        for each in (noise_batch(3), other)
    )
    assert torch.equal(first, second)


def test_what_masked_entries_hold_changes_no_loss_and_no_weight():
    clean, dirty = method().learner, method().learner
    given = noise_batch(3)
    obs, action = given.obs.clone(), given.action.clone()
    model = clean.model
    obs[:, ~model.observation_mask[given.task]] = math.nan
    action[:, ~model.action_mask[given.task]] = math.nan
    assert obs.isnan().any() and action.isnan().any()
    losses = clean.update(given, noise())
    others = dirty.update(given._replace(obs=obs, action=action), noise())
    assert {n: v.item() for n, v in losses.items()} == {n: v.item() for n, v in others.items()}
    for one, other in zip(model.parameters(), dirty.model.parameters(), strict=True):
        assert torch.equal(one, other)


# Sizes


@pytest.mark.parametrize("size", MULTITASK_SIZES)
@pytest.mark.parametrize("tasks", [2, 20, 200])
def test_many_tasks_have_as_many_parameters_as_newt(size, tasks):
    with torch.device("meta"):
        vectors, *masks = (torch.ones(tasks, entries) for entries in (96, 16, 128))
        model = TaskVectorModel(MULTITASK_SIZES[size], vectors, *masks)
    newt = newt_parameters(size, tasks, language_dim=384)
    assert 0.95 * newt < model.num_parameters < 1.05 * newt


def test_a_single_task_has_the_networks_of_the_paper():
    (walk,) = catalog.select("walker-walk")
    made = TDMPC2Agent.create((walk,), "B", "minilm", LITTLE, noise())
    assert made.model.num_parameters == 5_033_342
    assert made.model.config.q_dropout == 0.01
    assert made.size == "B"


def test_both_numbers_of_parameters_are_said():
    one = method()
    ours, newts = one.agent.model.num_parameters, newt_parameters("XS", 2, 384)
    assert f"{ours:,}" in one.summary() and f"{newts:,}" in one.summary()


def test_a_single_task_is_saved_loaded_and_learned(tmp_path):
    one = method(TASKS[:1])
    given = noise_batch(3)
    one.learner.update(given._replace(task=torch.zeros_like(given.task)), noise())
    assert not one.broken()
    publish_folder(tmp_path / "agent", one.agent.save)
    again = Agent.load(tmp_path / "agent")
    assert again.size == "XS" and again.model.task_embeddings.shape == (1, 0)


# When updates happen


@pytest.mark.parametrize(
    ("tasks", "steps", "seed_steps"),
    [
        ("walker-walk", 10**6, 5 * 500),
        ("ms-pick-cube", 10**6, 1000),
        ("walker-walk,ms-pick-cube", 10**6, 2 * 5 * 500),
        ("walker-walk", 3000, 1500),
    ],
)
def test_random_steps(tasks, steps, seed_steps):
    config = TDMPC2Config(tasks=tasks, steps=steps)
    assert TDMPC2.complete(config, config.selected(), "cpu").seed_steps == seed_steps
    own = dataclasses.replace(config, seed_steps=77)
    assert TDMPC2.complete(own, own.selected(), "cpu") == own


def test_updates_of_the_random_steps_are_made_up_for_at_their_end():
    one = method(TASKS[:1], steps=10**6)
    assert one.config.seed_steps == 2500
    due = [one.due(step) for step in (0, 2499, 2500, 2501, 10_000)]
    assert due == [0, 0, 2500, 2501, 10_000]


def test_presets_fit_the_tasks():
    single, many = (TDMPC2.preset("paper", "cuda", n) for n in (1, 200))
    assert (single.size, single.batch_size, single.utd) == ("B", 256, 1.0)
    assert (many.size, many.batch_size, many.utd) == ("L", 1024, 0.075)
    assert TDMPC2.preset("machine", "cpu", 1).size == "S"


def test_a_stop_is_heeded_between_the_updates_of_the_random_phase(make_trainer, points):
    settings = {"tasks": "point-left", "envs_per_task": 4, "steps": 120, "seed_steps": 80}
    config = dataclasses.replace(TINY, **settings, utd=1.0, batch_size=8, eval_episodes=1)
    whole = make_trainer(TDMPC2, config)
    whole.run()
    assert whole.method.updates == 120

    stopped = make_trainer(TDMPC2, config, "stopped")
    learn = stopped.method.learn

    def stop_in_the_middle(step):
        metrics = learn(step)
        if stopped.method.updates == 2 * MOST_UPDATES:
            stopped._stop.set()
        return metrics

    stopped.method.learn = stop_in_the_middle
    with pytest.raises(Interrupted):
        stopped.run()
    assert (stopped.step, stopped.method.updates) == (80, 2 * MOST_UPDATES)
    stopped.close()
    resumed = make_trainer(TDMPC2, config, "stopped", resume=True)
    resumed.run()
    assert resumed.method.updates == 120
    for name, value in whole.agent.model.state_dict().items():
        assert torch.equal(value, resumed.agent.model.state_dict()[name]), name


# Learning


def scores(trainer) -> list[float]:
    return [row["score"] for row in trainer.run()["after"]["tasks"].values()]


def test_it_learns_two_tasks_that_only_their_vectors_tell_apart(make_trainer, points):
    assert min(scores(make_trainer(TDMPC2, TINY))) > 0.9


@pytest.mark.slow  # it tells what the test before can fail of
def test_it_does_not_where_the_vectors_are_not_learned(make_trainer, points):
    trainer = make_trainer(TDMPC2, TINY)
    # In place of `groups + [the vectors]` in TaskVectorModel.parameter_groups.
    trainer.agent.model.task_embeddings.requires_grad_(False).zero_()
    assert min(scores(trainer)) < IGNORANT + 0.05
