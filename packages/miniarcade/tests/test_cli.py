"""The `miniarcade` command."""

import miniarcade
from miniarcade.cli import main


def test_list(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [task.name for task in miniarcade.tasks()]
