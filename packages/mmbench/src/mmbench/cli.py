"""The ``mmbench`` command.

Every subcommand is a dataclass: its fields are the flags, their docstrings the help, and ``run``
the work. What a command needs beyond the catalogue it imports in ``run``, so that every other
command starts fast.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from typing import Protocol

import tyro

from mmbench import __version__, catalog
from mmbench.catalog import InvalidTaskError, TaskUnavailableError, UnknownTaskError
from mmbench.commands import TaskCommand
from mmbench.commands.assets import Assets
from mmbench.commands.bench import Bench
from mmbench.commands.demos import Demos
from mmbench.commands.doctor import Doctor
from mmbench.commands.lite import Lite
from mmbench.commands.report import Report
from mmbench.commands.tasks import Tasks
from mmbench.commands.video import Video
from mmbench.runs import report_errors
from mmbench.shell import answer_version


class Command(Protocol):
    """A subcommand."""

    def run(self) -> None:
        """Does the work.

        Raises:
            RunError: The user has to change something.
        """


COMMANDS: dict[str, Callable[..., Command]] = {
    "tasks": Tasks,
    "doctor": Doctor,
    "assets": Assets,
    "bench": Bench,
    "demos": Demos,
    "video": Video,
    "report": Report,
    "lite": Lite,
}
"""The subcommands."""


def main(args: Sequence[str] | None = None) -> None:
    """Runs the ``mmbench`` command; ends with exit code 2 where the user has to change something.

    Args:
        args: The arguments, by default those of the process.
    """
    args = sys.argv[1:] if args is None else args
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files may hold what cannot be printed
        sys.stdout.reconfigure(errors="backslashreplace")
    with report_errors("mmbench", UnknownTaskError, InvalidTaskError, TaskUnavailableError):
        answer_version("mmbench", __version__, args)
        command = tyro.extras.subcommand_cli_from_dict(
            COMMANDS,
            prog="mmbench",
            description=(
                "MMBench: 220 continuous-control tasks from ten domains. --version prints the "
                "version."
            ),
            args=args,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
        if isinstance(command, TaskCommand):
            catalog.import_modules(command.imports)
        command.run()
