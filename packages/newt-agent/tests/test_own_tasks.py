"""Training and evaluation on tasks from outside the benchmark."""

import dataclasses
import json
import math
import os
import subprocess
import sys

import numpy as np
import own_environments  # noqa: F401 - registers them for good
import pytest
import torch
from outside import registering
from points import RIGHT
from stopping import run_until
from tiny import TINY

from mmbench import catalog
from mmbench.evaluation import Episode, summarise
from mmbench.language import cache
from mmbench.runs import RunError
from newt_agent.cli import parse_training
from newt_agent.cli_eval import eval_main
from newt_agent.evaluate import evaluate
from newt_agent.newt import Newt

HANG = 300
ROWS = """
import mmbench

mmbench.register(
    mmbench.gym_task(
        "own_environments:own/Line-v0",
        name="line-strict",
        instruction="Go right, and stop.",
        score=(0, 60),
        kwargs={"strict": True},
    )
)
"""
GYM = "gym:own_environments:own/Line-v0"
OWN = dataclasses.replace(
    TINY, tasks=f"{GYM}=Go left,line-strict", imports="my_rows", steps=200, seed_steps=60
)
INSTRUCTIONS = ("Go left", "Go right, and stop.", "Go on.")


def parse(arguments):
    return parse_training(Newt, "newt-train", arguments)


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    """A folder with the module, and a cache that holds the embeddings of the instructions."""
    (tmp_path / "my_rows.py").write_text(ROWS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("MMBENCH_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for text in INSTRUCTIONS:
        cache.write("minilm", text, rng.normal(size=384).astype(np.float32))
    with registering():
        sys.modules.pop("my_rows", None)
        yield tmp_path


def weights(folder):
    return (folder / "checkpoints" / "last" / "model.safetensors").read_bytes()


def test_a_run_on_own_environments_comes_back_exactly_and_is_evaluated(make_trainer, capsys):
    whole = make_trainer("whole", OWN)
    assert [task.instruction for task in whole.tasks] == ["Go left", "Go right, and stop."]
    whole.run()
    stopped = make_trainer("stopped", OWN)
    run_until(stopped, 110)  # in an episode
    stopped.close()
    make_trainer("stopped", OWN, resume=True).run()
    assert weights(whole.folder.path) == weights(stopped.folder.path)

    rows = whole.folder.metrics.rows()
    line = [row for row in rows if row["task"] == GYM]
    strict = [row for row in rows if row["task"] == "line-strict"]
    assert {row["length"] for row in line} == {"12"} and {row["score"] for row in line} == {"nan"}
    assert {row["length"] for row in strict} == {"6"}
    for row in strict:
        assert float(row["score"]) == pytest.approx(max(0, min(1, float(row["return"]) / 60)))
    evaluation = json.loads((whole.folder.path / "eval.json").read_text())
    assert evaluation["tasks"][GYM]["score"] is None
    assert evaluation["tasks"][GYM]["return"] == pytest.approx(
        float([row for row in line if row["phase"] == "after"][0]["return"])
    )
    score = evaluation["tasks"]["line-strict"]["score"]
    total = evaluation["total"]
    assert (total["score"], total["tasks"], total["episodes"]) == (score, 1, 2)

    capsys.readouterr()
    folder = whole.folder.path
    eval_main(["--checkpoint", str(folder), "--episodes", "1", "--num-workers", "0", "--random"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "line-strict" in shown and "mean of 1 with a score" in shown


def test_another_process_finds_the_modules_of_a_run(make_trainer, at_home):
    trainer = make_trainer("run", OWN)
    trainer._save()
    done = subprocess.run(
        [sys.executable, "-c", "from newt_agent.cli_eval import eval_main; eval_main()"]
        + f"--checkpoint {trainer.folder.path} --episodes 1 --json out.json".split(),
        capture_output=True,
        text=True,
        timeout=HANG,
        cwd=at_home,
        env={**os.environ, "PYTHONPATH": ":".join(filter(None, sys.path))},
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((at_home / "out.json").read_text())
    assert set(result["tasks"]) == {GYM, "line-strict"}
    assert result["tasks"]["line-strict"]["length"] == 6


def test_flags():
    _, config = parse_training(
        Newt,
        "newt-train",
        ["--tasks", GYM, "--instruction", "Go on.", "--score", "-5,60", "--device", "cpu"],
    )
    (task,) = config.selected()
    assert (task.instruction, task.score_low, task.score_high) == ("Go on.", -5.0, 60.0)
    assert not task.terminates
    _, config = parse_training(
        Newt, "newt-train", ["--import", "my_rows", "--tasks", "line-strict,walker-walk"]
    )
    assert [task.name for task in config.selected()] == ["line-strict", "walker-walk"]
    assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ("--tasks gym:own_environments:own/Picture-v0", RunError, "images: give --obs rgb"),
        ("--tasks gym:CartPole-v1", catalog.InvalidTaskError, "Discrete"),
        (f"--tasks {GYM} --score 5", catalog.InvalidTaskError, "two numbers"),
        ("--tasks walker-walk --instruction x", catalog.InvalidTaskError, "there is none here"),
        ("--tasks walker-walk --import nowhere", catalog.InvalidTaskError, "'nowhere'"),
    ],
)
def test_what_cannot_be_learned_is_refused_at_the_start(arguments, kind, message):
    with pytest.raises(kind, match=message):
        parse(arguments.split())


def test_means_leave_out_tasks_without_a_score():
    plain = catalog.gym_task("own_environments:own/Line-v0")
    scored = catalog.gym_task("Pendulum-v1", score=(-1000, 0))
    walk = catalog.get("walker-walk")
    episodes = [
        Episode(plain.name, math.nan, math.nan, 7.0, 12),
        Episode(scored.name, 0.5, math.nan, -500.0, 200),
        Episode("walker-walk", 0.1, math.nan, 100.0, 500),
    ]
    result = summarise(episodes, [plain, scored, walk])
    found = {name: (row["score"], row["tasks"]) for name, row in result["domains"].items()}
    assert found == {"gym": (0.5, 1), "dmcontrol": (0.1, 1)}
    total = result["total"]
    assert (total["score"], total["tasks"], total["episodes"]) == (pytest.approx(0.3), 2, 3)
    alone = summarise(episodes[:1], [plain])
    assert math.isnan(alone["total"]["score"]) and alone["total"]["tasks"] == 0
    assert alone["tasks"][plain.name]["return"] == 7.0


def test_a_run_learns_from_episodes_that_terminate_and_comes_back_exactly(make_trainer, points):
    config = dataclasses.replace(
        TINY,
        tasks=f"{GYM},{RIGHT.name}",
        instruction="Go on.",
        terminations="end",
        steps=120,
        seed_steps=30,
        utd=0.2,
        plan_in_eval=True,
    )
    whole = make_trainer("whole", config)
    whole.run()
    stopped = make_trainer("stopped", config)
    run_until(stopped, 62)  # in an episode
    stopped.close()
    make_trainer("stopped", config, resume=True).run()
    assert weights(whole.folder.path) == weights(stopped.folder.path)
    rows = whole.folder.metrics.rows()
    lengths = {(row["task"], row["length"]) for row in rows}
    assert lengths == {(GYM, "5"), (RIGHT.name, "20")}
    batch = whole.method.replay.sample(100, np.random.default_rng(0))
    own = batch.task == 0
    assert torch.equal(batch.terminated, own & (batch.obs[1:, :, 3] == 5))  # its number of steps
    assert whole.agent.model.terminating.tolist() == [True, False]


def test_episodes_that_terminate_are_whole_episodes():
    task = catalog.gym_task("own_environments:own/Line-v0", terminations="end")
    episodes = evaluate(None, [task], 2, 0, num_workers=0)
    assert [episode.length for episode in episodes] == [5, 5]
