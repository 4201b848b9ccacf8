"""The state of a game as arrays, and back: exact, and the same for every game.

A state is a dataclass whose fields are numbers, sequences of numbers, or further dataclasses. The
annotation of a field says which:

==============================================  ==============================================
field                                           arrays
==============================================  ==============================================
`x: float`, `n: int`, `hit: bool`               one array of shape ()
`xs: list[float]` (or `int`, `bool`)            one array of shape (len,)
`pos: tuple[float, float]`                      one array of shape (2,)
`trail: list[tuple[float, float]]`              one array of shape (len, 2)
`ship: Ship` (a dataclass)                      one per field, named `ship/<field>`
`coins: list[Coin]`                             one per field, `coins/<field>`, first axis len
`rock: Rock | None`                             as a list that holds at most one
==============================================  ==============================================

Of a list, the field's `metadata` may say more: `{"length": 4}` that it always has 4 entries, and
`{"pairs_with": "xs"}` that it has as many as the list `xs`.
"""

import functools
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from miniarcade.snapshot import Form

Arrays = dict[str, np.ndarray]

DTYPES: dict[type, type] = {float: np.float64, int: np.int64, bool: np.bool_}


@dataclass(frozen=True, slots=True)
class _Codec:
    """How the values of one annotation become arrays: one value, or a list of them."""

    forms: Callable[[str, tuple[int | None, ...]], dict[str, Form]]
    encode: Callable[[str, Any], Arrays]
    decode: Callable[[str, Arrays], Any]
    encode_many: Callable[[str, list], Arrays]
    decode_many: Callable[[str, Arrays], list]


def to_arrays(state: Any, prefix: str) -> Arrays:
    """Copies a state into arrays.

    Args:
        state: A dataclass instance as described in this module.
        prefix: Put before the name of every field, such as `"task/"`.

    Returns:
        New arrays that share no memory with the state.
    """
    return _dataclass_codec(state.__class__).encode(prefix, state)


def forms(cls: type, prefix: str) -> dict[str, Form]:
    """The names, shapes (None where a length varies) and types of the arrays of such a state."""
    return _dataclass_codec(cls).forms(prefix, ())


def from_arrays(cls: type, arrays: Arrays, prefix: str) -> Any:
    """Builds a state from the arrays that `to_arrays` made of one.

    Raises:
        ValueError: If an array is missing, or those of a list differ in length.
    """
    return _dataclass_codec(cls).decode(prefix, arrays)


def _get(arrays: Arrays, key: str) -> np.ndarray:
    if key not in arrays:
        raise ValueError(f"the state lacks {key!r}; it holds {sorted(arrays)}")
    return np.asarray(arrays[key])


@functools.cache
def _dataclass_codec(cls: Any) -> _Codec:
    hints = typing.get_type_hints(cls)
    codecs = {
        field.name: _codec(hints[field.name], field.metadata.get("length")) for field in fields(cls)
    }
    pairs = {
        field.name: field.metadata["pairs_with"]
        for field in fields(cls)
        if "pairs_with" in field.metadata
    }

    def encode(prefix: str, value: Any) -> Arrays:
        arrays: Arrays = {}
        for name, codec in codecs.items():
            arrays |= codec.encode(prefix + name, getattr(value, name))
        return arrays

    def all_forms(prefix: str, shape: tuple[int | None, ...]) -> dict[str, Form]:
        return {
            key: form
            for name, codec in codecs.items()
            for key, form in codec.forms(prefix + name, shape).items()
        }

    def decode(prefix: str, arrays: Arrays) -> Any:
        for names in pairs.items():
            one, other = (_get(arrays, prefix + name) for name in names)
            if len(one) != len(other):
                raise ValueError(
                    f"{prefix + names[0]!r} and {prefix + names[1]!r} differ in length: "
                    f"{len(one)} and {len(other)}"
                )
        return cls(**{name: codec.decode(prefix + name, arrays) for name, codec in codecs.items()})

    def encode_many(prefix: str, values: list) -> Arrays:
        arrays: Arrays = {}
        for name, codec in codecs.items():
            arrays |= codec.encode_many(prefix + name, [getattr(v, name) for v in values])
        return arrays

    def decode_many(prefix: str, arrays: Arrays) -> list:
        columns = [codec.decode_many(prefix + name, arrays) for name, codec in codecs.items()]
        if len({len(column) for column in columns}) > 1:
            raise ValueError(f"the arrays under {prefix!r} differ in length")
        return [cls(*row) for row in zip(*columns, strict=True)]

    return _Codec(all_forms, encode, decode, encode_many, decode_many)


