"""States as arrays."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniarcade.state import from_arrays, to_arrays


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


def test_unsupported_field():
    @dataclass
    class Bad:
        table: dict

    with pytest.raises(TypeError, match="cannot be of type"):
        to_arrays(Bad({}), "task/")
