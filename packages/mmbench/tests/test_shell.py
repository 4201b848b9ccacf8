"""Commands in messages are those that the reader can type."""

import pytest

from mmbench.catalog import domain
from mmbench.shell import command


@pytest.fixture
def under_uv(monkeypatch):
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")


def test_a_command_is_quoted_as_a_shell_needs_it():
    assert command("newt-train", "--resume", "runs/a b") == "newt-train --resume 'runs/a b'"
    assert command("pip", "install", "mmbench[video]") == "pip install 'mmbench[video]'"


def test_who_started_with_uv_run_goes_on_with_it(under_uv):
    assert command("mmbench", "doctor") == "uv run mmbench doctor"
    assert command("pip", "install", "numpy>=2") == "uv pip install 'numpy>=2'"
    assert domain("atari").install == "uv pip install 'mmbench[atari]'"
