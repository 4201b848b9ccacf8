"""The `miniarcade` command: arguments, and what goes wrong, in one message each."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import miniarcade

_EXIT_PIPE = 141
"""What a shell reports of a program that SIGPIPE ended."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Its arguments; None takes those of the process.

    Returns:
        The exit status: 0, 2 where the user has to change something, or 141 where nobody reads
        the output any more (``| head``).
    """
    try:
        try:
            return _main(argv)
        finally:
            if sys.stdout is not None:  # it is, where the shell has closed it
                sys.stdout.flush()
    except BrokenPipeError:
        # Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _EXIT_PIPE


def _main(argv: Sequence[str] | None) -> int:
    parser = _Parser(prog="miniarcade", description="Small arcade games with continuous actions.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {miniarcade.__version__}")
    commands = parser.add_subparsers(required=True, metavar="{list,play}")

    listing = commands.add_parser("list", help="list the games", description="Lists the games.")
    listing.set_defaults(run=_list)

    playing = commands.add_parser(
        "play",
        help="play a game in a window",
        description="Plays a game in a window: arrow keys or WASD, space, or a gamepad.",
    )
    playing.add_argument("game", help="one of those that `miniarcade list` prints")
    playing.add_argument("--seed", type=_at_least(0), metavar="N", help="of the first episode")
    playing.add_argument(
        "--scale", type=_scale, default=3.0, metavar="X", help="size of the window (default: 3)"
    )
    playing.add_argument(
        "--fps", type=_at_least(1), default=30, metavar="N", help="steps a second (default: 30)"
    )
    playing.add_argument("--record", metavar="FILE.gif", help="record what is played")
    playing.add_argument(
        "--steps",
        type=_at_least(1),
        metavar="N",
        help="start at once and end after N steps, or with the episode",
    )
    playing.set_defaults(run=_play)

    arguments = parser.parse_args(argv)
    try:
        arguments.run(arguments)
    except _UserError as error:
        print(f"miniarcade: error: {error}", file=sys.stderr)
        return 2
    return 0


class _UserError(Exception):
    """What the user has to change."""


class _Parser(argparse.ArgumentParser):
    """Reports a wrong argument in one message, without repeating the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see `{self.prog} --help`)\n")


def _list(arguments: argparse.Namespace) -> None:
    for task in miniarcade.tasks():
        print(f"{task.name:26}{task.max_episode_steps:5} steps   {task.goal}")


def _play(arguments: argparse.Namespace) -> None:
    try:
        task = miniarcade.get_task(arguments.game)
        from miniarcade.play import open_window, play
        from miniarcade.recording import Recorder

        recorder = Recorder(arguments.record, arguments.fps) if arguments.record else None
        window = open_window(task, arguments.scale, arguments.fps)
    except (ImportError, RuntimeError, ValueError) as error:
        raise _UserError(error) from error
    play(task, window, arguments.seed, recorder, arguments.steps)


def _at_least(low: int):
    """Parses a whole number that is not below `low`."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < low:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} up")
        return int(text)

    return parse


def _scale(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.5 <= value <= 10:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0.5 to 10")
    return value
