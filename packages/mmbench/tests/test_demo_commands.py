"""``mmbench demos``, as a user types it."""

import errno
import json
import os

import pytest
from demo_tapes import TASK

from mmbench.cli import main
from mmbench.demos.listing import Row
from mmbench.demos.places import collecting_folder, root_tape
from mmbench.demos.tape import read_tape


def demos(*words):
    main(["demos", *map(str, words)])


def collect(root, *words, expert="demo_experts:Balance"):
    chosen = ("--tasks", TASK.name, "--root", root, "--expert", expert, "--workers", 0)
    demos("collect", *chosen, "--episodes", 2, *words)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("demos")
    collect(root)
    return root


def test_collecting_says_what_came_of_it(tmp_path, capsys):
    collect(tmp_path)
    out = capsys.readouterr().out
    assert out.startswith(f"{TASK.name}: 2 episodes of 2 played, score 0.99")


def test_tasks_without_demonstrations_are_named_and_the_exit_code_is_1(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        collect(tmp_path, expert="demo_experts:Still")
    output = capsys.readouterr()
    assert ended.value.code == 1
    assert "the mean score" in output.out
    assert output.err.strip() == f"without demonstrations: {TASK.name}"
    demos("list", "--root", tmp_path)
    assert (
        f"{TASK.name}: not complete: 2 good episodes of 2; the mean score"
        in capsys.readouterr().out
    )


def test_tasks_without_an_expert_are_left_out_with_a_line_each(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("mmbench.demos.experts.TABLE", (("pygame-cowboy", "arcade:Cowboy"),))
    words = ("--episodes", 1, "--workers", 0, "--root", tmp_path, "--skip-missing")
    demos("collect", "--tasks", "pygame-cowboy,walker-run,mw-reach", *words)
    output = capsys.readouterr()
    assert output.out.startswith("pygame-cowboy: 1 episode of ")
    assert output.err.splitlines() == [
        f"left out: no expert plays '{name}'" for name in ("walker-run", "mw-reach")
    ]


def test_the_list_shows_what_there_is(root, capsys):
    demos("list", "--root", root, "--json")
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["task"], row["episodes"], row["expert"]) == (TASK.name, 2, "linear controller")
    assert row["split"] == "train" and row["score"] > 0.9 > row["random"] and not row["problem"]
    assert row["bytes"] == root_tape(TASK, root).stat().st_size
    demos("list", "--root", root)
    assert "1 task with 2 episodes, 0.0 MB" in capsys.readouterr().out


def test_json_has_null_where_a_number_is_unknown(root, capsys, monkeypatch):
    unknown = Row(TASK.name, "train", 1, float("nan"), None, "somebody", 10, False)
    monkeypatch.setattr("mmbench.demos.listing.rows", lambda root: [unknown])
    demos("list", "--root", root, "--json")
    (row,) = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert row["score"] is None
    demos("list", "--root", root)
    assert "1 task with 1 episode, 0.0 MB" in capsys.readouterr().out


def test_replaying_makes_datasets_once(root, capsys):
    for made, there in ((1, 0), (0, 1)):
        demos("replay", "--root", root, "--workers", 0)
        out = capsys.readouterr().out
        assert f"{made} dataset{'s' * (1 - made)} made, {there} were there already" in out
        assert ("2 episodes as recorded" in out) == bool(made)


def test_verifying_prints_findings_and_ends_with_1_where_something_is_wrong(root, tmp_path, capsys):
    demos("verify", "--root", root, "--workers", 0)
    assert "1 of 1 tasks are good" in capsys.readouterr().out
    demos("verify", "--root", root, "--workers", 0, "--episodes", 2, "--json")
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["exact"], found["problems"]) == (2, [])
    path = root_tape(TASK, tmp_path)
    path.parent.mkdir()
    path.write_bytes(root_tape(TASK, root).read_bytes()[:-1])
    with pytest.raises(SystemExit) as ended:
        demos("verify", "--root", tmp_path, "--workers", 0)
    assert ended.value.code == 1
    assert f"something is wrong with {TASK.name}" in capsys.readouterr().err
    demos("list", "--root", tmp_path, "--json")
    (row,) = json.loads(capsys.readouterr().out)
    assert row["score"] is None and "truncated" in row["problem"]
    demos("list", "--root", tmp_path)
    assert "0 tasks with 0 episodes" in capsys.readouterr().out


