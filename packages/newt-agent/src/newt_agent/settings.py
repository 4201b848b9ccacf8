"""Settings that state which values they take, and check themselves when they are made.

Settings are frozen dataclasses. A field that holds a number states its :class:`Range`; every use of
a class with a field that does not is an error::

    @dataclass(frozen=True)
    class PlannerConfig:
        iterations: Annotated[int, Range(1, 1000)] = 6

        def __post_init__(self) -> None:
            check_settings(self, "planner.")
"""

from __future__ import annotations

import dataclasses
import types
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from mmbench.runs import RunError


class Range(NamedTuple):
    """The numbers that a setting may have. NaN and infinity lie in no range.

    Attributes:
        low: The least.
        high: The greatest.
        above: ``low`` itself lies outside.
    """

    low: float
    high: float
    above: bool = False

    def holds(self, value: float) -> bool:
        """Whether a number lies in the range."""
        return (self.low < value if self.above else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        return f"{'above' if self.above else 'at least'} {self.low:,} and at most {self.high:,}"


class Setting(NamedTuple):
    """What the annotation of a field says.

    Attributes:
        kind: ``int``, ``float``, ``str``, ``bool``, ``Literal`` or a dataclass.
        choices: Of a ``Literal``.
        range: Of a number.
        optional: None is a value too.
    """

    kind: Any
    choices: tuple[Any, ...]
    range: Range | None
    optional: bool


def check_settings(settings: Any, prefix: str = "") -> None:
    """Checks each field of a dataclass by itself.

    Args:
        settings: The dataclass; those nested in it have checked themselves.
        prefix: What comes before the names of its fields, such as ``planner.``.

    Raises:
        RunError: A value has another type, is not finite, or lies out of range; the setting, the
            value and the values it takes are named.
        TypeError: A field that holds a number does not state its range.
    """
    for name, setting in describe(type(settings)).items():
        value = getattr(settings, name)
        wanted = _what_is_wrong(value, setting)
        if wanted:
            raise RunError(f"{prefix}{name}={_short(value)}: {wanted}")


def describe(cls: type) -> dict[str, Setting]:
    """Reads the annotations of a dataclass, by field.

    Raises:
        TypeError: A field that holds a number does not state its range.
    """
    hints = get_type_hints(cls, include_extras=True)
    return {
        field.name: _read(hints[field.name], f"{cls.__name__}.{field.name}")
        for field in dataclasses.fields(cls)
    }


def _read(hint: Any, where: str) -> Setting:
    bounds, optional = None, False
    while get_origin(hint) in (Annotated, Union, types.UnionType):
        if get_origin(hint) is Annotated:
            hint, *said = get_args(hint)
            bounds = next((each for each in said if isinstance(each, Range)), bounds)
        else:
            (hint,) = (kind for kind in get_args(hint) if kind is not type(None))
            optional = True
    if hint in (int, float) and bounds is None:
        raise TypeError(f"{where} does not state its range: Annotated[{hint.__name__}, Range(...)]")
    if get_origin(hint) is Literal:
        return Setting(Literal, get_args(hint), None, optional)
    return Setting(hint, (), bounds, optional)


def _what_is_wrong(value: Any, setting: Setting) -> str | None:
    """Returns what is allowed if this value is not, else None."""
    if setting.optional and value is None:
        return None
    if setting.kind is Literal:
        known = ", ".join(map(str, setting.choices))
        return None if value in setting.choices else f"one of {known}"
    if setting.range is None:
        return None if isinstance(value, setting.kind) else f"a {setting.kind.__name__} is needed"
    number = isinstance(value, int | setting.kind) and not isinstance(value, bool)
    if number and setting.range.holds(value):
        return None
    return f"{'an integer' if setting.kind is int else 'a number'}, {setting.range}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
