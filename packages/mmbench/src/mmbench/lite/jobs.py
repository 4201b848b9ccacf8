"""One run of one method."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from mmbench.evaluation.protocol import FREE, Entrant, Protocol
from mmbench.evaluation.report import read_result
from mmbench.evaluation.report.results import Result
from mmbench.lite.flags import has_setting, settings_of
from mmbench.runs import RunError, RunFolder, read_json
from mmbench.runs.folder import CONFIG, EVAL
from mmbench.runs.lock import LOCK, FolderLock
from mmbench.shell import command

_METHODS = "newt_agent.methods"
"""The entry points by which packages offer methods."""

_LEFTOVERS = (LOCK, f".{CONFIG}-{'[0-9a-f]' * 8}")
"""What a run leaves that was killed before it began."""


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
        """Whether it is complete: evaluated at its end, which a resumption may have moved.

        Raises:
            RunError: A file of it is damaged.
        """
        if not self.begun or not (self.folder / EVAL).is_file():
            return False
        _, settings = self._stored()
        length = settings.get("updates", settings.get("steps"))
        step = read_json(self.folder / EVAL).get("step")
        return not (isinstance(length, int) and isinstance(step, int) and step < length)

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
        try:
            rows = RunFolder(self.folder).metrics.rows()
        except OSError:  # the run itself will say so
            rows = []
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
        if not self.begun:
            for path in self._leftovers():
                path.unlink()

    def result(self) -> Result:
        """Reads what it scored.

        Raises:
            RunError: It is not complete, or a file of it is damaged.
        """
        return read_run(self.folder)

    def check(self, protocol: Protocol) -> None:
        """Checks that what is in the folder already is this run.

        Raises:
            RunError: It is another one, something else, or damaged.
        """
        if not self.begun:
            self._leftovers()
            return
        label, settings = self._stored()
        version = label.get("version")
        if label.get("name") != self.preset or version != protocol.version:
            told = f"{self.preset} {version}" if version else f"no run of {self.preset}"
            raise RunError(
                f"{self.folder} is {told}, and this is {self.preset} {protocol.version}: choose "
                "another --out, whose numbers can be compared"
            )
        if settings.get("seed") != self.seed:
            raise RunError(
                f"{self.folder} is a run with seed {settings.get('seed')}: choose another --out"
            )
        others = self._other_settings(protocol, label, settings)
        if others:
            raise RunError(
                f"{self.folder} was begun with other {', '.join(others)}: choose another --out, or "
                "the --flags that it was begun with"
            )
        try:
            if self.done:
                self.result()
        except RunError as error:
            raise RunError(f"{error}. Move {self.folder} away, or choose another --out") from error

    def _stored(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What its ``config.json`` says of the protocol, and its settings."""
        config = RunFolder(self.folder).read_config()
        label, settings = config.get("protocol") or {}, config.get("config")
        if not isinstance(label, dict) or not isinstance(settings, dict):
            raise RunError(f"{self.folder / CONFIG} is damaged: choose another --out")
        if config.get("method") != self.entrant.method:
            raise RunError(
                f"{self.folder} is a run of {config.get('method')!r}: choose another --out"
            )
        return label, settings

    def _other_settings(
        self, protocol: Protocol, label: dict[str, Any], settings: dict[str, Any]
    ) -> list[str]:
        """The settings in which the run that is there differs from what is asked for."""
        given = {n: text for n, text in settings_of(self.flags).items() if n not in FREE}
        wanted = {**{name: str(value) for name, value in self.entrant.flags.items()}, **given}
        # With other tasks, steps or observations, a method may choose these by itself; and all
        # that its agent depends on comes with a checkpoint.
        chosen = {"seed_steps", "demos"} if given else set()
        chosen = (set(settings) if "checkpoint" in given else chosen) - set(given)
        if given.get("seed_steps") == "0":
            chosen.add("seed_steps")
        row = protocol.entrants.get(label.get("row", ""))
        changed = [*label.get("changed", ()), *(row.flags if row else ())]
        asked = {name.partition(".")[0] for name in wanted}
        others = [name for name in changed if name in settings and name not in asked | chosen]
        for name, text in wanted.items():
            if name not in chosen and not has_setting(settings, name, text):
                others.append(name)
        return list(dict.fromkeys(others))

    def _leftovers(self) -> list[Path]:
        """What a run that was killed before it began left in the folder.

        Raises:
            RunError: Something else is there.
        """
        if not self.folder.exists():
            return []
        left = list(self.folder.iterdir()) if self.folder.is_dir() else [self.folder]
        for path in left:
            if not path.is_file() or not any(fnmatch(path.name, name) for name in _LEFTOVERS):
                raise RunError(f"{self.folder} is not the folder of a run: choose another --out")
        return left


def read_run(folder: Path) -> Result:
    """Reads a finished run.

    Raises:
        RunError: It is none, is not complete, or a file of it cannot be read.
    """
    try:
        return read_result(str(folder))
    except OSError as error:
        raise RunError(f"{folder} cannot be read: {error.strerror}") from error


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
            something else; nothing was begun.
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
