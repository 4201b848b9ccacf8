"""The commands `newt-train` and `newt-eval`."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from mmbench import catalog
from mmbench.catalog import (
    GYM,
    EnvironmentFailure,
    InvalidTaskError,
    Task,
    TaskUnavailableError,
    UnknownTaskError,
)
from mmbench.evaluation.video import (
    NoVideoError,
    check_folder,
    record_episode,
    told_score,
    video_name,
)
from mmbench.language import EncoderUnavailableError, embed
from mmbench.runs import EXIT_INTERRUPTED, RunError, RunFolder, explain, one_line, report_errors
from mmbench.shell import answer_version, command
from newt_agent import __version__
from newt_agent.config import (
    PAPER,
    QUICKSTART,
    Config,
    Device,
    Episodes,
    OnError,
    Seed,
    Steps,
    Threads,
    Workers,
    check_checkpoint,
    check_run,
    fit_to_machine,
)
from newt_agent.curves import draw_curves
from newt_agent.display import Display, duration, is_scored
from newt_agent.settings import check_settings

if TYPE_CHECKING:
    from newt_agent.agent import Agent

_USER_ERRORS = (
    UnknownTaskError,
    InvalidTaskError,
    TaskUnavailableError,
    EncoderUnavailableError,
    EnvironmentFailure,
)
_PRESETS = ("quickstart", "machine", "paper")

CURVES = "learning_curve.png"
"""The learning curves in a run's folder."""


@dataclass(frozen=True)
class ResumeConfig:
    """What `newt-train --resume` takes; everything else comes from the run itself.

    What is given is kept: the next `--resume` without it goes on with it.
    """

    resume: str
    """The folder of the run to go on with."""
    steps: Steps | None = None
    """A new length of the run, in steps."""
    device: Device | None = None
    """Another device than before."""
    num_workers: Workers | None = None
    """Another number of processes that step the environments."""
    threads: Threads | None = None
    """Another number of CPU threads of the agent."""
    on_error: OnError | None = None
    """Another choice of what follows when an environment fails."""

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def changes(self) -> dict[str, Any]:
        """The settings of the run that are given."""
        given = dataclasses.asdict(self)
        del given["resume"]
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class EvalConfig:
    """Settings of `newt-eval`."""

    checkpoint: str
    """A run's folder (its last checkpoint), or one of its checkpoints/<step>."""
    tasks: Annotated[
        str | None,
        tyro.conf.arg(help=f"{catalog.SELECTION}. By default those the agent was trained on."),
    ] = None
    imports: Annotated[str | None, tyro.conf.arg(name="import")] = None
    """Modules to import first, separated by commas, which register tasks; those of the training
    run are imported in any case."""
    episodes: Episodes = 10
    """Episodes of each task."""
    seed: Seed = 0
    """Seed of the environments and of the planner."""
    device: Device = "auto"
    """Where the agent computes."""
    json: str | None = None
    """A file for the result, in the form of a run's eval.json."""
    plan: bool = True
    """Act by planning; off, the policy's mean acts."""
    random: bool = False
    """Evaluate the random policy on the same tasks too."""
    video: str | None = None
    """A folder for videos: one more episode of each task, with the task and the score in the
    picture."""
    video_format: Literal["mp4", "gif"] = "mp4"
    """What kind of videos."""
    skip_missing: bool = False
    """Leave out tasks that cannot run on this machine, instead of stopping."""
    num_workers: Workers | None = None
    """Processes that step the environments; by default one for each core. 0 steps in this one."""
    threads: Threads | None = None
    """CPU threads of the agent; by default as many as the run had."""

    def __post_init__(self) -> None:
        check_settings(self)


def train_main(arguments: list[str] | None = None) -> None:
    """Entry point of `newt-train`."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with report_errors("newt-train", *_USER_ERRORS):
        answer_version("newt-train", __version__, arguments)
        if any(argument.split("=")[0] == "--resume" for argument in arguments):
            _resume(tyro.cli(ResumeConfig, args=arguments, prog="newt-train"))
        else:
            _train(arguments)


def eval_main(arguments: list[str] | None = None) -> None:
    """Entry point of `newt-eval`."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with report_errors("newt-eval", *_USER_ERRORS):
        answer_version("newt-eval", __version__, arguments)
        description = (
            "Evaluates a trained agent, and makes videos of it. --version prints the version."
        )
        _evaluate(tyro.cli(EvalConfig, args=arguments, prog="newt-eval", description=description))


