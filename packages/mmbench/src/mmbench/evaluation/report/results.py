"""One result: a method, a seed, and what each task scored. Read from a run's folder or a file.

docs/report.md documents the file, which is how a method from outside this repository gets into a
table.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmbench.catalog.registry import find
from mmbench.evaluation.protocol import PROTOCOLS, ProtocolLabel
from mmbench.evaluation.report.curve import Curve, curve_of
from mmbench.runs import RunError, RunFolder, read_json

FORMAT = "mmbench-result-1"
"""The value of ``format`` in a file that this version reads."""

_FREE = (
    *("seed", "out", "device", "threads", "num_workers", "wandb", "checkpoint_every", "on_error"),
    *("skip_missing", "imports"),
)
"""Settings in which two runs of one method may differ."""


@dataclass(frozen=True)
class TaskResult:
    """What a task scored.

    Attributes:
        domain: Of the task.
        score: Mean over episodes.
        episodes: How many there were.
    """

    domain: str
    score: float
    episodes: int


@dataclass(frozen=True)
class Result:
    """One run of one method.

    Attributes:
        source: Where it was read.
        method: What the tables call it.
        seed: Of the training.
        tasks: Those that ran, by name.
        missing: Those that could not run there.
        protocol: The protocol it followed, or claims to; None of no protocol.
        steps: Length of the run; updates, of a method that does not act.
        seconds: Of the run, with its evaluations; NaN where nobody knows.
        curve: Mean score over tasks on the way.
        versions: Of packages, by name.
        commit: Of the sources, where known.
        settings: What the run was told, besides the seed and what changes no score.
    """

    source: str
    method: str
    seed: int
    tasks: Mapping[str, TaskResult]
    missing: tuple[str, ...] = ()
    protocol: ProtocolLabel | None = None
    steps: int = 0
    seconds: float = math.nan
    curve: Curve = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def asked(self) -> int:
        """How many tasks it was asked to run."""
        return len(self.tasks) + len(self.missing)

    def to_dict(self) -> dict[str, Any]:
        """The content of its file; ``settings``, which only a run's folder has, are not in it."""
        return {
            "format": FORMAT,
            "method": self.method,
            "seed": self.seed,
            "steps": self.steps,
            "seconds": self.seconds,
            "tasks": {name: dataclasses.asdict(row) for name, row in self.tasks.items()},
            "missing": list(self.missing),
            "curve": [
                {"step": step, "seconds": seconds, "score": score}
                for step, seconds, score in self.curve
            ],
            "protocol": None if self.protocol is None else dataclasses.asdict(self.protocol),
            "versions": dict(self.versions),
            "commit": self.commit,
        }


def read_result(source: str) -> Result:
    """Reads a run's folder or a result file.

    Args:
        source: Its path; ``NAME=PATH`` gives the method another name in the tables.

    Raises:
        RunError: It is neither, is not complete, or an entry is not what it has to be.
    """
    name, given, path = source.partition("=")
    if not given or Path(source).exists():
        name, path = "", source
    place = Path(path).expanduser()
    if place.is_dir():
        return _read_folder(place, name)
    if not place.exists():
        raise RunError(f"{path}: there is no such file or folder")
    return _read_file(place, name)


def _read_folder(path: Path, name: str) -> Result:
    folder = RunFolder.open(path)
    config = folder.read_config()
    if not (folder.path / "eval.json").is_file():
        raise RunError(f"{path} is not finished: it holds no eval.json. Leave it out, or resume it")
    evaluation = read_json(folder.path / "eval.json")
    rows = folder.metrics.rows()
    given = _Entries(f"{path}/config.json", config)
    settings = given.take("config", dict)
    label = given.take("protocol", dict, None)
    protocol = None if label is None else _protocol(_Entries(f"{path}/config.json", label))
    method = name or (protocol.row if protocol else "") or given.take("method", str)
    return Result(
        source=str(path),
        method=method,
        seed=_Entries(f"{path}/config.json", settings).take("seed", int),
        tasks=_tasks(_Entries(f"{path}/eval.json", evaluation)),
        missing=tuple(given.take("missing", list, [])),
        protocol=protocol,
        steps=_Entries(f"{path}/eval.json", evaluation).take("step", int, 0),
        seconds=max((float(row["seconds"]) for row in rows), default=math.nan),
        curve=curve_of(rows),
        versions=given.take("versions", dict, {}),
        commit=given.take("commit", str, None),
        settings={key: value for key, value in settings.items() if key not in _FREE},
    )


