"""The folder of a run: what a kill, a power cut, a second process or a full disk leave of it."""

import datetime
import errno
import fcntl
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import kill_points
import pytest
from kill_points import fill_with

from mmbench.runs import (
    RunError,
    RunFolder,
    verify_folder,
    write_json,
)

HANG = 60


def checkpoints(run: RunFolder) -> list[str]:
    return sorted(path.name for path in (run.path / "checkpoints").iterdir())


@pytest.fixture
def run(tmp_path):
    run = RunFolder.create(tmp_path / "run", "test")
    run.write_config({"config": {}})
    yield run
    run.close()


@pytest.fixture
def other_process(run):
    """Another process that holds the run's folder."""
    run.close()
    code = "import sys; from mmbench.runs import RunFolder; run = RunFolder.resume(sys.argv[1]); "
    code += "print('ready', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"ready\n"
    yield process
    process.kill()
    process.wait(HANG)
    process.stdin.close()
    process.stdout.close()


# A kill


@pytest.mark.parametrize("step", [800, 1600])
def test_killed_saves_leave_a_complete_checkpoint_and_no_rubbish(tmp_path, step):
    """Every operation of a save of step 800 (once more) or 1600 on the file system is its last."""
    result = subprocess.run(
        [sys.executable, kill_points.__file__, str(tmp_path), str(step)],
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert len(found["held"]) > 15
    assert found["held"] == sorted(found["held"], reverse=True)  # the old one, then the new one
    assert set(found["held"]) == {"old", "new"}
    for names in found["left"]:  # after a resumption: of what is hidden, what `last` leads to
        assert len([name for name in names if name.startswith(".")]) <= 1
    assert all(hidden == [".run.lock"] for hidden in found["tidy"])  # after the next save


def test_rubbish_of_every_kind_goes_at_resumption(run):
    run.publish_checkpoint(800, fill_with("old"))
    run.close()
    before = sorted(run.path.rglob("*"))
    (run.path / ".config.json-a1b2c3d4").write_text("half")
    (run.path / ".metrics.csv-a1b2c3d4").write_text("half")
    (run.path / "checkpoints" / ".000001600-a1b2c3d4").mkdir()
    (run.path / "checkpoints" / ".000001600-a1b2c3d4" / "weights").write_text("half")
    (run.path / "checkpoints" / ".last-1234").symlink_to("000000800")
    (run.path / "checkpoints" / ".best-1234").symlink_to("000000800")
    (run.path / "checkpoints" / "000000800" / ".manifest.json-a1b2c3d4").write_text("half")
    (run.path / ".notes").write_text("of the user")
    RunFolder.resume(run.path).close()
    assert sorted(run.path.rglob("*")) == sorted([*before, run.path / ".notes"])


def test_the_best_checkpoint_has_a_link_once_it_is_there(run):
    run.mark_best(800)
    assert not run.best.is_symlink()
    for step in (800, 1600):
        checkpoint = run.publish_checkpoint(step, fill_with("old"))
        run.mark_best(step)
        assert run.best.resolve() == checkpoint
    run.mark_best(800)
    assert run.best.resolve() == run.checkpoint(800)
    assert run.last_checkpoint() == checkpoint


def test_save_that_fails_changes_nothing(run):
    run.publish_checkpoint(800, fill_with("old"))

    def fail(folder):
        (folder / "weights").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    for step in (800, 1600):
        with pytest.raises(OSError, match="No space"):
            run.publish_checkpoint(step, fail)
        assert checkpoints(run) == ["000000800", "last"]
        assert (run.last_checkpoint() / "weights").read_text() == "old"


@pytest.mark.parametrize("links", [True, False])
def test_saving_a_step_again_replaces_it(run, monkeypatch, links):
    if not links:  # some network drives have none

        def refuse(*_):
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    for text in ("one", "two", "three"):
        assert run.publish_checkpoint(800, fill_with(text)) == run.checkpoint(800)
        assert checkpoints(run) == ["000000800", "last"]
        verify_folder(run.last_checkpoint())
        assert (run.last_checkpoint() / "weights").read_text() == text


def test_copies_without_the_link_are_gone_on_with(run, tmp_path):
    """`cp -r` makes a folder of the link; other programs leave it out."""
    run.publish_checkpoint(800, fill_with("old"))
    run.publish_checkpoint(1600, fill_with("new"))
    run.close()
    for kind in ("followed", "left out"):
        copy = tmp_path / kind
        shutil.copytree(run.path, copy)
        if kind == "left out":
            shutil.rmtree(copy / "checkpoints" / "last")
        again = RunFolder.resume(copy)
        assert (again.last_checkpoint() / "weights").read_text() == "new"
        again.publish_checkpoint(1600, fill_with("newer"))
        assert (again.last_checkpoint() / "weights").read_text() == "newer"
        assert checkpoints(again) == ["000000800", "000001600", "last"]
        assert (copy / "checkpoints" / "last").is_symlink()
        again.close()


def test_only_a_run_without_any_checkpoint_counts_as_not_begun(run):
    assert not run.has_checkpoint
    checkpoint = run.publish_checkpoint(800, fill_with("old"))
    (checkpoint / "manifest.json").unlink()
    (run.path / "checkpoints" / "last").unlink()
    assert run.has_checkpoint  # damaged, but somebody may still save it
    with pytest.raises(RunError, match="holds no complete checkpoint"):
        run.last_checkpoint()
    shutil.rmtree(run.path / "checkpoints")
    (run.path / "checkpoints").write_text("")
    with pytest.raises(RunError, match="checkpoints cannot be read: Not a directory"):
        _ = run.has_checkpoint


# A power cut


def content(path: Path) -> tuple:
    """What a file or a folder holds, and its number, which it keeps when it is renamed."""
    held = path.read_bytes() if path.is_file() else sorted(os.listdir(path))
    return path.stat().st_ino, held


@pytest.fixture
def operations(monkeypatch):
    """What is flushed and renamed, in order: ("fsync" | "rename", path)."""
    seen, flushed = [], []
    fsync, rename, replace = os.fsync, os.rename, os.replace

    def noting_fsync(descriptor):
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        seen.append(("fsync", path))
        flushed.append(content(path))
        fsync(descriptor)

    def noting(move):
        def note(source, target):
            moved = Path(source).resolve()  # of a link: what it leads to
            for path in (moved, *(moved.iterdir() if moved.is_dir() else ())):
                # Nothing was written since it was flushed.
                assert content(path) in flushed, f"{path} is not flushed"
            move(source, target)
            seen.append(("rename", Path(target)))

        return note

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "rename", noting(rename))
    monkeypatch.setattr(os, "replace", noting(replace))
    return seen


