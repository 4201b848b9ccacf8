"""The tapes that the package ships."""

import pytest

from mmbench import catalog, demos
from mmbench.demos import bars
from mmbench.demos.places import SHIPPED, tapes
from mmbench.demos.tape import read_tape
from mmbench.demos.verify import verify
from mmbench.domains import unavailable

LARGEST = 30e6  # bytes of all of them
LOADED = "pygame-coinrun"


@pytest.fixture(autouse=True)
def shipped(tmp_path, monkeypatch):
    """The tasks with a tape, where a user has none of their own."""
    monkeypatch.setenv("MMBENCH_CACHE", str(tmp_path))
    return tapes(None)


def test_every_file_is_the_tape_of_a_task(shipped):
    assert shipped
    assert sorted(shipped.values()) == sorted(SHIPPED.rglob("*.*"))
    assert sum(path.stat().st_size for path in shipped.values()) < LARGEST


def test_those_of_held_out_tasks_lie_apart(shipped):
    held_out = {task for task, path in shipped.items() if path.parent.name == "held-out"}
    assert held_out and held_out == {task for task in shipped if task.split == "test"}


def test_every_tape_meets_the_bars(shipped):
    missed = {}
    for task, path in shipped.items():
        tape = read_tape(path, task)
        missed[task.name] = bars.problems(task, tape.episodes)
        if len(tape.episodes) < 10:
            missed[task.name].append("fewer than ten episodes")
        if any(part in recording.command for recording in tape.recordings for part in "/~"):
            missed[task.name].append("its command names a folder")
    assert not {name: problems for name, problems in missed.items() if problems}


def found(tasks, workers=0):
    return {verdict.task: verdict.problems for verdict in verify(tasks, None, 1, workers)}


def test_the_tapes_of_arcade_games_play_as_recorded(shipped):
    tasks = [task for task in shipped if task.domain == "miniarcade"]
    assert tasks and found(tasks) == {task.versioned_name: [] for task in tasks}


@pytest.mark.slow
def test_every_tape_plays_as_recorded(shipped):
    tasks = [task for task in shipped if not unavailable(task)]
    assert found(tasks, workers=2) == {task.versioned_name: [] for task in tasks}


def test_the_first_use_makes_the_dataset(tmp_path):
    dataset = demos.load(LOADED, workers=0)
    assert len(dataset) >= 10 and dataset.env_spec.id == catalog.get(LOADED).id
    assert (tmp_path / "demos" / "mmbench" / LOADED / "expert-v0" / "data").is_dir()
