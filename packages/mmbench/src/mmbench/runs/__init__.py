"""Runs: their folder, their metrics, where they came from. Without torch or a simulator.

A run's folder::

    <run>/
      config.json        every setting, versions of the simulators, git commit, machine
      metrics.csv        one row an episode: step, task, score, success, return, length, ...
      eval.json          the last evaluation: per task, per domain, total
      tensorboard/       the same and the losses, as TensorBoard events
      wandb.json         the run's id at Weights & Biases, where it is asked for
      .run.lock          held by the process that writes into the folder
      checkpoints/
        <step>/          one checkpoint
        last             a link to the newest complete one
        best             a link to the one that was evaluated best
"""

from mmbench.runs.errors import (
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    RunError,
    explain,
    one_line,
    report_errors,
)
from mmbench.runs.files import (
    check_writable,
    publish_folder,
    read_json,
    to_json,
    verify_folder,
    write_atomically,
    write_json,
)
from mmbench.runs.folder import RunFolder
from mmbench.runs.metrics import METRIC_FIELDS, MetricsFile
from mmbench.runs.provenance import provenance

__all__ = [
    "EXIT_INTERRUPTED",
    "EXIT_USAGE",
    "METRIC_FIELDS",
    "MetricsFile",
    "RunError",
    "RunFolder",
    "check_writable",
    "explain",
    "one_line",
    "provenance",
    "publish_folder",
    "read_json",
    "report_errors",
    "to_json",
    "verify_folder",
    "write_atomically",
    "write_json",
]
