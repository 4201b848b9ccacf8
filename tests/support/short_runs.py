"""A run of `newt-train` that takes about a second, and what it leaves."""

from pathlib import Path

from mmbench.runs.lock import LOCK

SMALL = "--tasks pygame-cartpole-balance --steps 600 --seed-steps 200 --eval-episodes 1 --size XS "
SMALL += "--no-plan --no-plan-in-eval --batch-size 8 --utd 0.02 --replay-capacity 5000 --threads 1 "
SMALL += "--num-workers 0 --demos none"


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a run; the lock says who had it last, also of a process that was refused."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != LOCK)
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}
