"""The protocol's dataclasses as JSON and back."""

from __future__ import annotations

import types
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def to_json(value: Any) -> Any:
    """What `json.dumps` takes."""
    return asdict(value)


def from_json(kind: type[T], value: Any) -> T:
    """The dataclass that `value` stands for; keys that this version doesn't know are ignored, so
    that a newer control can talk to an older agent. Raises TypeError when one is missing."""
    result: T = _read(kind, value)
    return result


def _read(kind: Any, value: Any) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{name: _read(hints[name], value[name]) for name in hints if name in value})
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple:
        return tuple(_read(arguments[0], item) for item in value)
    if origin in (Union, types.UnionType) and value is not None:
        return _read(next(a for a in arguments if a is not type(None)), value)
    if kind is float and isinstance(value, int):
        return float(value)
    return value


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}
