"""The `miniarcade` command."""

import subprocess
import sys
from pathlib import Path

import pytest

import miniarcade
from miniarcade.cli import main


def test_list(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [task.name for task in miniarcade.tasks()]


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"miniarcade {miniarcade.__version__}\n"


def test_a_shell_may_close_the_output(monkeypatch):
    """Python has no stdout then (``miniarcade list >&-``)."""
    monkeypatch.setattr("sys.stdout", None)
    assert main(["list"]) == 0


@pytest.mark.parametrize("args", [["list"], ["--help"], ["list", "--help"]])
def test_a_reader_that_stops_early_is_no_error(args):
    command = Path(sys.executable).with_name("miniarcade")
    process = subprocess.Popen([command, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) in (0, 141)