def _read_file(path: Path, name: str) -> Result:
    content = read_json(path)
    given = _Entries(str(path), content)
    found = given.take("format", str)
    if found != FORMAT:
        raise RunError(f"{path}: format is {found!r}; this version reads {FORMAT!r}")
    label = given.take("protocol", dict, None)
    result = Result(
        source=str(path),
        method=name or given.take("method", str),
        seed=given.take("seed", int),
        tasks=_tasks(given),
        missing=tuple(given.take("missing", list, [])),
        protocol=None if label is None else _protocol(_Entries(str(path), label)),
        steps=given.take("steps", int),
        seconds=given.take("seconds", float, math.nan),
        curve=tuple(_point(path, point) for point in given.take("curve", list, [])),
        versions=given.take("versions", dict, {}),
        commit=given.take("commit", str, None),
    )
    known = {
        *("format", "method", "seed", "tasks", "missing", "protocol", "steps", "seconds"),
        *("curve", "versions", "commit", "machine"),
    }
    if unknown := sorted(set(content) - known):
        raise RunError(
            f"{path}: unknown entry {unknown[0]!r}; known are {', '.join(sorted(known))}"
        )
    if both := sorted(set(result.tasks) & set(result.missing)):
        raise RunError(f"{path}: {both[0]!r} is in tasks and in missing; it is one of both")
    return result


def _tasks(given: _Entries) -> dict[str, TaskResult]:
    tasks = {}
    for name, row in given.take("tasks", dict).items():
        where = f"{given.where}: task {name!r}"
        if not isinstance(row, dict):
            raise RunError(f"{where}: an object with score and episodes is needed, got {row!r}")
        entries = _Entries(where, row)
        task = find(name)
        domain = entries.take("domain", str, None)
        if task is None and domain is None:
            raise RunError(
                f"{where}: mmbench has no such task; give its domain where it is your own"
            )
        score = entries.take("score", float, math.nan)  # null: the task has none
        if not math.isnan(score) and not -1e-6 <= score <= 1 + 1e-6:
            raise RunError(f"{where}: score is {score:g}; it has to lie between 0 and 1")
        episodes = entries.take("episodes", int)
        if episodes < 1:
            raise RunError(f"{where}: episodes is {episodes}; at least 1")
        if not math.isnan(score):
            tasks[name] = TaskResult(task.domain if task else str(domain), score, episodes)
    if not tasks:
        raise RunError(f"{given.where}: no task has a score")
    return tasks


def _protocol(given: _Entries) -> ProtocolLabel:
    label = ProtocolLabel(
        given.take("name", str),
        given.take("version", int),
        given.take("row", str, ""),
        tuple(given.take("changed", list, [])),
    )
    known = PROTOCOLS.get(label.name)
    if known is None:
        raise RunError(f"{given.where}: unknown protocol {label.name!r}: {', '.join(PROTOCOLS)}")
    if not 1 <= label.version <= known.version:
        raise RunError(
            f"{given.where}: version {label.version} of the protocol {label.name!r} is not known "
            f"here; this mmbench has version {known.version}, so update it"
        )
    return label


def _point(path: Path, point: Any) -> tuple[float, float, float]:
    if not isinstance(point, dict):
        raise RunError(f"{path}: curve holds {point!r}; each point is an object")
    given = _Entries(f"{path}: a point of curve", point)
    return given.take("step", float), given.take("seconds", float), given.take("score", float)


_REQUIRED = object()
_CALLED = {dict: "an object", list: "a list", str: "text", int: "an integer", float: "a number"}


class _Entries:
    """The entries of a JSON object, each checked when it is taken."""

    def __init__(self, where: str, values: Mapping[str, Any]) -> None:
        self.where = where
        self._values = values

    def take(self, name: str, kind: type, default: Any = _REQUIRED) -> Any:
        """Returns an entry; null and what is not there are the default."""
        value = self._values.get(name)
        if value is None:
            if default is _REQUIRED:
                raise RunError(f"{self.where}: {name!r} is missing; it has to be {_CALLED[kind]}")
            return default
        fits = isinstance(value, (int, float) if kind is float else kind)
        if not fits or (isinstance(value, bool) and kind in (int, float)):
            raise RunError(f"{self.where}: {name} is {value!r}; it has to be {_CALLED[kind]}")
        return float(value) if kind is float else value


def to_csv(header: list[str], rows: list[list[Any]]) -> str:
    """Formats a table as CSV; NaN is an empty cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow(["" if isinstance(cell, float) and cell != cell else cell for cell in row])
    return buffer.getvalue()
