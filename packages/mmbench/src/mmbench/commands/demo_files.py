"""``mmbench demos import | download | export``: demonstrations in the formats of others."""

from __future__ import annotations

import dataclasses
import functools
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from mmbench.catalog import SELECTION, Task, select
from mmbench.commands import TaskCommand
from mmbench.commands.demo_flags import Root, Workers, demos_folder, worker_count
from mmbench.commands.downloads import download_bars
from mmbench.runs import RunError

DATASET = "nicklashansen/mmbench"
"""The authors' dataset on the hub."""

_ATARI = (
    "its actions were played with the joystick thresholds of older ALE versions: a policy that "
    "learns them here is not what was recorded (docs/demonstrations.md)"
)


@dataclasses.dataclass(frozen=True)
class ImportDemos(TaskCommand):
    """Turn files of the published demonstrations, <task>.pt, into Minari datasets.

    Nothing in a file is executed. Their seeds are not known, so what is imported cannot be
    simulated again.
    """

    path: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE_OR_FOLDER")]
    """A file named after its task, or a folder of such files."""

    root: Root = None

    overwrite: bool = False
    """Replace what was imported before."""

    def run(self) -> None:
        """Imports.

        Raises:
            RunError: There is no such file, or an extra is not installed.
            SystemExit: Files were refused; the reasons are printed.
        """
        from mmbench.demos.published import SUFFIX

        path = Path(self.path).expanduser()
        files = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
        if not files:
            raise RunError(f"{path} holds no file <task>{SUFFIX}")
        refused = 0
        for file in files:
            try:
                _import(file, demos_folder(self.root), self.overwrite)
            except RunError as error:
                if len(files) == 1:
                    raise
                print(error, file=sys.stderr)
                refused += 1
        if refused:
            print(f"{refused} of {len(files)} files were refused", file=sys.stderr)
            raise SystemExit(1)


@dataclasses.dataclass(frozen=True)
class DownloadDemos(TaskCommand):
    """Fetch the published demonstrations from the Hugging Face hub and import them.

    A download that was interrupted goes on where it stopped, and tasks that were imported before
    are left alone.
    """

    tasks: Annotated[str, tyro.conf.arg(metavar="TASKS", help=f"Tasks to fetch: {SELECTION}.")] = (
        "all"
    )

    root: Root = None

    repo: Annotated[str, tyro.conf.arg(metavar="OWNER/NAME")] = DATASET
    """The dataset on the hub that holds the files <task>.pt."""

    def run(self) -> None:
        """Downloads and imports.

        Raises:
            UnknownTaskError: ``tasks`` names none.
            RunError: No network, no such dataset, no space, an extra is not installed, or a file
                was refused.
        """
        from mmbench.demos.dataset import imported
        from mmbench.demos.hub import download, forget, published_files
        from mmbench.demos.published import require_readers

        require_readers()  # before anything is fetched
        root, chosen = demos_folder(self.root), select(self.tasks)
        wanted = [task for task in chosen if not imported(task, root)]
        print(f"{len(chosen) - len(wanted)} of {len(chosen)} tasks were imported before")
        if not wanted:
            return
        files = published_files(self.repo, wanted)
        lacking = [task.versioned_name for task in wanted if task not in files]
        if lacking:
            print(f"{self.repo} has none of {', '.join(lacking)}", file=sys.stderr)
        size = sum(file.size for file in files.values()) / 1e6
        print(f"{len(files)} files to fetch from {self.repo}, {size:.1f} MB", flush=True)
        for task, file in files.items():
            with download_bars(file.url, task.versioned_name) as show:
                path = download(task, file, root, functools.partial(show, "download"))
            _import(path, root, overwrite=True)
            forget(task, root)
        if not files:
            raise SystemExit(1)


@dataclasses.dataclass(frozen=True)
class ExportDemos(TaskCommand):
    """Write demonstrations as LeRobot datasets: one for each task, in the task's own sizes.

    Tapes that were not replayed yet are played first.
    """

    tasks: Annotated[str, tyro.conf.arg(metavar="TASKS", help=f"{SELECTION}.")]

    out: Annotated[str, tyro.conf.arg(metavar="DIR")]
    """Each dataset becomes the folder <task> in it."""

    format: Literal["lerobot"] = "lerobot"
    """The format: LeRobot's v3.0."""

    video: bool = False
    """Add frames of 224x224 pixels, drawn while the episodes are played again."""

    fps: float | None = None
    """Steps a second. By default what the simulator's clock says, or 30 where it has none."""

    root: Root = None

    workers: Workers = None

    def run(self) -> None:
        """Exports.

        Raises:
            UnknownTaskError: ``tasks`` names none.
            RunError: A task has no demonstrations, an extra is not installed, or a folder is there
                already.
            TaskUnavailableError: A task has to be played and cannot run here.
        """
        from mmbench.demos import load
        from mmbench.demos.clock import steps_per_second
        from mmbench.demos.display import progress, show_episodes
        from mmbench.demos.lerobot import check_target, export

        if self.fps is not None and not 0.0 < self.fps < float("inf"):
            raise RunError(f"--fps {self.fps:g}: above 0")
        root, out = demos_folder(self.root), Path(self.out).expanduser()
        workers, chosen = worker_count(self.workers), select(self.tasks)
        for task in chosen:
            check_target(task, out)  # before anything is played
        for task in chosen:
            dataset = load(task, root, workers, held_out=True)
            fps = self.fps or steps_per_second(task)
            with progress() as bars:
                drawing = show_episodes(bars, "drawing", 1) if self.video else None
                done = export(task, dataset, out, fps, self.video, workers, drawing)
            print(
                f"{done.folder}: {done.episodes} episodes, {done.frames} steps at {fps:g} a second"
            )


def _import(file: Path, root: Path | None, overwrite: bool) -> None:
    from mmbench.demos.published import import_published

    done = import_published(file, root, overwrite)
    task: Task = done.task
    print(
        f"{task.versioned_name}: {done.episodes} episodes imported, without seeds: they cannot "
        "be simulated again"
    )
    if task.domain == "atari":
        print(f"{task.versioned_name}: {_ATARI}")