def parse_training(arguments: list[str]) -> tuple[str, Config]:
    """Reads the flags of a new run over the defaults of its preset.

    Without arguments the preset is ``quickstart``; with ``--tasks`` and no ``--preset``, it is
    ``machine``: settings that fit this machine.

    Returns:
        The preset's name and the settings.

    Raises:
        RunError: The preset is unknown, or a value is out of range.
        UnknownTaskError: A task is unknown.
    """
    from newt_agent.system import resolve_device

    catalog.import_modules(_value(arguments, "--import"))
    preset = _value(arguments, "--preset")
    tasks = _value(arguments, "--tasks")
    if preset is None:
        preset = "quickstart" if tasks is None else "machine"
    if preset == "quickstart":
        default = QUICKSTART
    elif preset == "paper":
        default = PAPER
    elif preset == "machine":
        selected = catalog.select(tasks or "all")
        device = resolve_device(_value(arguments, "--device") or "auto")
        default = fit_to_machine(device, len(selected))
    else:
        raise RunError(f"unknown preset {preset!r}: one of {', '.join(_PRESETS)}")

    def main(
        preset: Annotated[str, tyro.conf.arg(help=f"One of {', '.join(_PRESETS)}.")] = preset,
        config: Annotated[Config, tyro.conf.arg(name="")] = default,
    ) -> tuple[str, Config]:
        return preset, config

    main.__doc__ = (
        "Trains Newt on tasks of MMBench. Without arguments: four easy tasks, in minutes on two "
        "cores. --resume DIR goes on with the run in that folder; --resume DIR --help tells what "
        "may be changed then. --version prints the version."
    )
    preset, config = tyro.cli(main, args=arguments, prog="newt-train")
    names = [task.versioned_name for task in config.selected()]
    if config.checkpoint is not None:
        given = {name for name in ("size", "encoder") if _value(arguments, f"--{name}")}
        config = _from_checkpoint(config, config.checkpoint, given, names)
    return preset, config


def _from_checkpoint(config: Config, checkpoint: str, given: set[str], names: list[str]) -> Config:
    """Takes size and text encoder from the checkpoint to start from, unless they are given."""
    from newt_agent.agent import check_known, read_description
    from newt_agent.world_model import SIZES

    size, encoder, known = read_description(checkpoint)
    if size not in SIZES:
        raise RunError(f"checkpoint={checkpoint}: its size is none of {', '.join(SIZES)}")
    own: dict[str, Any] = {"size": size, "encoder": encoder}
    config = dataclasses.replace(config, **{k: v for k, v in own.items() if k not in given})
    check_checkpoint(config, checkpoint, size, encoder)
    check_known(names, known)
    return config


def _value(arguments: list[str], flag: str) -> str | None:
    for position, argument in enumerate(arguments):
        if argument == flag and position + 1 < len(arguments):
            return arguments[position + 1]
        if argument.startswith(flag + "="):
            return argument.split("=", 1)[1]
    return None


def _train(arguments: list[str]) -> None:
    from newt_agent.loggers import check_wandb
    from newt_agent.system import resolve_device

    preset, config = parse_training(arguments)
    device = resolve_device(config.device)
    tasks = config.selected()
    check_run(config, tasks, device)
    if config.checkpoint is None:  # its embeddings come with it
        embed([task.instruction for task in tasks], encoder=config.encoder)
    if config.wandb:
        check_wandb()
    with RunFolder.create(config.out, preset) as folder, _saying_how_to_go_on(folder):
        display = Display()
        display.say(f"preset {preset} on {device}, results in {folder.path}")
        _go(config, folder, device, display, resume=False)


def _resume(arguments: ResumeConfig) -> None:
    from newt_agent.loggers import check_wandb
    from newt_agent.system import resolve_device

    with RunFolder.resume(arguments.resume) as folder, _saying_how_to_go_on(folder):
        stored = folder.read_config()
        try:
            config = Config.from_dict(stored["config"])
            before = stored["device"]
        except RunError as error:
            raise RunError(f"{folder.path}/config.json: {error}") from error
        except (AttributeError, KeyError, TypeError) as error:
            raise RunError(
                f"{folder.path}/config.json does not fit this version ({one_line(error)})"
            ) from error
        config = dataclasses.replace(config, **arguments.changes)
        device = resolve_device(arguments.device or before)
        if config.wandb:
            check_wandb()
        display = Display()
        display.say(f"going on with {folder.path} on {device}")
        resume = folder.has_checkpoint
        if not resume:
            display.say("it holds no checkpoint yet, and starts again from the beginning")
        _go(config, folder, device, display, resume)


@contextlib.contextmanager
def _saying_how_to_go_on(folder: RunFolder) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = explain(error)
        if reason is None:
            raise
        if folder.has_config:
            reason += f"; then: {command('newt-train', '--resume', folder.path)}"
        raise RunError(reason) from error


