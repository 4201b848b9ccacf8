"""What the trainer promises, read off a run in environments whose every number is known.

The environments (`scripted`) count episodes and steps and show the action that they were handed,
so the replay can be compared with what must be in it, and each call of the planner with where its
environments stand. Most tests look at one run: four environments, two of each task, 32 steps of
each, of which the first 10 are random; evaluations in between.
"""

import contextlib
import inspect
import io
import itertools
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from no_evaluation import evaluate_nothing
from rich.console import Console
from scripted import ACTION, EPISODE, LONG, SCALE, SHORT, STEP, episode_return, reward
from tiny import TINY

from mmbench.runs import RunFolder
from newt_agent.display import Display
from newt_agent.learner import OptimizerConfig
from newt_agent.losses import LossConfig
from newt_agent.newt import Newt
from newt_agent.train import Trainer

ENVS = [SHORT, SHORT, LONG, LONG]
LENGTHS = np.array([task.max_episode_steps for task in ENVS])
TICKS, RANDOM_TICKS = 32, 10  # steps of each environment
EVALUATED = [52, 100]  # the first steps of four environments at once that reach 50 and 100
NUMBERS = itertools.count()  # of runs in one folder

CONFIG = replace(
    TINY,
    steps=len(ENVS) * TICKS,
    seed_steps=len(ENVS) * RANDOM_TICKS,
    envs_per_task=2,
    utd=0.25,
    replay_capacity=400,
    plan_in_eval=True,
    eval_every=50,
    checkpoint_every=64,
    planner=replace(TINY.planner, horizon=4),
    optimizer=OptimizerConfig(lr=1e-3, encoder_lr_scale=0.5, anneal=0.5),
    loss=LossConfig(consistency_coef=3.0, reward_coef=0.5, value_coef=0.25),
)


