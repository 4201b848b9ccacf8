"""The command `newt-transfer`: how well an agent does in new tasks, at once and after training.

For every task and seed there are two runs of `newt-train`, with the same settings: one from the
agent's weights, one from scratch. The first evaluation of the one is zero-shot. Everything lies in
one folder, in which each run has its own::

    <out>/
      transfer.json     settings, and the means over seeds: per task, total
      transfer.csv      a row a run that has ended
      <task>/<start>-<seed>/   the runs, of the starts `finetuned` and `scratch`
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from mmbench import catalog
from mmbench.catalog import Task
from mmbench.evaluation.intervals import mean_interval
from mmbench.runs import (
    EXIT_INTERRUPTED,
    RunError,
    RunFolder,
    provenance,
    read_json,
    report_errors,
    write_json,
)
from mmbench.runs.files import write_atomically
from mmbench.runs.folder import EVAL
from mmbench.shell import answer_version, command
from newt_agent import __version__
from newt_agent.cli import (
    USER_ERRORS,
    check_flags,
    check_training,
    is_resumption,
    parse_training,
    train,
)
from newt_agent.config import Folder, Modules, ObsMode, Steps, Vision
from newt_agent.display import Display
from newt_agent.settings import Range, check_settings

STARTS = ("finetuned", "scratch")
RESULT, TABLE = "transfer.json", "transfer.csv"
COLUMNS = (
    *("task", "seed", "start", "steps"),
    *("score_before", "return_before", "score_after", "return_after"),
)

_APART = 1_000
"""Between two seeds, so that evaluations of one seed share no episode with those of the next."""


@dataclass(frozen=True)
class TransferConfig:
    """Settings of `newt-transfer`."""

    checkpoint: Annotated[str, tyro.conf.arg(metavar="DIR")]
    """A run's folder (its last checkpoint), or one of its checkpoints/<step>."""
    tasks: Annotated[
        str, tyro.conf.arg(help=f"Tasks to go to, each by itself: {catalog.SELECTION}.")
    ] = "test"
    imports: Modules = None
    """Modules to import first, separated by commas, which register tasks by mmbench.register."""
    seeds: Annotated[int, Range(1, 1000)] = 5
    """Runs of each task and start."""
    steps: Steps = 100_000
    """Length of each run."""
    obs: Annotated[ObsMode | None, tyro.conf.arg(metavar="{state,rgb,state+rgb}")] = None
    """What agents see in all runs; by default what that of the checkpoint does."""
    vision: Annotated[Vision | None, tyro.conf.arg(metavar="{dinov2,cnn}")] = None
    """What reads frames, if they see any; by default the checkpoint's, or dinov2."""
    skip_missing: bool = False
    """Leave out tasks that cannot run on this machine, instead of stopping."""
    out: Folder = None
    """The folder of all runs; by default runs/<time>-transfer."""

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class ResumeConfig:
    """What `newt-transfer --resume` takes; everything else is as it was."""

    resume: Annotated[str, tyro.conf.arg(metavar="DIR")]
    """The folder to go on with."""


def transfer_main(arguments: list[str] | None = None) -> None:
    """Entry point of `newt-transfer`."""
    program = "newt-transfer"
    arguments = sys.argv[1:] if arguments is None else arguments
    with report_errors(program, *USER_ERRORS):
        answer_version(program, __version__, arguments)
        check_flags(arguments, "--checkpoint")
        if is_resumption(arguments):
            folder = Path(tyro.cli(ResumeConfig, args=arguments, prog=program).resume).absolute()
            Transfer.resume(folder).run()
            return
        description = (
            "Evaluates an agent on new tasks, finetunes it to each, and does so from scratch.\n\n"
            "Every flag of newt-train may be given too, and holds for all runs.\n\n"
            "Demonstrations are read only with --demos, those of held-out tasks never.\n\n"
            "--resume DIR goes on with the runs in that folder.\n--version prints the version."
        )
        config, flags = tyro.cli(
            TransferConfig,
            args=arguments,
            prog=program,
            description=description,
            return_unknown_args=True,
        )
        Transfer.begin(config, flags).run()


