"""What Newt does with demonstrations: each of the four uses, and its switch."""

import dataclasses

import numpy as np
import pytest
import torch
from demonstrations import make_demonstrations
from points import GOALS, LEFT, RIGHT, STEP
from tiny import TINY

from mmbench.runs import RunError
from newt_agent import newt, train
from newt_agent.cli_eval import load_agent
from newt_agent.demonstrations import Demonstrations
from newt_agent.planning_agent import PlanningAgent

NAMES = [RIGHT.name, LEFT.name]
SHORT = dataclasses.replace(
    TINY,
    tasks=",".join(NAMES),
    demos="auto",
    pretrain_updates=10,
    seed_steps=40,
    steps=160,
    checkpoint_every=100,
    utd=0.1,
    size="XS",
)


def aim(name, obs):
    """The best action: straight to the goal."""
    return np.clip((GOALS[name] - obs) / STEP, -1, 1)


@pytest.fixture(autouse=True)
def demonstrations(monkeypatch, points):
    """Lets Newt find good demonstrations of both tasks."""
    found = make_demonstrations(NAMES, episodes=5, steps=20, act=aim)
    monkeypatch.setattr(newt, "load_demonstrations", lambda names, where, most: found)
    return found


def settings(**changes):
    return dataclasses.replace(SHORT, **changes)


def test_no_more_demonstrations_of_a_task_are_read_than_wanted(
    make_trainer, demonstrations, monkeypatch
):
    wanted = []

    def load(names, where, most):
        wanted.append(most)
        return demonstrations

    monkeypatch.setattr(newt, "load_demonstrations", load)
    make_trainer("all", settings())
    make_trainer("few", settings(demo_episodes=3))
    assert wanted == [None, 3]


def state_of(trainer):
    return {name: value.clone() for name, value in trainer.agent.model.state_dict().items()}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_pretraining_alone_clones_the_demonstrators(make_trainer):
    lr = dataclasses.replace(TINY.optimizer, lr=3e-3, anneal=0.0)
    config = settings(
        steps=0, pretrain_updates=500, batch_size=64, optimizer=lr, eval_episodes=10, plan=False
    )
    trainer = make_trainer(config=config)
    rows = trainer.run()["after"]["tasks"]
    assert trainer.step == 0 and trainer.method.updates == 500
    assert min(rows[name]["score"] for name in NAMES) > 0.9


def test_an_agent_that_was_only_pretrained_is_evaluated_by_its_policy(make_trainer, tmp_path):
    """As published: values learned from demonstrations alone lead plans astray."""
    alone = make_trainer("alone", settings(steps=0, plan_in_eval=True, pretrain_updates=4))
    alone.run()
    online = make_trainer("online", settings(plan_in_eval=True))
    plans = []
    evaluated = online.method.evaluated
    online.method.evaluated = lambda: plans.append(evaluated()) or plans[-1]
    online.run()
    assert not alone.method.evaluated().plan
    assert plans[-1].plan
    for name, expected in (("alone", False), ("online", True)):
        assert load_agent(str(tmp_path / name), "cpu").plan is expected
    assert not load_agent(str(tmp_path / "online"), "cpu", plan=False).plan


def test_a_run_that_finds_no_demonstrations_does_not_keep_to_a_protocol(make_trainer, monkeypatch):
    told = Demonstrations((), "no demonstrations are used: minari is not installed")
    monkeypatch.setattr(train, "label", lambda *_: {"changed": []})
    for found, demos, changed in (
        (told, "auto", ["demos"]),
        (told, "none", []),
        (None, "auto", []),
    ):
        with monkeypatch.context() as patch:
            if found:
                patch.setattr(newt, "load_demonstrations", lambda names, where, most: told)
            trainer = make_trainer(f"{demos}-{found is None}", settings(demos=demos))
        assert trainer.folder.read_config()["protocol"] == {"changed": changed}