def _codec(hint: Any, length: int | None = None) -> _Codec:
    """The codec of one field, from its annotation and, for a list, its fixed length."""
    args = typing.get_args(hint)
    if hint in DTYPES:
        return _number_codec(hint)
    if is_dataclass(hint):
        return _nested(_dataclass_codec(typing.cast(type, hint)))
    if typing.get_origin(hint) is tuple and args[0] in DTYPES:
        return _number_codec(args[0], tuple, None if args[-1] is Ellipsis else len(args))
    if typing.get_origin(hint) is list:
        item = _codec(args[0])
        return _Codec(_of_many(item, length), item.encode_many, item.decode_many, _refuse, _refuse)
    if typing.get_origin(hint) in (types.UnionType, typing.Union) and type(None) in args:
        item = _codec(next(arg for arg in args if arg is not type(None)))
        return _Codec(
            forms=_of_many(item, None),
            encode=lambda key, value: item.encode_many(key, [] if value is None else [value]),
            decode=lambda key, arrays: _at_most_one(key, item.decode_many(key, arrays)),
            encode_many=_refuse,
            decode_many=_refuse,
        )
    raise TypeError(f"a state field cannot be of type {hint!r}")


def _of_many(
    item: _Codec, length: int | None
) -> Callable[[str, tuple[int | None, ...]], dict[str, Form]]:
    return lambda key, shape: item.forms(key, (length, *shape))


def _at_most_one(key: str, values: list) -> Any:
    if len(values) > 1:
        raise ValueError(f"the arrays of {key!r} hold {len(values)} values, there can be one")
    return values[0] if values else None


def _number_codec(kind: type, sequence: type | None = None, length: int | None = None) -> _Codec:
    """Numbers of one kind; with `sequence`, sequences of them, of this length if there is one."""
    dtype = DTYPES[kind]

    def form(key: str, shape: tuple[int | None, ...]) -> dict[str, Form]:
        return {key: ((*shape, length) if sequence else shape, dtype)}

    def encode(key: str, value: Any) -> Arrays:
        array = np.array(value)
        if array.size and not np.can_cast(array.dtype, dtype, "safe"):
            raise TypeError(f"{key} is declared {kind.__name__} but holds {value!r}")
        if sequence and length and not array.size:  # none, of a list of them
            array = array.reshape(0, length)
        return {key: array.astype(dtype)}

    def decode(key: str, arrays: Arrays) -> Any:
        value = _get(arrays, key).astype(dtype).tolist()
        return sequence(value) if sequence else value

    def decode_many(key: str, arrays: Arrays) -> list:
        values = _get(arrays, key).astype(dtype).tolist()
        return [sequence(value) for value in values] if sequence else values

    return _Codec(form, encode, decode, encode, decode_many)


def _nested(codec: _Codec) -> _Codec:
    """Puts the arrays of a dataclass under the name of the field that holds it."""
    return _Codec(
        forms=lambda key, shape: codec.forms(key + "/", shape),
        encode=lambda key, value: codec.encode(key + "/", value),
        decode=lambda key, arrays: codec.decode(key + "/", arrays),
        encode_many=lambda key, values: codec.encode_many(key + "/", values),
        decode_many=lambda key, arrays: codec.decode_many(key + "/", arrays),
    )


def _refuse(*_: Any) -> Any:
    raise TypeError("lists of variable length cannot be nested in lists")
