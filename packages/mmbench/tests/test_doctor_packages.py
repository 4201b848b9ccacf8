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


def test_every_domain_names_its_packages_and_extra():
    assert tuple(packages.SIMULATORS) == catalog.DOMAINS
    known = packages.requirements()
    extras = {
        name: packages.package(group[0], known).extra for name, group in packages.SIMULATORS.items()
    }
    base = {"dmcontrol", "dmcontrol-ext", "mujoco", "miniarcade"}
    assert {name for name, extra in extras.items() if extra is None} == base
    assert all(extra == name for name, extra in extras.items() if name not in base)


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
