"""``mmbench lite``: the comparison that a laptop can finish."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Annotated

import tyro

from mmbench.catalog import select
from mmbench.evaluation.protocol import LITE
from mmbench.runs import RunError, to_json
from mmbench.shell import command, plural

_LARGEST_SEED = 2**32 - 1
"""What the methods take."""


@dataclasses.dataclass(frozen=True)
class LiteRun:
    """Run methods by the protocol lite (docs/lite.md), one core a run.

    The same command again skips what is done and goes on with the rest.
    """

    methods: Annotated[
        str,
        tyro.conf.arg(metavar="NAMES", help=f"Which, of {', '.join(LITE.entrants)}."),
    ] = ",".join(LITE.entrants)

    seeds: Annotated[str, tyro.conf.arg(metavar="NUMBERS")] = ",".join(map(str, LITE.seeds))
    """Seeds; all methods are run with the first one, then with the next."""

    workers: int = 2
    """Runs at a time. More than the machine has cores disturb each other's time."""

    out: Annotated[str, tyro.conf.arg(metavar="DIR")] = "lite"
    """Folder for the runs, runs.csv and logs."""

    skip_missing: bool = False
    """Leave out tasks that cannot run on this machine, instead of stopping; the report says so."""

    flags: str = ""
    """To try it: flags for every run, as in --flags='--steps 2000'. They are then 'not lite'."""

    def run(self) -> None:
        """Runs, and says how to see what came of it.

        Raises:
            RunError: A value is out of range, a package is missing, or the folder holds something
                else.
            SystemExit: Runs failed; their last lines are printed.
        """
        from mmbench.lite import Runner, make_jobs, split_flags

        if self.workers < 1:
            raise RunError(f"--workers {self.workers}: at least 1")
        out = self._folder()
        rows = list(dict.fromkeys(part.strip() for part in self.methods.split(",")))
        flags = split_flags(self.flags)
        if self.skip_missing:
            flags.append("--skip-missing")
        jobs = make_jobs("lite", LITE, rows, self._seeds(), out, flags)
        self._check_tasks()
        if any(_learns_from_demonstrations(row) for row in rows):
            from mmbench.demos.dataset import require_minari

            require_minari()  # without it these methods would be others
        failed = Runner(jobs, LITE, out, self.workers, functools.partial(print, flush=True)).run()
        if failed:
            names = ", ".join(job.name for job in failed)
            print(f"{plural(len(failed), 'run')} failed: {names}. The same command tries again")
            raise SystemExit(1)
        report = command("mmbench", "report", out, "--out", out / "report")
        print(f"all {plural(len(jobs), 'run')} done: {report}")

    def _folder(self) -> Path:
        if not self.out:
            raise RunError("--out '': name a folder")
        try:
            folder = Path(self.out).expanduser().absolute()
            str(folder).encode()  # not every name can be printed
        except (OSError, RuntimeError, ValueError) as error:
            raise RunError(f"--out {self.out!r}: {error}; choose another") from error
        return folder

    def _seeds(self) -> list[int]:
        seeds = []
        for part in map(str.strip, self.seeds.split(",")):
            # Python reads no number of thousands of digits.
            if not part.isdecimal() or len(part) > 10 or int(part) > _LARGEST_SEED:
                raise RunError(f"--seeds: {part!r} is no number from 0 to {_LARGEST_SEED}")
            seeds.append(int(part))
        return list(dict.fromkeys(seeds))

    def _check_tasks(self) -> None:
        from mmbench.domains import unavailable

        missing = {
            task.name: reason for task in select(LITE.tasks) if (reason := unavailable(task))
        }
        if missing and not self.skip_missing:
            reasons = "; ".join(dict.fromkeys(missing.values()))
            raise RunError(
                f"cannot run here: {', '.join(missing)} ({reasons}). --skip-missing leaves them out"
            )


def _learns_from_demonstrations(row: str) -> bool:
    entrant = LITE.entrants[row]
    return entrant.method in ("newt", "bc") and entrant.flags.get("demos") != "none"


@dataclasses.dataclass(frozen=True)
class LiteShow:
    """Print the protocol as JSON: its tasks, seeds and every method's settings."""

    def run(self) -> None:
        """Prints it as JSON."""
        print(to_json({**dataclasses.asdict(LITE), "tasks": [t.name for t in select(LITE.tasks)]}))


@dataclasses.dataclass(frozen=True)
class Lite:
    """Compare methods on 20 tasks, on two cores: run it, or show the protocol."""

    command: tyro.conf.OmitSubcommandPrefixes[
        tyro.conf.OmitArgPrefixes[
            Annotated[LiteRun, tyro.conf.subcommand("run")]
            | Annotated[LiteShow, tyro.conf.subcommand("show")]
        ]
    ]

    def run(self) -> None:
        """Runs the subcommand."""
        self.command.run()
