"""Domains and tasks from outside, for the length of a test."""

import contextlib
import dataclasses
import shutil
import subprocess
from pathlib import Path

import gymnasium

from mmbench import catalog
from mmbench.catalog import modules, registry

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
SPRINGS = EXAMPLES / "springs"
"""The example packages of the documentation."""


def without_simulator(domain, monkeypatch):
    """Makes a domain one whose simulator is not installed."""
    record = dataclasses.replace(catalog.domain(domain), module="no_such_module")
    monkeypatch.setitem(registry._domains, domain, record)


@contextlib.contextmanager
def registering():
    """Takes back what is registered within."""
    held = registry._domains, registry._tasks, registry.FAILED, modules._imported
    held = [(kept, dict(kept)) for kept in (*held, gymnasium.registry)]
    try:
        yield
    finally:
        for kept, before in held:
            kept.clear()
            kept.update(before)


def install(package, target):
    """Installs a package without its requirements into a folder, as pip would."""
    command = ["uv", "pip", "install", "--quiet", "--no-deps", "--target", target, package]
    subprocess.run(command, check=True, capture_output=True, timeout=300)


HAS_UV = shutil.which("uv") is not None