class Transfer:
    """All runs of one transfer.

    Args:
        folder: Where they lie.
        config: Settings.
        flags: Of `newt-train`, for all runs.
    """

    def __init__(self, folder: Path, config: TransferConfig, flags: Sequence[str]) -> None:
        self.folder = folder
        self.config = config
        self._flags = list(flags)
        catalog.import_modules(config.imports)
        self._tasks = catalog.select(config.tasks)
        self._missing: list[str] = []
        self._display = Display()

    @classmethod
    def begin(cls, config: TransferConfig, flags: Sequence[str]) -> Transfer:
        """Begins in a new folder.

        Raises:
            RunError: There is no such checkpoint, a flag does not fit, or the folder exists.
        """
        from newt_agent.agent import checkpoint_folder
        from newt_agent.newt import Newt, NewtConfig
        from newt_agent.system import resolve_device

        # A run that is on moves its last checkpoint.
        checkpoint = str(checkpoint_folder(config.checkpoint).resolve())
        config = dataclasses.replace(config, checkpoint=checkpoint)
        for flag in ("--seed", "--checkpoint", "--resume"):
            if any(word.split("=")[0] == flag for word in flags):
                raise RunError(f"{flag}: newt-transfer sets it for each run; leave it out")
        first = cls(Path(), config, flags)
        for start in STARTS:  # refuses what does not fit
            arguments = first._arguments(start, first._tasks[0], 0)
            _, run = parse_training(Newt, "newt-transfer", arguments)
            assert isinstance(run, NewtConfig)
            if run.demos == "all":
                raise RunError(
                    "--demos all: with demonstrations of held-out tasks it would be no transfer; "
                    "leave it out, or finetune with newt-train"
                )
            check_training(Newt, run, resolve_device(run.device))
        with RunFolder.create(config.out, "transfer") as folder:
            own = cls(folder.path, config, flags)
            own._write([])
        return own

    @classmethod
    def resume(cls, folder: Path) -> Transfer:
        """Goes on in a folder.

        Raises:
            RunError: There is no transfer in it.
        """
        if not (folder / RESULT).is_file():
            raise RunError(f"{folder} is not the folder of a transfer: there is no {RESULT} in it")
        try:
            settings = read_json(folder / RESULT)["settings"]
            flags = [str(flag) for flag in settings.pop("flags")]
            config = TransferConfig(**settings)
        except (KeyError, TypeError) as error:
            raise RunError(f"{folder / RESULT} does not fit this version ({error!r})") from error
        return cls(folder, config, flags)

    def run(self) -> None:
        """Does the runs that are not there yet, and prints the table."""
        again = command("newt-transfer", "--resume", self.folder)
        self._display.say(f"results in {self.folder}")
        self._find_missing()
        runs = [run for run in self._runs() if run[1].versioned_name not in self._missing]
        for number, (seed, task, start) in enumerate(runs, 1):
            path = self._path(start, task, seed)
            if (path / EVAL).is_file():
                continue
            self._display.say(
                f"\nrun {number} of {len(runs)}: {task.versioned_name}, {start}, seed {seed}"
            )
            try:
                self._train(path, start, task, seed)
            except SystemExit as end:
                if end.code == EXIT_INTERRUPTED:
                    self._display.say(f"go on with all runs by: {again}")
                raise
            self._write(self._rows())
        result = self._write(self._rows())
        self._display.transfer(result)
        self._display.say(f"results in {self.folder / RESULT} and {TABLE}")

    def _find_missing(self) -> None:
        """Finds tasks that cannot run here, before hours are spent on the others.

        Raises:
            TaskUnavailableError: There are some, and they are not to be left out; or all are.
        """
        from newt_agent.evaluate import make_environments

        env = make_environments(
            tasks=self._tasks,
            skip_missing=self.config.skip_missing,
            obs=self._sight().get("obs", "state"),
        )
        self._missing = [task.versioned_name for task in env.missing]
        env.close()

    def _runs(self) -> Iterator[tuple[int, Task, str]]:
        """All runs, a seed after the other, so that a part of them covers all tasks."""
        for number in range(self.config.seeds):
            for task in self._tasks:
                for start in STARTS:
                    yield _APART * number, task, start

    def _path(self, start: str, task: Task, seed: int) -> Path:
        return self.folder / re.sub("[:/]", "-", task.versioned_name) / f"{start}-{seed}"

    def _train(self, path: Path, start: str, task: Task, seed: int) -> None:
        if RunFolder(path).has_config:
            arguments = ["--resume", str(path)]
        else:
            arguments = [*self._arguments(start, task, seed), "--out", str(path)]
        train("newt", "newt-transfer", arguments)

    def _arguments(self, start: str, task: Task, seed: int) -> list[str]:
        """The flags of a run of `newt-train`; those that are given come last, and count."""
        if start == "finetuned":
            begin = {"--checkpoint": self.config.checkpoint}
        else:
            begin = {f"--{name}": str(value) for name, value in self._known.items()}
        begin |= {f"--{name}": value for name, value in self._sight().items()}
        flags = {
            "--tasks": task.versioned_name,
            "--steps": str(self.config.steps),
            "--seed": str(seed),
            "--demos": "none",
            "--eval-episodes": "10",
            **begin,
        }
        if self.config.imports is not None:
            flags["--import"] = self.config.imports
        return [*(word for flag in flags.items() for word in flag), *self._flags]

    @functools.cached_property
    def _known(self) -> dict[str, Any]:
        """The settings that the checkpoint's networks depend on."""
        from newt_agent.agent import read_description

        return read_description(self.config.checkpoint).settings

    def _sight(self) -> dict[str, str]:
        """What agents see and how, as far as it is given or the checkpoint says."""
        given = {"obs": self.config.obs, "vision": self.config.vision}
        own = {name: self._known[name] for name in given if name in self._known}
        return own | {name: value for name, value in given.items() if value is not None}

    # Results

    def _rows(self) -> list[dict[str, Any]]:
        """A row a run that has ended."""
        rows = []
        for seed, task, start in self._runs():
            path = self._path(start, task, seed)
            if not (path / EVAL).is_file():
                continue
            measured = RunFolder(path).metrics.rows()
            row = {"task": task.versioned_name, "seed": seed, "start": start}
            row["steps"] = self.config.steps
            for phase in ("before", "after"):
                own = [each for each in measured if each["phase"] == phase]
                for kind in ("score", "return"):
                    row[f"{kind}_{phase}"] = float(np.mean([float(each[kind]) for each in own]))
            rows.append(row)
        return rows

    def _write(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        buffer = io.StringIO()
        table = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        write_atomically(self.folder / TABLE, buffer.getvalue())
        result = {
            **summarise_transfer(rows),
            "missing": self._missing,
            "settings": {**dataclasses.asdict(self.config), "flags": self._flags},
            **provenance(),
        }
        write_json(self.folder / RESULT, result)
        return result


def summarise_transfer(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Averages over seeds.

    Args:
        rows: With the entries :data:`COLUMNS`.

    Returns:
        ``tasks``: per task the mean scores ``zero_shot`` and ``finetuned``, ``untrained`` and
        ``scratch``, each with a 95 % interval over seeds (``_ci``), and how many ``seeds``;
        ``total``: the same, a mean over the tasks that have a score, with their number. NaN where
        nothing is known.
    """
    kinds = {
        "zero_shot": ("finetuned", "score_before"),
        "finetuned": ("finetuned", "score_after"),
        "untrained": ("scratch", "score_before"),
        "scratch": ("scratch", "score_after"),
    }
    names = list(dict.fromkeys(row["task"] for row in rows))
    scores = {
        kind: {
            name: np.array(
                [row[key] for row in rows if row["task"] == name and row["start"] == start]
            )
            for name in names
        }
        for kind, (start, key) in kinds.items()
    }
    tasks = {}
    for name in names:
        own = {kind: scores[kind][name] for kind in kinds}
        tasks[name] = {
            **{entry: value for kind in kinds for entry, value in _mean(kind, [own[kind]]).items()},
            "seeds": min(len(each) for each in own.values()),
        }
    known = {
        kind: [each for each in scores[kind].values() if len(each) and not np.isnan(each).any()]
        for kind in kinds
    }
    total: dict[str, Any] = {"tasks": len(known["zero_shot"])}
    for kind in kinds:
        total |= _mean(kind, known[kind])
    return {"tasks": tasks, "total": total}


def _mean(kind: str, groups: Sequence[np.ndarray]) -> dict[str, Any]:
    groups = [group for group in groups if len(group)]
    mean = float(np.mean([group.mean() for group in groups])) if groups else float("nan")
    return {kind: mean, f"{kind}_ci": mean_interval(groups)}
