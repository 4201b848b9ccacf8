import copy
import math
import pickle

import numpy as np

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
