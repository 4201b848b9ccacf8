"""benchmarks/peers.py: short runs of both libraries, and only of what is missing."""

import csv
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "peers.py"


@pytest.fixture
def peers(monkeypatch):
    spec = importlib.util.spec_from_file_location("peers", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "peers", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "EPISODES", 1)
    short = {
        "ppo": module.Comparison(("pygame-landing",), 2048, 1),
        "td3": module.Comparison(("pygame-landing",), 1040, 1),
    }
    monkeypatch.setattr(module, "COMPARISONS", short)
    # In this process, where the changes are.
    monkeypatch.setattr(module, "do_all", lambda runs, _: ((run, module.do(run)) for run in runs))
    return module


def test_short_runs_are_done_once(peers, tmp_path, monkeypatch, capsys):
    path = tmp_path / "peers.csv"
    monkeypatch.setattr(sys, "argv", ["peers.py", "--results", str(path)])
    peers.main()
    table = capsys.readouterr().out
    rows = list(csv.DictReader(path.open()))
    assert [(row["method"], row["library"]) for row in rows] == [
        (method, library) for method in ("ppo", "td3") for library in peers.LIBRARIES
    ]
    for row in rows:
        assert 0 <= float(row["score"]) <= 1 and float(row["steps_per_cpu_second"]) > 0
    assert "| ppo | pygame-landing | 1 |" in table and "td3: IQM" in table

    last = rows.pop()
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))  # cut off
    done = []

    def do(run):
        done.append(run)
        return peers.Outcome(0.5, 100.0)

    monkeypatch.setattr(peers, "do", do)
    peers.main()
    assert [(run.method, run.library) for run in done] == [(last["method"], last["library"])]
    assert len(list(csv.DictReader(path.open()))) == 4


def test_middle_half(peers):
    assert peers.iqm(np.array([8.0, 1, 3, 2, 4, 5, 7, 100])) == pytest.approx((3 + 4 + 5 + 7) / 4)
    assert peers.iqm(np.array([100.0, 2, 1])) == pytest.approx((0.25 * 101 + 2) / 1.5)
    assert peers.iqm(np.array([[2.0, 2, 2], [0, 0, 3]])).tolist() == pytest.approx([2, 0.5])
