"""``mmbench demos``: demonstrations, collected, replayed, checked, listed and shown."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mmbench.catalog import (
    MAX_ACTION_DIM,
    SELECTION,
    Task,
    get,
    import_modules,
    select,
)
from mmbench.commands import TaskCommand
from mmbench.commands.demo_files import DownloadDemos, ExportDemos, ImportDemos
from mmbench.commands.demo_flags import Root, Workers, demos_folder, runnable, some, worker_count
from mmbench.demos.display import progress, show_episodes
from mmbench.demos.workers import Engine
from mmbench.runs import EXIT_INTERRUPTED, RunError, to_json
from mmbench.shell import plural


@dataclasses.dataclass(frozen=True)
class CollectDemos(TaskCommand):
    """Let experts play until every task has its demonstrations, and store them as tapes.

    A collection that was interrupted goes on where it stopped.
    """

    tasks: Annotated[
        str | None,
        tyro.conf.arg(metavar="TASKS", help=f"{SELECTION}. By default all that have an expert."),
    ] = None

    episodes: int = 10
    """Demonstrations of each task."""

    root: Root = None

    workers: Workers = None

    engine: Engine = "local"
    """Where processes run: on this machine, or on a Ray cluster (see docs/demonstrations.md)."""

    seed: int = 0
    """Of the collection: another one, other episodes."""

    attempts: int = 5
    """Episodes played for each one wanted, at most."""

    time_limit: float = 3600.0
    """Seconds for an episode; an expert that needs more ends the task (not with --workers 0)."""

    expert: Annotated[str | None, tyro.conf.arg(metavar="MODULE:CLASS")] = None
    """Who plays, in place of the task's own expert: a subclass of mmbench.demos.experts.Expert."""

    overwrite: bool = False
    """Begin anew; demonstrations that are there stay until the new ones are complete."""

    skip_missing: bool = False
    """Leave out tasks that cannot run here or have no expert."""

    def run(self) -> None:
        """Collects.

        Raises:
            RunError: A number is out of range, or a task has no expert.
            UnknownTaskError: ``tasks`` names none.
            TaskUnavailableError: A task cannot run here.
            SystemExit: Tasks are left without their demonstrations; they are printed.
        """
        from mmbench.demos.collect import Plan, collect
        from mmbench.demos.ray_pool import require_ray

        for flag, value in (("--episodes", self.episodes), ("--attempts", self.attempts)):
            if value < 1:
                raise RunError(f"{flag} {value}: at least 1")
        if self.seed < 0:
            raise RunError(f"--seed {self.seed}: at least 0")
        if not self.time_limit > 0:
            raise RunError(f"--time-limit {self.time_limit}: above 0")
        workers = self.workers if self.workers is None else worker_count(self.workers)
        if self.engine == "ray":
            if workers == 0:
                raise RunError("--workers 0: at least 1 with --engine ray")
            require_ray()
        experts = self._experts()
        root = demos_folder(self.root)
        plan = Plan(root, self.episodes, self.attempts, self.seed, self.overwrite, self.time_limit)
        lacking = []
        with progress() as bars:
            shown = bars.add_task("collecting", total=len(experts) * self.episodes)
            chosen: dict[Task, int] = {}

            def show(task: Task, good: int, played: int) -> None:
                chosen[task] = good
                bars.update(
                    shown,
                    completed=sum(chosen.values()),
                    description=f"{task.versioned_name}: {good} good of {played} played",
                )

            try:
                for outcome in collect(experts, plan, workers, show, self.engine):
                    print(f"{outcome.task}: {outcome.text}")
                    if not outcome.good:
                        lacking.append(outcome.task)
            except KeyboardInterrupt:
                bars.stop()
                again = " without --overwrite" if self.overwrite else ""
                print(f"interrupted; the same command{again} goes on", file=sys.stderr)
                raise SystemExit(EXIT_INTERRUPTED) from None
        if lacking:
            print(f"without demonstrations: {', '.join(lacking)}", file=sys.stderr)
            raise SystemExit(1)

    def _experts(self) -> dict[Task, str]:
        from mmbench.demos.experts import NoExpertError, find_expert, tasks_with_expert

        experts = {}
        for task in select(self.tasks if self.tasks is not None else tasks_with_expert()):
            try:
                experts[task] = self.expert or find_expert(task.versioned_name)
            except NoExpertError as error:
                if not self.skip_missing:
                    raise
                print(f"left out: {str(error).partition(':')[0]}", file=sys.stderr)
        return {task: experts[task] for task in runnable(experts, self.skip_missing)}


