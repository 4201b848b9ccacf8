"""What is said where a simulator is not installed."""

import dataclasses
import re
import sys

import pytest
from outside import registering, without_simulator

import mmbench
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


def test_a_module_inside_a_package_that_is_not_there_is_missing():
    domain = mmbench.Domain(
        name="far", title="Far", adapter="far.adapter", module="far.away", packages=("far>=1",)
    )
    with registering():
        mmbench.register(domain, dataclasses.replace(get("walker-walk"), name="go", domain="far"))
        assert "No module named 'far.away'): pip install 'far>=1'" in unavailable(get("go"))
