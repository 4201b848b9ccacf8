"""What ``--flags`` asks of the runs: settings, by name."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmbench.runs import RunError

_OWNED = ("--seed", "--out", "--preset", "--resume", "--help", "-h", "--version")


def split_flags(text: str) -> list[str]:
    """Splits flags as a shell does.

    Raises:
        RunError: A quotation is open, or a flag is not the user's to give.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise RunError(f"--flags {text!r}: {error}") from error
    for word in words:
        name = word.partition("=")[0]
        if name in _OWNED:
            raise RunError(f"--flags {text!r}: {name} is not for --flags; leave it out")
    return words


def settings_of(words: Sequence[str]) -> dict[str, str]:
    """Returns the settings that flags give, by the names that ``config.json`` has for them."""
    settings: dict[str, str] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            name = name.replace("-", "_")
            off = not value and name.startswith("no_")
            name = name.removeprefix("no_") if off else name
            settings[name] = value or str(not off)
        elif name:
            settings[name] = word
    return settings


def has_setting(settings: Mapping[str, Any], name: str, text: str) -> bool:
    """Whether a setting of a run is what a flag gives; one that its method does not have is.

    Args:
        settings: Of the run, as in ``config.json``.
        name: Of the setting; ``optimizer.lr`` is in a group.
        text: Its value on a command line. ``None`` leaves it to the method.
    """
    value: Any = settings
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return True
        value = value[part]
    try:
        return float(text) == float(value)
    except (TypeError, ValueError):
        # The folders in config.json are absolute.
        return text in ("None", str(value)) or str(Path(text).absolute()) == value
