"""TensorBoard and Weights & Biases: one run over all resumptions, closed at the end."""

import dataclasses
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer.record_writer import RecordWriter
from tiny import TINY

from mmbench.runs import RunError, RunFolder
from newt_agent.cli import train_main
from newt_agent.loggers import Loggers, check_wandb
from newt_agent.newt import Newt
from newt_agent.train import Interrupted

WANDB = dataclasses.replace(TINY, wandb=True)


class StandIn:
    """The part of the package `wandb` that is used."""

    def __init__(self, failure: str = "") -> None:
        self.failure = failure
        self.started, self.logged, self.finished = [], [], []

    def login(self, **_):
        if self.failure == "login":
            raise RuntimeError("No API key configured. Use `wandb login` to log in.")

    def init(self, **settings):
        if self.failure == "init":
            raise ConnectionError("the server does not answer")
        self.started.append(settings)
        return SimpleNamespace(
            define_metric=lambda name, step_metric: None,
            log=self.logged.append,
            finish=lambda exit_code: self.finished.append(exit_code),
        )


@pytest.fixture
def wandb(monkeypatch):
    stand_in = StandIn()
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    return stand_in


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder.create(tmp_path / "run", "test")
    yield folder
    folder.close()


def test_a_resumed_run_goes_on_at_wandb(wandb, folder):
    for _ in range(3):
        one = Loggers(folder, WANDB)
        one.losses(5, {"reward": 1.0})
        one.close()
        one.close()  # a second time does nothing
    identities = {settings["id"] for settings in wandb.started}
    assert len(wandb.started) == 3 and len(identities) == 1
    assert all(settings["resume"] == "allow" for settings in wandb.started)
    assert wandb.logged == [{"losses/reward": 1.0, "step": 5}] * 3
    assert wandb.finished == [0] * 3
    other = RunFolder.create(folder.path.parent / "other", "test")
    Loggers(other, WANDB).close()
    assert wandb.started[-1]["id"] not in identities
    other.close()


@pytest.mark.parametrize("arguments", ["--tasks pygame-pong", "--resume {run}"])
def test_missing_login_is_found_before_anything_is_made(wandb, tmp_path, capsys, arguments):
    wandb.failure = "login"
    run = RunFolder.create(tmp_path / "run", "test")
    run.write_config({"method": "newt", "config": WANDB.to_dict(), "device": "cpu"})
    run.close()
    before = sorted(tmp_path.rglob("*"))
    out = tmp_path / "new"
    arguments = arguments.format(run=run.path).split()
    more = [] if "--resume" in arguments else ["--wandb", "--out", str(out)]
    with pytest.raises(SystemExit) as ended:
        train_main([*arguments, *more])
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert "--wandb: No API key configured." in message and "WANDB_MODE=offline" in message
    assert sorted(tmp_path.rglob("*")) == before
    RunFolder.resume(run.path).close()


@pytest.mark.parametrize("module", [None, SimpleNamespace(__path__=["wandb"])])
def test_missing_package_is_found_too(monkeypatch, module):
    """Also where a folder of that name, such as W&B's own records, is taken for the package."""
    monkeypatch.setitem(sys.modules, "wandb", module)
    with pytest.raises(RunError, match=r"--wandb needs its package: pip install 'newt-agent\[wan"):
        check_wandb()


def test_server_that_does_not_answer_leaves_a_run_to_go_on_with(wandb, make_trainer, capsys):
    wandb.failure = "init"
    with pytest.raises(RunError, match="the server does not answer; go on with --resume .*run"):
        make_trainer(config=dataclasses.replace(WANDB, tasks="pygame-cartpole-balance"))
    wandb.failure = ""


def test_damaged_note_of_the_id_is_named(wandb, folder):
    folder.wandb.write_text("[")
    with pytest.raises(RunError, match=r"wandb\.json is damaged"):
        Loggers(folder, WANDB)


def test_tensorboard_shows_one_run_over_all_resumptions(folder):
    for first in (0, 6):  # the second process goes on from a checkpoint of step 6
        one = Loggers(folder, TINY, purge_step=first)
        for step in range(first, first + 10, 2):
            one.losses(step, {"reward": first + step / 100})
        one.close()
    accumulator = EventAccumulator(str(folder.tensorboard)).Reload()
    curve = [(event.step, event.value) for event in accumulator.Scalars("losses/reward")]
    assert [step for step, _ in curve] == [0, 2, 4, 6, 8, 10, 12, 14]
    assert curve[2][1] == pytest.approx(0.04) and curve[3][1] == pytest.approx(6.06)


def test_tensorboard_keeps_what_was_logged_at_the_step_of_the_checkpoint(make_trainer):
    config = dataclasses.replace(TINY, tasks="pygame-cartpole-balance", steps=30, seed_steps=20)
    config = dataclasses.replace(config, plan=False, plan_in_eval=False)
    first = make_trainer(config=config)
    first.run()
    first.close()
    longer = make_trainer(config=dataclasses.replace(config, steps=40), resume=True)
    longer.run()
    longer.close()
    accumulator = EventAccumulator(str(longer.folder.tensorboard)).Reload()
    assert [event.step for event in accumulator.Scalars("eval/total")] == [0, 30, 40]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no file that is always full")
def test_full_disk_is_an_error_where_it_is_met(folder, monkeypatch, capfd):
    one = Loggers(folder, TINY)
    one._events._file.close()
    one._events._file = open("/dev/full", "wb")
    one._events._records = RecordWriter(one._events._file)
    with pytest.raises(OSError, match="No space left"):
        one.losses(0, {"reward": 1.0})
    assert "Traceback" not in capfd.readouterr().err  # of a thread
    with pytest.raises(OSError, match="No space left"):
        one.close()


@pytest.mark.parametrize("end", ["complete", "Ctrl-C", "error"])
def test_loggers_are_closed_however_a_run_ends(wandb, make_trainer, monkeypatch, end):
    config = dataclasses.replace(WANDB, tasks="pygame-cartpole-balance", steps=300, plan=False)
    trainer = make_trainer(config=dataclasses.replace(config, plan_in_eval=False))

    def act():
        if end == "Ctrl-C":
            trainer._stop.set()
        if end == "error":
            raise ArithmeticError

    learn = Newt.learn
    monkeypatch.setattr(Newt, "learn", lambda self, step: (learn(self, step), act())[0])
    try:
        trainer.run()
    except (Interrupted, ArithmeticError):
        assert end != "complete"
    trainer.close()
    assert wandb.finished == [0 if end == "complete" else 1]
    accumulator = EventAccumulator(str(trainer.folder.tensorboard)).Reload()
    assert "eval/total" in accumulator.Tags()["scalars"]
    trainer.close()
    assert len(wandb.finished) == 1


def test_with_the_package_itself(folder, monkeypatch):
    """Without a login or a network."""
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    check_wandb()
    for step in (5, 3):
        one = Loggers(folder, WANDB)
        one.losses(step, {"reward": 1.0})
        one.close()
    kept = [path.name for path in (folder.path / "wandb").glob("offline-run-*")]
    identity = json.loads(folder.wandb.read_text())["id"]
    assert len(kept) == 2 and all(name.endswith(identity) for name in kept)
