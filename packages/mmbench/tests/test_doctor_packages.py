"""Installed and tested versions, as ``mmbench doctor`` reads them."""

import tomllib
from pathlib import Path

import pytest

from mmbench import catalog
from mmbench.doctor import packages

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def test_the_tested_ranges_are_those_of_the_project_file():
    project = tomllib.loads(PROJECT.read_text())["project"]
    lines = [*project["dependencies"]]
    lines += [
        line
        for extra, group in project["optional-dependencies"].items()
        if extra != "all"
        for line in group
    ]
    known = packages.requirements()
    for line in lines:
        stated = packages.parse(line)
        bounds = packages.package(stated.name, known).tested.split(",")
        assert sorted(bounds) == sorted(stated.versions.split(",")), line
    assert packages.python_range() == packages.readable(project["requires-python"])


@pytest.mark.parametrize("domain", catalog.BENCHMARK, ids=lambda domain: domain.name)
def test_a_domain_is_installed_as_the_project_file_says(domain):
    known = packages.requirements()
    stated = packages.package(domain.packages[0], known)
    assert (stated.extra or "", stated.python or "") == (domain.extra, domain.python)
    assert packages.of_domain(domain, known)[0] == stated


def test_a_domain_from_outside_states_its_own_versions(monkeypatch):
    domain = catalog.Domain(
        name="blocks",
        title="Blocks",
        adapter="blocks",
        module="blocks",
        packages=("numpy>=99,<100", "no-such-package"),
        python="<3.8",
    )
    first, second = packages.of_domain(domain, packages.requirements())
    assert (first.name, first.tested, first.in_range) == ("numpy", ">=99,<100", False)
    assert (first.python, first.for_this_python) == ("<3.8", False)
    assert (second.installed, second.tested) == (None, None)
    assert packages.install_command(second, {}) == "pip install no-such-package"
    assert domain.install == "pip install 'numpy>=99,<100'"


@pytest.mark.parametrize(
    ("version", "versions", "inside"),
    [
        ("3.3.7", ">=3.3.7,<3.4", True),
        ("3.3.10", "<3.4,>=3.3.7", True),
        ("3.3.6", ">=3.3.7,<3.4", False),
        ("3.4", ">=3.3.7,<3.4", False),
        ("3.4.0rc1", ">=3.3.7,<3.4", False),
        ("2.15.0+cu128", ">=2.8,<3", True),
        ("1", "==1.0.0", True),
        ("1.0.1", "!=1.0.1", False),
        ("2.0", ">2", False),
        ("2", "<=2.0.0", True),
        ("5", "", True),
    ],
)
def test_versions_are_compared_by_their_numbers(version, versions, inside):
    assert packages.within(version, versions) is inside


def test_metadata_lines_are_read():
    line = "minari[hdf5] (<0.6,>=0.5.3) ; (python_version < '3.13') and extra == 'demos'"
    assert packages.parse(line) == packages.Requirement("minari", "<0.6,>=0.5.3", "demos", "<3.13")
