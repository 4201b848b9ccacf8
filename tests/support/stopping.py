"""Runs that are asked to stop, as by `kill`."""

import os
import signal

import pytest

from newt_agent.train import Interrupted, Trainer


def run_until(trainer: Trainer, step: int) -> None:
    """Runs a trainer that is asked to stop at a step."""
    take_step = trainer._take_step

    def stop_soon():
        take_step()
        if trainer.step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    trainer._take_step = stop_soon
    with pytest.raises(Interrupted):
        trainer.run()
