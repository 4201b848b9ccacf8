"""What ends a run before its time, said in a sentence, with how to go on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Protocol

from mmbench.catalog import EnvironmentFailure
from mmbench.runs import RunError, RunFolder
from newt_agent import ranks
from newt_agent.config import RunConfig, train_command
from newt_agent.finite import BrokenAgentError, UnusableNumberError
from newt_agent.method import Method
from newt_agent.replay import NoWindowError


class Run(Protocol):
    """What is said of the run that ends."""

    config: RunConfig
    folder: RunFolder
    method: Method
    env: Any

    @property
    def step(self) -> int:
        """Where it is."""

    @property
    def saved(self) -> int | None:
        """The step of the last checkpoint."""


@contextlib.contextmanager
def explained_failures(run: Run) -> Iterator[None]:
    """Says what ended the run, and how to go on.

    Raises:
        RunError: In the place of what was raised.
    """
    method = run.method
    try:
        yield
    except ranks.RankLostError as lost:
        ranks.ignore_termination()
        raise _ended(run, str(lost), "Another number of processes will do, too") from lost
    except EnvironmentFailure as failure:
        advice = "Leave the task out with --tasks"
        if run.config.on_error == "raise":
            advice += ", or add --on-error restart, which rebuilds environments that fail"
        raise _ended(run, str(failure), advice) from failure
    except UnusableNumberError as error:
        raise _ended(run, str(error), "Leave the task out with --tasks") from error
    except NoWindowError as error:
        task = run.env.tasks[error.environment].versioned_name
        raise _ended(run, f"task {task!r}: {error}", "Leave it out with --tasks") from error
    except BrokenAgentError as error:
        broken = method.broken()
        what = f"{', '.join(broken[:4])} became NaN or infinite" if broken else str(error)
        again = train_command(
            *(method.name, "--checkpoint", run.folder.path),
            *(method.learning_rate, "..."),
        )
        raise _ended(
            run,
            f"(update {method.updates}) {what}",
            "If it happens again, start a new run from its weights with a lower learning "
            f"rate: {again}",
        ) from error


def _ended(run: Run, what: str, advice: str) -> RunError:
    kept = "The run has no checkpoint yet"
    if run.saved is not None:
        kept = (
            f"The checkpoint of step {run.saved} is intact: "
            f"{train_command(run.method.name, '--resume', run.folder.path)} goes on from it"
        )
    return RunError(f"at {run.config.unit} {run.step} {what}\n{kept}. {advice}")
