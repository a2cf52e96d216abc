"""The Python reference, from the docstrings of what the public packages export."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from enum import Enum
from importlib import import_module
from types import ModuleType
from typing import Any

from madang.client import Client
from scripts.reference.markdown import code, page, prose

PUBLIC_PACKAGES = ("madang", "madang.client", "madang.data", "madang.files", "madang.train")


def public_packages() -> list[ModuleType]:
    """The packages whose `__all__` is a promise; those that export nothing are left out."""
    modules = [import_module(name) for name in PUBLIC_PACKAGES]
    return [module for module in modules if getattr(module, "__all__", [])]


def python_page() -> str:
    parts = ["# Python", "What these packages export stays; anything deeper may change."]
    for module in public_packages():
        parts.extend([f"## {module.__name__}", prose(module.__doc__ or "")])
        for name in module.__all__:
            parts.extend(_member(f"{module.__name__}.{name}", getattr(module, name)))
    parts.extend(_resources())
    return page(*parts)


def _resources() -> Iterator[str]:
    """What hangs on a client: `client.projects`, `client.jobs` and so on."""
    yield "## Resources of the client"
    yield "`AsyncClient` has the same, with `await`."
    with Client("http://localhost", "none") as client:
        resources = {name: type(each) for name, each in vars(client).items() if name[0] != "_"}
    for name, resource in resources.items():
        if resource.__module__.startswith("madang.client._sync") and name != "transport":
            yield f"### client.{name}"
            yield prose(inspect.getdoc(resource) or "")
            yield from _methods(resource)


def _member(name: str, member: Any) -> Iterator[str]:
    yield f"### {name}"
    if inspect.isclass(member) and issubclass(member, Enum):
        yield prose(inspect.getdoc(member) or "")
        yield "One of " + ", ".join(f"{code(each.name)} ({each.value})" for each in member) + "."
    elif inspect.isclass(member) or inspect.isroutine(member):
        yield f"```python\n{_signature(name.rpartition('.')[2], member)}\n```"
        yield prose(inspect.getdoc(member) or "")
        if inspect.isclass(member):
            yield from _methods(member)
    else:
        yield f"Value: {code(repr(member))}"


def _methods(owner: type) -> Iterator[str]:
    lines = []
    for name, attribute in vars(owner).items():
        text = inspect.getdoc(attribute)
        if name.startswith("_") or not text:
            continue
        if isinstance(attribute, property):
            lines.append(f"- {code(name)}: {_summary(text)}")
        elif inspect.isroutine(attribute):
            signature = _signature(name, getattr(owner, name))
            lines.append(f"- {code(signature)}: {_summary(text)}")
    yield "\n".join(lines)


def _summary(text: str) -> str:
    return prose(" ".join(text.split("\n\n")[0].split()))


class _Verbatim(str):
    """An annotation that is shown as it was written."""

    __repr__ = str.__str__


def _signature(name: str, member: Any) -> str:
    signature = inspect.signature(member)
    parameters = [
        parameter.replace(annotation=_as_written(parameter.annotation))
        for parameter in signature.parameters.values()
        if parameter.name not in ("self", "cls")
    ]
    returned = _as_written(signature.return_annotation)
    return name + str(signature.replace(parameters=parameters, return_annotation=returned))


def _as_written(annotation: Any) -> Any:
    return _Verbatim(annotation) if isinstance(annotation, str) else annotation
