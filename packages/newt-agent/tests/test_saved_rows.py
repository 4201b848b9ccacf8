"""A replay on the disk: each row is written once, and comes back whatever befell the folder."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmbench.runs import RunError, RunFolder, publish_folder, verify_folder
from newt_agent import saved_rows
from newt_agent.checkpoint import save_checkpoint
from newt_agent.replay import Replay
from newt_agent.saved_rows import find_saved, load_rows, row_files, save_rows

SIZES = {"obs_dim": 3, "action_dim": 2}


class Run:
    """Environments with episodes of fixed lengths, and all rows that there ever were."""

    def __init__(self, lengths: list[int], rows_per_env: int) -> None:
        self.lengths, self.count = np.array(lengths), len(lengths)
        self.capacity = rows_per_env * self.count
        self.replay = self.empty()
        self.episode, self.step = np.zeros((2, self.count), int)
        self.written: list[list[tuple[int, int]]] = [[] for _ in lengths]
        self._start(np.ones(self.count, bool))

    def empty(self) -> Replay:
        return Replay(self.capacity, self.count, 1, torch.arange(self.count), **SIZES)

    def _start(self, where: np.ndarray) -> None:
        self.replay.start(self._obs(), where)
        self._note(where)

    def _obs(self) -> torch.Tensor:
        columns = [np.arange(self.count), self.episode, self.step]
        return torch.from_numpy(np.stack(columns, 1)).float()

    def _note(self, where: np.ndarray) -> None:
        for env in np.flatnonzero(where):
            self.written[env].append((int(self.episode[env]), int(self.step[env])))

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.step += 1
            self.replay.add(self._obs(), torch.rand(self.count, 2), torch.rand(self.count))
            self._note(np.ones(self.count, bool))
            done = self.step == self.lengths
            self.episode[done] += 1
            self.step[done] = 0
            if done.any():
                self._start(done)

    def assert_held_by(self, replay: Replay) -> None:
        """All of the newest rows, each once and in order, and with every column."""
        held = replay.rows(*replay.held)
        newest = [own[-self.replay.rows_per_env :] for own in self.written]
        marks = [(env, *mark) for env, own in enumerate(newest) for mark in own]
        assert [tuple(row) for row in held["obs"].int().tolist()] == marks
        for name, column in self.replay.rows(*self.replay.held).items():
            assert torch.equal(held[name], column)


def publish(run: Run, folder: Path, before: Path | None) -> Path:
    """Saves as a checkpoint does."""
    saved = find_saved(run.replay, before)
    publish_folder(folder, lambda new: save_rows(run.replay, new, saved), None, saved.checksums)
    return folder


def loaded(run: Run, folder: Path) -> Replay:
    verify_folder(folder)
    replay = run.empty()
    load_rows(replay, folder, 0)
    replay.load_state_dict(run.replay.state_dict())
    return replay


@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    rows_per_env=st.integers(4, 30),
    saves=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    file_rows=st.integers(8, 40),
    resume=st.booleans(),
)
def test_no_row_is_lost_or_repeated(
    tmp_path_factory, lengths, rows_per_env, saves, file_rows, resume
):
    work = tmp_path_factory.mktemp("saves")
    run, before = Run(lengths, rows_per_env), None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saved_rows, "FILE_BYTES", file_rows * run.replay.row_bytes)
        for number, steps in enumerate(saves):
            run.steps(steps)
            folder = publish(run, work / str(number), before)
            if before is not None:
                shutil.rmtree(before)  # none needs another
            before = folder
            run.assert_held_by(loaded(run, folder))
            if resume:
                run.replay = loaded(run, folder)


def test_a_row_is_written_once_and_files_go_when_all_their_rows_are_overwritten(tmp_path):
    run, inodes, before = Run([7, 20], 50), [], None
    for number in range(5):
        run.steps(20)
        before = publish(run, tmp_path / str(number), before)
        inodes.append({path.name: path.stat().st_ino for path in row_files(before)})
    for old, new in zip(inodes, inodes[1:], strict=False):
        assert {name: old[name] for name in old if name in new} == {
            name: new[name] for name in new if name in old
        }
        assert len(new.keys() - old.keys()) == 1
    # The first environment has 23 rows of 20 steps, the second 21: the third file is still needed.
    assert list(inodes[-1]) == [f"replay-{n:06d}.safetensors" for n in (3, 4, 5)]
    run.assert_held_by(loaded(run, before))


def test_nothing_new_is_no_new_file(tmp_path):
    run = Run([7], 50)
    run.steps(5)
    first = publish(run, tmp_path / "1", None)
    second = publish(run, tmp_path / "2", first)
    assert [p.name for p in row_files(second)] == [p.name for p in row_files(first)]


def test_a_save_takes_the_memory_of_one_file(tmp_path, monkeypatch):
    run = Run([7, 20], 50)
    run.steps(40)
    monkeypatch.setattr(saved_rows, "FILE_BYTES", 10 * run.replay.row_bytes)
    taken, rows = [], run.replay.rows

    def watched(begin, end):
        taken.append(int((end - begin).sum()))
        return rows(begin, end)

    run.replay.rows = watched
    folder = publish(run, tmp_path / "1", None)
    assert max(taken) == 10 and sum(taken) == len(run.replay)
    del run.replay.rows
    run.assert_held_by(loaded(run, folder))


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_files_that_vanish_under_a_run_are_written_again(tmp_path, number, damage):
    run, before = Run([7, 20], 100), None
    for save in range(3):
        run.steps(10)
        before = publish(run, tmp_path / str(save), before)
    path = before / f"replay-{number:06d}.safetensors"
    path.unlink()
    if damage == "cut":
        path.write_bytes(b"short")
    run.steps(10)
    run.assert_held_by(loaded(run, publish(run, tmp_path / "last", before)))


def test_without_hard_links_files_are_copied(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    run = Run([7], 50)
    run.steps(10)
    first = publish(run, tmp_path / "1", None)
    run.steps(10)
    second = publish(run, tmp_path / "2", first)
    assert len(row_files(second)) == 2
    shutil.rmtree(first)
    run.assert_held_by(loaded(run, second))


def test_rows_that_are_missing_are_told_of(tmp_path):
    run = Run([7], 50)
    run.steps(10)
    first = publish(run, tmp_path / "1", None)
    run.steps(10)
    second = publish(run, tmp_path / "2", first)
    # As if it had never been there: the manifest does not know of it either.
    (second / "replay-000001.safetensors").unlink()
    manifest = json.loads((second / "manifest.json").read_text())
    del manifest["replay-000001.safetensors"]
    (second / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match="lacks rows of the replay: use another checkpoint"):
        loaded(run, second)


CHANGES = ("open", "os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir")
CHANGES += ("os.symlink", "os.truncate")


def test_a_kill_at_any_moment_leaves_a_checkpoint_with_all_its_rows(tmp_path):
    """Forked children save and are killed before their n-th change of the disk."""
    run = Run([7, 20], 50)
    agent = SimpleNamespace(save=lambda folder: (folder / "weights").write_text("x"))

    def save(path: Path, step: int) -> None:
        folder = RunFolder.resume(path)
        method = SimpleNamespace(agent=agent, replay=run.replay)
        save_checkpoint(folder, step, method, run.replay.state_dict(), {"step": step})
        folder.close()

    with RunFolder.create(tmp_path / "whole", "test") as folder:
        folder.write_config({})
    held = {}
    for step in (20, 40):
        run.steps(20)
        save(tmp_path / "whole", step)
        held[step] = run.replay
        run.replay = loaded(run, tmp_path / "whole" / "checkpoints" / "last")
    run.steps(20)
    held[60] = run.replay
    found, point = [], 1
    while True:
        path = tmp_path / str(point)
        shutil.copytree(tmp_path / "whole", path, symlinks=True)
        if not killed(lambda path=path: save(path, 60), point):
            break
        checkpoint = RunFolder.open(path).last_checkpoint()
        verify_folder(checkpoint)
        step = int(json.loads((checkpoint / "progress.json").read_text())["step"])
        replay = run.empty()
        load_rows(replay, checkpoint, 0)
        for name, column in held[step].rows(*held[step].held).items():
            assert torch.equal(replay.rows(*replay.held)[name], column)
        found.append(step)
        shutil.rmtree(path)
        point += 1
    assert set(found) == {40, 60} and found == sorted(found) and len(found) > 20


def killed(save, point: int) -> bool:
    left = point

    def count(event: str, _: tuple) -> None:
        nonlocal left
        if event in CHANGES:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if not child:
        try:
            sys.addaudithook(count)
            save()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)