def assert_flushed_after(operations, path):
    renamed = max(i for i, seen in enumerate(operations) if seen == ("rename", path))
    assert ("fsync", path.parent) in operations[renamed:], f"{path.parent} is not flushed after"


def test_checkpoints_are_flushed_before_and_after_they_appear(run, operations):
    first = run.publish_checkpoint(800, fill_with("old"))
    for path in (first, first.parent / "last"):
        assert_flushed_after(operations, path)
    operations.clear()
    run.publish_checkpoint(800, fill_with("new"))  # and again, over the first one
    for path in (first, first.parent / "last"):
        assert_flushed_after(operations, path)


def test_the_link_moves_when_the_checkpoint_is_flushed(run, operations):
    target = run.publish_checkpoint(800, fill_with("old"))
    published = operations.index(("rename", target))
    moved = operations.index(("rename", target.parent / "last"))
    assert ("fsync", target.parent) in operations[published:moved]


def test_files_are_flushed_before_and_after_they_appear(run, operations):
    run.write_eval({"step": 5})
    assert_flushed_after(operations, run.path / "eval.json")


# One process


def test_second_process_gets_one_sentence(run, other_process):
    expected = rf"run is in use by process {other_process.pid} on .*: wait until it ends"
    with pytest.raises(RunError, match=expected):
        RunFolder.resume(run.path)
    with pytest.raises(RunError, match="exists already"):
        RunFolder.create(run.path, "test")


