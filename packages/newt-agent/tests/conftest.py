import io
from pathlib import Path

import pytest
import torch
from command_lines import call
from points import points
from rich.console import Console
from scripted import scripted_tasks
from short_runs import SMALL
from tiny import TINY

from mmbench.runs import RunFolder
from newt_agent.cli import train_main
from newt_agent.display import Display
from newt_agent.newt import Newt, NewtConfig
from newt_agent.train import Trainer

__all__ = ["points", "scripted_tasks"]


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Several test processes share the cores."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """The folder of a run of the command line; whoever changes it takes a copy."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    result = call(train_main, f"{SMALL} --out {folder}")
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def quiet() -> Display:
    return Display(Console(file=io.StringIO(), width=120))


@pytest.fixture
def make_trainer(tmp_path, quiet):
    """Makes trainers in folders of their own, and closes them."""
    made = []

    def make(name: str = "run", config: NewtConfig = TINY, resume: bool = False) -> Trainer:
        path = tmp_path / name
        folder = RunFolder.open(path) if resume else RunFolder.create(path, "test")
        trainer = Trainer(Newt, config, folder, "cpu", quiet, resume)
        made.append(trainer)
        return trainer

    threads = torch.get_num_threads()
    yield make
    torch.set_num_threads(threads)
    for trainer in made:
        trainer.close()
