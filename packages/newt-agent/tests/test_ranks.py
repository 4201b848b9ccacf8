"""A run in several processes: it learns as one would, is saved whole, and goes on in any number."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ranks_runs import RUN, TASKS, learn, train, train_and_go_on
from ranks_together import together

from mmbench.runs import RunError, RunFolder
from newt_agent import ranks
from newt_agent.agent import Agent
from newt_agent.config import check_ranks
from newt_agent.methods import find_method
from newt_agent.newt import Newt
from newt_agent.saved_rows import row_files
from newt_agent.tensors import load_tensors


def test_ranks_learn_as_one_would_from_the_union_of_their_batches(tmp_path):
    together(2, learn, tmp_path)
    try:
        learn(tmp_path)
    finally:
        torch.set_default_dtype(torch.float32)
    (one, logged), (first, first_logged), (second, _) = (
        torch.load(tmp_path / f"{name}.pt") for name in ("1-0", "2-0", "2-1")
    )
    assert first_logged == pytest.approx(logged, rel=1e-6)
    for name, value in one.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], value, rtol=0, atol=1e-6)
    assert one["scale"] != 1  # it has moved


@given(total=st.integers(1, 5_000), weights=st.lists(st.integers(1, 99), min_size=1, max_size=9))
def test_shares_are_a_partition_by_weight(total, weights):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranks, "gather", lambda _: weights)
        patch.setattr(ranks, "count", lambda: len(weights))
        shares = []
        for number, weight in enumerate(weights):
            patch.setattr(ranks, "rank", lambda number=number: number)
            try:
                shares.append(ranks.Share.of(total, weight))
            except RunError:
                assert min(total * w / sum(weights) for w in weights) <= 1
                return
    assert [share.begin for share in shares] == [0, *(share.end for share in shares[:-1])]
    assert shares[-1].end == total
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share.size - total * weight / sum(weights)) <= 1


# Whole runs


def tasks_in(folder: Path) -> set[str]:
    return {row["task"] for row in RunFolder.open(folder).metrics.rows()}


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Path:
    """A run of two processes, and one that was stopped and went on."""
    path = tmp_path_factory.mktemp("two")
    together(2, train_and_go_on, path)
    return path


def test_a_run_of_two_processes_is_one_run(two):
    folder = RunFolder.open(two / "whole")
    names = [task.versioned_name for task in RUN.selected()]
    assert tasks_in(two / "whole") == set(names)
    assert set(json.loads((folder.path / "eval.json").read_text())["tasks"]) == set(names)
    last = folder.last_checkpoint()
    assert [task.name for task in Agent.load(last).tasks] == names
    progress = json.loads((last / "progress.json").read_text())
    assert progress["step"] == 180
    assert progress["updates"] == 24
    assert progress["environments"] == [names[::2], names[1::2]]
    # An older checkpoint acts, and has nothing that only resuming needs.
    older = folder.checkpoint(90)
    assert not row_files(older)
    assert not list(older.glob("*training*"))
    assert Agent.load(older)


def test_it_goes_on_as_if_it_had_never_stopped(two):
    whole, stopped = (RunFolder.open(two / name) for name in ("whole", "stopped"))
    names = sorted(path.name for path in whole.last_checkpoint().glob("*.safetensors"))
    assert {"model.safetensors", "training.safetensors", "rank1-training.safetensors"} < set(names)
    for name in names:
        if "replay" not in name:  # as many files as saves, so they differ; tested by the rows below
            ours, others = (load_tensors(run.last_checkpoint() / name) for run in (whole, stopped))
            for key, value in ours.items():
                assert torch.equal(value, others[key]), (name, key)

    def scores(folder):
        return [{n: v for n, v in row.items() if n != "seconds"} for row in folder.metrics.rows()]

    assert scores(whole) == scores(stopped)


def rows_of(checkpoint: Path) -> dict[str, list]:
    """The rewards of each task, in the order in which they came."""
    progress = json.loads((checkpoint / "progress.json").read_text())
    rewards = {}
    for rank, names in enumerate(progress["environments"]):
        for path in row_files(checkpoint, rank):
            rows = load_tensors(path)
            counts = (rows["end"] - rows["begin"]).tolist()
            for name, own in zip(names, rows["reward"].split(counts), strict=True):
                rewards.setdefault(name, []).extend(own.tolist())
    return rewards


@pytest.mark.parametrize("count", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_another_number_of_processes_goes_on_with_the_same_rows(two, tmp_path, count):
    subprocess.run(["cp", "-a", two / "whole", tmp_path / "run"], check=True)
    before = rows_of(RunFolder.open(tmp_path / "run").last_checkpoint())
    if count == 1:
        train(tmp_path / "run", resume=True, steps=240)
    else:
        together(count, train, tmp_path / "run", None, True, 240)
    said = (tmp_path / "run" / "said.txt").read_text()
    assert f"processes of the run: {count}; 2 saved it" in said
    last = RunFolder.open(tmp_path / "run").last_checkpoint()
    after = rows_of(last)
    assert json.loads((last / "progress.json").read_text())["step"] == 240
    for name, rewards in before.items():
        assert after[name][: len(rewards)] == rewards
        assert len(after[name]) > len(rewards)


def test_what_cannot_be_divided_is_refused(monkeypatch):
    monkeypatch.setattr(ranks, "count", lambda: 3)
    with pytest.raises(RunError, match="torchrun started 3 processes for 2 tasks"):
        check_ranks(TASKS, Newt)
    with pytest.raises(RunError, match="ppo learns in one process: start it without torchrun"):
        check_ranks(RUN.selected(), find_method("ppo"))
    check_ranks(RUN.selected(), Newt)


def torchrun(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [
        "--nproc-per-node",
        "2",
        "--no-python",
        str(Path(sys.executable).parent / "newt-train"),
    ]
    return subprocess.Popen(
        [*command, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_a_process_that_dies_ends_the_run_with_its_name(tmp_path):
    run = torchrun(
        *("--tasks", RUN.tasks, "--preset", "quickstart", "--steps", 1_000_000, "--demos", "none"),
        *("--seed-steps", 999_000, "--eval-episodes", 1, "--checkpoint-every", 300),
        *("--num-workers", 0, "--out", tmp_path / "run"),
    )
    try:
        until = time.monotonic() + 240
        while not (tmp_path / "run" / "checkpoints" / "000000600").exists():
            assert run.poll() is None and time.monotonic() < until
            time.sleep(0.1)
        found = subprocess.run(
            ["pgrep", "-P", str(run.pid)], capture_output=True, text=True, check=True
        )
        victims = [int(word) for word in found.stdout.split()]
        ranked = {
            dict(
                entry.partition("=")[::2]
                for entry in Path(f"/proc/{pid}/environ").read_text().split("\0")
            )["RANK"]: pid
            for pid in victims
        }
        os.kill(ranked["1"], signal.SIGKILL)
        said, _ = run.communicate(timeout=120)
    finally:
        run.kill()
    assert run.returncode != 0
    assert f"rank 1 (process {ranked['1']} on " in said
    assert "has ended" in said
    assert "--resume" in said
    steps = [int(path.name) for path in (tmp_path / "run" / "checkpoints").glob("0*")]
    assert np.all(np.array(steps) % 300 == 0)
