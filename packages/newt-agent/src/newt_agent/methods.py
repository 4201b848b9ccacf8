"""Finds methods by name, in this package and in others.

A package offers a method by an entry point in its pyproject.toml::

    [project.entry-points."newt_agent.methods"]
    ppo = "mmbench_baselines.ppo:PPO"
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from mmbench.runs import RunError, one_line
from mmbench.shell import command

GROUP = "newt_agent.methods"
_BASELINES = ("bc", "brc", "fast_td3", "ppo", "tdmpc2")


def method_names() -> list[str]:
    """Names of the methods that are installed, in alphabetical order."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def find_method(name: str) -> Any:
    """Returns a method's class, a subclass of :class:`newt_agent.method.Method`.

    Raises:
        RunError: No installed package has it, or its module cannot be imported.
    """
    found = [entry for entry in entry_points(group=GROUP) if entry.name == name]
    if not found:
        installed = ", ".join(method_names())
        advice = f"installed are {installed}"
        if not installed:  # a copy of the sources on the path has no entry points
            own = command("pip", "install", "newt-agent")
            advice = f"no method is installed; newt-agent brings one by its installation: {own}"
        if name in _BASELINES:
            advice += f"; it comes with: {command('pip', 'install', 'mmbench-baselines')}"
        raise RunError(f"unknown method {name!r}: {advice}")
    try:
        return found[0].load()
    except Exception as error:  # a foreign module may raise anything
        raise RunError(f"method {name!r} ({found[0].value}): {one_line(error)}") from error