def test_updates_of_pretraining_come_before_the_first_step(make_trainer, monkeypatch):
    trainer = make_trainer(config=settings())
    learner, calls = trainer.method.learner, []
    for name in ("pretrain", "update"):
        own = getattr(learner, name)
        monkeypatch.setattr(
            learner,
            name,
            lambda batch, g, own=own, name=name: (
                calls.append((name, trainer.step)) or own(batch, g)
            ),
        )
    trainer.run()
    assert calls[:10] == [("pretrain", 0)] * 10
    later = calls[10:]
    assert len(later) == int(0.1 * (160 - 40)) and all(name == "update" for name, _ in later)
    assert trainer.method.updates == len(calls)


@pytest.mark.parametrize("updates", [0, 10])
def test_the_policy_takes_the_first_steps_where_it_was_pretrained(
    make_trainer, updates, monkeypatch
):
    trainer = make_trainer(config=settings(pretrain_updates=updates))
    drawn = []
    monkeypatch.setattr(
        PlanningAgent,
        "_follow_policy",
        lambda self, z, *args, own=PlanningAgent._follow_policy: (
            drawn.append(1) or own(self, z, *args)
        ),
    )
    obs, first = np.zeros((2, 128), np.float32), np.ones(2, bool)
    action = trainer.method.act(obs, first, step=0)
    assert len(drawn) == bool(updates)
    assert (action[:, 1:] == 0).all()  # masked
    trainer.method.act(obs, first, step=40)
    assert len(drawn) == bool(updates)


@pytest.mark.parametrize(("updates", "first"), [(10, 7), (0, 1)])
def test_a_pretrained_policy_s_values_are_scaled_from_its_first_update_on(
    make_trainer, updates, first, monkeypatch
):
    trainer = make_trainer(config=settings(pretrain_updates=updates, demo_fraction=0.5))
    learner, seen = trainer.method.learner, []
    monkeypatch.setattr(learner.scale, "spread", lambda values: torch.tensor(7.0))
    update = learner.update
    monkeypatch.setattr(
        learner, "update", lambda *args: seen.append(float(learner.scale.value)) or update(*args)
    )
    trainer.run()
    assert seen[0] == first
    assert seen[-1] == pytest.approx(7 - (7 - first) * 0.99 ** (len(seen) - 1))


@pytest.mark.parametrize("fraction", [0.0, 0.25, 1.0])
def test_a_part_of_each_batch_is_of_demonstrations(make_trainer, fraction, monkeypatch):
    config = settings(demo_fraction=fraction, pretrain_updates=0, batch_size=8)
    trainer = make_trainer(config=config)
    batches = []
    update = trainer.method.learner.update
    monkeypatch.setattr(
        trainer.method.learner, "update", lambda batch, g: batches.append(batch) or update(batch, g)
    )
    trainer.run()
    for batch in batches:
        assert batch.task.shape == (8,)
        assert (batch.reward[:, : int(8 * fraction)] == 0).all()  # those of the demonstrations
        assert (batch.reward[:, int(8 * fraction) :] != 0).all()


def test_plans_are_constrained_less_and_less(make_trainer, monkeypatch):
    trainer = make_trainer(config=settings(constraint_start=0.25, constraint_end=0.75))
    planner, weights = trainer.agent.planner, {}
    plan = planner.plan

    def watched(*args):
        weights[trainer.step] = args[-1]
        return plan(*args)

    monkeypatch.setattr(planner, "plan", watched)
    trainer.run()
    # From step 40, where plans begin, to step 120, where they are free.
    for step, weight in weights.items():
        assert weight == pytest.approx(1 - np.clip((step - 40) / 80, 0, 1))
    assert weights[40] == 1 and weights[158] == 0
    assert PlanningAgent.load(trainer.folder.path).prior_weight == 0


