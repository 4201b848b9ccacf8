import copy
import math
import pickle

import gymnasium as gym
import numpy as np
import pytest

import miniarcade  # noqa: F401 - registers the games
from miniarcade.episode import UNDEFINED, checked_seeds, linear_score, linear_scores


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


def test_scores_are_linear_and_clipped_alike():
    totals = [-5.0, -3.0, 0.0, 1.5, 3.0, 4.0, math.nan]
    scores = [linear_score(total, -3, 3) for total in totals]
    assert scores[:6] == [0.0, 0.0, 0.5, 0.75, 1.0, 1.0]
    np.testing.assert_array_equal(linear_scores(np.array(totals), -3, 3), scores)
    assert linear_score(4.0, 0, 2, clip=False) == 2.0


def test_seeds_are_counted_or_listed():
    assert checked_seeds(None, 2) == [None, None]
    assert checked_seeds(np.int8(5), 3) == [5, 6, 7]
    assert checked_seeds([1, None], 2) == [1, None]
    for bad in (-1, 0.5, "7", [1, -1]):
        with pytest.raises(ValueError, match="at least 0"):
            checked_seeds(bad, 2)
    with pytest.raises(ValueError, match="3 seeds for 2 environments"):
        checked_seeds([1, 2, 3], 2)
