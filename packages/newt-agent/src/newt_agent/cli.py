"""The command lines that train: `newt-train`, and what every other method's shares with it."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import tyro

from mmbench import catalog
from mmbench.catalog import (
    EnvironmentFailure,
    InvalidTaskError,
    Task,
    TaskUnavailableError,
    UnknownTaskError,
)
from mmbench.language import EncoderUnavailableError
from mmbench.runs import EXIT_INTERRUPTED, RunError, RunFolder, explain, one_line, report_errors
from mmbench.shell import answer_version, command
from newt_agent import __version__, protocols, ranks
from newt_agent.config import (
    Device,
    OnError,
    RunConfig,
    Size,
    SomeThreads,
    SomeWorkers,
    Steps,
    check_checkpoint,
    check_run,
    flag,
    train_command,
)
from newt_agent.curves import draw_curves
from newt_agent.display import Display, duration, is_scored
from newt_agent.method import Method
from newt_agent.methods import find_method
from newt_agent.settings import check_settings
from newt_agent.task_input import task_vectors

USER_ERRORS = (
    UnknownTaskError,
    InvalidTaskError,
    TaskUnavailableError,
    EncoderUnavailableError,
    EnvironmentFailure,
)
"""What a user can mend, besides `RunError`: reported as one sentence."""

CURVES = "learning_curve.png"
"""The learning curves in a run's folder."""


@dataclass(frozen=True)
class ResumeConfig:
    """What `newt-train --resume` takes; everything else comes from the run itself.

    A flag given here is stored: later calls of `--resume` use it too.
    """

    resume: Annotated[str, tyro.conf.arg(metavar="DIR")]
    """The folder of the run to go on with."""
    steps: Annotated[Steps | None, tyro.conf.arg(metavar="INT")] = None
    """A new length of the run, in steps."""
    updates: Annotated[Steps | None, tyro.conf.arg(metavar="INT")] = None
    """A new length of the run, in updates, where its method learns without acting."""
    device: Annotated[Device | None, tyro.conf.arg(metavar="{auto,cpu,cuda}")] = None
    """A new device for the agent."""
    num_workers: SomeWorkers = None
    """A new number of processes that step the environments."""
    threads: SomeThreads = None
    """A new number of CPU threads for the agent."""
    on_error: Annotated[OnError | None, tyro.conf.arg(metavar="{raise,restart}")] = None
    """When an environment fails: end the run, or rebuild it and cut its episode short."""

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def changes(self) -> dict[str, Any]:
        """The settings of the run that are given."""
        given = dataclasses.asdict(self)
        del given["resume"]
        return {name: value for name, value in given.items() if value is not None}