class Watch:
    """Notes what a trainer's environments, planner and learner are handed, and what they return.

    Attributes:
        steps: The training steps: ``actions`` and ``obs``, one row an environment.
        plans: The planner's calls in training: its arguments by name, ``action`` and ``mean`` as
            returned, ``tick`` (how many steps came before) and ``encoded`` (what the model makes
            of the latest observations).
        evaluation_plans: The same of evaluations, without the last two.
        updates: The learner's calls: ``step`` of the run, ``batch``, ``rates`` and ``metrics``.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.steps, self.plans, self.evaluation_plans, self.updates = [], [], [], []
        trainer.env.step = self._watch_step(trainer.env.step)
        trainer.agent.planner.plan = self._watch_plan(trainer.agent.planner.plan)
        trainer.method.learner.update = self._watch_update(trainer.method.learner.update)

    def _watch_step(self, step):
        def watched(actions):
            result = step(actions)
            self.steps.append(SimpleNamespace(actions=actions.copy(), obs=result[0].copy()))
            return result

        return watched

    def _watch_plan(self, plan):
        signature = inspect.signature(plan)

        def watched(*args, **kwargs):
            call = SimpleNamespace(**signature.bind(*args, **kwargs).arguments)
            call.prev_mean = call.prev_mean.clone()
            call.action, call.mean = plan(*args, **kwargs)
            # One environment a task is open in an evaluation of one episode each.
            if len(call.z) == len(ENVS):
                call.tick = len(self.steps)
                obs = torch.from_numpy(self.steps[-1].obs)
                call.encoded = self.trainer.agent.model.encode(obs[:, None], call.context)
                self.plans.append(call)
            else:
                self.evaluation_plans.append(call)
            return call.action, call.mean.clone()

        return watched

    def _watch_update(self, update):
        def watched(batch, generator):
            rates = [
                float(group["lr"]) for group in self.trainer.method.learner.optimizer.param_groups
            ]
            metrics = update(batch, generator)
            step = self.trainer.step
            self.updates.append(
                SimpleNamespace(step=step, batch=batch, rates=rates, metrics=metrics)
            )
            return metrics

        return watched


@pytest.fixture(scope="module")
def run(scripted_tasks, tmp_path_factory) -> Watch:
    """A whole run, watched."""
    folder = RunFolder.create(tmp_path_factory.mktemp("run"), "test")
    display = Display(Console(file=io.StringIO()))
    trainer = Trainer(Newt, replace(CONFIG, tasks=scripted_tasks), folder, "cpu", display)
    with contextlib.closing(trainer):
        watch = Watch(trainer)
        trainer.run()
    return watch


@pytest.fixture
def watched_run(make_trainer, scripted_tasks):
    """Returns the watch of a run with some settings changed."""

    def go(**changes) -> Watch:
        watch = Watch(make_trainer(config=replace(CONFIG, tasks=scripted_tasks, **changes)))
        watch.trainer.run()
        return watch

    return go


def sampled(run: Watch):
    """So many windows that none is missing, and what their observations say."""
    batch = run.trainer.method.replay.sample(6000, np.random.default_rng(0))
    return batch, batch.obs[..., 0], batch.obs[..., EPISODE], batch.obs[..., STEP]


# The replay


def test_a_window_is_a_piece_of_one_episode_as_it_happened(run):
    batch, length, episode, step = sampled(run)
    assert len(batch.action) == CONFIG.planner.horizon
    assert (length == length[0]).all()
    assert (episode == episode[0]).all()
    assert (step[1:] == step[:-1] + 1).all()
    assert (batch.reward == reward(episode[1:], step[1:])).all()
    for row, task in enumerate((SHORT, LONG)):
        own = batch.task == row
        assert (length[:, own] == task.max_episode_steps).all()
        executed = batch.obs[1:, own, ACTION : ACTION + task.action_dim]
        assert torch.equal(batch.action[:, own, : task.action_dim], executed)
        assert (batch.action[:, own, task.action_dim :] == 0).all()


def test_every_step_of_every_episode_is_kept_the_last_one_too(run):
    batch, length, episode, step = sampled(run)
    seen = set(zip(length[0].tolist(), episode[0].tolist(), step[0].tolist(), strict=True))
    horizon = CONFIG.planner.horizon
    expected = {
        (length, start // length, start % length)
        for length in LENGTHS.tolist()
        for start in range(TICKS - horizon + 1)
        if start % length + horizon <= length
    }
    assert seen == expected


@pytest.mark.parametrize("capacity", [64, 67])
def test_replay_holds_as_many_rows_as_asked_for(watched_run, capacity):
    run = watched_run(replay_capacity=capacity)
    assert len(run.trainer.method.replay) == 64  # the most that four environments can share equally
    replay = run.trainer.method.replay
    held = replay.rows(*replay.held)
    assert len(held["obs"]) == len(held["action"]) == len(held["reward"]) == 64
    newest = {(row[0], row[EPISODE], row[STEP]) for row in held["obs"].tolist()}
    for length in LENGTHS.tolist():
        assert (length, TICKS // length, TICKS % length) in newest


# Acting


def test_actions_are_random_at_first_and_then_the_planner_s(run):
    assert [call.tick for call in run.plans] == list(range(RANDOM_TICKS, TICKS))
    for call in run.plans:
        np.testing.assert_array_equal(run.steps[call.tick].actions, call.action.numpy())
    early = np.stack([step.actions for step in run.steps[:RANDOM_TICKS]])
    used = np.arange(16) < np.array([task.action_dim for task in ENVS])[:, None]
    assert (early[:, ~used] == 0).all()
    values = early[:, used]
    assert len(np.unique(values)) == values.size
    assert values.min() < -0.8 and values.max() > 0.8 and abs(values.mean()) < 0.2


def test_each_environment_is_planned_for_from_its_observation_with_its_task_and_discount(run):
    for call in run.plans:
        assert torch.equal(call.z, call.encoded)
        assert call.context.task[:, 0].tolist() == [0, 0, 1, 1]
        assert call.discount.tolist() == pytest.approx([task.discount for task in ENVS])
    for call in run.evaluation_plans:
        assert call.context.task[:, 0].tolist() == [0, 1]
        assert call.discount.tolist() == pytest.approx([SHORT.discount, LONG.discount])


def test_a_plan_starts_afresh_where_an_episode_starts_and_only_there(run):
    assert run.plans[0].first.all()  # there is no plan before
    for call in run.plans[1:]:
        assert call.first.tolist() == (call.tick % LENGTHS == 0).tolist()
    evaluations = np.array_split(run.evaluation_plans, 2 + len(EVALUATED))
    for calls in evaluations:
        assert len(calls) == LONG.max_episode_steps
        for tick, call in enumerate(calls):
            starts = [tick % task.max_episode_steps == 0 for task in (SHORT, LONG)]
            assert call.first.tolist() == starts


def test_a_plan_goes_on_from_the_one_before_over_evaluations_too(run):
    for before, call in zip(run.plans, run.plans[1:], strict=False):
        assert torch.equal(call.prev_mean, before.mean)


def test_planned_actions_are_noisy_in_training_only(run):
    assert all(call.explore for call in run.plans)
    assert not any(call.explore for call in run.evaluation_plans)


def test_the_policy_s_actions_are_noisy_in_training_only(watched_run, make_trainer, scripted_tasks):
    config = replace(CONFIG, tasks=scripted_tasks, plan=False, plan_in_eval=False)
    trainer = make_trainer(config=config)
    agent, act_on, noise = trainer.agent, trainer.agent.act_on, {"training": [], "evaluation": []}

    def watched(obs, task, first, *args, **kwargs):
        action = act_on(obs, task, first, *args, **kwargs)
        with torch.no_grad():
            context = agent.model.context(task)
            z = agent.model.encode(torch.as_tensor(obs), context)
            mean, log_std = agent.model.pi(z, context)
        phase = "training" if len(obs) == len(ENVS) else "evaluation"
        # Before the squashing, in the policy's own standard deviations.
        distance = torch.atanh(torch.from_numpy(action).clamp(-0.9999, 0.9999)) - torch.atanh(mean)
        noise[phase].append((distance / log_std.exp())[agent.model.action_mask[task]])
        return action

    trainer.agent.act_on = watched  # and so of the copy that is evaluated
    trainer.run()
    assert torch.cat(noise["evaluation"]).abs().max() < 1e-3
    # Half of what a normal distribution gives is within 0.67 of its mean.
    assert 0.5 < torch.cat(noise["training"]).abs().median() < 0.85


@pytest.mark.parametrize("plan", [True, False])
def test_evaluations_may_plan_where_training_does_not_and_the_other_way(watched_run, plan):
    run = watched_run(plan=plan, plan_in_eval=not plan)
    assert len(run.plans) == (TICKS - RANDOM_TICKS if plan else 0)
    assert bool(run.evaluation_plans) is not plan


def test_evaluations_change_nothing_in_training(make_trainer, scripted_tasks):
    ends = []
    for every, episodes in ((0, 1), (20, 3)):
        config = replace(CONFIG, tasks=scripted_tasks, eval_every=every, eval_episodes=episodes)
        trainer = make_trainer(f"every-{every}", config)
        trainer.run()
        rows = [row for row in trainer.folder.metrics.rows() if row["phase"] == "train"]
        state = trainer.method.state() | trainer.agent.model.state_dict()
        ends.append(([{**row, "seconds": ""} for row in rows], state))
    (rows, state), (other_rows, other) = ends
    assert rows and rows == other_rows
    assert [name for name in state if not torch.equal(state[name], other[name])] == []


# Learning


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    utd=st.integers(0, 150).map(lambda hundredths: hundredths / 100),
    seed_updates=st.booleans(),
    envs_per_task=st.integers(1, 3),
    learning_steps=st.integers(1, 100),
    seed_steps=st.integers(24, 60),  # at least one window for each environment
)
@example(
    utd=0.05, seed_updates=False, envs_per_task=1, learning_steps=20, seed_steps=24
)  # ten times 0.1 is not 1
def test_updates_are_utd_times_the_steps_after_the_random_ones(
    make_trainer,
    scripted_tasks,
    monkeypatch,
    utd,
    seed_updates,
    envs_per_task,
    learning_steps,
    seed_steps,
):
    monkeypatch.setattr("newt_agent.train.evaluate", evaluate_nothing)  # it takes long
    steps = seed_steps + learning_steps
    config = replace(
        CONFIG,
        tasks=scripted_tasks,
        steps=steps,
        seed_steps=seed_steps,
        envs_per_task=envs_per_task,
        utd=utd,
        seed_updates=seed_updates,
        eval_every=0,
        checkpoint_every=1000,
        plan=False,
        plan_in_eval=False,
    )
    trainer = make_trainer(f"run-{next(NUMBERS)}", config)
    trainer.method.learner.update = lambda batch, generator: {}
    trainer.run()
    trainer.close()
    num_envs = 2 * envs_per_task
    assert trainer.step == math.ceil(steps / num_envs) * num_envs
    learned_from = trainer.step - (0 if seed_updates else seed_steps)
    assert trainer.method.updates == math.floor(utd * learned_from)


def test_updates_come_as_the_steps_do_from_the_replay_of_all_tasks(run):
    made = [sum(update.step <= step for update in run.updates) for step in range(CONFIG.steps + 1)]
    for tick in range(TICKS + 1):
        step = len(ENVS) * tick
        assert made[step] == math.floor(CONFIG.utd * max(0, step - CONFIG.seed_steps))
    for update in run.updates:
        assert update.batch.task.shape == (CONFIG.batch_size,)
    assert {task for update in run.updates for task in update.batch.task.tolist()} == {0, 1}


def test_learning_rates_fall_over_the_last_part_of_the_run(run):
    for update in run.updates:
        factor = min(1.0, (1 - update.step / CONFIG.steps) / 0.5)
        assert update.rates == pytest.approx([0.5 * 1e-3 * factor, 1e-3 * factor])


def test_losses_are_weighed_as_asked_for(run):
    for metrics in (update.metrics for update in run.updates):
        names = ("consistency", "reward", "value", "model")
        consistency, rewards, value, total = (metrics[f"{name}_loss"].item() for name in names)
        assert total == pytest.approx(3 * consistency + 0.5 * rewards + 0.25 * value)


# What is written down


def test_metrics_tell_each_episode(run):
    rows = [
        (row["phase"], int(row["step"]), row["task"], float(row["return"]), int(row["length"]))
        for row in run.trainer.folder.metrics.rows()
    ]
    trained = [
        ("train", len(ENVS) * tick, task.name, episode_return(task, tick // length - 1), length)
        for tick in range(1, TICKS + 1)
        for task, length in zip(ENVS, LENGTHS.tolist(), strict=True)
        if tick % length == 0
    ]
    assert [row for row in rows if row[0] == "train"] == trained
    evaluations = [("random", 0), ("before", 0), *(("eval", step) for step in EVALUATED)]
    evaluated = [
        (phase, step, task.name, episode_return(task, 0), task.max_episode_steps)
        for phase, step in [*evaluations, ("after", CONFIG.steps)]
        for task in (SHORT, LONG)
    ]
    assert [row for row in rows if row[0] != "train"] == evaluated
    for row in run.trainer.folder.metrics.rows():
        assert float(row["score"]) == pytest.approx(float(row["return"]) / SCALE)
        assert math.isnan(float(row["success"]))


def test_checkpoints_come_at_the_start_on_the_way_and_at_the_end(run):
    folder = run.trainer.folder.path / "checkpoints"
    names = {path.name for path in folder.iterdir() if not path.is_symlink()}
    always = {"000000000", "000000064", "000000128"}
    assert names >= always
    # Also after an evaluation that beats those before.
    assert names - always <= {f"{step:09d}" for step in EVALUATED}
