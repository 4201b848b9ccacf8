"""The command `newt-eval`, which evaluates the checkpoint of any method."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from mmbench import catalog
from mmbench.catalog import GYM, Task, TaskUnavailableError
from mmbench.evaluation.video import (
    NoVideoError,
    check_folder,
    record_episode,
    told_result,
    video_name,
)
from mmbench.runs import RunError, report_errors
from mmbench.shell import answer_version
from newt_agent import __version__
from newt_agent.cli import USER_ERRORS, check_flags
from newt_agent.config import (
    Device,
    Episodes,
    Execution,
    Folder,
    Modules,
    Precision,
    RunConfig,
    Seed,
    SomeThreads,
    SomeWorkers,
)
from newt_agent.display import Display
from newt_agent.settings import Range, check_settings

if TYPE_CHECKING:
    from newt_agent.agent import Agent


@dataclass(frozen=True)
class EvalConfig:
    """Settings of `newt-eval`."""

    checkpoint: Annotated[str, tyro.conf.arg(metavar="DIR")]
    """A run's folder (its last checkpoint), or one of its checkpoints/<step>."""
    tasks: Annotated[
        str | None,
        tyro.conf.arg(
            help=f"{catalog.SELECTION}. By default those the agent was trained on.",
            metavar="TASKS",
        ),
    ] = None
    imports: Modules = None
    """Modules to import first, separated by commas, besides those of the training run."""
    episodes: Episodes = 10
    """Episodes of each task."""
    seed: Seed = 0
    """Seed of the environments and of the planner."""
    device: Device = "auto"
    """Where the agent computes."""
    json: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """A file for the result, in the form of a run's eval.json."""
    plan: bool = True
    """Plan, but for an agent that is only pretrained; off, the policy's mean acts."""
    execution: Execution = "auto"
    """How plans run; auto is graph on a GPU, else eager."""
    plan_precision: Precision = "float32"
    """Of the products of matrices in plans."""
    swap_instruction: Annotated[str | None, tyro.conf.arg(metavar="TEXT")] = None
    """Another instruction for all of these tasks: does the agent do as it is told?"""
    swap_words: Annotated[str | None, tyro.conf.arg(metavar="OLD=NEW,...")] = None
    """Other words in the instruction of each task, such as `the pear=the cube,the can=the cube`."""
    random: bool = False
    """Evaluate the random policy on the same tasks too."""
    open_loop: Annotated[Annotated[int, Range(1, 100)] | None, tyro.conf.arg(metavar="STEPS")] = (
        None
    )
    """Instead, execute plans of so many steps without looking, beside planning at each."""
    video: Folder = None
    """A folder for videos, of one more episode of each task."""
    video_format: Literal["mp4", "gif"] = "mp4"
    """File format of the videos."""
    skip_missing: bool = False
    """Leave out tasks that cannot run on this machine, instead of stopping."""
    num_workers: SomeWorkers = None
    """Processes that step the environments; by default one for each core. 0 steps in this one."""
    threads: SomeThreads = None
    """CPU threads of the agent; by default as many as the run had."""

    def __post_init__(self) -> None:
        check_settings(self)
        if None not in (self.swap_instruction, self.swap_words):
            raise RunError("--swap-words: with --swap-instruction no word is left; leave one out")
        if self.open_loop is not None:
            for flag, given in (("no-plan", not self.plan), ("random", self.random)):
                if given:
                    raise RunError(f"--{flag}: it has no meaning with --open-loop; leave it out")
            if self.video is not None:
                raise RunError("--video: no videos are made of --open-loop; leave it out")


def eval_main(arguments: list[str] | None = None) -> None:
    """Entry point of `newt-eval`."""
    evaluate_checkpoint("newt-eval", __version__, arguments)