def train_main(arguments: list[str] | None = None) -> None:
    """Entry point of `newt-train`."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with report_errors(ranks.named("newt-train"), *USER_ERRORS):
        answer_version("newt-train", __version__, arguments)
        train("newt", "newt-train", arguments)


def train(method: str, program: str, arguments: list[str]) -> None:
    """Trains by a method, or goes on with a run of any method.

    Args:
        method: Its name.
        program: The command line's, for its help.
        arguments: Its flags.

    Raises:
        RunError: A flag, a file or the machine does not allow it; the message says what to do.
    """
    check_flags(arguments, "--tasks")
    if is_resumption(arguments):
        _resume(tyro.cli(ResumeConfig, args=arguments, prog=program))
    else:
        _train(find_method(method), program, arguments)


def check_flags(arguments: list[str], flag: str) -> None:
    """Checks that a command line begins with a flag.

    Args:
        arguments: The command line, without the program.
        flag: The one that was most likely meant.

    Raises:
        RunError: It begins with a value.
    """
    if arguments and not arguments[0].startswith("-"):
        raise RunError(f"{arguments[0]!r} stands without a flag: {flag} {arguments[0]}?")


def is_resumption(arguments: list[str]) -> bool:
    """Whether a command line goes on with a run."""
    return any(argument.split("=")[0] == "--resume" for argument in arguments)


def parse_training(
    method: type[Method], program: str, arguments: list[str]
) -> tuple[str, RunConfig]:
    """Reads the flags of a new run over the defaults of its preset.

    Without ``--tasks`` the preset is the first of the method's; with ``--tasks`` and no
    ``--preset``, it is ``machine``: settings that fit this machine.

    Returns:
        The preset's name and the settings; their paths are absolute, because a module of the
        user's may change the working directory.

    Raises:
        RunError: The preset is unknown, or a value is out of range.
        UnknownTaskError: A task is unknown.
    """
    from newt_agent.system import resolve_device

    here = _working_directory()
    catalog.import_modules(_value(arguments, "--import"))
    _check_length_flag(
        method, [name for name in ("steps", "updates") if _value(arguments, f"--{name}")]
    )
    preset = _value(arguments, "--preset")
    tasks = _value(arguments, "--tasks")
    if preset is None:
        preset = method.presets[0] if tasks is None else "machine"
    names = protocols.preset_names(method)
    if preset not in names:
        raise RunError(f"unknown preset {preset!r}: one of {', '.join(names)}")
    device = "cpu"
    if preset == "machine":
        device = resolve_device(_value(arguments, "--device") or "auto")
    default = protocols.preset(method, preset, device, len(catalog.select(tasks or "all")))
    help_of_presets = tyro.conf.arg(help=f"One of {', '.join(names)}.")

    def main(preset: str = preset, config: RunConfig = default) -> tuple[str, RunConfig]:
        return preset, config

    # The class of the settings is the method's.
    main.__annotations__ |= {
        "preset": Annotated[str, help_of_presets],
        "config": Annotated[method.config_class, tyro.conf.arg(name="")],
    }
    # A line that begins with a dash stays one.
    main.__doc__ = (
        f"{_summary(method)}\n\n--resume DIR goes on with the run in that folder;\n"
        "--resume DIR --help tells what may be changed then.\n--version prints the version."
    )
    preset, config = tyro.cli(main, args=arguments, prog=program)
    config = dataclasses.replace(
        _with_time_to_learn(config, arguments),
        out=None if config.out is None else str(here / config.out),
        checkpoint=None if config.checkpoint is None else str(here / config.checkpoint),
    )
    selected = config.selected()
    check_run(config, selected, method)
    if config.checkpoint is not None:
        config = _from_checkpoint(method, config, config.checkpoint, arguments, selected)
    return preset, config


def _with_time_to_learn(config: RunConfig, arguments: list[str]) -> RunConfig:
    """Leaves half of a run to learning where it is shorter than its preset's random steps."""
    given = {argument.split("=")[0].replace("_", "-") for argument in arguments}
    own = getattr(config, "seed_steps", None)  # not every method has it
    if own is None or not config.steps or "--seed-steps" in given or own < config.steps:
        return config
    half: dict[str, Any] = {"seed_steps": config.steps // 2}
    return dataclasses.replace(config, **half)


def _check_length_flag(method: type[Method], given: Collection[str]) -> None:
    """Checks that the length of a run is given in what the run is counted in."""
    own = method.config_class.length_flag
    for other in {"steps", "updates"} - {own}:
        if other in given:
            raise RunError(f"--{other}: a run of {method.name} is counted in {own}; give --{own}")


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise RunError("the working directory does not exist any more: cd to another") from error


def _summary(method: type[Method]) -> str:
    """The first paragraph of its docstring, each sentence a paragraph."""
    text = " ".join((method.__doc__ or "").split("\n\n")[0].split())
    return text.replace(". ", ".\n\n")


def _from_checkpoint(
    method: type[Method],
    config: RunConfig,
    checkpoint: str,
    arguments: list[str],
    tasks: Sequence[Task],
) -> RunConfig:
    """Takes what the networks depend on from the checkpoint to start from, unless it is given.

    Tasks that are new to it are told by their instructions.
    """
    from newt_agent.agent import check_known, read_description

    about = read_description(checkpoint)
    if about.settings["size"] not in get_args(Size):
        raise RunError(f"checkpoint={checkpoint}: its size is none of {', '.join(get_args(Size))}")
    if about.method == method.name:
        given = {argument.split("=")[0].replace("--no-", "--") for argument in arguments}
        own = {name: value for name, value in about.settings.items() if flag(name) not in given}
        config = dataclasses.replace(config, **own)
    check_checkpoint(config, method.name, checkpoint, about)
    new = [task for task in tasks if task.versioned_name not in about.tasks]
    if about.reads_language:
        task_vectors(new, about.settings["encoder"])
    else:
        check_known([task.versioned_name for task in new], about.tasks)
    return config


def _value(arguments: list[str], flag: str) -> str | None:
    """The value of a flag; the last one counts, as for tyro, where it is given more than once."""
    found = None
    for position, argument in enumerate(arguments):
        if argument == flag and position + 1 < len(arguments):
            found = arguments[position + 1]
        if argument.startswith(flag + "="):
            found = argument.split("=", 1)[1]
    return found


def check_training(method: type[Method], config: RunConfig, device: str) -> None:
    """Checks that a new run can begin on this machine, before its folder is made.

    Raises:
        RunError: A setting does not fit the tasks or the machine, or weights are missing.
        EncoderUnavailableError: An instruction is new, and the text encoder is not here.
    """
    from newt_agent.loggers import check_wandb

    tasks = config.selected()
    if not config.skip_missing:  # else the trainer checks, which knows the tasks that can run
        method.check(method.complete(config, tasks, device), tasks, device)
    if config.checkpoint is None:  # else they are there, or were looked for already
        task_vectors(tasks, config.encoder)
    if config.wandb and ranks.is_first():
        check_wandb()


def _train(method: type[Method], program: str, arguments: list[str]) -> None:
    from newt_agent.system import resolve_device

    preset, config = parse_training(method, program, arguments)
    device = resolve_device(config.device)
    with ranks.joined(device):
        check_training(method, config, device)
        label = preset if method.name == "newt" else f"{method.name}-{preset}"
        with _folder_of_all(lambda: RunFolder.create(config.out, label)) as folder:
            with _saying_how_to_go_on(method, folder):
                display = Display()
                display.say(f"preset {preset} on {device}, results in {folder.path}")
                _run(method, config, folder, device, display, preset=preset)


def _folder_of_all(make: Callable[[], RunFolder]) -> RunFolder:
    """The run's folder: the first rank makes and locks it, and the others know where it is."""
    if ranks.is_first():
        folder = make()
        ranks.of_first(str(folder.path))
        return folder
    return RunFolder(Path(ranks.of_first("")))


def _resume(arguments: ResumeConfig) -> None:
    from newt_agent.loggers import check_wandb
    from newt_agent.system import resolve_device

    method, config, before = _stored(RunFolder.open(arguments.resume))
    _check_length_flag(method, arguments.changes)
    config = dataclasses.replace(config, **arguments.changes)
    device = resolve_device(arguments.device or before)
    with (
        ranks.joined(device),
        _folder_of_all(lambda: RunFolder.resume(arguments.resume)) as folder,
    ):
        if config.wandb and ranks.is_first():
            check_wandb()
        display = Display()
        display.say(f"going on with {folder.path} on {device}")
        resume = folder.has_checkpoint
        if not resume:
            display.say("it holds no checkpoint yet, and starts again from the beginning")
        preset = folder.read_config().get("preset", "")
        with _saying_how_to_go_on(method, folder):
            _run(method, config, folder, device, display, resume, preset)


def _stored(folder: RunFolder) -> tuple[type[Method], RunConfig, str]:
    """Method, settings and device of a run that has begun."""
    stored = folder.read_config()
    try:
        method = find_method(stored["method"])
        return method, method.config_class.from_dict(stored["config"]), stored["device"]
    except RunError as error:
        raise RunError(f"{folder.path}/config.json: {error}") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise RunError(
            f"{folder.path}/config.json does not fit this version ({one_line(error)})"
        ) from error


@contextlib.contextmanager
def _saying_how_to_go_on(method: type[Method], folder: RunFolder) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = explain(error)
        if reason is None:
            raise
        if folder.has_config:
            reason += f"; then: {train_command(method.name, '--resume', folder.path)}"
        raise RunError(reason) from error


def _run(
    method: type[Method],
    config: RunConfig,
    folder: RunFolder,
    device: str,
    display: Display,
    resume: bool = False,
    preset: str = "",
) -> None:
    from newt_agent.train import Interrupted, Trainer

    started = time.perf_counter()
    try:
        trainer = Trainer(method, config, folder, device, display, resume, preset)
    except BaseException:
        folder.discard_if_empty()
        raise
    try:
        parameters = trainer.agent.model.num_parameters
        left_out = len(trainer.missing)
        of = f" of {len(trainer.tasks) + left_out}" if left_out else ""
        reads = f" (text encoder {trainer.agent.encoder})" if trainer.agent.language_dim else ""
        processes = f" in {ranks.count()} processes" if ranks.count() > 1 else ""
        display.say(
            f"{len(trainer.tasks)}{of} tasks, {trainer.num_envs} environments{processes}, size "
            f"{config.size} with {parameters:,} parameters{reads}"
        )
        summary = trainer.method.summary()
        if summary:
            display.say(summary)
        results = trainer.run()
    except Interrupted:
        again = train_command(method.name, "--resume", folder.path)
        display.say(f"interrupted at {config.unit} {trainer.step:,}; go on with: {again}")
        raise SystemExit(EXIT_INTERRUPTED) from None
    finally:
        trainer.close()
    if not ranks.is_first():
        return
    draw_curves(folder.metrics.rows(), folder.path / CURVES)
    display.results(results)
    took = duration(time.perf_counter() - started)
    display.say(f"\n{trainer.step:,} {config.length_flag} in {took}")
    closing = _closing_lines(method.name, folder.path, results["after"]["tasks"])
    best = trainer.best
    if best is not None and best["step"] != trainer.step:
        closing["best"] = f"{folder.best}, of step {best['step']:,} with {best['score']:.2f}"
    for title, text in closing.items():
        display.say(f"{title:10}{text}")


def _closing_lines(method: str, run: Path, rows: dict[str, Any]) -> dict[str, object]:
    """Where the results are, and what can be done next."""
    best = max(rows, key=lambda name: rows[name]["score"] if is_scored(rows[name]) else -1.0)
    evaluator = "newt-eval" if method == "newt" else "baselines-eval"
    other = next((name for name in ("walker-walk", "cheetah-run") if name not in rows), "all")
    return {
        "curves": run / CURVES,
        "folder": run,
        "watch": command("mmbench", "video", "--task", best, "--policy", run),
        "evaluate": command(evaluator, "--checkpoint", run, "--episodes", 20, "--random"),
        "next": train_command(method, "--tasks", other),
    }
