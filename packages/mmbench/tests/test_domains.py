"""What is said where a simulator is not installed."""

import re
import sys

import pytest
from outside import without_simulator

from mmbench.catalog import get
from mmbench.domains import unavailable


@pytest.mark.parametrize(
    ("name", "python", "way_out"),
    [
        ("walker-walk", (3, 12), r"pip install mmbench$"),
        ("mw-reach", (3, 13), r"pip install 'mmbench\[metaworld\]'$"),
        ("rd-push-red", (3, 12), r"pip install 'mmbench\[robodesk\]'$"),
        # There pip leaves the simulator out, so the command alone would not help.
        ("rd-push-red", (3, 13), r"'mmbench\[robodesk\]' with Python <3.13; .*README"),
        ("walker-walk", (3, 13), r"pip install mmbench with Python <3.13; .*README"),
    ],
)
def test_way_out_fits_the_python(name, python, way_out, monkeypatch):
    task = get(name)
    without_simulator(task.domain, monkeypatch)
    monkeypatch.setattr(sys, "version_info", (*python, 0, "final", 0))
    assert re.search(way_out, unavailable(task))
    assert "No module named 'no_such_module'" in unavailable(task)
