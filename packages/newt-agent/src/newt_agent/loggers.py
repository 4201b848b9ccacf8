"""TensorBoard and, where asked for, Weights & Biases."""

from __future__ import annotations

import math
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from mmbench.runs import RunError, RunFolder
from newt_agent.config import Config


class Loggers:
    """Sends losses and scores to the places that draw curves.

    Args:
        folder: The run's folder.
        config: Settings of the run.
        purge_step: When resuming, the step from which earlier events are void.

    Raises:
        RunError: Weights & Biases is asked for and not installed.
    """

    def __init__(self, folder: RunFolder, config: Config, purge_step: int | None = None) -> None:
        self._writer = SummaryWriter(str(folder.tensorboard), purge_step=purge_step)
        self._wandb: Any = None
        if config.wandb:
            try:
                import wandb
            except ImportError as error:
                raise RunError(
                    "--wandb needs its package: pip install 'newt-agent[wandb]'"
                ) from error
            self._wandb = wandb.init(
                project="newt", name=folder.path.name, config=config.to_dict(), resume="allow"
            )

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
            self._wandb.log(values, step=step)

    def close(self) -> None:
        """Writes what is pending."""
        self._writer.close()
        if self._wandb is not None:
            self._wandb.finish()
