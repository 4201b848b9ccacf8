"""The command `newt-import`: a checkpoint of the published implementation becomes one of ours."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from mmbench import catalog
from mmbench.catalog import Task
from mmbench.runs import RunError, RunFolder, report_errors
from mmbench.shell import answer_version, command
from newt_agent import __version__
from newt_agent.cli import USER_ERRORS, check_flags
from newt_agent.config import Folder

if TYPE_CHECKING:
    from newt_agent.planning_agent import PlanningAgent

PUBLISHED_ENCODER = "clip"


@dataclass(frozen=True)
class ImportConfig:
    """Settings of `newt-import`."""

    file: Annotated[str, tyro.conf.arg(metavar="FILE")]
    """The published checkpoint, a .pt file."""
    tasks: Annotated[
        str,
        tyro.conf.arg(
            help="What the rows of its table are, in their order; the file holds no names. By "
            "default the 200 training tasks, as `mmbench tasks` lists them."
        ),
    ] = "all"
    out: Folder = None
    """A new folder; by default runs/<time>-import."""


def import_main(arguments: list[str] | None = None) -> None:
    """Entry point of `newt-import`."""
    program = "newt-import"
    arguments = sys.argv[1:] if arguments is None else arguments
    with report_errors(program, *USER_ERRORS):
        answer_version(program, __version__, arguments)
        check_flags(arguments, "--file")
        description = (
            "Makes a published checkpoint one for newt-eval and newt-train --checkpoint.\n\n"
            "Nothing in the file is executed. --version prints the version."
        )
        config = tyro.cli(ImportConfig, args=arguments, prog=program, description=description)
        agent = import_agent(config.file, catalog.select(config.tasks))
        with RunFolder.create(config.out, "import") as folder:
            folder.publish_checkpoint(0, agent.save)
        print(f"{len(agent.tasks)} tasks, size {agent.size}, in {folder.path}")
        print("evaluate it by: " + command("newt-eval", "--checkpoint", folder.path))


def import_agent(path: str | Path, tasks: Sequence[Task]) -> PlanningAgent:
    """Makes an agent of a checkpoint of the published implementation.

    It plans with the paper's budget.

    Args:
        path: The ``.pt`` file.
        tasks: What the rows of its table are, in their order.

    Raises:
        RunError: It is not such a file, its embeddings are not those of the published encoder, or
            the tasks have other actions than its rows.
    """
    from mmbench.language import encoder_dim
    from newt_agent.agent import TaskInfo
    from newt_agent.original import import_original
    from newt_agent.planner import PlannerConfig
    from newt_agent.planning_agent import PlanningAgent
    from newt_agent.task_input import NOTHING
    from newt_agent.task_module import task_masks

    try:
        model, _ = import_original(path)
    except (FileNotFoundError, ValueError) as error:
        raise RunError(str(error)) from error
    if model.num_tasks != len(tasks):
        raise RunError(
            f"{path} has a table of {model.num_tasks} tasks, not of {len(tasks)}; --tasks says "
            "which they are"
        )
    entries, own = model.task_embeddings.shape[1], encoder_dim(PUBLISHED_ENCODER)
    if entries not in (0, own):
        raise RunError(
            f"{path}: its task embeddings have {entries} entries, and the published encoder, "
            f"{PUBLISHED_ENCODER}, gives {own}"
        )
    actions, observations = (mask != 0 for mask in task_masks(tasks))
    if model.action_mask.shape != actions.shape or model.config.obs_dim != observations.shape[1]:
        raise RunError(
            f"{path}: observations of {model.config.obs_dim} entries and actions of "
            f"{model.action_mask.shape[1]}, and those of MMBench have {observations.shape[1]} and "
            f"{actions.shape[1]}"
        )
    for row, task in enumerate(tasks):
        if not bool((model.action_mask[row] == actions[row]).all()):
            raise RunError(
                f"{path}: row {row} has {int(model.action_mask[row].sum())} action entries, and "
                f"{task.versioned_name} has {task.action_dim}; give the tasks in the order of its "
                "table by --tasks"
            )
    model.observation_mask = observations
    encoder = PUBLISHED_ENCODER if entries else NOTHING
    return PlanningAgent(model, TaskInfo.of(tasks), encoder, PlannerConfig())