@pytest.mark.parametrize(
    ("changes", "weight"),
    [
        ({"constrain_plans": False}, 0.0),
        ({"pretrain_updates": 0}, 0.0),  # the policy knows nothing
        ({}, 1.0),
    ],
)
def test_plans_are_constrained_where_the_policy_knows_something(make_trainer, changes, weight):
    method = make_trainer(
        config=settings(constraint_start=1.0, constraint_end=1.0, **changes)
    ).method
    assert method.prior_weight(100) == weight


def test_a_checkpoint_s_policy_knows_something_too(make_trainer, monkeypatch):
    first = make_trainer("first", settings(steps=80))
    first.run()
    config = settings(checkpoint=str(first.folder.path), demos="none", pretrain_updates=0)
    trainer = make_trainer("second", config)
    assert trainer.method.prior_weight(0) == 1
    scale = trainer.method.learner.scale
    monkeypatch.setattr(scale, "spread", lambda values: torch.tensor(7.0))
    trainer.run()
    assert scale.value == 7


@pytest.mark.parametrize(("coefficient", "used"), [(None, 1.0), (0.0, 0.0), (0.3, 0.3)])
def test_the_policy_imitates_by_default(make_trainer, coefficient, used):
    loss = dataclasses.replace(TINY.loss, bc_coef=coefficient)
    assert make_trainer(config=settings(loss=loss)).method.learner._loss.imitation == used


def test_without_demonstrations_nothing_of_it_happens(make_trainer, monkeypatch):
    monkeypatch.setattr(
        newt, "load_demonstrations", lambda names, where, most: Demonstrations((), "none")
    )
    with_settings = make_trainer("with", settings())
    without = make_trainer(
        "without",
        settings(demos="none", pretrain_updates=0, demo_fraction=0.0, constrain_plans=False),
    )
    for trainer in (with_settings, without):
        trainer.run()
    assert same(state_of(with_settings), state_of(without))


def test_a_run_stopped_in_pretraining_is_the_one_that_never_stopped(make_trainer):
    whole = make_trainer("whole", settings())
    whole.run()
    stopped = make_trainer("stopped", settings())
    pretrain, method = stopped.method.learner.pretrain, stopped.method

    def stop_soon(batch, generator):
        if method.updates == 7:
            raise KeyboardInterrupt
        return pretrain(batch, generator)

    # Saved after 5 updates, and cut off before the eighth.
    method.learner.pretrain = stop_soon
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("newt_agent.off_policy.MOST_UPDATES", 5)
        patch.setattr("newt_agent.train._SAVE_SECONDS", -1.0)
        with pytest.raises(KeyboardInterrupt):
            stopped.run()
    stopped.close()
    resumed = make_trainer("stopped", settings(), resume=True)
    assert (resumed.step, resumed.method.updates) == (0, 5)
    resumed.run()
    assert same(state_of(resumed), state_of(whole))


def test_other_demonstrations_than_before_are_told_of(make_trainer, monkeypatch, demonstrations):
    method = make_trainer("one", settings()).method
    state = method.state()
    assert method.restore(state, 0) == ""
    fewer = Demonstrations(demonstrations.episodes[1:], "")
    monkeypatch.setattr(newt, "load_demonstrations", lambda names, where, most: fewer)
    assert "demonstrations are others" in make_trainer("two", settings()).method.restore(state, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0, "pretrain_updates": 0}, "pretrain_updates has to be above 0"),
        ({"constraint_start": 0.5, "constraint_end": 0.2}, "constraint_start=0.5: at most"),
    ],
)
def test_what_cannot_be_is_one_sentence(make_trainer, changes, message):
    with pytest.raises(RunError, match=message):
        make_trainer(config=settings(**changes))


def test_pretraining_without_demonstrations_is_one_sentence(make_trainer, monkeypatch):
    nothing = Demonstrations((), "no demonstrations are used")
    monkeypatch.setattr(newt, "load_demonstrations", lambda names, where, most: nothing)
    with pytest.raises(RunError, match="demos=auto: no demonstrations are used"):
        make_trainer(config=settings(steps=0))
