"""How command lines end."""

import errno
import os

import pytest

from mmbench.runs import RunError, report_errors
from mmbench.runs.errors import EXIT_INTERRUPTED, EXIT_PIPE, EXIT_USAGE


def ending(capsys, error: BaseException, *known) -> tuple[int, str]:
    """The exit code and the message of a program in which something is raised."""
    with pytest.raises(SystemExit) as ended, report_errors("program", *known):
        raise error
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "meaning"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission denied"),
        (errno.EIO, "the disk reports an error"),
        (errno.ESTALE, "network drive"),
        (errno.EISDIR, "a folder is where a file should be"),
        (errno.ENAMETOOLONG, "the name is too long"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EAGAIN, "ulimit -u"),
    ],
)
def test_errors_of_the_system_are_one_sentence(capsys, number, meaning):
    code, message = ending(capsys, OSError(number, os.strerror(number), "/a/file"))
    assert code == EXIT_USAGE
    assert message.startswith("program: ") and len(message.splitlines()) == 1
    assert meaning in message and "/a/file" in message and os.strerror(number) in message


def test_errors_for_the_user_are_their_text(capsys):
    assert ending(capsys, RunError("do this")) == (EXIT_USAGE, "program: do this\n")
    assert ending(capsys, KeyError("x"), KeyError) == (EXIT_USAGE, "program: 'x'\n")


def test_ctrl_c_is_no_traceback(capsys):
    assert ending(capsys, KeyboardInterrupt()) == (EXIT_INTERRUPTED, "program: interrupted\n")


@pytest.mark.parametrize("error", [BrokenPipeError(errno.EPIPE, ""), OSError(errno.EIO, "")])
def test_where_nobody_reads_nothing_is_said(capfd, error):
    standard_output = os.dup(1)
    try:
        assert ending(capfd, error) == (EXIT_PIPE, "")
    finally:
        os.dup2(standard_output, 1)
        os.close(standard_output)


def test_a_shell_may_close_the_output(monkeypatch):
    """Python has no stdout then (``mmbench tasks >&-``)."""
    monkeypatch.setattr("sys.stdout", None)
    with report_errors("mmbench"):
        print("to nobody")


def test_mistakes_in_the_program_keep_their_traceback(capsys):
    for error in (KeyError("x"), OSError(errno.EBADF, "Bad file descriptor")):
        with pytest.raises(type(error)), report_errors("program"):
            raise error