@dataclasses.dataclass(frozen=True)
class ReplayDemos(TaskCommand):
    """Play tapes again and write what comes of them as Minari datasets.

    Datasets that are there already stay. The first use of a task's demonstrations does the same.
    """

    tasks: Annotated[
        str | None,
        tyro.conf.arg(metavar="TASKS", help=f"{SELECTION}. By default all that have a tape."),
    ] = None

    root: Root = None

    workers: Workers = None

    skip_missing: bool = False
    """Leave out tasks that cannot run here."""

    def run(self) -> None:
        """Replays.

        Raises:
            RunError: The extra is not installed, a task has no tape, or a tape is damaged.
            UnknownTaskError: ``tasks`` names none.
            TaskUnavailableError: A task cannot run here.
            SystemExit: Episodes had to be left out; they are printed.
        """
        from mmbench.demos.places import tapes
        from mmbench.demos.replay import replay

        root = demos_folder(self.root)
        chosen = tuple(tapes(root)) if self.tasks is None else select(self.tasks)
        chosen = runnable(some(chosen, root), self.skip_missing)
        left_out, made = 0, 0
        with progress() as bars:
            show = show_episodes(bars, "replaying", len(chosen))
            for replayed in replay(chosen, root, worker_count(self.workers), show):
                left_out += replayed.left_out
                made += 1
                exact = replayed.episodes - replayed.approximate
                print(f"{replayed.task}: {plural(exact, 'episode')} as recorded")
                for text in replayed.texts:
                    print(f"{replayed.task}: {text}")
        print(f"{plural(made, 'dataset')} made, {len(chosen) - made} were there already")
        if left_out:
            print(f"{plural(left_out, 'episode')} had to be left out", file=sys.stderr)
            raise SystemExit(1)


@dataclasses.dataclass(frozen=True)
class VerifyDemos(TaskCommand):
    """Verify that tapes and datasets are whole, and play a sample of each tape again."""

    tasks: Annotated[
        str | None,
        tyro.conf.arg(metavar="TASKS", help=f"{SELECTION}. By default all that have any."),
    ] = None

    root: Root = None

    episodes: int = 1
    """Episodes of each tape to play again, at most. 0: look at the files only."""

    workers: Workers = None

    seed: int = 0
    """Of the choice of episodes."""

    json: bool = False
    """Print the findings as JSON."""

    def run(self) -> None:
        """Verifies.

        Raises:
            RunError: A number is out of range.
            UnknownTaskError: ``tasks`` names none.
            SystemExit: Something is wrong; it is printed.
        """
        from mmbench.demos.verify import verify, with_demonstrations

        for flag, value in (("--episodes", self.episodes), ("--seed", self.seed)):
            if value < 0:
                raise RunError(f"{flag} {value}: at least 0")
        root = demos_folder(self.root)
        chosen = some(with_demonstrations(root) if self.tasks is None else select(self.tasks), root)
        verdicts = []
        with progress() as bars:
            show = show_episodes(bars, "verifying", len(chosen))
            workers = worker_count(self.workers)
            for verdict in verify(chosen, root, self.episodes, workers, self.seed, show):
                verdicts.append(verdict)
                if self.json:
                    continue
                played = f"{verdict.exact} of {verdict.replayed} played again came out exactly"
                print(f"{verdict.task}: {plural(verdict.episodes, 'episode')}, {played}")
                for text in (*verdict.problems, *verdict.notes):
                    print(f"  {text}")
        bad = [verdict.task for verdict in verdicts if verdict.problems]
        if self.json:
            print(to_json([dataclasses.asdict(verdict) for verdict in verdicts]))
        else:
            print(f"{len(verdicts) - len(bad)} of {len(verdicts)} tasks are good")
        if bad:
            print(f"something is wrong with {', '.join(bad)}", file=sys.stderr)
            raise SystemExit(1)


