"""TensorBoard and, where asked for, Weights & Biases."""

from __future__ import annotations

import math
import secrets
from types import ModuleType
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from mmbench.runs import RunError, RunFolder, read_json, write_json
from newt_agent.config import Config


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


class Loggers:
    """Sends losses and scores to the places that draw curves.

    Args:
        folder: The run's folder.
        config: Settings of the run.
        purge_step: The step from which events of an earlier process are void.

    Raises:
        RunError: Weights & Biases is asked for and does not start.
    """

    def __init__(self, folder: RunFolder, config: Config, purge_step: int = 0) -> None:
        self._writer = SummaryWriter(str(folder.tensorboard), purge_step=purge_step)
        self._wandb: Any = None
        if config.wandb:
            try:
                self._wandb = _start_wandb(folder, config)
            except BaseException:
                self._writer.close()
                raise

    def losses(self, step: int, values: dict[str, float]) -> None:
        """Logs the losses of an update."""
        self._log(step, {f"losses/{name}": value for name, value in values.items()})

    def scores(self, step: int, result: dict[str, Any]) -> None:
        """Logs an evaluation, as :func:`newt_agent.evaluate.summarise` returns it."""
        rows = result["tasks"].items()
        values = {f"eval/{name}": row["score"] for name, row in rows}
        values |= {f"return/{name}": row["return"] for name, row in rows}
        values["eval/total"] = result["total"]["score"]
        self._log(step, {name: value for name, value in values.items() if not math.isnan(value)})

    def _log(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log({**values, "step": step})

    def close(self, complete: bool = True) -> None:
        """Writes what is pending; a second call does nothing.

        Args:
            complete: The run came to its end.
        """
        self._writer.close()
        if self._wandb is not None:
            run, self._wandb = self._wandb, None
            run.finish(exit_code=0 if complete else 1)


def _import_wandb() -> ModuleType:
    try:
        import wandb
    except ImportError as error:
        raise RunError("--wandb needs its package: pip install 'newt-agent[wandb]'") from error
    if not hasattr(wandb, "init"):  # a folder of that name, where the package is not installed
        raise RunError("--wandb needs its package: pip install 'newt-agent[wandb]'")
    return wandb


def _start_wandb(folder: RunFolder, config: Config) -> Any:
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
