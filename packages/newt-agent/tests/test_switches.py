"""Every switch of a run changes what it says, and nothing else.

A run of two tasks is set up with each switch and without, from the same weights and the same
chance. All that it does is compared to the last bit: how it acts, what it samples, its gradients.
"""

import dataclasses

import numpy as np
import pytest
import torch
from demonstrations import make_demonstrations
from points import LEFT, RIGHT
from tiny import TINY

from newt_agent import newt
from newt_agent.demonstrations import Demonstrations
from newt_agent.method import Step

NAMES = [RIGHT.name, LEFT.name]
BASE = dataclasses.replace(
    TINY,
    tasks=",".join(NAMES),
    size="XS",
    demos="auto",
    pretrain_updates=10,
    seed_steps=40,
    steps=1000,
    plan_in_eval=True,
    constraint_start=0.5,
    constraint_end=0.8,
    batch_size=8,
)
ACTING = {"first actions", "plans at first", "plans at last", "evaluation"}
GRADIENTS = {
    "gradient of the model",
    "gradient of the policy",
    "gradient of the model in pretraining",
    "gradient of the policy in pretraining",
}
NETWORKS = ACTING | GRADIENTS


def part(group, **changes):
    """A change of settings that are nested."""
    return {group: dataclasses.replace(getattr(BASE, group), **changes)}


SWITCHES = {
    "no pretraining": (
        {"pretrain_updates": 0},
        {"updates of pretraining", "first actions", "plans at first"},  # the policy knows nothing
    ),
    "free plans": ({"constrain_plans": False}, {"plans at first"}),
    "part of demonstrations": ({"demo_fraction": 0.25}, {"batch"}),
    "no oversampling": ({"demo_fraction": 0.0}, {"batch"}),
    "no imitation": (part("loss", bc_coef=0.0), {"gradient of the policy"}),
    "imitation": (
        part("loss", pretrain_bc_coef=3.0),  # later it counts as much
        GRADIENTS - {"gradient of the model"},
    ),
    "imitation in pretraining": (
        part("loss", bc_coef=1.0, pretrain_bc_coef=3.0),
        {"gradient of the model in pretraining", "gradient of the policy in pretraining"},
    ),
    "no demonstrations": (
        {"demos": "none"},
        {
            *("updates of pretraining", "first actions", "plans at first", "batch"),
            "gradient of the policy",  # nothing is imitated
        },
    ),
    "no planner": ({"plan": False}, {"plans at first", "plans at last"}),
    "no planner in evaluations": ({"plan_in_eval": False}, {"evaluation"}),
    "budget of the planner": (part("planner", iterations=3), ACTING - {"first actions"}),
    "size": ({"size": "S"}, NETWORKS),
    "batch size": ({"batch_size": 4}, {"batch"}),
    "sampling": ({"sampling": "transition"}, {"batch"}),
    "no language": ({"encoder": "none"}, NETWORKS),
    "task index": ({"encoder": "index"}, NETWORKS),
    "entropy": (
        part("loss", entropy_coef=0.1),
        # In pretraining the policy shapes the states.
        GRADIENTS - {"gradient of the model"},
    ),
    "consistency": (
        part("loss", consistency_coef=1.0),
        {"gradient of the model", "gradient of the model in pretraining"},
    ),
    "warm-up": (part("optimizer", warm_up=0.5), {"rates of pretraining"}),
    "anneal": (part("optimizer", anneal=0.5), {"rates at last"}),
}


@pytest.fixture(autouse=True)
def demonstrations(monkeypatch, points):
    found = make_demonstrations(NAMES, episodes=2, steps=10)
    nothing = Demonstrations((), "")
    monkeypatch.setattr(
        newt,
        "load_demonstrations",
        lambda names, where, most: nothing if where == "none" else found,
    )


def what_it_does(trainer):
    """All that a run does, by name, from weights and chance that are always the same."""
    method, learner, model = trainer.method, trainer.method.learner, trainer.agent.model
    config = method.config
    for net in (model.encoder, model.dynamics, model.reward_net, model.policy, model.q_net):
        generator = torch.Generator().manual_seed(0)
        for weights in net.parameters():
            weights.data += 0.1 * torch.randn(weights.shape, generator=generator)
    start = {name: weights.clone() for name, weights in model.state_dict().items()}
    obs = np.zeros((2, 128), np.float32)
    obs[:, 0] = [-0.3, 0.6]
    first = np.ones(2, bool)

    def again():
        model.load_state_dict(start)
        trainer.agent.memory = None
        method._chance.numpy = np.random.default_rng(0)
        return method._chance.torch.manual_seed(0)

    def act(step):
        again()
        return torch.from_numpy(method.act(obs, first, step))

    def rates():
        optimizers = learner.optimizer, learner.policy_optimizer
        return torch.tensor([float(group["lr"]) for o in optimizers for group in o.param_groups])

    done = {
        "updates of pretraining": torch.tensor(method.pretraining),
        "first actions": act(0),
        "plans at first": act(config.seed_steps),
        "plans at last": act(config.steps - 10),
    }
    again()
    evaluated, rows = method.evaluated(), torch.arange(2)
    action = evaluated.act_on(obs, rows, first, generator=torch.Generator().manual_seed(0))
    done["evaluation"] = torch.from_numpy(action)

    for step in range(30):
        action = np.zeros((2, 16), np.float32)
        ends = np.full(2, step % 10 == 9)
        never = np.zeros(2, bool)
        after = obs + np.float32(step / 100)
        method.remember(Step(obs, action, np.full(2, 1.0), after, never, ends, ~never, after))
    again()
    batch = method._batch()
    done["batch"] = torch.cat([batch.obs.flatten(), batch.task.float(), batch.reward.flatten()])

    learner.set_pretraining(0.2)
    done["rates of pretraining"] = rates()
    learner.set_progress(0.9)
    done["rates at last"] = rates()
    learner.set_progress(0.0)

    generator = torch.Generator().manual_seed(1)
    own = torch.Generator().manual_seed(2)
    fixed = newt.Batch(
        torch.rand(4, 6, 128, generator=own),
        torch.rand(3, 6, 16, generator=own),
        torch.rand(3, 6, generator=own),
        torch.arange(6) % 2,
    )
    for name, update in (("", learner.update), (" in pretraining", learner.pretrain)):
        again()
        update(fixed, generator.manual_seed(1))
        policy = {f"policy.{each}" for each, _ in model.policy.named_parameters()}
        for whose, mine in (("model", False), ("policy", True)):
            gradients = [
                weights.grad.flatten()
                for each, weights in model.named_parameters()
                if (each in policy) == mine and weights.grad is not None
            ]
            done[f"gradient of the {whose}{name}"] = torch.cat(gradients)
    return done


@pytest.fixture
def base(make_trainer):
    return what_it_does(make_trainer("base", BASE))


def test_a_run_without_changes_does_the_same(base, make_trainer):
    assert changed(base, what_it_does(make_trainer("again", BASE))) == set()


def changed(one, other):
    assert set(one) == set(other)
    return {name for name in one if not torch.equal(one[name], other[name])}


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_switch_changes_what_it_says_and_nothing_else(switch, base, make_trainer):
    changes, expected = SWITCHES[switch]
    other = what_it_does(make_trainer("changed", dataclasses.replace(BASE, **changes)))
    assert changed(base, other) == expected
