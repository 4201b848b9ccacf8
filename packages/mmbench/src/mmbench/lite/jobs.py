"""One run of one method."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from mmbench.evaluation.protocol import Entrant, Protocol
from mmbench.runs import RunError, RunFolder
from mmbench.runs.folder import EVAL
from mmbench.runs.lock import FolderLock
from mmbench.shell import command

_METHODS = "newt_agent.methods"
"""The entry points by which packages offer methods."""


@dataclass(frozen=True, eq=False)
class Job:
    """One run.

    Attributes:
        row: What the tables call the method.
        entrant: The method, and its settings beside the protocol's.
        seed: Of the run.
        folder: The run's.
        preset: Name of the protocol.
        flags: Further flags, of the user's.
    """

    row: str
    entrant: Entrant
    seed: int
    folder: Path
    preset: str
    flags: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.folder.name

    @property
    def begun(self) -> bool:
        """Whether it can be resumed."""
        return RunFolder(self.folder).has_config

    @property
    def done(self) -> bool:
        """Whether it is complete."""
        return self.begun and (self.folder / EVAL).is_file()

    @property
    def busy(self) -> bool:
        """Whether a process is at work in its folder."""
        if not self.folder.is_dir():
            return False
        try:
            FolderLock(self.folder).close()
        except RunError:
            return True
        return False

    @property
    def progress(self) -> tuple[int, float]:
        """Steps and seconds of its last episode; zeros where there is none yet."""
        rows = RunFolder(self.folder).metrics.rows()
        return (int(rows[-1]["step"]), float(rows[-1]["seconds"])) if rows else (0, 0.0)

    def words(self) -> list[str]:
        """Returns the command that begins the run, or goes on with it."""
        method = self.entrant.method
        program = [_program("newt-train")] if method == "newt" else [_program("baselines-train")]
        if self.begun:
            return [*program, "--resume", str(self.folder)]
        if method != "newt":
            program.append(method)
        given = {"preset": self.preset, **self.entrant.flags, "seed": self.seed, "out": self.folder}
        flags = [word for name, value in given.items() for word in _flag(name, value)]
        return [*program, *flags, *self.flags]

    def prepare(self) -> None:
        """Makes way for the run where one was killed before it began.

        Raises:
            RunError: Something else is in its folder.
        """
        if not self.folder.is_dir() or self.begun:
            return
        left = list(self.folder.iterdir())
        if any(not path.name.startswith(".") for path in left):
            raise RunError(f"{self.folder} is not the folder of a run: choose another --out")
        for path in left:
            path.unlink()

    def check(self, protocol: Protocol) -> None:
        """Checks that what is in the folder already is a run of this protocol.

        Raises:
            RunError: It is another one.
        """
        if not self.begun:
            return
        config = RunFolder(self.folder).read_config()
        label = config.get("protocol") or {}
        version = label.get("version")
        if label.get("name") != self.preset or version != protocol.version:
            told = f"{self.preset} {version}" if version else f"no run of {self.preset}"
            raise RunError(
                f"{self.folder} is {told}, and this is {self.preset} {protocol.version}: choose "
                "another --out, whose numbers can be compared"
            )
        if label.get("row") != self.row:
            raise RunError(f"{self.folder} is a run of {label.get('row')!r}: choose another --out")


def make_jobs(
    preset: str,
    protocol: Protocol,
    rows: Sequence[str],
    seeds: Sequence[int],
    out: Path,
    flags: Sequence[str] = (),
) -> list[Job]:
    """Lists the runs: all methods with one seed, then with the next.

    Raises:
        RunError: A method is unknown, the package that has it is not installed, or a folder holds
            something else.
    """
    for row in rows:
        if row not in protocol.entrants:
            raise RunError(f"unknown method {row!r}: one of {', '.join(protocol.entrants)}")
    _check_installed([protocol.entrants[row].method for row in rows])
    jobs = [
        Job(row, protocol.entrants[row], seed, out / f"{row}-{seed}", preset, tuple(flags))
        for seed in seeds
        for row in rows
    ]
    for job in jobs:
        job.check(protocol)
    return jobs


def _check_installed(methods: Sequence[str]) -> None:
    installed = {entry.name for entry in entry_points(group=_METHODS)}
    absent = [method for method in methods if method not in installed]
    if absent:
        package = "newt-agent" if set(absent) == {"newt"} else "mmbench-baselines"
        install = command("pip", "install", package)
        raise RunError(
            f"not installed: {', '.join(dict.fromkeys(absent))}. They come with {install}"
        )


def _program(name: str) -> str:
    """Finds a command: beside the Python that runs, or on the PATH."""
    beside = shutil.which(name, path=str(Path(sys.executable).parent))
    found = beside or shutil.which(name)
    if found is None:
        package = "newt-agent" if name == "newt-train" else "mmbench-baselines"
        raise RunError(f"no command {name}: {command('pip', 'install', package)}")
    return found


def _flag(name: str, value: Any) -> tuple[str, str]:
    return f"--{name.replace('_', '-')}", str(value)