def test_reading_needs_no_lock(run, other_process):
    assert RunFolder.open(run.path).read_config() == {"config": {}}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_death_lets_the_folder_go(run, other_process, number):
    other_process.send_signal(number)
    other_process.wait(HANG)
    RunFolder.resume(run.path).close()


def test_a_forked_child_does_not_keep_the_folder(run):
    """An environment may start a helper by fork, which outlives the run."""
    wait, go = os.pipe()
    there, begun = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(go)
            os.write(begun, b"1")
            os.read(wait, 1)
            run.write_eval({})
        except RunError:
            code = 0
        finally:
            os._exit(code)
    try:
        os.read(there, 1)  # a child that has only just been forked still holds everything
        run.write_eval({})  # the parent still has it
        with pytest.raises(RunError, match="in use"):
            RunFolder.resume(run.path)
        run.close()
        RunFolder.resume(run.path).close()
    finally:
        for end in (go, wait, there, begun):
            os.close(end)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_another_working_directory_changes_no_folder(tmp_path, monkeypatch):
    """An environment may call os.chdir."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    run = RunFolder.create("run", "test")
    monkeypatch.chdir("elsewhere")
    run.write_config({})
    run.metrics.begin()
    run.publish_checkpoint(800, fill_with("old"))
    run.close()
    assert not list((tmp_path / "elsewhere").iterdir())
    monkeypatch.chdir(tmp_path)
    with RunFolder.resume("run") as again:
        monkeypatch.chdir("elsewhere")
        assert (again.last_checkpoint() / "weights").read_text() == "old"


def test_one_process_cannot_hold_a_folder_twice(run):
    with pytest.raises(RunError, match=f"in use by process {os.getpid()} on"):
        RunFolder.resume(run.path)
    run.close()
    RunFolder.resume(run.path).close()


def test_new_runs_that_start_together_share_no_folder(tmp_path, monkeypatch):
    class Stopped(datetime.datetime):
        @classmethod
        def now(cls):
            return cls(2026, 11, 26, 10, 11, 12)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datetime, "datetime", Stopped)
    made = [RunFolder.create(None, "paper") for _ in range(3)]
    names = ["20261126-101112-paper", "20261126-101112-paper-2", "20261126-101112-paper-3"]
    assert [run.path.name for run in made] == names
    # The same folder, asked for at the same time: it is empty, and one gets it.
    first = RunFolder.create(tmp_path / "same", "paper")
    with pytest.raises(RunError, match="same is in use by process"):
        RunFolder.create(tmp_path / "same", "paper")
    for run in (*made, first):
        run.close()


def test_folder_of_a_run_that_came_to_nothing_can_be_used_again(tmp_path):
    RunFolder.create(tmp_path / "killed", "test").close()
    RunFolder.create(tmp_path / "killed", "test").close()
    run = RunFolder.create(tmp_path / "gave up", "test")
    run.discard_if_empty()
    assert not run.path.exists()
    run = RunFolder.create(tmp_path / "began", "test")
    run.write_config({})
    run.discard_if_empty()
    assert (run.path / "config.json").exists()
    RunFolder.resume(run.path).close()


def test_file_systems_without_locks_are_told_of(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.warns(RuntimeWarning, match="has no locks .*only one process"):
        run = RunFolder.create(tmp_path / "run", "test")
    run.publish_checkpoint(800, fill_with("old"))
    run.close()


def test_folder_that_vanishes_is_one_sentence_and_does_not_come_back(run):
    metrics = run.metrics
    metrics.begin()
    shutil.rmtree(run.path)
    row = dict.fromkeys(("step", "score", "success", "return", "length", "seconds"), 1)
    for change in (
        lambda: run.publish_checkpoint(800, fill_with("old")),
        lambda: run.write_eval({}),
        lambda: metrics.append([{**row, "phase": "train", "task": "walker-walk"}]),
    ):
        with pytest.raises(RunError, match="run was removed, renamed or replaced"):
            change()
        assert not run.path.exists()


def test_folder_that_another_run_has_taken_is_left_alone(run):
    shutil.rmtree(run.path)
    other = RunFolder.create(run.path, "other")
    with pytest.raises(RunError, match="removed, renamed or replaced"):
        run.publish_checkpoint(800, fill_with("old"))
    assert [path.name for path in other.path.iterdir()] == [".run.lock"]
    other.close()


def test_swept_out_hidden_files_end_no_run(run):
    (run.path / ".run.lock").unlink()
    run.publish_checkpoint(800, fill_with("old"))


# Places


@pytest.mark.parametrize(
    "place",
    ["/proc/foo", "/dev/null", "/dev/null/run", "{tmp}/file", "{tmp}/file/run", "{tmp}/dangling"]
    + ["{tmp}/circle/run", "{tmp}/" + "x" * 300, "{tmp}/nul\0", "{tmp}/\udcff"],
)
def test_places_where_no_folder_can_be(tmp_path, place):
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(RunError, match="--out '.*no folder can be made there .*; choose another"):
        RunFolder.create(place.format(tmp=tmp_path), "test")
    with pytest.raises(RunError, match="cannot be read|is not the folder of a run"):
        RunFolder.open(place.format(tmp=tmp_path))
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_folders_of_others_are_one_sentence(tmp_path, run):
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(RunError, match="Permission denied"):
        RunFolder.create(tmp_path / "closed" / "run", "test")
    run.close()
    (run.path / ".run.lock").unlink()
    run.path.chmod(0o500)
    try:
        with pytest.raises(RunError, match="cannot be written to: Permission denied"):
            RunFolder.resume(run.path)
    finally:
        run.path.chmod(0o700)


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_files_follow_the_umask(tmp_path, mask):
    def fill(folder):
        (folder / "weights").write_text("")
        (folder / "weights").chmod(0o600)  # as safetensors makes them

    before = os.umask(mask)
    try:
        run = RunFolder.create(tmp_path / "run", "test")
        run.write_config({})
        run.metrics.begin()
        run.publish_checkpoint(800, fill)
        run.publish_checkpoint(800, fill)
        run.close()
    finally:
        os.umask(before)
    for path in (run.path, *run.path.rglob("*")):
        if not path.is_symlink():
            due = (0o777 if path.is_dir() else 0o666) & ~mask
            assert stat.S_IMODE(path.stat().st_mode) == due, path


# Damage


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b'{"a": "\xff"}', "utf-8"),
        (b"\x00\x00\x00\x00", "Expecting value"),
        (b"[1, 2]", "expected a JSON object, got list"),
        (b"null", "expected a JSON object, got NoneType"),
        (b"[" * 200_000, "recursion"),
    ],
)
def test_damaged_json_is_one_sentence(run, content, reason):
    checkpoint = run.publish_checkpoint(800, fill_with("old"))
    for path, read in (
        (run.path / "config.json", run.read_config),
        (checkpoint / "manifest.json", lambda: verify_folder(checkpoint)),
    ):
        path.write_bytes(content)
        with pytest.raises(RunError, match=rf"{path} is damaged: .*{reason}"):
            read()
        path.unlink()
        path.mkdir()
        with pytest.raises(RunError, match=str(path.parent)):
            read()
    # A damaged checkpoint, even of the same step, is replaced.
    run.publish_checkpoint(800, fill_with("new"))
    verify_folder(run.last_checkpoint())


@pytest.mark.parametrize("value", [{}, {"replay": "0"}, {"weights": 5}, {"../x": "0"}])
def test_edited_manifests_are_refused(run, value):
    checkpoint = run.publish_checkpoint(800, fill_with("old"))
    write_json(checkpoint / "manifest.json", value)
    with pytest.raises(RunError, match=r"weights is|replay is|x is"):
        verify_folder(checkpoint, ["weights", *value])
