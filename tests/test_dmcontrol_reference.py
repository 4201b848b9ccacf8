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
QUICK = {"random": 6, "zero": 8, "hold": 6}


test_steps_as_recorded, test_steps_as_recorded_in_full = conformance.transition_tests("dmcontrol")


def _one_of_each_robot() -> list[str]:
    """Not of the quadruped, whose episodes take ten times as long."""
    first = {name.split("-")[0]: name for name in reversed(RECORDED)}
    return [name for robot, name in first.items() if robot != "quadruped"]


@pytest.mark.parametrize("name", _one_of_each_robot())
def test_episodes_distributed_as_recorded(name):
    conformance.check_fingerprint(FOLDER / f"{name}.json", QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDED)
def test_more_episodes_distributed_as_recorded(name):
    conformance.check_fingerprint(FOLDER / f"{name}.json", EPISODES)


@pytest.mark.parametrize("task", mmbench.tasks(domain="dmcontrol", split="train"), ids=str)
def test_steps_as_the_package_does(task):
    domain, name = task.native.split("/")
    native = suite.load(domain, name, task_kwargs={"random": 0})
    dm_control_pair.check_steps_as_dm_control(task, native)
