"""The `miniarcade` command."""

import argparse
from collections.abc import Sequence

import miniarcade


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Its arguments; None takes those of the process.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="miniarcade", description="Small arcade games.")
    parser.add_argument("--version", action="version", version=miniarcade.__version__)
    commands = parser.add_subparsers(required=True)
    listing = commands.add_parser("list", help="list the tasks")
    listing.set_defaults(run=_list)
    arguments = parser.parse_args(argv)
    return arguments.run(arguments)


def _list(arguments: argparse.Namespace) -> int:
    for task in miniarcade.tasks():
        print(f"{task.name:26}{task.max_episode_steps:5} steps   {task.goal}")
    return 0
