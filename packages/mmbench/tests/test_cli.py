"""The ``mmbench`` command, as a user runs it."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helps import broken_lines

import mmbench
from mmbench.cli import COMMANDS, main

COMMAND = Path(sys.executable).with_name("mmbench")


def run(*args, **environment):
    return subprocess.run(
        [COMMAND, *args],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"COLUMNS": "80"} | environment,
    )


def listed(output):
    """The first word of every row that names a task."""
    known = {task.name for task in mmbench.catalog.TASKS}
    return [
        line.split()[0]
        for line in output.splitlines()
        if line.split()[:1] and line.split()[0] in known
    ]


def test_tasks_lists_the_220_with_their_names_uncut():
    done = run("tasks")
    assert done.returncode == 0 and done.stderr == ""
    assert listed(done.stdout) == [task.name for task in mmbench.tasks()]
    assert "220 tasks" in done.stdout
    assert "…" not in done.stdout


def test_a_row_shows_sizes_length_and_score_under_its_domain():
    lines = [line.rstrip() for line in run("tasks").stdout.splitlines()]
    rows = {line.split()[0]: line.split() for line in lines if line}
    assert rows["atari-boxing"] == "atari-boxing 128 3 1000 4 0.99 -100 to 100".split()
    assert rows["og-point-var1"] == "og-point-var1 9 2 100 4 0.95 success".split()
    held_out = lines.index("ogbench, held out: 2")
    assert lines[held_out + 1].startswith("og-point-var1")
    assert lines[lines.index("dmcontrol: 21") + 1].startswith("walker-stand")


@pytest.mark.parametrize("columns", [80, 40])
def test_the_list_and_a_task_fit_the_terminal(columns):
    for args in ([], ["ms-ant-run-v1"], ["cartpole-balance-two-poles-sparse", "atari"]):
        lines = run("tasks", *args, COLUMNS=str(columns)).stdout.splitlines()
        assert max(len(line.rstrip()) for line in lines) <= columns
        assert all("…" not in line for line in lines)
    assert ("score:" in run("tasks", COLUMNS=str(columns)).stdout) == (columns == 80)


def test_one_task_is_shown_whole():
    task = mmbench.catalog.get("ms-ant-run")
    shown = run("tasks", "ms-ant-run", COLUMNS="1000").stdout
    for part in (task.id, task.instruction, "114 entries", "8 entries", "500 steps", "0.99"):
        assert part in shown
    corrected = mmbench.catalog.get("ms-ant-run-v1")
    assert f"{corrected.id}: {corrected.differs}" in shown
    assert "0 to 1 for returns from 0 to 1000" in run("tasks", "ms-ant-run-v1").stdout
    assert task.id in run("tasks", "ms-ant-run-v1", COLUMNS="1000").stdout


def test_an_environment_without_an_id_is_shown_by_the_name_that_selects_it():
    shown = run("tasks", "gym:Pendulum-v1").stdout
    assert shown.startswith("gym:Pendulum-v1\n")
    assert "3 entries, padded" in shown and " 1 entry in [-1, 1]" in shown


def test_what_a_task_needs_is_said():
    task = mmbench.catalog.get("ms-pick-apple")
    reason = mmbench.domains.unavailable(task)
    shown = run("tasks", task.name, COLUMNS="1000").stdout
    assert (reason or "it can run here") in " ".join(shown.split())


def test_names_groups_and_globs_select_and_filters_narrow():
    assert listed(run("tasks", "robodesk", "walker-*").stdout) == [
        task.name for task in mmbench.catalog.select("robodesk,walker-*")
    ]
    expected = [task.name for task in mmbench.tasks(split="test", domain="ogbench")]
    assert listed(run("tasks", "test", "--domain", "ogbench").stdout) == expected
    rows = json.loads(run("tasks", "walker-walk", "--json").stdout)
    assert [row["id"] for row in rows] == ["mmbench/walker-walk-v0"]


@pytest.mark.parametrize(
    "filters", [{"domain": "robodesk"}, {"split": "extra"}, {"split": "test", "domain": "ogbench"}]
)
def test_tasks_filters_by_domain_and_split(filters):
    flags = [part for name, value in filters.items() for part in (f"--{name}", value)]
    expected = [task.name for task in mmbench.tasks(**filters)]
    assert expected
    assert listed(run("tasks", *flags).stdout) == expected


def test_json_has_every_field_of_every_task():
    rows = json.loads(run("tasks", "--json").stdout)
    assert len(rows) == 220
    for row, task in zip(rows, mmbench.tasks(), strict=True):
        assert row.pop("id") == task.id
        assert row.pop("native_kwargs") == dict(task.native_kwargs)
        fields = dataclasses.asdict(task)
        del fields["native_kwargs"]
        assert row == fields


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["tasks", "--domain", "dmc"], ["--domain", "'dmc'", "dmcontrol-ext"]),
        (["tasks", "--split", "valid"], ["--split", "'valid'", "train, test, extra"]),
        (["tasks", "--colour", "red"], ["--colour"]),
        (["tasks", "walker-wlak"], ["'walker-wlak'", "walker-walk"]),
        (["tasks", "walker-walk", "--split", "test"], ["walker-walk", "split"]),
        (["bench", "--seconds", "-1"], ["--seconds -1", "at least 0"]),
        (["tusks"], ["tusks", "tasks"]),
        ([], ["tasks"]),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(args, parts):
    done = run(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in done.stderr


@pytest.mark.parametrize("command", ["tasks", "bench", "doctor", "assets download"])
def test_the_groups_are_explained_where_tasks_are_asked_for(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    assert mmbench.catalog.SELECTION in capsys.readouterr().out


@pytest.mark.parametrize("command", ["", *COMMANDS, "assets download", "assets list", "lite run"])
def test_helps_fit_the_terminal(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    assert not broken_lines(capsys.readouterr().out, 100)


def test_the_version_is_told():
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"mmbench {mmbench.__version__}\n")


def test_help_names_the_flags():
    done = run("tasks", "--help")
    assert done.returncode == 0
    for flag in ("--domain", "--split", "--json"):
        assert flag in done.stdout


@pytest.mark.parametrize(
    "args",
    [
        ["tasks"],
        ["tasks", "walker-walk"],
        ["tasks", "--json"],
        ["tasks", "--help"],
        ["assets", "list"],
        ["--version"],
    ],
)
def test_a_reader_that_stops_early_is_no_error(args):
    process = subprocess.Popen([COMMAND, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    stderr = process.stderr.read()
    process.wait(timeout=120)
    assert b"Traceback" not in stderr and b"BrokenPipe" not in stderr
