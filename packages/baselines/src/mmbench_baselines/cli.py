"""The commands `baselines-train` and `baselines-eval`."""

from __future__ import annotations

import sys

from mmbench.runs import RunError, report_errors
from mmbench.shell import answer_version
from mmbench_baselines import __version__
from newt_agent import ranks
from newt_agent.cli import USER_ERRORS, is_resumption, train
from newt_agent.cli_eval import evaluate_checkpoint
from newt_agent.methods import method_names

_USAGE = """usage: baselines-train METHOD [-h] [OPTIONS]
       baselines-train --resume DIR [-h] [OPTIONS]

Trains a method on tasks of MMBench, with the flags of newt-train. METHOD is one of
{methods}.

baselines-train METHOD --help tells the settings of that method. --version prints the version."""


def train_main(arguments: list[str] | None = None) -> None:
    """Entry point of `baselines-train`."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with report_errors(ranks.named("baselines-train"), *USER_ERRORS):
        answer_version("baselines-train", __version__, arguments)
        usage = _USAGE.format(methods=", ".join(method_names()))
        if arguments and not arguments[0].startswith("-"):
            train(arguments[0], f"baselines-train {arguments[0]}", arguments[1:])
        elif is_resumption(arguments):
            train("newt", "baselines-train", arguments)
        elif {"-h", "--help"} & set(arguments):
            print(usage)
        else:
            raise RunError(f"a method comes first\n{usage}")


def eval_main(arguments: list[str] | None = None) -> None:
    """Entry point of `baselines-eval`."""
    evaluate_checkpoint("baselines-eval", __version__, arguments)
