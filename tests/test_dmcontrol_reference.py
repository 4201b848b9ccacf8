"""DMControl against the recorded transitions and fingerprints of the published benchmark."""

import conformance
import dm_control_pair
import pytest
import reference
from dm_control import suite

import mmbench

FOLDER = reference.SHIPPED / "dmcontrol"
RECORDED = reference.recorded("dmcontrol", ".npz")
EPISODES = {"random": 12, "zero": 24, "hold": 12}


test_steps_as_recorded, test_steps_as_recorded_in_full = conformance.transition_tests("dmcontrol")


@pytest.mark.parametrize("name", RECORDED)
def test_episodes_distributed_as_recorded(name):
    conformance.check_fingerprint(FOLDER / f"{name}.json", EPISODES)


@pytest.mark.parametrize("task", mmbench.tasks(domain="dmcontrol", split="train"), ids=str)
def test_steps_as_the_package_does(task):
    domain, name = task.native.split("/")
    native = suite.load(domain, name, task_kwargs={"random": 0})
    dm_control_pair.check_steps_as_dm_control(task, native)
