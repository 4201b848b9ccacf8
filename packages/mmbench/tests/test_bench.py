"""``mmbench bench``."""

import json
import os
import subprocess
import sys
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("mmbench"))


def bench(tmp_path, *flags):
    return subprocess.run(
        [COMMAND, "bench", "--seconds", "0.05", *flags],
        env={**os.environ, "MMBENCH_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_measures_and_keeps(tmp_path):
    table = tmp_path / "cache" / "step_costs.json"
    table.parent.mkdir()
    table.write_text('{"mmbench/walker-run-v0": 77.0, "mmbench/pygame-pong-v0": 1e9}')
    result = bench(tmp_path, "--tasks", "pygame-pong,walker-walk", "--json")
    assert result.returncode == 0, result.stderr
    costs = json.loads(result.stdout)
    assert set(costs) == {"mmbench/pygame-pong-v0", "mmbench/walker-walk-v0"}
    assert 0 < costs["mmbench/pygame-pong-v0"] < costs["mmbench/walker-walk-v0"] < 1e6
    assert json.loads(table.read_text()) == {"mmbench/walker-run-v0": 77.0, **costs}
    assert "2 of 2 tasks" in result.stderr


def test_damaged_table_is_written_anew(tmp_path):
    table = tmp_path / "cache" / "step_costs.json"
    table.parent.mkdir()
    table.write_bytes(b'{"mmbench/walker-run-v0": \xff')
    result = bench(tmp_path, "--tasks", "pygame-pong")
    assert result.returncode == 0, result.stderr
    assert list(json.loads(table.read_text())) == ["mmbench/pygame-pong-v0"]


def test_unknown_task_is_one_line(tmp_path):
    result = bench(tmp_path, "--tasks", "walker-wlk")
    assert result.returncode == 2
    assert result.stderr.startswith("mmbench: ")
    assert "walker-walk" in result.stderr
    assert "Traceback" not in result.stderr
