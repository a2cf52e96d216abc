"""The planner's values as JSON and back, by their type hints."""

from __future__ import annotations

import dataclasses
import types
import typing
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from madang.core.reasons import Reason
from madang.scheduling import model


def encode(value: Any) -> Any:
    """Plain values; a dataclass becomes an object of the fields that are not as by default."""
    if isinstance(value, Reason):
        return value.to_json()
    if dataclasses.is_dataclass(value):
        return {
            field.name: encode(found)
            for field in dataclasses.fields(value)
            if (found := getattr(value, field.name)) != field.default
        }
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    return value


def encode_tagged(value: Any) -> dict[str, Any]:
    """An event or an action, with the name of its type: `{"Released": {"key": …}}`."""
    return {type(value).__name__: encode(value)}


def decode_tagged(plain: dict[str, Any]) -> Any:
    """The inverse. Raises ValueError for what is not one."""
    ((name, fields),) = plain.items()
    kind = getattr(model, name, None)
    if not dataclasses.is_dataclass(kind):
        raise ValueError(f"{name!r} is neither an event nor an action")
    return decode(fields, kind)


def decode(plain: Any, kind: Any) -> Any:
    """A value of type `kind` from what `encode` made of it."""
    if kind is Reason:
        return Reason.from_json(plain)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = _hints(kind)
        return kind(**{name: decode(value, hints[name]) for name, value in plain.items()})
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if plain is None:
            return None
        (kind,) = (argument for argument in arguments if argument is not type(None))
        return decode(plain, kind)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(decode(item, arguments[0]) for item in plain)
        return tuple(decode(item, of) for item, of in zip(plain, arguments, strict=True))
    return float(plain) if kind is float else plain


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
