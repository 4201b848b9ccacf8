"""Our NumPy version of a ManiSkill task beside the package's own, step for step.

The fixture is taken up by the `conftest.py` of the tests that use it.
"""

import numpy as np
import pytest
from maniskill_scenes import cheap_collections
from stand_ins import point_maniskill_at

from mmbench.catalog import get

TOLERANCE = 1e-5  # of max(1, |the package's|)


@pytest.fixture(scope="module")
def pair(stand_in_data):
    """Returns a task's simulator and the package's own, each with a scene of its own."""
    # Not above: the tests of other domains load this module too, and may be without ManiSkill.
    from mmbench.domains import maniskill
    from mmbench.domains.maniskill_simulator import ManiSkillSimulator, NumpySimulator

    made = {}

    def both(name):
        if name not in made:
            task = get(name)
            ours = maniskill.make(task, frames=False)
            assert isinstance(ours, NumpySimulator)
            package = maniskill.build(task, frames=False)
            made[name] = ours, ManiSkillSimulator(package, task.action_repeat, False)
        return made[name]

    with pytest.MonkeyPatch.context() as monkeypatch:
        point_maniskill_at(stand_in_data, monkeypatch)
        yield both
        with cheap_collections():
            for simulators in made.values():
                for simulator in simulators:
                    simulator.close()


def difference(ours, package):
    """The largest difference, relative to the package's where that is more than 1."""
    ours, package = np.asarray(ours, np.float64), np.asarray(package, np.float64)
    return float(np.max(np.abs(ours - package) / np.maximum(1, np.abs(package))))


def observations(task, simulators):
    """What both observe, ``(2, obs_dim)``."""
    seen = np.full((2, task.obs_dim), np.nan, np.float32)
    for simulator, out in zip(simulators, seen, strict=True):
        simulator.observe(out)
    return seen


def assert_same(task, simulators):
    """Observations and states agree."""
    assert difference(*observations(task, simulators)) <= TOLERANCE
    ours, package = (simulator.get_state() for simulator in simulators)
    assert ours.keys() == package.keys()
    for key in ours:
        assert difference(ours[key], package[key]) <= TOLERANCE, key


def step_both(task, simulators, action):
    """Takes a step in both: whatever they return differs by no more than is allowed.

    Returns:
        The package's reward and success.
    """
    ours, package = (simulator.step(action.copy()) for simulator in simulators)
    assert difference(ours[0], package[0]) <= TOLERANCE
    assert ours[1] == package[1]
    assert_same(task, simulators)
    return package
