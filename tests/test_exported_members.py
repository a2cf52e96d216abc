"""`__all__` of the public packages: sorted, whole, and documented."""

from __future__ import annotations

import inspect
from importlib import import_module
from types import ModuleType

import pytest

from scripts.reference.python import PUBLIC_PACKAGES


@pytest.fixture(params=PUBLIC_PACKAGES)
def module(request: pytest.FixtureRequest) -> ModuleType:
    return import_module(request.param)


def exported(module: ModuleType) -> set[str]:
    """Public names of a package that are not modules and do not come from elsewhere."""
    return {
        name
        for name, member in vars(module).items()
        if not name.startswith("_")
        and name != "TYPE_CHECKING"
        and not inspect.ismodule(member)
        and getattr(member, "__module__", "madang").startswith("madang")
    }


def by_kind_and_name(name: str) -> tuple[bool, bool, str]:
    """Constants, then classes, then functions: as ruff sorts `__all__`."""
    return not name.isupper(), name[:1].islower(), name


def names_of(module: ModuleType) -> list[str]:
    return list(getattr(module, "__all__", []))


def test_all_is_sorted_and_whole(module: ModuleType) -> None:
    names = names_of(module)
    assert names == sorted(names, key=by_kind_and_name)
    assert exported(module) <= set(names)
    assert all(hasattr(module, name) for name in names)


def test_everything_exported_has_a_docstring(module: ModuleType) -> None:
    members = {name: getattr(module, name) for name in names_of(module)}
    bare = {
        name
        for name, member in members.items()
        if (inspect.isclass(member) or inspect.isroutine(member)) and not member.__doc__
    }
    assert not bare
