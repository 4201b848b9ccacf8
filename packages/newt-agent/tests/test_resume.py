"""What a resumption may change, what it remembers, and what it cannot bring back."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from faults import Fault
from no_evaluation import evaluate_nothing
from tiny import TINY

from mmbench.runs import RunError
from newt_agent.agent import Agent
from newt_agent.checkpoint import load_training_state
from newt_agent.cli import ResumeConfig
from newt_agent.learner import OptimizerConfig
from newt_agent.newt import NewtConfig

CONFIG = dataclasses.replace(
    TINY,
    tasks="pygame-cartpole-balance",
    steps=60,
    seed_steps=20,
    utd=0.5,
    checkpoint_every=20,
    discount_max=1.0,
    optimizer=OptimizerConfig(lr=1e-3),
)


@pytest.fixture
def make_short(make_trainer, monkeypatch):
    """Trainers whose evaluations take no time."""
    monkeypatch.setattr("newt_agent.train.evaluate", evaluate_nothing)

    def make(resume=False, **changes):
        return make_trainer(config=dataclasses.replace(CONFIG, **changes), resume=resume)

    return make


def stored(trainer) -> NewtConfig:
    return NewtConfig.from_dict(trainer.folder.read_config()["config"])


def test_what_a_resumption_changes_is_remembered(make_short):
    first = make_short()
    first.run()
    first.close()
    changes = ResumeConfig(str(first.folder.path), steps=100, on_error="restart").changes
    assert changes == {"steps": 100, "on_error": "restart"}
    resumed = make_short(resume=True, **changes)
    assert stored(resumed) == resumed.config  # before anything can end it
    resumed.run()
    resumed.close()
    assert stored(resumed) == dataclasses.replace(CONFIG, **changes)
    assert resumed.folder.last_checkpoint().name == "000000100"
    assert json.loads((resumed.folder.path / "eval.json").read_text())["step"] == 100


def test_a_longer_run_is_the_one_that_was_longer_from_the_start(make_short, make_trainer):
    whole = make_trainer("whole", dataclasses.replace(CONFIG, steps=100))
    whole.run()
    short = make_short()
    short.run()
    short.close()
    longer = make_short(resume=True, steps=100)
    longer.run()
    assert longer.method.updates == whole.method.updates == 40
    for a, b in zip(longer.agent.model.parameters(), whole.agent.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_complete_run_is_not_done_again(make_short):
    first = make_short()
    first.run()
    first.close()
    kept = [
        path
        for path in first.folder.path.rglob("*")
        if path.is_file() and path.parent.name != "tensorboard"
    ]
    before = [path.read_bytes() for path in kept]
    again = make_short(resume=True)
    again._take_step = again._evaluate = None  # called, they would raise
    assert set(again.run()) == {"random", "before", "after"}
    assert [path.read_bytes() for path in kept] == before


def test_a_length_that_is_behind_is_refused_and_forgotten(make_short):
    first = make_short()
    first.run()
    first.close()
    with pytest.raises(RunError, match="steps=40: the run is at step 60 already"):
        make_short(resume=True, steps=40)
    assert stored(first) == CONFIG


@pytest.mark.parametrize(
    "changes",
    [
        {"tasks": "pygame-pong"},
        {"envs_per_task": 2},
        {"size": "S"},
        {"replay_capacity": 10_000},
        {"planner": dataclasses.replace(CONFIG.planner, horizon=4)},
    ],
)
def test_what_the_checkpoint_s_tensors_depend_on_cannot_change(make_short, changes):
    make_short()._save()
    (name,) = changes
    with pytest.raises(RunError, match=rf"{name}.*: the checkpoint was made with .*config.json"):
        make_short(resume=True, **changes)


def test_another_kind_of_device_starts_the_noise_anew_and_says_so(make_short, monkeypatch, quiet):
    first = make_short()
    first.run()
    first.close()

    def as_of_a_gpu(checkpoint):
        state = load_training_state(checkpoint)
        # Of CUDA: seed and offset, eight bytes each.
        state.method["chance/torch"] = torch.arange(16, dtype=torch.uint8)
        return state

    with monkeypatch.context() as patch:
        patch.setattr("newt_agent.train.load_training_state", as_of_a_gpu)
        noise = [
            make_short(resume=True, steps=100).method._chance.torch.get_state() for _ in range(2)
        ]
        trainer = make_short(resume=True, steps=100)
    said = " ".join(quiet.console.file.getvalue().split())
    assert "warning: the checkpoint is from another kind of device" in said
    assert "drawn anew from step 60, and the run will differ from one never stopped" in said
    assert torch.equal(*noise)
    assert not torch.equal(noise[0], torch.Generator().get_state())
    trainer.run()
    assert trainer.step == 100


def test_a_largest_discount_holds_only_while_it_is_asked_for(make_short, make_trainer):
    low = make_short(discount_max=0.5)
    low.run()
    low.close()
    (own,) = low.env.tasks
    assert low.method.learner._discount.tolist() == [0.5]
    checkpoint = low.folder.last_checkpoint()
    # The agent by itself, as of newt-eval, plans with what its values were learned with.
    agent = Agent.load(checkpoint)
    assert agent.discount.tolist() == [0.5]
    assert agent.tasks[0].discount == own.discount > 0.5
    again = make_trainer("again", dataclasses.replace(CONFIG, checkpoint=str(checkpoint)))
    assert again.method.learner._discount.tolist() == pytest.approx([own.discount])
    assert again.agent.discount.tolist() == pytest.approx([own.discount])


def test_a_restarted_environment_writes_no_transition_that_never_happened(make_short):
    trainer = make_short(on_error="restart", tasks="pygame-cartpole-balance,pygame-pong", steps=80)
    trainer.env.set_attr("advance", [Fault("none"), Fault("raise", after=13)])
    seen = []
    step = trainer.env.step

    def watched(actions):
        result = step(actions)
        seen.append((actions.copy(), *(array.copy() for array in result[:2])))
        return result

    trainer.env.step = watched
    trainer.run()
    assert trainer.env.failures.tolist() == [0, 1]
    replay = trainer.method.replay
    held, rows = replay.rows(*replay.held), replay.held[1].tolist()
    # 40 steps, one of which the second did not take; and the first rows of 1 and of 2 episodes.
    assert rows == [41, 41]
    row_step = held["row_step"].numpy()[41:]
    assert row_step.tolist() == [*range(14), *range(27)]
    obs, action, reward = (held[name].numpy()[41:] for name in ("obs", "action", "reward"))
    taken = [tick for tick in range(40) if tick != 13]
    after_step = row_step > 0
    np.testing.assert_array_equal(action[after_step], [seen[tick][0][1] for tick in taken])
    np.testing.assert_array_equal(obs[after_step], [seen[tick][1][1] for tick in taken])
    np.testing.assert_allclose(reward[after_step], [seen[tick][2][1] for tick in taken])
    # And the new episode begins with what the restart returned.
    np.testing.assert_array_equal(obs[14], seen[13][1][1])
    assert not action[14].any() and reward[14] == 0.0


def test_an_episode_that_does_not_come_back_ends_and_no_transition_leads_out_of_it(
    make_short, quiet
):
    settings = {"tasks": "pygame-cartpole-balance,pygame-pong", "utd": 0.0, "seed_steps": 40}
    trainer = make_short(**settings)
    while trainer.step < 26:
        trainer._take_step()
    # As after a restart that no step has reported yet: another episode is running there.
    trainer.env.reset(options={"reset_mask": np.array([False, True])})
    trainer._save()
    resumed = make_short(resume=True, **settings)
    assert "'pygame-pong' did not come back exactly" in quiet.console.file.getvalue()
    begun = []
    for _ in range(3):
        resumed._take_step()
        begun.append(resumed._episodes.obs.copy())
    assert resumed._episodes.lengths.tolist() == [16, 2]
    replay = resumed.method.replay
    held = replay.rows(*replay.held)
    assert replay.held[1].tolist() == [17, 17]
    # 13 steps; then the first row of another episode in place of a step out of the old one.
    assert held["row_step"].tolist() == [*range(17), *range(14), *range(3)]
    np.testing.assert_array_equal(held["obs"][-3:], [obs[1] for obs in begun])
    assert not held["action"][-3].any() and held["reward"][-3] == 0.0
