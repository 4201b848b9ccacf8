"""``mmbench assets``: what some tasks need beyond the packages, listed and fetched."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import tyro
from rich import box
from rich.console import Console
from rich.table import Table

from mmbench.assets import ASSETS, Asset, install, missing_assets, required_asset
from mmbench.catalog import SELECTION, TASKS, Task, select
from mmbench.commands.downloads import download_bars
from mmbench.runs import RunError, to_json
from mmbench.shell import command


@dataclasses.dataclass(frozen=True)
class ListAssets:
    """List the assets, the tasks that need them, and which are here."""

    json: bool = False
    """Print the same as JSON, with every task and address."""

    def run(self) -> None:
        """Prints the table or the JSON."""
        rows = [_row(asset) for asset in ASSETS]
        if self.json:
            print(to_json(rows))
            return
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for column in ("asset", "here", "size", "tasks"):
            table.add_column(column, no_wrap=column != "tasks")
        for row in rows:
            table.add_row(row["asset"], row["state"], _megabytes(row["bytes"]), _names(row))
        console = Console() if sys.stdout.isatty() else Console(width=200)
        console.print(table)
        if any(row["state"] != "yes" for row in rows):
            download = command("mmbench", "assets", "download", "--tasks", "...")
            console.print(f"{download} fetches what is missing")


@dataclasses.dataclass(frozen=True)
class DownloadAssets:
    """Fetch the assets of tasks from ManiSkill's own links into ManiSkill's folder.

    A download that was interrupted goes on where it stopped.
    """

    tasks: Annotated[
        str, tyro.conf.arg(metavar="TASKS", help=f"Tasks to fetch for: {SELECTION}.")
    ] = "all,test,extra"

    def run(self) -> None:
        """Downloads what is missing.

        Raises:
            UnknownTaskError: ``tasks`` names none.
            RunError: An asset cannot be fetched or written.
        """
        needed = _needed(select(self.tasks))
        if not needed:
            print("These tasks need no download.")
        for asset, tasks in needed.items():
            if any(missing_assets(task) for task in tasks):
                with download_bars(asset.url, asset.name) as show:
                    install(asset, show)
            print(f"{asset.name}: in {asset.folder}")
            lacking = [task.name for task in tasks if missing_assets(task)]
            if lacking:
                raise RunError(
                    f"{asset.name} holds nothing for {', '.join(lacking)}: {asset.url} is not "
                    "what this version of mmbench knows"
                )


@dataclasses.dataclass(frozen=True)
class Assets:
    """List or fetch what some ManiSkill tasks need: YCB objects and two robots."""

    command: tyro.conf.OmitSubcommandPrefixes[
        tyro.conf.OmitArgPrefixes[
            Annotated[ListAssets, tyro.conf.subcommand("list")]
            | Annotated[DownloadAssets, tyro.conf.subcommand("download")]
        ]
    ]

    def run(self) -> None:
        """Runs the subcommand."""
        self.command.run()


def _needed(tasks: Iterable[Task]) -> dict[Asset, list[Task]]:
    """The assets of tasks, each with the tasks that need it, in the order of the table."""
    needed: dict[Asset, list[Task]] = {asset: [] for asset in ASSETS}
    for task in tasks:
        asset = required_asset(task)
        if asset is not None:
            needed[asset].append(task)
    return {asset: of for asset, of in needed.items() if of}


def _row(asset: Asset) -> dict:
    tasks = [task for task in TASKS if task.version == 0 and required_asset(task) == asset]
    missing = [task.name for task in tasks if missing_assets(task)]
    state = "yes" if not missing else "no" if len(missing) == len(tasks) else "incomplete"
    return {
        "asset": asset.name,
        "state": state,
        "bytes": None if state == "no" else _size(asset.folder),
        "folder": str(asset.folder),
        "url": asset.url,
        "tasks": [task.name for task in tasks],
        "missing": missing,
    }


def _size(folder: Path) -> int:
    return sum(
        os.lstat(os.path.join(place, name)).st_size
        for place, _, names in os.walk(folder)
        for name in names
    )


def _megabytes(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 1e6:.1f} MB"


def _names(row: dict) -> str:
    return f"{len(row['tasks'])}: {', '.join(row['tasks'])}"
