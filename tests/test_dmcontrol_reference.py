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


def _parameter(name: str):
    """Quick: one task of each robot, but for those whose episodes take 6 to 15 s."""
    robots = [one.split("-")[0] for one in RECORDED]
    robot = name.split("-")[0]
    quick = RECORDED[robots.index(robot)] == name and robot not in ("fish", "quadruped", "walker")
    return pytest.param(name, marks=[] if quick else [pytest.mark.slow])


@pytest.mark.parametrize("name", [_parameter(name) for name in RECORDED])
def test_episodes_distributed_as_recorded(name):
    conformance.check_fingerprint(FOLDER / f"{name}.json", EPISODES)


@pytest.mark.parametrize("task", mmbench.tasks(domain="dmcontrol", split="train"), ids=str)
def test_steps_as_the_package_does(task):
    domain, name = task.native.split("/")
    native = suite.load(domain, name, task_kwargs={"random": 0})
    dm_control_pair.check_steps_as_dm_control(task, native)
