"""What the domains of points.py and scripted.py share: tasks of which nothing is simulated."""

import contextlib
from dataclasses import replace

import numpy as np
from outside import registering

import mmbench
from mmbench import Task, catalog
from mmbench.domains import Simulator


class Pretence(Simulator):
    """Has neither frames nor states."""

    def render(self) -> np.ndarray:
        raise NotImplementedError

    def get_state(self) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        raise NotImplementedError


def pretend_task(name: str, like: str, **own) -> Task:
    """A task with the instruction of another one, whose embedding is shipped.

    Its score is the return, 0 at 0.
    """
    fixed = {"native": name, "action_repeat": 1, "score_metric": "return", "score_low": 0.0}
    return replace(catalog.get(like), name=name, **fixed, **own)


@contextlib.contextmanager
def pretending(domain: str, adapter: str, *tasks: Task):
    """Registers tasks of a domain, whose adapter is a module; yields ``tasks=`` for all."""
    record = mmbench.Domain(
        name=domain, title=domain.title(), adapter=adapter, module=adapter, packages=("none",)
    )
    with registering():
        mmbench.register(record, *tasks)
        yield ",".join(task.name for task in tasks)
