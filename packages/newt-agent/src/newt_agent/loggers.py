"""TensorBoard and, where asked for, Weights & Biases."""

from __future__ import annotations

import math
import secrets
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from mmbench.runs import RunError, RunFolder, read_json, write_json
from mmbench.shell import command
from newt_agent.config import RunConfig


def check_wandb() -> None:
    """Checks that Weights & Biases can be used; asks for the key where a terminal is there.

    Raises:
        RunError: It is not installed, or there is no login.
    """
    wandb = _import_wandb()
    try:
        wandb.login(verify=True)
    except Exception as error:  # its own kinds, and those of the network
        raise RunError(
            f"--wandb: {error} With WANDB_MODE=offline no login is needed: `wandb sync` sends the "
            "run later"
        ) from error


class EventFile:
    """Numbers as TensorBoard reads them, in a new file of a folder.

    The writer of PyTorch has a thread, which reports a full disk or a folder that is gone by a
    traceback of its own; this one raises where it is called.

    Args:
        folder: Made if it is not there.
        purge_step: TensorBoard ignores later steps in earlier files of the folder.
    """

    def __init__(self, folder: Path, purge_step: int) -> None:
        folder.mkdir(exist_ok=True)
        # TensorBoard reads the files in the order of their names.
        name = f"events.out.tfevents.{time.time():.6f}.{secrets.token_hex(4)}"
        self._file = (folder / name).open("xb")
        self._records = RecordWriter(self._file)
        self._add(Event(file_version="brain.Event:2"))
        self._add(Event(step=purge_step, session_log=SessionLog(status=SessionLog.START)))
        self._file.flush()

    def write(self, step: int, values: dict[str, float]) -> None:
        """Writes numbers of a step, by name."""
        summary = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._add(Event(step=step, summary=Summary(value=summary)))
        self._file.flush()

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        self._file.close()

    def _add(self, event: Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())


class Loggers:
    """Sends losses and scores to the places that draw curves.

    Args:
        folder: The run's folder.
        config: Settings of the run.
        purge_step: TensorBoard ignores what an earlier process logged after this step.

    Raises:
        RunError: Weights & Biases is asked for and does not start.
    """

    def __init__(self, folder: RunFolder, config: RunConfig, purge_step: int = 0) -> None:
        self._events = EventFile(folder.tensorboard, purge_step)
        self._wandb: Any = None
        if config.wandb:
            try:
                self._wandb = _start_wandb(folder, config)
            except BaseException:
                self._events.close()
                raise

    def losses(self, step: int, values: dict[str, float]) -> None:
        """Logs the losses of an update."""
        self._log(step, {f"losses/{name}": value for name, value in values.items()})

    def time(self, step: int, shares: dict[str, float]) -> None:
        """Logs where the time goes, as of :class:`newt_agent.stopwatch.Stopwatch`."""
        self._log(step, {f"time/{what}": share for what, share in shares.items()})

    def scores(self, step: int, result: dict[str, Any]) -> None:
        """Logs an evaluation, as :func:`newt_agent.evaluate.summarise` returns it."""
        rows = result["tasks"].items()
        values = {f"eval/{name}": row["score"] for name, row in rows}
        values |= {f"return/{name}": row["return"] for name, row in rows}
        values["eval/total"] = result["total"]["score"]
        self._log(step, {name: value for name, value in values.items() if not math.isnan(value)})

    def _log(self, step: int, values: dict[str, float]) -> None:
        self._events.write(step, values)
        if self._wandb is not None:
            self._wandb.log({**values, "step": step})

    def close(self, complete: bool = True) -> None:
        """Writes what is pending; a second call does nothing.

        Args:
            complete: The run came to its end.
        """
        self._events.close()
        if self._wandb is not None:
            run, self._wandb = self._wandb, None
            run.finish(exit_code=0 if complete else 1)


def _import_wandb() -> ModuleType:
    try:
        import wandb
    except ImportError as error:
        raise _no_wandb() from error
    if not hasattr(wandb, "init"):  # a folder of that name, where the package is not installed
        raise _no_wandb()
    return wandb


def _no_wandb() -> RunError:
    return RunError("--wandb needs its package: " + command("pip", "install", "newt-agent[wandb]"))


def _start_wandb(folder: RunFolder, config: RunConfig) -> Any:
    """Begins the run at Weights & Biases, or goes on with the one that the folder names."""
    wandb = _import_wandb()
    if folder.wandb.exists():
        identity = read_json(folder.wandb).get("id")
    else:
        identity = secrets.token_hex(4)
        write_json(folder.wandb, {"id": identity})
    try:
        run = wandb.init(
            project="newt",
            name=folder.path.name,
            dir=str(folder.path),
            config=config.to_dict(),
            id=identity,
            resume="allow",
        )
    except Exception as error:
        raise RunError(
            f"--wandb: {error}; go on with --resume {folder.path}, where WANDB_MODE=offline needs "
            "no connection"
        ) from error
    # As its own axis: W&B drops what is logged for a step before one it has seen, as after a kill.
    run.define_metric("*", step_metric="step")
    return run
