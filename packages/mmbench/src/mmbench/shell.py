"""What all command lines share: commands and numbers in messages, and ``--version``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

_UNDER_UV = "UV_RUN_RECURSION_DEPTH"
"""What ``uv run`` sets for the programs that it starts."""


def command(*words: object) -> str:
    """Returns a command as the reader of this program's messages types it.

    A program that was started by ``uv run`` names others with ``uv run`` before them, and
    ``uv pip`` for ``pip``: neither has to be on the PATH.

    Args:
        *words: The program and its arguments. Those that a shell would change are quoted.
    """
    program, *arguments = map(str, words)
    if _UNDER_UV in os.environ:
        program = "uv pip" if program == "pip" else f"uv run {program}"
    return " ".join((program, *map(shlex.quote, arguments)))


def plural(count: int, what: str) -> str:
    """Returns a number of things: ``1 episode``, ``2,000 episodes``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def answer_version(program: str, version: str, arguments: Sequence[str]) -> None:
    """Prints the program's version and ends it, if that is asked for.

    Args:
        program: Name of the command.
        version: Its version.
        arguments: What it was given.

    Raises:
        SystemExit: ``--version`` is among the arguments.
    """
    if "--version" in arguments:
        print(f"{program} {version}")
        raise SystemExit(0)
