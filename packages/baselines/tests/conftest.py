import io

import pytest
import torch
from points import points
from rich.console import Console

from mmbench.runs import RunFolder
from newt_agent.config import RunConfig
from newt_agent.display import Display
from newt_agent.method import Method
from newt_agent.train import Trainer

__all__ = ["points"]


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Several test processes share the cores."""
    torch.set_num_threads(1)


@pytest.fixture
def make_trainer(tmp_path):
    """Makes trainers of any method in folders of their own, and closes them."""
    made = []

    def make(
        method: type[Method], config: RunConfig, name: str = "run", resume: bool = False
    ) -> Trainer:
        path = tmp_path / name
        folder = RunFolder.resume(path) if resume else RunFolder.create(path, "test")
        display = Display(Console(file=io.StringIO(), width=120))
        trainer = Trainer(method, config, folder, "cpu", display, resume)
        made.append(trainer)
        return trainer

    yield make
    for trainer in made:
        trainer.close()