def evaluate_checkpoint(program: str, version: str, arguments: list[str] | None = None) -> None:
    """Evaluates a checkpoint of any method; the command line is the same for all.

    Args:
        program: The command line's name.
        version: Of its package.
        arguments: Its flags, by default those of the process.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    with report_errors(program, *USER_ERRORS):
        answer_version(program, version, arguments)
        check_flags(arguments, "--checkpoint")
        description = (
            "Evaluates a trained agent, and makes videos of it.\n\n--version prints the version."
        )
        _evaluate(tyro.cli(EvalConfig, args=arguments, prog=program, description=description))


def load_agent(
    checkpoint: str,
    device: Device = "auto",
    threads: int | None = None,
    plan: bool = True,
    execution: Execution = "auto",
    plan_precision: Precision = "float32",
) -> Agent:
    """Loads the agent of a checkpoint for a command line, and sets PyTorch's threads.

    Args:
        checkpoint: A run's folder, or one of its checkpoints.
        device: Where it computes.
        threads: CPU threads of this process, by default as many as the run had.
        plan: Act by planning, unless it was only pretrained; off, the policy's mean acts.
        execution: How plans run.
        plan_precision: Of the products of matrices in plans.

    Raises:
        RunError: There is no such checkpoint, device or way to run, or ``plan`` is off and it never
            plans.
    """
    import torch

    from newt_agent.agent import Agent
    from newt_agent.checkpoint import run_config
    from newt_agent.execution import resolve_execution
    from newt_agent.planning_agent import PlanningAgent
    from newt_agent.system import resolve_device

    run = run_config(checkpoint)
    threads = threads or (run.threads if run else None)
    if threads:
        torch.set_num_threads(threads)
    agent = Agent.load(checkpoint, resolve_device(device))
    if isinstance(agent, PlanningAgent):
        agent.plan = plan and not agent.only_pretrained
        agent.run_by(resolve_execution(execution, agent.device), plan_precision)
    elif not plan:
        raise RunError(f"--no-plan: an agent of {agent.method!r} never plans; leave it out")
    return agent


def _evaluate(arguments: EvalConfig) -> None:
    from mmbench.evaluation import summarise
    from mmbench.runs import check_writable, provenance, write_json
    from newt_agent.checkpoint import run_config
    from newt_agent.evaluate import evaluate

    # Absolute, because an environment may change the working directory.
    result_file = Path(arguments.json).absolute() if arguments.json else None
    videos = Path(arguments.video).absolute() if arguments.video else None
    if result_file:
        check_writable(result_file)
    if videos:
        check_folder(videos)
    run = run_config(arguments.checkpoint)
    agent = load_agent(
        arguments.checkpoint,
        arguments.device,
        arguments.threads,
        arguments.plan,
        arguments.execution,
        arguments.plan_precision,
    )
    names = arguments.tasks or ",".join(task.name for task in agent.tasks)
    tasks = _tasks_to_evaluate(names, arguments, run)
    known = {task.name for task in agent.tasks}
    new = [task.versioned_name for task in tasks if task.versioned_name not in known]
    agent.add_tasks(tasks)  # refuses them if it reads no instructions
    display = Display()
    if new:
        display.say(f"not trained on {', '.join(new)}: it goes by their instructions")
    swapped = _other_instructions(arguments, tasks)
    for name, instruction in swapped.items():
        agent.instruct([name], instruction)
    settings: dict[str, Any] = {
        "skip_missing": arguments.skip_missing,
        "num_workers": arguments.num_workers,
    }
    common = {
        "checkpoint": arguments.checkpoint,
        "seed": arguments.seed,
        "new_tasks": new,
        "instructions": swapped,
        **provenance(),
    }
    if arguments.open_loop is not None:
        compared = _look_ahead(agent, tasks, arguments, settings, display)
        if result_file:
            write_json(result_file, {"open_loop": compared, **common})
        return
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
                **settings,
            )
        result[kind] = summarise(episodes, tasks)
    display.evaluation(result["after"], result.get("random"))
    if result_file:
        write_json(result_file, {**result["after"], "random": result.get("random"), **common})
    if videos:
        missing = result["after"]["missing"]
        shown = [task for task in tasks if task.versioned_name not in missing]
        _record(agent, shown, videos, arguments, display)


def _other_instructions(arguments: EvalConfig, tasks: Sequence[Task]) -> dict[str, str]:
    """Instructions that are asked for instead of the tasks' own, by name."""
    if arguments.swap_instruction is not None:
        return {task.versioned_name: arguments.swap_instruction for task in tasks}
    if arguments.swap_words is not None:
        return swap_words({t.versioned_name: t.instruction for t in tasks}, arguments.swap_words)
    return {}


