"""Command lines, called in this process: another would need seconds to import PyTorch."""

import contextlib
import io
import subprocess
from collections.abc import Callable, Iterator

import torch


@contextlib.contextmanager
def own_threads() -> Iterator[None]:
    """A command sets the threads of its process; afterwards they are as before."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def call(main: Callable[[list[str]], None], arguments: str) -> subprocess.CompletedProcess:
    """Calls a main function and returns what a process would have left."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), own_threads():
        try:
            main(arguments.split())
        except SystemExit as end:
            code = end.code or 0
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def assert_one_message(result: subprocess.CompletedProcess, *parts: str) -> None:
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    for part in parts:
        assert part in result.stderr, result.stderr
