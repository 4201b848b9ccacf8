"""Transfer to new tasks: zero-shot, finetuned and from scratch, by one command."""

import csv
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from outside import without_simulator
from tiny import TINY

from mmbench import catalog, demos
from mmbench.demos import places, workers
from mmbench.demos.places import root_tape, shipped_tape
from mmbench.evaluation.intervals import mean_interval
from mmbench.runs import RunError, RunFolder, publish_folder
from newt_agent import transfer
from newt_agent.agent import Agent
from newt_agent.cli import parse_training
from newt_agent.demonstrations import load_demonstrations
from newt_agent.newt import Newt
from newt_agent.planning_agent import PlanningAgent
from newt_agent.transfer import COLUMNS, summarise_transfer, transfer_main

OLD, NEW = "pygame-cowboy", "pygame-point-maze-var4"
SMALL = (
    "--preset quickstart --size XS --steps 60 --seed-steps 40 --batch-size 4 --utd 0.1 --threads 1 "
    "--replay-capacity 1000 --envs-per-task 1 --num-workers 0 --eval-episodes 1 --no-plan "
    "--no-plan-in-eval"
).split()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The folder of an agent that knows one task."""
    generator = torch.Generator().manual_seed(0)
    agent = PlanningAgent.create(catalog.select(OLD), "XS", "minilm", TINY.planner, generator)
    folder = tmp_path_factory.mktemp("transfer") / "checkpoint"
    publish_folder(folder, agent.save)
    return folder


@pytest.fixture
def all_can_run(monkeypatch):
    """Looks for no missing tasks: that starts processes."""
    monkeypatch.setattr(transfer.Transfer, "_find_missing", lambda self: None)


def forbid(*_, **__):
    raise AssertionError("a demonstration was looked for")


def test_a_transfer_is_stopped_and_goes_on_and_reads_no_demonstrations(
    checkpoint, tmp_path, capsys, monkeypatch, all_can_run
):
    monkeypatch.setattr(demos, "load", forbid)
    out, trained = tmp_path / "out", []

    def train(method, program, arguments):
        if len(trained) == 1 and "--resume" not in arguments:
            trained.append("interrupted")
            raise SystemExit(130)
        trained.append(arguments)
        own(method, program, arguments)

    own = transfer.train
    monkeypatch.setattr(transfer, "train", train)
    words = ["--checkpoint", str(checkpoint), "--tasks", NEW, "--seeds", "1", "--out", str(out)]
    with pytest.raises(SystemExit):
        transfer_main([*words, *SMALL])
    assert f"newt-transfer --resume {out}" in capsys.readouterr().out
    first = (out / NEW / "finetuned-0" / "metrics.csv").read_bytes()
    transfer_main(["--resume", str(out)])
    assert len(trained) == 3  # what had ended was not done again
    assert (out / NEW / "finetuned-0" / "metrics.csv").read_bytes() == first

    with (out / "transfer.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["task"], row["start"]) for row in rows] == [(NEW, "finetuned"), (NEW, "scratch")]
    result = json.loads((out / "transfer.json").read_text())
    assert result["missing"] == [] and result["settings"]["seeds"] == 1
    assert result["tasks"][NEW]["zero_shot"] == pytest.approx(float(rows[0]["score_before"]))
    assert result["total"]["scratch"] == pytest.approx(float(rows[1]["score_after"]))
    told = " ".join(capsys.readouterr().out.split())
    assert "over seeds, after 60 steps" in told and "zero-shot" in told

    agents = {start: Agent.load(out / NEW / f"{start}-0") for start in transfer.STARTS}
    assert [task.name for task in agents["finetuned"].tasks] == [OLD, NEW]
    assert [task.name for task in agents["scratch"].tasks] == [NEW]
    assert agents["scratch"].settings == agents["finetuned"].settings
    for start in transfer.STARTS:
        stored = RunFolder.open(out / NEW / f"{start}-0").read_config()["config"]
        assert stored["demos"] == "none" and stored["steps"] == 60


def test_a_run_that_has_begun_is_resumed(checkpoint, tmp_path, monkeypatch, all_can_run):
    calls = []
    monkeypatch.setattr(transfer, "train", lambda method, program, words: calls.append(words))
    out = tmp_path / "out"
    words = ["--checkpoint", str(checkpoint), "--tasks", NEW, "--seeds", "1", "--out", str(out)]
    transfer_main([*words, "--utd", "0.2"])
    assert [call[-4:] for call in calls] == [
        ["--utd", "0.2", "--out", str(out / NEW / f"{start}-0")] for start in transfer.STARTS
    ]
    begun = out / NEW / "scratch-0"
    begun.mkdir(parents=True)
    (begun / "config.json").write_text("{}")
    transfer_main(["--resume", str(out)])
    assert calls[2] == calls[0] and calls[3] == ["--resume", str(begun)]


@pytest.mark.parametrize(("known", "flags"), [("state", "--obs rgb --vision cnn"), ("rgb", "")])
def test_agents_see_what_is_asked_for_or_what_the_checkpoint_sees(
    known, flags, tmp_path, monkeypatch
):
    calls, looked_for = [], []
    monkeypatch.setattr(transfer, "train", lambda method, program, words: calls.append(words))

    def make_environments(tasks, skip_missing, obs):
        looked_for.append(obs)
        return SimpleNamespace(missing=(), close=lambda: None)

    monkeypatch.setattr("newt_agent.evaluate.make_environments", make_environments)
    agent = PlanningAgent.create(
        *(catalog.select(OLD), "XS", "minilm", TINY.planner, torch.Generator().manual_seed(0)),
        obs=known,
        vision="cnn",
    )
    publish_folder(tmp_path / "agent", agent.save)
    words = f"--checkpoint {tmp_path}/agent --tasks {NEW} --seeds 1 --out {tmp_path}/out {flags}"
    transfer_main(words.split())
    transfer_main(["--resume", f"{tmp_path}/out"])
    assert looked_for == ["rgb", "rgb"] and len(calls) == 4
    for arguments in calls:
        _, config = parse_training(Newt, "newt-train", arguments)
        assert (config.obs, config.vision, config.size) == ("rgb", "cnn", "XS")


def test_tasks_that_cannot_run_are_found_before_any_run(checkpoint, tmp_path, monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(transfer, "train", lambda method, program, words: calls.append(words))
    without_simulator("dmcontrol-ext", monkeypatch)
    tasks = f"walker-walk-incline,{NEW}"
    words = ["--checkpoint", str(checkpoint), "--tasks", tasks, "--seeds", "1"]
    with pytest.raises(SystemExit):
        transfer_main([*words, "--out", str(tmp_path / "one")])
    assert "walker-walk-incline" in capsys.readouterr().err and calls == []
    transfer_main([*words, "--out", str(tmp_path / "other"), "--skip-missing"])
    assert len(calls) == 2 and all(NEW in call for call in calls)
    assert json.loads((tmp_path / "other" / "transfer.json").read_text())["missing"] == [
        "walker-walk-incline"
    ]


OPENED: list[str] | None = None


def listen(event, words):
    if event == "open" and OPENED is not None:
        OPENED.append(str(words[0]))


@pytest.fixture
def opened():
    """The files that this process opens while a test runs."""
    global OPENED
    if OPENED is None:
        sys.addaudithook(listen)
    OPENED = []
    yield OPENED
    OPENED = []


def test_no_run_opens_demonstrations_of_held_out_tasks_unless_told_to(
    tmp_path, monkeypatch, opened
):
    held_out, training = "pygame-point-maze-var4", "pygame-point-maze-var1"
    root = tmp_path / "demos"
    for task in map(catalog.get, (held_out, training)):
        copy = root_tape(task, root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(shipped_tape(task).read_bytes())
    monkeypatch.setenv("MMBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(places, "SHIPPED", tmp_path / "nothing")
    monkeypatch.setattr(workers, "default_workers", lambda: 0)
    names = [task.name for task in catalog.select("all,test")]
    opened.clear()
    for where in ("auto", str(root)):
        found = load_demonstrations(names, where)
        assert {names[episode.task] for episode in found.episodes} == {training}
        assert (
            f"left out (--demos all reads them): {', '.join(sorted(names[200:]))}" in found.summary
        )
    assert any(training in path for path in opened)
    assert not [path for path in opened if held_out in path]
    found = load_demonstrations([held_out], "all")
    assert len(found.episodes) == 40 and any(held_out in path for path in opened)


def test_a_transfer_refuses_demonstrations_of_held_out_tasks(checkpoint, tmp_path, capsys):
    words = ["--checkpoint", str(checkpoint), "--tasks", NEW, "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit):
        transfer_main([*words, "--demos", "all"])
    assert "--demos all: with demonstrations of held-out tasks" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def row(task, seed, start, before, after):
    values = (task, seed, start, 60, before, 0.0, after, 0.0)
    return dict(zip(COLUMNS, values, strict=True))


def test_means_are_over_seeds_and_then_over_tasks():
    rows = [
        *(row("a", seed, "finetuned", 0.2, 0.5 + seed / 10) for seed in range(3)),
        *(row("a", seed, "scratch", 0.0, 0.1) for seed in range(2)),
        *(row("b", seed, "finetuned", 0.4, 0.9) for seed in range(2)),
        row("without score", 0, "finetuned", np.nan, np.nan),
    ]
    result = summarise_transfer(rows)
    a = result["tasks"]["a"]
    assert (a["zero_shot"], a["finetuned"], a["scratch"]) == pytest.approx((0.2, 0.6, 0.1))
    assert a["finetuned_ci"] == pytest.approx(mean_interval([np.array([0.5, 0.6, 0.7])]))
    assert a["seeds"] == 2  # that are complete
    assert result["total"]["tasks"] == 2
    assert result["total"]["finetuned"] == pytest.approx((0.6 + 0.9) / 2)
    assert result["total"]["scratch"] == pytest.approx(0.1)
    assert np.isnan(summarise_transfer([])["total"]["zero_shot"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--seed 3", "--seed: newt-transfer sets it"),
        ("--utd nan", "utd=nan"),
        ("--tasks nowhere", "nowhere"),
        ("--size S", "size=S"),
        ("--obs pixels", "--obs"),
        ("--obs rgb --planner.horizon 101", "planner.horizon=101"),
        ("--vision cnn", "give --obs rgb"),
        ("--obs rgb", "no weights of DINOv2"),
        ("--replay-capacity 999999999999", "GiB"),
        ("--obs rgb --vision eyes", "--vision"),
    ],
)
def test_what_does_not_fit_is_one_sentence_before_anything_begins(
    checkpoint, tmp_path, capsys, monkeypatch, flags, message
):
    def find_dinov2():
        raise RunError("no weights of DINOv2")

    monkeypatch.setattr("newt_agent.model_based.find_dinov2", find_dinov2)
    with pytest.raises(SystemExit) as end:
        transfer_main(
            f"--checkpoint {checkpoint} --tasks {NEW} --out {tmp_path}/out {flags}".split()
        )
    told = capsys.readouterr().err
    assert end.value.code == 2 and message in told and "Traceback" not in told
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_transfer_is_one_sentence(tmp_path, capsys):
    with pytest.raises(SystemExit):
        transfer_main(["--resume", str(tmp_path)])
    assert "is not the folder of a transfer" in capsys.readouterr().err