def test_a_video_shows_the_recorded_episode(root, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("mmbench.env.TaskEnv.render", lambda env: frame)
    import numpy as np

    frame = np.zeros((224, 224, 3), np.uint8)
    path = tmp_path / "demo.mp4"
    demos("video", "--task", TASK.name, "--root", root, "--episode", 1, "--out", path)
    out = capsys.readouterr().out
    assert path.stat().st_size > 1000
    assert "episode 1 of" in out and "score 0.99" in out and "recorded" not in out


@pytest.mark.parametrize("name", ["list", "replay", "verify"])
def test_a_folder_without_demonstrations_is_named(tmp_path, name, capsys):
    with pytest.raises(SystemExit) as ended:
        demos(name, "--root", tmp_path / "typo")
    err = capsys.readouterr().err
    assert ended.value.code == 2 and err.count("\n") == 1
    assert f"there are no demonstrations in {tmp_path / 'typo'}" in err and "demos collect" in err
    demos("list", "--root", tmp_path / "typo", "--json")
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize("words", [("collect",), ("export", "--out", "gone/lerobot")])
def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, monkeypatch, words, root, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    folder = root if words[0] == "export" else "gone/root"
    with pytest.raises(SystemExit) as ended:
        demos(*words, "--tasks", TASK.name, "--root", folder, "--workers", 0)
    assert ended.value.code == 2
    assert "something else has this name (" in capsys.readouterr().err.splitlines()[-1]


def test_a_full_disk_is_named_and_what_was_played_is_kept(tmp_path, capsys, monkeypatch):
    own, left = os.fsync, 2 * 2  # files of two episodes, each with its folder

    def fsync(descriptor):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        own(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(SystemExit) as ended:
        collect(tmp_path, "--episodes", 5)
    state = collecting_folder(TASK, tmp_path) / "tape.npz"
    assert ended.value.code == 2
    assert f"the disk is full ({state})" in capsys.readouterr().err
    assert len(read_tape(state, TASK).episodes) == 2
    monkeypatch.setattr(os, "fsync", own)
    collect(tmp_path, "--episodes", 5)
    assert "5 episodes of 5 played" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, reason",
    [
        (("collect", "--tasks", "walker-walk", "--episodes", 0), "--episodes 0: at least 1"),
        (("collect", "--attempts", 0), "--attempts 0: at least 1"),
        (("collect", "--seed", -1), "--seed -1: at least 0"),
        (
            ("collect", "--tasks", "pygame-pong", "--expert", "nobody:No"),
            "No module named 'nobody'",
        ),
        (("collect", "--tasks", "pygame-pong", "--expert", "json:No"), "MODULE:CLASS"),
        (("collect", "--tasks", "nothing"), "unknown task 'nothing'"),
        (("replay", "--tasks", "pygame-pong"), "no demonstrations of 'pygame-pong'"),
        (("replay", "--workers", -1), "--workers -1: at least 0"),
        (("verify", "--episodes", -1), "--episodes -1: at least 0"),
        (("video", "--task", "pygame-pong"), "no demonstrations of 'pygame-pong'"),
        (("video", "--task", TASK.name, "--episode", 2), "has the episodes 0 to 1"),
    ],
)
def test_mistakes_get_one_line(root, words, reason, capsys):
    with pytest.raises(SystemExit) as ended:
        demos(*words, "--root", root)
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert reason in err and err.count("\n") == 1
