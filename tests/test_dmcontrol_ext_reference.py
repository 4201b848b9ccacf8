"""DMControl-Ext against the recorded transitions and fingerprints of the published benchmark."""

import importlib

import conformance
import dm_control_pair
import numpy as np
import pytest
import reference

import mmbench
from mmbench.env import TaskEnv

DOMAIN = "dmcontrol-ext"
FOLDER = reference.SHIPPED / DOMAIN
RECORDED = reference.recorded(DOMAIN, ".npz")
TASKS = mmbench.tasks(domain=DOMAIN) + mmbench.tasks(domain=DOMAIN, split="extra")
EPISODES = {"random": 10}
MANY_EPISODES = {"random": 24, "zero": 24, "hold": 24}


test_steps_as_recorded, test_steps_as_recorded_in_full = conformance.transition_tests(DOMAIN)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDED)
def test_the_body_is_the_recorded_one(name):
    env = TaskEnv(name, unify=False)
    env.reset(seed=0)
    state = env.get_state()
    with np.load(reference.full_recording() / DOMAIN / f"{name}.npz") as data:
        fields = [key for key in data.files if key.startswith("0/model/")]
        assert fields
        for key in fields:
            if np.array_equal(data[key], data[key.replace("0/", "10/", 1)]):
                np.testing.assert_allclose(state[key[2:]], data[key], atol=1e-12, err_msg=key)


@pytest.mark.parametrize("name", RECORDED)
def test_episodes_distributed_as_recorded(name):
    conformance.check_fingerprint(FOLDER / f"{name}.json", EPISODES)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDED)
def test_many_episodes_distributed_as_recorded(name):
    conformance.check_fingerprint(FOLDER / f"{name}.json", MANY_EPISODES)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_steps_as_dm_control_does(task):
    embodiment, goal = task.native.split("/")
    native = getattr(importlib.import_module(f"mmbench.models.{embodiment}"), goal)(random=0)
    dm_control_pair.check_steps_as_dm_control(task, native, steps=30)