def swap_words(instructions: Mapping[str, str], pairs: str) -> dict[str, str]:
    """Replaces words in instructions, all at once: what was put in stays.

    Args:
        instructions: By the name of their task.
        pairs: ``OLD=NEW``, separated by commas; whole words, as they are written there.

    Raises:
        RunError: A pair is none, an instruction holds none of the words, or words are in none.
    """
    swaps = {}
    for pair in pairs.split(","):
        old, separator, new = (part.strip() for part in pair.partition("="))
        if not (old and separator and new):
            raise RunError(f"--swap-words: {pair!r} is not OLD=NEW, such as the pear=the cube")
        swaps[old] = new
    longest_first = sorted(swaps, key=len, reverse=True)
    words = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, longest_first))})(?!\w)")
    found, swapped = set(), {}
    for name, instruction in instructions.items():
        own = words.findall(instruction)
        if not own:
            raise RunError(f"--swap-words: nothing to swap in {name}, {instruction!r}")
        found |= set(own)
        swapped[name] = words.sub(lambda match: swaps[match[1]], instruction)
    if unused := [old for old in swaps if old not in found]:
        raise RunError(f"--swap-words: {unused[0]!r} is in none of these tasks' instructions")
    return swapped


def _look_ahead(
    agent: Agent,
    tasks: Sequence[Task],
    arguments: EvalConfig,
    settings: dict[str, Any],
    display: Display,
) -> dict[str, Any]:
    """Compares plans that are executed whole with planning at each step, and prints it."""
    from newt_agent.open_loop import compare_open_loop
    from newt_agent.planning_agent import PlanningAgent

    horizon = arguments.open_loop
    assert horizon is not None
    if not isinstance(agent, PlanningAgent):
        raise RunError(f"--open-loop: an agent of {agent.method!r} never plans; leave it out")
    display.say(f"plans of {horizon} steps, {arguments.episodes} of each task")
    compared = compare_open_loop(
        agent, tasks, horizon, arguments.episodes, arguments.seed, **settings
    )
    display.open_loop(compared)
    return compared


def _record(
    agent: Agent, tasks: Sequence[Task], folder: Path, arguments: EvalConfig, display: Display
) -> None:
    """Makes a video of each task; those whose frames this machine cannot draw are named."""
    folder.mkdir(parents=True, exist_ok=True)
    for task in tasks:
        path = folder / video_name(task, arguments.video_format)
        policy = agent.policy(task.versioned_name, arguments.seed)
        try:
            with display.bar(f"recording {path}", task.max_episode_steps) as on_step:
                episode = record_episode(task, policy, path, arguments.seed, on_step, agent.obs)
        except (NoVideoError, TaskUnavailableError) as error:
            display.warn(str(error))
        else:
            display.say(f"{path}: {told_result(episode.score, episode.episode_return)}")


def _tasks_to_evaluate(
    names: str, arguments: EvalConfig, run: RunConfig | None
) -> tuple[Task, ...]:
    """Selects tasks; a Gymnasium environment keeps the settings that it was trained with."""
    catalog.import_modules(run.imports if run else None)
    catalog.import_modules(arguments.imports)
    tasks = catalog.select(names)
    if run is None or all(task.domain != GYM.name for task in tasks):
        return tasks
    trained = {task.versioned_name: task for task in run.selected()}
    return tuple(trained.get(task.versioned_name, task) for task in tasks)
