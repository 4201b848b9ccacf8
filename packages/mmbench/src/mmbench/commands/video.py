"""``mmbench video``: an episode as a video."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import Progress

from mmbench.catalog import Task, get
from mmbench.commands import TaskCommand
from mmbench.evaluation.video import (
    Policy,
    check_video,
    random_policy,
    record_episode,
    told_result,
    video_name,
)
from mmbench.runs import RunError
from mmbench.shell import command


@dataclasses.dataclass(frozen=True)
class Video(TaskCommand):
    """Record one episode of a task as a video, with the task and the score in the picture."""

    task: Annotated[str, tyro.conf.arg(metavar="NAME")]
    """The task, such as walker-walk."""

    policy: Annotated[str, tyro.conf.arg(metavar="random|CHECKPOINT")] = "random"
    """Who acts: random actions, or the agent of a run or checkpoint (needs newt-agent)."""

    plan: bool = True
    """The agent acts by planning; off, its policy's mean acts."""

    seed: int = 0
    """Of the episode and of the policy."""

    out: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """The file, an .mp4 or a .gif. By default <task>.mp4 in the current folder."""

    def run(self) -> None:
        """Plays the episode and writes the file.

        Raises:
            RunError: The file cannot be written, or there is no such checkpoint, or it never
                plans and is told not to.
            UnknownTaskError: The task does not exist.
            TaskUnavailableError: The task cannot run here.
        """
        task = get(self.task)
        path = Path(self.out or video_name(task, "mp4"))
        if self.seed < 0:
            raise RunError(f"--seed {self.seed}: at least 0")
        check_video(path)
        policy, obs = self._policy(task)
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
            bar = bars.add_task(task.versioned_name, total=task.max_episode_steps)
            episode = record_episode(
                task, policy, path, self.seed, lambda step: bars.update(bar, completed=step), obs
            )
        result = told_result(episode.score, episode.episode_return)
        print(f"{path}: one episode of {task.versioned_name}, {result}")

    def _policy(self, task: Task) -> tuple[Policy, str]:
        """Returns the policy, and what it sees."""
        if self.policy == "random":
            if not self.plan:
                raise RunError("--no-plan: the random policy never plans; leave it out")
            return random_policy(task, self.seed), "state"
        try:
            from newt_agent.cli_eval import load_agent
        except ImportError as error:
            raise RunError(
                f"--policy {self.policy}: the agent of a checkpoint needs the package newt-agent "
                f"({error}): " + command("pip", "install", "newt-agent")
            ) from error
        agent = load_agent(self.policy, plan=self.plan)
        return agent.policy(task.versioned_name, self.seed), agent.obs
