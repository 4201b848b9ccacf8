"""What is said where a simulator is not installed."""

import re
import sys

import pytest

import mmbench.domains
from mmbench.catalog import get
from mmbench.domains import unavailable


@pytest.mark.parametrize(
    ("name", "python", "way_out"),
    [
        ("walker-walk", (3, 12), r"pip install mmbench$"),
        ("mw-reach", (3, 13), r"pip install 'mmbench\[metaworld\]'$"),
        ("rd-push-red", (3, 12), r"pip install 'mmbench\[robodesk\]'$"),
        # There pip leaves the simulator out, so the command alone would not help.
        ("rd-push-red", (3, 13), r"'mmbench\[robodesk\]' with Python 3.11 or 3.12; .*README"),
        ("walker-walk", (3, 13), r"pip install mmbench with Python 3.11 or 3.12; .*README"),
    ],
)
def test_way_out_fits_the_python(name, python, way_out, monkeypatch):
    task = get(name)
    monkeypatch.setitem(mmbench.domains._PACKAGES, task.domain, "no_such_module")
    monkeypatch.setattr(sys, "version_info", (*python, 0, "final", 0))
    assert re.search(way_out, unavailable(task))
    assert "No module named 'no_such_module'" in unavailable(task)
