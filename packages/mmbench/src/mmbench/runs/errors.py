"""Errors of command lines: one clear message, exit code 2, no traceback."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator

EXIT_USAGE = 2
EXIT_PIPE = 141
"""What a shell reports of a program that SIGPIPE ended."""

_DISK = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than allowed here",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
}


class RunError(Exception):
    """Something the user can mend; the message names the thing, the value and the way out."""


@contextlib.contextmanager
def report_errors(program: str, *known: type[Exception]) -> Iterator[None]:
    """Ends the program with one message for errors that the user can mend.

    Where nobody reads the output any more (``| head``) it ends without a message.

    Args:
        program: Name of the command, for the message.
        *known: Exceptions besides :class:`RunError` whose text is meant for the user.
    """
    known_errors: tuple[type[Exception], ...] = (RunError, *known)
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(EXIT_PIPE) from None
    except known_errors as error:
        _end(program, str(error))
    except OSError as error:
        if error.errno not in _DISK:
            raise
        place = f" ({error.filename})" if error.filename else ""
        _end(
            program,
            f"{_DISK[error.errno]}{place}: {error.strerror}. What was complete before is intact; "
            "free some space or choose another folder with --out, then go on with --resume",
        )


def _end(program: str, message: str) -> None:
    sys.stdout.flush()
    print(f"{program}: {message}", file=sys.stderr)
    raise SystemExit(EXIT_USAGE)
