import copy
import math
import pickle

import gymnasium as gym
import numpy as np
import pytest

import miniarcade  # noqa: F401 - registers the games
from miniarcade.undefined import UNDEFINED


def test_is_nan_for_every_reader():
    assert math.isnan(UNDEFINED)
    assert UNDEFINED != UNDEFINED
    assert np.isnan(np.asarray([UNDEFINED, 1.0])).tolist() == [True, False]
    assert np.nanmean([UNDEFINED, 1.0]) == 1.0


def test_equal_infos_compare_equal():
    assert {"success": UNDEFINED} == {"success": UNDEFINED}
    assert UNDEFINED == UNDEFINED
    assert not UNDEFINED == math.nan
    assert not UNDEFINED == 0.0


def test_survives_copies_and_pickles():
    assert pickle.loads(pickle.dumps(UNDEFINED)) is UNDEFINED
    assert copy.deepcopy(UNDEFINED) is UNDEFINED


@pytest.mark.parametrize("make", [gym.vector.SyncVectorEnv, gym.vector.AsyncVectorEnv])
def test_gymnasiums_vector_environments_build_float_arrays_of_it(make):
    env = make([lambda: gym.make("miniarcade/cowboy-v0")] * 2)
    try:
        env.reset(seed=0)
        infos = env.step(env.action_space.sample())[-1]
    finally:
        env.close()
    assert infos["success"].dtype == np.float64
    assert np.isnan(infos["success"]).all()


def test_torch_takes_it_for_a_number():
    torch = pytest.importorskip("torch")
    assert torch.as_tensor(UNDEFINED).isnan()
