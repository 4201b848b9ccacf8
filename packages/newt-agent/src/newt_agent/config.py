"""Settings that the runs of all methods share."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Protocol, Self, get_type_hints

import tyro

from mmbench import catalog
from mmbench.catalog import Task
from mmbench.runs import RunError
from mmbench.shell import command
from newt_agent import ranks
from newt_agent.settings import Range, check_settings
from newt_agent.task_input import TASK_INPUTS

ObsMode = Literal["state", "rgb", "state+rgb"]
Vision = Literal["dinov2", "cnn"]
"""What reads frames."""
Size = Literal["XS", "S", "B", "L", "XL"]
Device = Literal["auto", "cpu", "cuda"]
Execution = Literal["auto", "eager", "graph", "compile"]
"""``eager``: as written; ``graph``: as a CUDA graph; ``compile``: compiled, on a GPU as a graph of
what was compiled; ``auto``: ``graph`` on a GPU, else ``eager``."""
Precision = Literal["float32", "bfloat16"]
"""Of products of matrices; on a GPU, float32 is TF32."""
OnError = Literal["raise", "restart"]

Seed = Annotated[int, Range(0, 2**32 - 1)]
Steps = Annotated[int, Range(1, 10**12)]
Workers = Annotated[int, Range(0, 1024)]
Episodes = Annotated[int, Range(1, 100_000)]
Threads = Annotated[int, Range(1, 1024)]

SomeWorkers = Annotated[Workers | None, tyro.conf.arg(metavar="INT")]
SomeThreads = Annotated[Threads | None, tyro.conf.arg(metavar="INT")]
Modules = Annotated[str | None, tyro.conf.arg(name="import", metavar="MODULES")]
Folder = Annotated[str | None, tyro.conf.arg(metavar="DIR")]

MAX_ENVS = 16_384
"""Environments in all. A process for each core steps them, and every one takes memory."""


@dataclass(frozen=True)
class RunConfig:
    """Settings of a run, whatever the method. Steps are agent steps, summed over environments."""

    tasks: Annotated[
        str,
        tyro.conf.arg(
            help=f"Tasks to train on: {catalog.SELECTION}. Or gym:<id> and "
            "gym:<id>=<instruction>, of any Gymnasium environment."
        ),
    ] = "all"
    imports: Modules = None
    """Modules to import first, separated by commas, which register tasks by mmbench.register."""
    instruction: Annotated[str | None, tyro.conf.arg(metavar="TEXT")] = None
    """The instruction of the gym:<id> task; by default the words of its id."""
    score: Annotated[str | None, tyro.conf.arg(metavar="LOW,HIGH")] = None
    """Returns that count as 0 and 1 in the gym:<id> task. By default it has no score."""
    terminations: Annotated[
        Literal["ignore", "end"] | None, tyro.conf.arg(metavar="{ignore,end}")
    ] = None
    """Go on where a Gymnasium environment says terminated (the default), or end the episode."""
    skip_missing: bool = False
    """Leave out tasks that cannot run on this machine, instead of stopping."""
    # Methods that see frames offer it.
    obs: Annotated[ObsMode, tyro.conf.Suppress] = "state"
    steps: Steps = 100_000_000
    """Length of the run."""
    seed: Seed = 0
    """Seed of everything random."""
    device: Device = "auto"
    """Where the agent computes; auto takes a GPU if there is one."""
    out: Folder = None
    """The run's folder; by default runs/<time>-<preset>. An existing run is never touched."""
    checkpoint: Folder = None
    """Folder of a checkpoint whose weights to start from."""
    checkpoint_every: Steps = 2_000_000
    """Steps between checkpoints."""
    size: Size = "L"
    """Size of the networks: of a world model XS 0.3M, S 2M, B 7M, L 20M, XL 82M parameters."""
    encoder: str = "minilm"
    """How tasks are told apart: by instructions (minilm, or the paper's clip), index, or none."""
    envs_per_task: Annotated[int, Range(1, MAX_ENVS)] = 1
    """Environments of each task."""
    num_workers: SomeWorkers = None
    """Processes that step the environments; by default one for each core. 0 steps in this one."""
    on_error: OnError = "raise"
    """An environment that fails ends the run, or is rebuilt with its episode cut short."""
    discount_max: Annotated[float, Range(0, 1, above=True)] = 1.0
    """Largest discount; tasks that have a smaller one keep it."""
    eval_every: Annotated[int, Range(0, 10**12)] = 2_000_000
    """Steps between evaluations; 0 evaluates at the start and at the end only."""
    eval_episodes: Episodes = 2
    """Episodes of each task in an evaluation."""
    threads: SomeThreads = None
    """CPU threads of the agent; by default all cores."""
    wandb: bool = False
    """Log to Weights & Biases too (needs `pip install 'newt-agent[wandb]'`)."""

    fixed: ClassVar[tuple[str, ...]] = (
        *("tasks", "instruction", "score", "terminations", "obs"),
        *("envs_per_task", "size", "encoder"),
    )
    """Settings that a resumed run cannot change, for its checkpoint would not fit."""
    length_flag: ClassVar[str] = "steps"
    """The setting that is the length of a run, and what the run is counted in."""

    @property
    def unit(self) -> str:
        """One of what the run is counted in: ``step`` or ``update``."""
        return self.length_flag.removesuffix("s")

    @property
    def length(self) -> int:
        """The length of the run."""
        return int(getattr(self, self.length_flag))

    def __post_init__(self) -> None:
        check_settings(self)
        if self.encoder not in TASK_INPUTS:
            raise RunError(f"encoder={self.encoder!r}: one of {', '.join(TASK_INPUTS)}")

    def selected(self) -> tuple[Task, ...]:
        """Imports the modules and returns the tasks to train on.

        Raises:
            InvalidTaskError: A module cannot be imported, or a setting of a Gymnasium environment
                is not possible.
            UnknownTaskError: A task is unknown.
        """
        catalog.import_modules(self.imports)
        return catalog.select(self.tasks, self.instruction, self.score, self.terminations)

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings as plain values, for ``config.json``."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Restores :meth:`to_dict`.

        Raises:
            RunError: A value is out of range.
            TypeError: A setting is unknown to this version.
        """
        kinds = get_type_hints(cls)
        plain = {
            name: kinds[name](**value)
            if dataclasses.is_dataclass(kinds.get(name)) and isinstance(value, dict)
            else value
            for name, value in values.items()
        }
        return cls(**plain)


@dataclass(frozen=True)
class OfflineConfig(RunConfig):
    """Settings of a run that learns without acting: it is counted in updates."""

    updates: Steps = 200_000
    """Length of the run, in gradient updates."""
    checkpoint_every: Steps = 20_000
    """Updates between checkpoints."""
    eval_every: Annotated[int, Range(0, 10**12)] = 20_000
    """Updates between evaluations; 0 evaluates at the start and at the end only."""
    # No step is taken, and evaluations make environments of their own.
    steps: Annotated[int, Range(0, 0), tyro.conf.Suppress] = 0
    envs_per_task: Annotated[int, Range(1, 1), tyro.conf.Suppress] = 1

    length_flag = "updates"


def check_run(config: RunConfig, tasks: Sequence[Task], method: _Learner) -> None:
    """Checks what settings ask of the tasks, before anything is built.

    Args:
        config: Settings, each of which is in its range.
        tasks: The tasks to train on.
        method: What learns.

    Raises:
        RunError: A setting does not fit; the value and the least or greatest one are named.
    """
    for task in tasks:
        if task.terminates and not method.learns_terminations:
            raise RunError(
                f"task {task.name!r}: its episodes terminate, which {method.name} cannot learn "
                "from yet; leave them to go on with --terminations ignore"
            )
        if task.obs_dim == 0 and config.obs != "rgb":
            way_out = "give --obs rgb" if method.sees_frames else f"{method.name} sees none"
            raise RunError(f"task {task.name!r}: its observations are images: {way_out}")
    num_envs = len(tasks) * config.envs_per_task
    if num_envs > MAX_ENVS:
        raise RunError(
            f"envs_per_task={config.envs_per_task}: with {len(tasks)} tasks these are {num_envs:,} "
            f"environments, and {MAX_ENVS:,} is the most"
        )


class _Learner(Protocol):
    """What :func:`check_run` needs of a method."""

    @property
    def name(self) -> str: ...

    @property
    def learns_terminations(self) -> bool: ...

    @property
    def sees_frames(self) -> bool: ...


class _Trained(Protocol):
    """What a checkpoint holds, as an agent and a `Description` both tell it."""

    @property
    def method(self) -> str: ...

    @property
    def settings(self) -> dict[str, Any]: ...


def check_ranks(tasks: Sequence[Task], method: Any) -> None:
    """Checks that a run can have as many processes as `torchrun` has started.

    Raises:
        RunError: The method learns in one only, or there are more than tasks.
    """
    if ranks.count() > 1 and not method.shared_state:
        raise RunError(f"{method.name} learns in one process: start it without torchrun")
    if ranks.count() > len(tasks):
        raise RunError(
            f"torchrun started {ranks.count()} processes for {len(tasks)} task"
            f"{'s' if len(tasks) > 1 else ''}: each takes one at least"
        )


def check_checkpoint(config: RunConfig, method: str, source: object, about: _Trained) -> None:
    """Checks that a run asks for the agent that its checkpoint holds.

    Args:
        config: Settings of the run.
        method: Name of the run's method.
        source: Where the checkpoint lies, for the message.
        about: What it holds.

    Raises:
        RunError: The run asks for another one.
    """
    if about.method != method:
        raise RunError(
            f"checkpoint={source} was trained by the method {about.method!r}, not {method!r}; "
            f"start from it with: {train_command(about.method, '--checkpoint', source)}"
        )
    for name, own in about.settings.items():
        wanted = getattr(config, name)
        if wanted != own:
            raise RunError(
                f"{name}={wanted}: {source} has {own}; leave {flag(name)} out to take the "
                "checkpoint's"
            )


def flag(name: str) -> str:
    """Returns the flag of a setting."""
    return f"--{name.replace('_', '-')}"


def check_resumption(config: RunConfig, before: dict[str, Any], step: int) -> None:
    """Checks that a run can go on with these settings.

    Args:
        config: Settings of the run.
        before: Those with which the checkpoint was made, as of :meth:`RunConfig.to_dict`.
        step: The step of the checkpoint.

    Raises:
        RunError: The run is longer already, or the checkpoint's tensors would not fit.
    """
    flag = config.length_flag
    if config.length < step and config.length != before.get(flag):
        raise RunError(f"{flag}={config.length}: the run is at {config.unit} {step} already")
    now = config.to_dict()
    for name in config.fixed:
        new = _setting(now, name)
        old = _setting(before, name, new)
        if old != new:
            raise RunError(
                f"{name}={new}: the checkpoint was made with {old}, so set it back in config.json"
            )


def _setting(values: dict[str, Any], name: str, default: Any = None) -> Any:
    """Looks up a setting, of a nested group where the name has a dot."""
    group, _, own = name.rpartition(".")
    found = values.get(group, {}) if group else values
    return found.get(own, default)


def train_command(method: str, *words: object) -> str:
    """Returns the command that trains by a method, as the reader types it."""
    program = ("newt-train",) if method == "newt" else ("baselines-train", method)
    return command(*program, *words)
