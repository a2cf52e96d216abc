"""From JSON to the dataclasses of `madang.schemas`, by their annotations.

Fields that this version does not know are passed over: an old client works with a newer server.
"""

from __future__ import annotations

import types
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

T = TypeVar("T")


def from_json(target: type[T], value: Any) -> T:
    """Read `value` as `target`, e.g. `from_json(Page[Project], response.json())`."""
    return cast(T, _convert(target, value, {}))


def _convert(target: Any, value: Any, bound: dict[Any, Any]) -> Any:
    target = bound.get(target, target) if isinstance(target, TypeVar) else target
    origin, arguments = get_origin(target), get_args(target)
    if origin is Annotated:
        return _convert(arguments[0], value, bound)
    if value is None or target is Any or origin is Literal:
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(arguments, value, bound)
    if origin in (list, tuple):
        items = [_convert(arguments[0], item, bound) for item in value]
        return items if origin is list else tuple(items)
    if origin is dict:
        return {key: _convert(arguments[1], item, bound) for key, item in value.items()}
    if is_dataclass(origin or target):
        return _convert_dataclass(origin or target, arguments, value, bound)
    if target is datetime:
        return datetime.fromisoformat(value)
    if isinstance(target, type) and issubclass(target, Enum | float):
        return target(value)
    return value


def _convert_union(arguments: tuple[Any, ...], value: Any, bound: dict[Any, Any]) -> Any:
    """A union on the wire is one structured type or None; plain types stand as they are."""
    for argument in arguments:
        origin = get_origin(argument) or argument
        structured = (origin is dict or is_dataclass(origin)) and isinstance(value, dict)
        several = origin in (list, tuple) and isinstance(value, list)
        if structured or several or argument is datetime:
            return _convert(argument, value, bound)
        if isinstance(argument, type) and issubclass(argument, Enum):
            return argument(value)
    return value


def _convert_dataclass(
    target: Any, arguments: tuple[Any, ...], value: dict[str, Any], bound: dict[Any, Any]
) -> Any:
    if arguments:
        resolved = [bound.get(argument, argument) for argument in arguments]
        bound = dict(zip(target.__parameters__, resolved, strict=True))
    hints = _hints(target)
    given = {}
    for field in fields(target):
        if field.name in value:
            given[field.name] = _convert(hints[field.name], value[field.name], bound)
        elif field.default is MISSING and field.default_factory is MISSING:
            given[field.name] = None  # an older server does not send it
    return target(**given)


@cache
def _hints(target: Any) -> dict[str, Any]:
    return get_type_hints(target, include_extras=True)
