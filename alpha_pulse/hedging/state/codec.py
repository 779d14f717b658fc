"""Domain values as JSON and back, exactly.

``encode`` writes what ``to_jsonable`` writes, with one addition: floats that JSON has no number for become the strings ``inf``,
``-inf`` and ``nan``. ``decode(cls, data)`` reads it back by the class's type hints: dataclasses, named tuples, enums, Decimals, tuples,
mappings and unions with None, to any depth. Decimals travel as strings, so nothing is ever rounded.

Two rules let versions live side by side: a key that the class does not know is ignored (a newer version wrote it), and a key that
is missing takes the field's default (an older version wrote it). Anything else that does not fit is refused, naming the path.
A value typed ``Any`` comes back as the JSON value it was stored as.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from alpha_pulse.domain.events import to_jsonable
from alpha_pulse.errors import ConfigError

T = TypeVar("T")
_Decoder = Callable[[Any, str], Any]


def encode(value: Any) -> Any:
    """A domain value as JSON values. Raises TypeError for a type that has no JSON form."""
    return _without_infinities(to_jsonable(value))


def decode(cls: type[T], data: Any) -> T:
    """The ``cls`` that ``encode`` turned into ``data``.

    Raises:
        ConfigError: the data does not fit the class; ``field`` is the path to what does not.
    """
    result: T = _decoder(typing.cast("Any", cls))(data, cls.__name__)
    return result


def _without_infinities(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, dict):
        return {k: _without_infinities(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_infinities(v) for v in value]
    return value


@cache
def _decoder(hint: Any) -> _Decoder:  # noqa: PLR0911 - one return per kind of type
    origin = get_origin(hint)
    if hint is Any:
        return lambda data, _path: data
    if origin in (Union, types.UnionType):
        return _optional(hint)
    if origin is tuple:
        return _tuple(get_args(hint))
    if origin is list or origin is Sequence:
        return _list(get_args(hint)[0])
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(get_args(hint)[1])
    if dataclasses.is_dataclass(hint) or hasattr(hint, "_fields"):
        return _record(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum(hint)
    if hint in _SCALARS:
        return _SCALARS[hint]
    msg = f"no JSON form is defined for {hint!r}"
    raise TypeError(msg)


def _optional(hint: Any) -> _Decoder:
    members = [member for member in get_args(hint) if member is not types.NoneType]
    if len(members) != 1:
        msg = f"a union of several types cannot be told apart in JSON: {hint!r}"
        raise TypeError(msg)
    inner = _decoder(members[0])
    return lambda data, path: None if data is None else inner(data, path)


def _tuple(arguments: tuple[Any, ...]) -> _Decoder:
    if len(arguments) == 2 and arguments[1] is Ellipsis:  # noqa: PLR2004 - tuple[X, ...]
        items = _list(arguments[0])
        return lambda data, path: tuple(items(data, path))
    inners = [_decoder(argument) for argument in arguments]

    def fixed(data: Any, path: str) -> tuple[Any, ...]:
        if not isinstance(data, list | tuple) or len(data) != len(inners):
            raise _misfit(path, data, f"expected a list of {len(inners)} values")
        return tuple(inner(item, f"{path}[{i}]") for i, (inner, item) in enumerate(zip(inners, data, strict=True)))

    return fixed


def _list(argument: Any) -> _Decoder:
    inner = _decoder(argument)

    def items(data: Any, path: str) -> list[Any]:
        if not isinstance(data, list | tuple):
            raise _misfit(path, data, "expected a list")
        return [inner(item, f"{path}[{i}]") for i, item in enumerate(data)]

    return items


def _mapping(argument: Any) -> _Decoder:
    inner = _decoder(argument)

    def entries(data: Any, path: str) -> dict[str, Any]:
        if not isinstance(data, Mapping):
            raise _misfit(path, data, "expected an object")
        return {key: inner(item, f"{path}.{key}") for key, item in data.items()}

    return entries


def _record(cls: Any) -> _Decoder:
    hints = get_type_hints(cls)
    if dataclasses.is_dataclass(cls):
        names = {f.name: _has_default(f) for f in dataclasses.fields(cls) if f.init}
    else:
        names = {name: name in cls._field_defaults for name in cls._fields}
    inners: dict[str, _Decoder] = {}  # filled on first use, so that a class may refer to itself

    def record(data: Any, path: str) -> Any:
        if not isinstance(data, Mapping):
            raise _misfit(path, data, "expected an object")
        if not inners:
            inners.update({name: _decoder(hints[name]) for name in names})
        values = {}
        for name, optional in names.items():
            if name in data:
                values[name] = inners[name](data[name], f"{path}.{name}")
            elif not optional:
                raise _misfit(f"{path}.{name}", None, "is missing")
        return cls(**values)

    return record


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _enum(cls: type[Enum]) -> _Decoder:
    def member(data: Any, path: str) -> Enum:
        try:
            return cls(data)
        except ValueError:
            raise _misfit(path, data, f"is none of {', '.join(repr(m.value) for m in cls)}") from None

    return member


def _decimal(data: Any, path: str) -> Decimal:
    if isinstance(data, str) or (isinstance(data, int) and not isinstance(data, bool)):
        try:
            value = Decimal(data)
        except InvalidOperation:
            raise _misfit(path, data, "is not a decimal number") from None
        if value.is_finite():
            return value
    raise _misfit(path, data, "expected a finite decimal number in a string")


def _float(data: Any, path: str) -> float:
    if isinstance(data, bool) or not (isinstance(data, int | float) or data in ("inf", "-inf", "nan")):
        raise _misfit(path, data, "expected a number")
    return float(data)


def _exactly(cls: type, name: str) -> _Decoder:
    def scalar(data: Any, path: str) -> Any:
        if type(data) is not cls:
            raise _misfit(path, data, f"expected {name}")
        return data

    return scalar


def _misfit(path: str, data: Any, problem: str) -> ConfigError:
    return ConfigError(problem, field=path, value=data)


_SCALARS: typing.Final[dict[Any, _Decoder]] = {
    Decimal: _decimal,
    float: _float,
    int: _exactly(int, "a whole number"),
    str: _exactly(str, "a text"),
    bool: _exactly(bool, "true or false"),
}
