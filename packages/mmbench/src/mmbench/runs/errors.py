"""Errors of command lines: one clear message, exit code 2, no traceback."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
"""What a shell reports of a program that Ctrl-C ended."""
EXIT_PIPE = 141
"""What a shell reports of a program that SIGPIPE ended."""

_SPACE = "free some space"
_ELSEWHERE = "choose another place"
_SYSTEM = {
    errno.ENOSPC: ("the disk is full", _SPACE),
    errno.EDQUOT: ("the disk quota is used up", _SPACE),
    errno.EFBIG: ("the file would be larger than allowed here", "see `ulimit -f`"),
    errno.EROFS: ("the file system is read-only", _ELSEWHERE),
    errno.EACCES: ("permission denied", "ask its owner, or " + _ELSEWHERE),
    errno.EPERM: ("the system does not permit it", _ELSEWHERE),
    errno.EEXIST: ("something else has this name", _ELSEWHERE),
    errno.EISDIR: ("a folder is where a file should be", _ELSEWHERE),
    errno.ENOTDIR: ("a file is where a folder should be", _ELSEWHERE),
    errno.ENAMETOOLONG: ("the name is too long", _ELSEWHERE),
    errno.EIO: ("the disk reports an error", "check the disk or the network drive"),
    errno.ESTALE: ("the network drive has lost the file", "check the network drive"),
    errno.EMFILE: ("too many files are open", "raise the limit, `ulimit -n`"),
    errno.ENFILE: ("too many files are open on this machine", "end other programs"),
    errno.EAGAIN: ("there is no room for another process", "raise the limit, `ulimit -u`"),
    errno.ENOMEM: ("there is not enough memory", "end other programs, or ask for less"),
}
"""System errors that need no traceback: what they mean, and what to do."""


class RunError(Exception):
    """Something the user can mend; the message names the thing, the value and the way out."""


def one_line(error: BaseException) -> str:
    """Formats an error's type and text on one line, to be put into a sentence."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


@contextlib.contextmanager
def report_errors(program: str, *known: type[Exception]) -> Iterator[None]:
    """Turns Ctrl-C, and errors that the user can mend, into one message and an exit code.

    There is no message where nobody reads the output any more (``| head``, a closed terminal).

    Args:
        program: Name of the command, for the message.
        *known: Exceptions besides :class:`RunError` whose text is meant for the user.
    """
    known_errors: tuple[type[Exception], ...] = (RunError, *known)
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:  # it is, where the shell has closed it
                sys.stdout.flush()
    except known_errors as error:
        _end(program, str(error))
    except KeyboardInterrupt:
        _end(program, "interrupted", EXIT_INTERRUPTED)
    except OSError as error:
        if error.errno == errno.EPIPE or (error.errno == errno.EIO and not error.filename):
            # Python would complain once more when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(EXIT_PIPE) from None
        reason = explain(error)
        if reason is None:
            raise
        _end(program, reason)


def explain(error: OSError) -> str | None:
    """Explains a system error and says what to do; None where a traceback says more."""
    if error.errno not in _SYSTEM:
        return None
    meaning, advice = _SYSTEM[error.errno]
    place = f" ({error.filename})" if error.filename else ""
    return f"{meaning}{place}: {error.strerror}. What was complete before is intact; {advice}"


def _end(program: str, message: str, code: int = EXIT_USAGE) -> None:
    sys.stdout.flush()
    print(f"{program}: {message}", file=sys.stderr)
    raise SystemExit(code)
