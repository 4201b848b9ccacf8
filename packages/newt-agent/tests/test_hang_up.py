"""A terminal that closes: the run saves, as after Ctrl-C."""

import fcntl
import os
import signal
import subprocess
import sys
import termios
import time

HANG = 300
TRAIN = "from newt_agent.cli import train_main; train_main()"
LONG = "--tasks pygame-cartpole-balance --steps 1000000 --seed-steps 999999 --eval-episodes 1"
LONG += " --demos none --no-plan --no-plan-in-eval --replay-capacity 5000 --threads 1 --size XS"
LONG += " --num-workers 1 --checkpoint-every 1000000"


def in_a_terminal():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup, tests inherit that it is ignored


def test_closed_terminal(tmp_path):
    folder = tmp_path / "run"
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", TRAIN, *LONG.split(), "--out", str(folder)],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        start_new_session=True,  # a process group of its own, as a shell gives it
        preexec_fn=in_a_terminal,
    )
    try:
        os.close(theirs)
        deadline = time.monotonic() + HANG
        while b"steps/s" not in os.read(ours, 10_000):
            assert process.poll() is None and time.monotonic() < deadline
        os.killpg(process.pid, signal.SIGHUP)  # the shell's, to every process, the workers too
        os.close(ours)  # and the system's; what is printed from now on fails
        _, errors = process.communicate(timeout=HANG)
    finally:
        process.kill()
        process.wait(HANG)
    assert b"newt_agent" not in errors, errors  # no traceback of ours
    last = (folder / "checkpoints" / "last").resolve(strict=True)
    assert int(last.name) > 0