def _go(config: Config, folder: RunFolder, device: str, display: Display, resume: bool) -> None:
    from newt_agent.train import Interrupted, Trainer

    started = time.perf_counter()
    try:
        trainer = Trainer(config, folder, device, display, resume)
    except BaseException:
        folder.discard_if_empty()
        raise
    try:
        parameters = trainer.agent.model.num_parameters
        left_out = len(trainer.env.missing)
        of = f" of {len(trainer.tasks) + left_out}" if left_out else ""
        display.say(
            f"{len(trainer.tasks)}{of} tasks, {trainer.env.num_envs} environments, size "
            f"{config.size} with {parameters:,} parameters (text encoder {trainer.agent.encoder})"
        )
        results = trainer.run()
    except Interrupted:
        again = command("newt-train", "--resume", folder.path)
        display.say(f"interrupted at step {trainer.step:,}; go on with: {again}")
        raise SystemExit(EXIT_INTERRUPTED) from None
    finally:
        trainer.close()
    draw_curves(folder.metrics.rows(), folder.path / CURVES)
    display.results(results)
    display.say(f"\n{trainer.step:,} steps in {duration(time.perf_counter() - started)}")
    for title, text in _closing_lines(folder.path, results["after"]["tasks"]).items():
        display.say(f"{title:10}{text}")


def _closing_lines(run: Path, rows: dict[str, Any]) -> dict[str, object]:
    """Where the results are, and what can be done next."""
    best = max(rows, key=lambda name: rows[name]["score"] if is_scored(rows[name]) else -1.0)
    other = next((name for name in ("walker-walk", "cheetah-run") if name not in rows), "all")
    return {
        "curves": run / CURVES,
        "folder": run,
        "watch": command("mmbench", "video", "--task", best, "--policy", run),
        "evaluate": command("newt-eval", "--checkpoint", run, "--episodes", 20, "--random"),
        "next": command("newt-train", "--tasks", other),
    }


def _evaluate(arguments: EvalConfig) -> None:
    import torch

    from mmbench.runs import check_writable, provenance, write_json
    from newt_agent.agent import Agent
    from newt_agent.checkpoint import run_config
    from newt_agent.evaluate import evaluate, summarise
    from newt_agent.system import resolve_device

    if arguments.json:
        check_writable(Path(arguments.json))
    if arguments.video:
        check_folder(Path(arguments.video))
    run = run_config(arguments.checkpoint)
    threads = arguments.threads or (run.threads if run else None)
    if threads:
        torch.set_num_threads(threads)
    agent = Agent.load(arguments.checkpoint, resolve_device(arguments.device))
    agent.plan = arguments.plan
    names = arguments.tasks or ",".join(task.name for task in agent.tasks)
    tasks = _tasks_to_evaluate(names, arguments, run)
    display = Display()
    result = {}
    for kind, policy in (("random", None), ("after", agent)):
        if kind == "random" and not arguments.random:
            continue
        with display.evaluating(kind, arguments.episodes * len(tasks)) as on_episode:
            episodes = evaluate(
                policy,
                tasks,
                arguments.episodes,
                arguments.seed,
                on_episode,
                skip_missing=arguments.skip_missing,
                num_workers=arguments.num_workers,
            )
        result[kind] = summarise(episodes, tasks)
        done = {episode.task for episode in episodes}
        result[kind]["missing"] = [t.versioned_name for t in tasks if t.versioned_name not in done]
    display.evaluation(result["after"], result.get("random"))
    if arguments.json:
        write_json(
            Path(arguments.json),
            {
                **result["after"],
                "random": result.get("random"),
                "checkpoint": arguments.checkpoint,
                "seed": arguments.seed,
                **provenance(),
            },
        )
    if arguments.video:
        missing = result["after"]["missing"]
        _record(agent, [t for t in tasks if t.versioned_name not in missing], arguments, display)


def _record(agent: Agent, tasks: Sequence[Task], arguments: EvalConfig, display: Display) -> None:
    """Makes a video of each task; those whose frames this machine cannot draw are named."""
    folder = Path(arguments.video or "")
    folder.mkdir(parents=True, exist_ok=True)
    for task in tasks:
        path = folder / video_name(task, arguments.video_format)
        policy = agent.policy(task.versioned_name, arguments.seed)
        try:
            score = record_episode(task, policy, path, arguments.seed)
        except NoVideoError as error:
            display.warn(str(error))
        else:
            display.say(f"{path}: {told_score(score)}")


def _tasks_to_evaluate(names: str, arguments: EvalConfig, run: Config | None) -> tuple[Task, ...]:
    """Selects tasks; a Gymnasium environment keeps the settings that it was trained with."""
    catalog.import_modules(run.imports if run else None)
    catalog.import_modules(arguments.imports)
    tasks = catalog.select(names)
    if run is None or all(task.domain != GYM.name for task in tasks):
        return tasks
    trained = {task.versioned_name: task for task in run.selected()}
    return tuple(trained.get(task.versioned_name, task) for task in tasks)
