"""States as arrays."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniarcade.state import forms, from_arrays, to_arrays


@dataclass(slots=True)
class Coin:
    x: float
    taken: bool = False
    trail: tuple[float, float] = (0.0, 1.0)


@dataclass(slots=True)
class Everything:
    x: float = 0.1
    n: int = -3
    hit: bool = True
    xs: list[float] = field(default_factory=list)
    pair: tuple[int, int] = (4, 5)
    trail: list[tuple[float, float]] = field(default_factory=list)
    coin: Coin = field(default_factory=lambda: Coin(2.0))
    coins: list[Coin] = field(default_factory=list)
    rock: Coin | None = None


real = st.floats(allow_nan=False)
coin = st.builds(Coin, real, st.booleans(), st.tuples(real, real))


@given(
    st.builds(
        Everything,
        x=real,
        n=st.integers(-(2**63), 2**63 - 1),
        hit=st.booleans(),
        xs=st.lists(real),
        trail=st.lists(st.tuples(real, real)),
        coin=coin,
        coins=st.lists(coin),
        rock=st.none() | coin,
    )
)
def test_round_trip(state):
    arrays = to_arrays(state, "task/")
    back = from_arrays(Everything, arrays, "task/")
    assert repr(back) == repr(state)  # types and signs of zero too


def test_names_and_shapes():
    arrays = to_arrays(Everything(coins=[Coin(1.0), Coin(2.0)]), "task/")
    assert arrays["task/coins/x"].tolist() == [1.0, 2.0]
    assert arrays["task/coins/taken"].dtype == np.bool_
    assert arrays["task/rock/x"].shape == (0,)
    assert arrays["task/coin/trail"].shape == (2,)


def test_a_wrong_type_is_named():
    with pytest.raises(TypeError, match="task/n is declared int"):
        to_arrays(Everything(n=0.5), "task/")


def test_a_missing_array_is_named():
    arrays = to_arrays(Everything(), "task/")
    del arrays["task/coins/x"]
    with pytest.raises(ValueError, match="task/coins/x"):
        from_arrays(Everything, arrays, "task/")


def test_lists_that_differ_in_length_are_named():
    arrays = to_arrays(Everything(coins=[Coin(1.0), Coin(2.0)]), "task/")
    with pytest.raises(ValueError, match="task/coins/.*differ in length"):
        from_arrays(Everything, {**arrays, "task/coins/x": np.zeros(1)}, "task/")
    two = {key: np.repeat(arrays[key][:1], 2, axis=0) for key in arrays if "coins" in key}
    rocks = {key.replace("coins", "rock"): value for key, value in two.items()}
    with pytest.raises(ValueError, match="task/rock.*2 values, there can be one"):
        from_arrays(Everything, {**arrays, **rocks}, "task/")


def test_pairs_and_lengths_are_checked():
    @dataclass
    class Listed:
        xs: list[float]
        ys: list[float] = field(metadata={"pairs_with": "xs"})
        lives: list[int] = field(metadata={"length": 2})

    arrays = to_arrays(Listed([1.0], [2.0], [3, 4]), "task/")
    assert from_arrays(Listed, arrays, "task/").ys == [2.0]
    with pytest.raises(ValueError, match="'task/ys' and 'task/xs' differ in length: 0 and 1"):
        from_arrays(Listed, {**arrays, "task/ys": np.zeros(0)}, "task/")
    assert forms(Listed, "task/")["task/lives"] == ((2,), np.int64)


def test_forms_are_those_of_the_arrays():
    arrays = to_arrays(Everything(coins=[Coin(1.0)], rock=Coin(2.0), xs=[1.0]), "task/")
    known = forms(Everything, "task/")
    assert known.keys() == arrays.keys()
    for key, (shape, kind) in known.items():
        assert arrays[key].dtype == kind
        assert len(shape) == arrays[key].ndim
        assert all(a in (None, b) for a, b in zip(shape, arrays[key].shape, strict=True))
    assert known["task/trail"] == ((None, 2), np.float64)
    assert known["task/coins/trail"] == ((None, 2), np.float64)
    assert known["task/pair"] == ((2,), np.int64)


def test_unsupported_field():
    @dataclass
    class Bad:
        table: dict

    with pytest.raises(TypeError, match="cannot be of type"):
        to_arrays(Bad({}), "task/")
