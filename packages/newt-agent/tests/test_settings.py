"""Every setting of every command has a range, and nothing outside of it is taken."""

import dataclasses
import json
import math
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmbench.runs import RunError
from newt_agent.cli import ResumeConfig
from newt_agent.cli_eval import EvalConfig
from newt_agent.learner import OptimizerConfig
from newt_agent.losses import LossConfig
from newt_agent.newt import NewtConfig
from newt_agent.planner import PlannerConfig
from newt_agent.settings import Range, check_settings, describe

ALL = (
    (NewtConfig(), ""),
    (PlannerConfig(), "planner."),
    (LossConfig(), "loss."),
    (OptimizerConfig(), "optimizer."),
    (ResumeConfig("folder"), ""),
    (EvalConfig("folder"), ""),
)
FIELDS = [
    pytest.param(settings, name, f"{prefix}{name}=", id=f"{type(settings).__name__}.{name}")
    for settings, prefix in ALL
    for name in describe(type(settings))
]
HUGE = 10**400  # no float is as large


@pytest.mark.parametrize(("settings", "name", "message"), FIELDS)
def test_values_that_make_no_sense_are_refused(settings, name, message):
    setting = describe(type(settings))[name]
    wrong = [[], {}, b"1", 1j]
    if setting.range is not None:
        low, high = setting.range.low, setting.range.high
        wrong += [math.nan, math.inf, -math.inf, HUGE, -HUGE, low - 1, 2 * high + 1, "1", True]
        assert math.isfinite(low) and math.isfinite(high)
    else:
        wrong += [0, 1.5, math.nan]
    if setting.kind is int:
        wrong.append(low + 0.5)
    if not setting.optional:
        wrong.append(None)
    for value in wrong:
        with pytest.raises(RunError) as raised:
            dataclasses.replace(settings, **{name: value})
        assert str(raised.value).startswith(message)
        assert "\n" not in str(raised.value) and len(str(raised.value)) < 200


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


@given(st.sampled_from(FIELDS), ANYTHING)
def test_what_is_taken_is_in_its_range_and_survives_the_run_s_file(field, value):
    settings, name, _ = field.values
    try:
        changed = dataclasses.replace(settings, **{name: value})
    except RunError:
        return
    setting = describe(type(settings))[name]
    assert value is None or setting.range is None or setting.range.holds(value)
    written = json.dumps(dataclasses.asdict(changed), allow_nan=False)
    if isinstance(changed, NewtConfig):
        assert NewtConfig.from_dict(json.loads(written)) == changed


@dataclasses.dataclass(frozen=True)
class Good:
    rate: Annotated[float, Range(0, 1, above=True)] = 0.5
    rows: Annotated[int, Range(2, 5)] | None = None
    kind: Literal["a", "b"] = "a"

    def __post_init__(self):
        check_settings(self, "good.")


def test_ends_of_a_range():
    for taken in ({"rate": 1}, {"rate": 1.0}, {"rows": 2}, {"rows": 5}, {"rows": None}):
        Good(**taken)
    for changes, message in (
        ({"rate": 0}, "good.rate=0: a number, above 0 and at most 1"),
        ({"rows": 6}, "good.rows=6: an integer, at least 2 and at most 5"),
        ({"rows": 2.0}, "good.rows=2.0: an integer, at least 2 and at most 5"),
        ({"kind": "c"}, "good.kind='c': one of a, b"),
    ):
        with pytest.raises(RunError) as raised:
            Good(**changes)
        assert str(raised.value) == message


@pytest.mark.parametrize("kind", [int, float, int | None, Annotated[int, "rows"]])
def test_a_number_without_a_range_is_a_mistake_of_the_program(kind):
    @dataclasses.dataclass(frozen=True)
    class Bad:
        value: kind = 1

        def __post_init__(self):
            check_settings(self)

    with pytest.raises(TypeError, match="Bad.value does not state its range"):
        Bad()
