"""One result: a method, a seed, and what each task scored. Read from a run's folder or a file.

docs/report.md documents the file, which is how a method from outside this repository gets into a
table.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmbench.catalog import select
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

_LONGEST_NAME = 64
_LARGEST = 10**15  # steps, seconds, episodes: more than anybody runs
_SEEDS = 2**32


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
        tasks: Those that have a score, by name.
        missing: Those that could not run there, or have none.
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


def split_name(source: str) -> tuple[str, str]:
    """Takes ``NAME=PATH`` apart; the name is empty where none is given."""
    name, given, path = source.partition("=")
    return ("", source) if not given or Path(source).exists() else (name, path)


class UnfinishedError(RunError):
    """A run that has not reached its end."""


def read_result(source: str) -> Result:
    """Reads a run's folder or a result file.

    Args:
        source: Its path; ``NAME=PATH`` gives the method another name in the tables.

    Raises:
        UnfinishedError: It is the folder of a run that has not reached its end.
        RunError: It is neither, or an entry is not what it has to be.
    """
    name, path = split_name(source)
    place = Path(path).expanduser()
    if place.is_dir():
        result = _read_folder(place, name)
    elif place.exists():
        result = _read_file(place, name)
    else:
        raise RunError(f"{path}: there is no such file or folder")
    fits = 0 < len(result.method) <= _LONGEST_NAME and result.method.isprintable()
    if not fits or result.method != result.method.strip():
        raise RunError(
            f"{path}: method is {result.method[:80]!r}; it has to be a name of 1 to "
            f"{_LONGEST_NAME} printable characters"
        )
    return result


def _read_folder(path: Path, name: str) -> Result:
    folder = RunFolder.open(path)
    config = folder.read_config()
    if not (folder.path / "eval.json").is_file():
        raise UnfinishedError(
            f"{path} is not finished: it holds no eval.json. Leave it out, or resume it"
        )
    rows = folder.metrics.rows()
    given = _Entries(f"{path}/config.json", config)
    evaluation = _Entries(f"{path}/eval.json", read_json(folder.path / "eval.json"))
    settings = given.take("config", dict)
    step = evaluation.count("step", 0)
    length = settings.get("updates", settings.get("steps"))
    if isinstance(length, int) and step < length:
        raise UnfinishedError(
            f"{path} is not finished: it was evaluated at {step:,} of {length:,}. Leave it out, or "
            "resume it"
        )
    label = given.take("protocol", dict, None)
    protocol = None if label is None else _protocol(_Entries(f"{path}/config.json", label))
    method = name or (protocol.row if protocol else "") or given.take("method", str)
    tasks, unscored = _tasks(evaluation)
    result = Result(
        source=str(path),
        method=method,
        seed=_Entries(f"{path}/config.json", settings).take("seed", int),
        tasks=tasks,
        missing=_missing(given, unscored),
        protocol=protocol,
        steps=step,
        seconds=max((float(row["seconds"]) for row in rows), default=math.nan),
        curve=curve_of(rows),
        versions=given.texts("versions"),
        commit=given.take("commit", str, None),
        settings={key: value for key, value in settings.items() if key not in _FREE},
    )
    return _as_it_is(result)


def _read_file(path: Path, name: str) -> Result:
    given = _Entries(str(path), read_json(path))
    found = given.take("format", str)
    if found != FORMAT:
        raise RunError(f"{path}: format is {found!r}; this version reads {FORMAT!r}")
    method = given.take("method", str)
    seed = given.count("seed")
    if seed >= _SEEDS:
        raise RunError(f"{path}: seed is {seed}; it has to be less than {_SEEDS:,}")
    label = given.take("protocol", dict, None)
    tasks, unscored = _tasks(given, strict=True)
    points = [_point(path, point) for point in given.take("curve", list, [])]
    for one, next_one in itertools.pairwise(points):
        if next_one[0] < one[0]:
            raise RunError(
                f"{path}: curve has step {next_one[0]:g} after {one[0]:g}; points have to be in "
                "the order of steps"
            )
    result = Result(
        source=str(path),
        method=name or method,
        seed=seed,
        tasks=tasks,
        missing=_missing(given, unscored),
        protocol=None if label is None else _protocol(_Entries(str(path), label), strict=True),
        steps=given.count("steps"),
        seconds=given.amount("seconds", math.nan),
        curve=tuple(points),
        versions=given.texts("versions"),
        commit=given.take("commit", str, None),
    )
    given.no_more("machine")
    return _as_it_is(result)


def _tasks(given: _Entries, strict: bool = False) -> tuple[dict[str, TaskResult], list[str]]:
    """Reads the scores, by the name that tables use, and which tasks have none."""
    tasks, unscored, names = {}, [], set()
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
        own = _name(name)
        if own in names:
            raise RunError(f"{where}: it is there under another name too, {own!r} is")
        names.add(own)
        score = entries.take("score", float, math.nan)  # null: the task has none
        if not math.isnan(score) and not -1e-6 <= score <= 1 + 1e-6:
            raise RunError(f"{where}: score is {score:g}; it has to lie between 0 and 1")
        episodes = entries.count("episodes")
        if episodes < 1:
            raise RunError(f"{where}: episodes is {episodes}; at least 1")
        if strict:
            entries.no_more()
        if math.isnan(score):
            unscored.append(own)
        else:
            tasks[own] = TaskResult(task.domain if task else str(domain), score, episodes)
    if not tasks:
        raise RunError(f"{given.where}: no task has a score")
    return tasks, unscored


def _name(task: str) -> str:
    """What tables call a task: ``mw-reach-v0`` is ``mw-reach``."""
    known = find(task)
    return task if known is None else known.versioned_name


def _missing(given: _Entries, unscored: list[str]) -> tuple[str, ...]:
    names = given.take("missing", list, [])
    if wrong := [name for name in names if not isinstance(name, str)]:
        raise RunError(f"{given.where}: missing holds {wrong[0]!r}; each has to be a task's name")
    return tuple(dict.fromkeys([*map(_name, names), *unscored]))


def _protocol(given: _Entries, strict: bool = False) -> ProtocolLabel:
    changed = given.take("changed", list, [])
    if wrong := [name for name in changed if not isinstance(name, str)]:
        raise RunError(
            f"{given.where}: changed holds {wrong[0]!r}; each has to be a setting's name"
        )
    label = ProtocolLabel(
        given.take("name", str),
        given.take("version", int),
        given.take("row", str, ""),
        tuple(changed),
    )
    if strict:
        given.no_more()
    known = PROTOCOLS.get(label.name)
    if known is None:
        raise RunError(f"{given.where}: unknown protocol {label.name!r}: {', '.join(PROTOCOLS)}")
    if not 1 <= label.version <= known.version:
        raise RunError(
            f"{given.where}: version {label.version} of the protocol {label.name!r} is not known "
            f"here; this mmbench has version {known.version}, so update it"
        )
    return label


def _as_it_is(result: Result) -> Result:
    """Adds to what a run changed of its protocol what its numbers show.

    Raises:
        RunError: A task has a score and is missing.
    """
    if both := sorted(set(result.tasks) & set(result.missing)):
        raise RunError(
            f"{result.source}: {both[0]!r} is in tasks and in missing; it is one of both"
        )
    label = result.protocol
    if label is None or label.version != PROTOCOLS[label.name].version:
        return result  # nobody knows here what an older version asked for
    protocol = PROTOCOLS[label.name]
    own = {task.versioned_name for task in select(protocol.tasks)}
    length = protocol.length(label.row)
    # The length of an outsider's run may be told in updates, which are free.
    fits = result.steps <= protocol.steps if length is None else result.steps == length
    left = {
        "tasks": {*result.tasks, *result.missing} != own,
        "steps": not fits,
        "eval_episodes": any(row.episodes != protocol.episodes for row in result.tasks.values()),
    }
    told = {*label.changed, *(("steps",) if "updates" in label.changed else ())}
    changed = (
        *label.changed,
        *(name for name, it_is in left.items() if it_is and name not in told),
    )
    return dataclasses.replace(result, protocol=dataclasses.replace(label, changed=changed))


def _point(path: Path, point: Any) -> tuple[float, float, float]:
    if not isinstance(point, dict):
        raise RunError(f"{path}: curve holds {point!r}; each point is an object")
    given = _Entries(f"{path}: a point of curve", point)
    step, seconds, score = (given.amount(name) for name in ("step", "seconds", "score"))
    given.no_more()
    if score > 1 + 1e-6:
        raise RunError(f"{given.where}: score is {score:g}; it has to lie between 0 and 1")
    return step, seconds, score


_REQUIRED = object()
_CALLED = {dict: "an object", list: "a list", str: "text", int: "an integer", float: "a number"}


class _Entries:
    """The entries of a JSON object, each checked when it is taken."""

    def __init__(self, where: str, values: Mapping[str, Any]) -> None:
        self.where = where
        self._values = values
        self._taken: set[str] = set()

    def take(self, name: str, kind: type, default: Any = _REQUIRED) -> Any:
        """Returns an entry; null and what is not there are the default."""
        self._taken.add(name)
        value = self._values.get(name)
        if value is None:
            if default is _REQUIRED:
                raise RunError(f"{self.where}: {name!r} is missing; it has to be {_CALLED[kind]}")
            return default
        fits = isinstance(value, (int, float) if kind is float else kind)
        if not fits or (isinstance(value, bool) and kind in (int, float)):
            raise RunError(f"{self.where}: {name} is {value!r}; it has to be {_CALLED[kind]}")
        if kind is float and isinstance(value, int):
            value = min(max(value, -_LARGEST), _LARGEST)  # a float holds no integer of 400 digits
        return float(value) if kind is float else value

    def count(self, name: str, default: Any = _REQUIRED) -> int:
        """Returns an integer that is neither negative nor beyond all measure."""
        value: int = self.take(name, int, default)
        return int(self._measured(name, value))

    def amount(self, name: str, default: Any = _REQUIRED) -> float:
        """The same of a number; the default may be NaN."""
        value: float = self.take(name, float, default)
        return value if value is default else self._measured(name, value)

    def _measured(self, name: str, value: float) -> float:
        if not 0 <= value < _LARGEST:
            told = "beyond all measure" if abs(value) >= _LARGEST else value
            raise RunError(f"{self.where}: {name} is {told}; it has to be from 0 to {_LARGEST:.0e}")
        return value

    def texts(self, name: str) -> dict[str, str]:
        """Returns an object whose values are text, empty by default."""
        values: dict[str, str] = self.take(name, dict, {})
        for key, value in values.items():
            if not isinstance(value, str):
                raise RunError(f"{self.where}: {name} of {key!r} is {value!r}; it has to be text")
        return values

    def no_more(self, *others: str) -> None:
        """Refuses entries that nothing has taken, ``others`` aside."""
        known = {*self._taken, *others}
        if unknown := sorted(set(self._values) - known):
            raise RunError(
                f"{self.where}: unknown entry {unknown[0]!r}; known are {', '.join(sorted(known))}"
            )


def to_csv(header: list[str], rows: list[list[Any]]) -> str:
    """Formats a table as CSV; NaN is an empty cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow(["" if isinstance(cell, float) and cell != cell else cell for cell in row])
    return buffer.getvalue()