@dataclasses.dataclass(frozen=True)
class ListDemos(TaskCommand):
    """List the demonstrations, with their scores and those of random actions."""

    root: Root = None

    json: bool = False
    """Print the same as JSON."""

    def run(self) -> None:
        """Prints the table or the JSON.

        Raises:
            RunError: There are no demonstrations to make a table of.
        """
        from mmbench.demos.listing import rows

        root = demos_folder(self.root)
        found = list(rows(root))
        if self.json:
            print(to_json([dataclasses.asdict(row) for row in found]))
            return
        some(found, root)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for column in ("task", "split", "episodes", "score", "random", "kB", "replayed", "expert"):
            number = column in ("episodes", "score", "random", "kB")
            table.add_column(column, no_wrap=True, justify="right" if number else "left")
        for row in found:
            score, random = (
                "" if value is None else f"{value:.3f}" for value in (row.score, row.random)
            )
            size, replayed = f"{row.bytes / 1e3:.0f}", "yes" if row.replayed else ""
            cells = (row.task, row.split, str(row.episodes), score, random, size, replayed)
            table.add_row(*map(Text, (*cells, row.expert)))
        console = Console() if sys.stdout.isatty() else Console(width=160)
        console.print(table)
        for row in found:
            if row.problem:
                print(f"{row.task}: {row.problem}")
        good = [row for row in found if not row.problem]
        megabytes = sum(row.bytes for row in good) / 1e6
        count = sum(row.episodes for row in good)
        print(f"{plural(len(good), 'task')} with {plural(count, 'episode')}, {megabytes:.1f} MB")


@dataclasses.dataclass(frozen=True)
class VideoOfDemo(TaskCommand):
    """Make a video of a demonstration, with the task and the score in the picture."""

    task: Annotated[str, tyro.conf.arg(metavar="NAME")]
    """The task, such as mw-reach."""

    root: Root = None

    episode: int = 0
    """Which one of its tape."""

    out: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """The file, an .mp4 or a .gif. By default <task>-<episode>.mp4 in the current folder."""

    def run(self) -> None:
        """Plays the episode again and writes the file.

        Raises:
            RunError: The task has no such episode, its tape is damaged, or the file cannot be
                written.
            UnknownTaskError: The task does not exist.
            TaskUnavailableError: The task cannot run here.
        """
        from mmbench.demos.dataset import padded
        from mmbench.demos.replay import tape_of
        from mmbench.evaluation.video import check_video, record_episode, told_result, video_name

        task = get(self.task)
        tape = tape_of(task, demos_folder(self.root))
        if not 0 <= self.episode < len(tape.episodes):
            raise RunError(
                f"--episode {self.episode}: the tape of {tape.task} has the episodes 0 to "
                f"{len(tape.episodes) - 1}"
            )
        episode = tape.episodes[self.episode]
        name = Path(video_name(task, "mp4"))
        path = Path(self.out or f"{name.stem}-{self.episode}{name.suffix}")
        check_video(path)
        actions = iter(padded(episode.actions, MAX_ACTION_DIM))
        with progress() as bars:
            bar = bars.add_task(tape.task, total=len(episode.actions))
            played = record_episode(
                task,
                lambda obs, first: next(actions),
                path,
                episode.seed,
                lambda step: bars.update(bar, completed=step),
            )
        now, then = (told_result(each.score, each.episode_return) for each in (played, episode))
        recorded = "" if now == then else f", recorded {then}"
        print(f"{path}: episode {self.episode} of {tape.task}, {now}{recorded}")


@dataclasses.dataclass(frozen=True)
class Demos:
    """Demonstrations: collect, replay, verify, list, show, import, download or export them."""

    command: tyro.conf.OmitSubcommandPrefixes[
        tyro.conf.OmitArgPrefixes[
            Annotated[CollectDemos, tyro.conf.subcommand("collect")]
            | Annotated[ReplayDemos, tyro.conf.subcommand("replay")]
            | Annotated[VerifyDemos, tyro.conf.subcommand("verify")]
            | Annotated[ListDemos, tyro.conf.subcommand("list")]
            | Annotated[VideoOfDemo, tyro.conf.subcommand("video")]
            | Annotated[ImportDemos, tyro.conf.subcommand("import")]
            | Annotated[DownloadDemos, tyro.conf.subcommand("download")]
            | Annotated[ExportDemos, tyro.conf.subcommand("export")]
        ]
    ]

    def run(self) -> None:
        """Runs the subcommand."""
        import_modules(self.command.imports)
        self.command.run()
