"""The folder of one run."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from typing import Any

from mmbench.runs.errors import RunError
from mmbench.runs.files import write_json
from mmbench.runs.metrics import MetricsFile

CHECKPOINTS = "checkpoints"
LAST = "last"


class RunFolder:
    """Names and contents of a run's folder; see :mod:`mmbench.runs`.

    Args:
        path: The folder, which exists; use :meth:`create` or :meth:`open`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: str | Path | None, name: str) -> RunFolder:
        """Makes the folder of a new run.

        Args:
            path: Where; None chooses ``runs/<time>-<name>`` below the working directory.
            name: What kind of run it is.

        Raises:
            RunError: Something is there already; nothing of it is touched.
        """
        if path is None:
            now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
            path = Path("runs") / f"{now}-{name}"
        folder = Path(path)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RunError(
                f"--out {folder} exists already: choose another folder, or go on with what is "
                f"there by --resume {folder}"
            )
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder)

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Opens the folder of an existing run.

        Raises:
            RunError: It is not one.
        """
        folder = Path(path)
        if not (folder / "config.json").is_file():
            raise RunError(f"{folder} is not the folder of a run: there is no config.json in it")
        return cls(folder)

    @property
    def metrics(self) -> MetricsFile:
        """The run's ``metrics.csv``."""
        return MetricsFile(self.path / "metrics.csv")

    @property
    def tensorboard(self) -> Path:
        """Where TensorBoard events go."""
        return self.path / "tensorboard"

    def write_config(self, config: dict[str, Any]) -> None:
        """Writes ``config.json``."""
        write_json(self.path / "config.json", config)

    def read_config(self) -> dict[str, Any]:
        """Reads ``config.json``.

        Raises:
            RunError: It is damaged.
        """
        path = self.path / "config.json"
        try:
            return json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise RunError(f"{path} is damaged: {error}") from error

    def write_eval(self, result: dict[str, Any]) -> None:
        """Writes ``eval.json``."""
        write_json(self.path / "eval.json", result)

    def checkpoint(self, step: int) -> Path:
        """Where the checkpoint of a step lies."""
        return self.path / CHECKPOINTS / f"{step:09d}"

    def set_last(self, checkpoint: Path) -> None:
        """Points ``checkpoints/last`` at a checkpoint, atomically."""
        link = checkpoint.parent / LAST
        temporary = checkpoint.parent / f".{LAST}-{os.getpid()}"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(checkpoint.name)
        os.replace(temporary, link)

    def last_checkpoint(self) -> Path:
        """The newest complete checkpoint.

        Raises:
            RunError: There is none yet.
        """
        link = self.path / CHECKPOINTS / LAST
        if not link.exists():
            raise RunError(
                f"{self.path} holds no checkpoint yet: it stopped before the first one; start "
                "again with another --out"
            )
        return link.resolve()
