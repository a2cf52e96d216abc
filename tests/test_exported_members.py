"""`__all__` of the public packages: sorted, whole, and documented."""

from __future__ import annotations

import inspect
from types import ModuleType

import pytest

from scripts.reference.python import public_packages


def exported(module: ModuleType) -> set[str]:
    """Public names of a package that are not modules and do not come from elsewhere."""
    return {
        name
        for name, member in vars(module).items()
        if not name.startswith("_")
        and not inspect.ismodule(member)
        and getattr(member, "__module__", "madang").startswith("madang")
    }


def by_kind_and_name(name: str) -> tuple[bool, bool, str]:
    """Constants, then classes, then functions: as ruff sorts `__all__`."""
    return not name.isupper(), name[:1].islower(), name


@pytest.mark.parametrize("module", public_packages(), ids=lambda module: module.__name__)
class TestPublicPackage:
    def test_all_is_sorted_and_whole(self, module: ModuleType) -> None:
        assert list(module.__all__) == sorted(module.__all__, key=by_kind_and_name)
        assert exported(module) <= set(module.__all__)
        assert all(hasattr(module, name) for name in module.__all__)

    def test_everything_exported_has_a_docstring(self, module: ModuleType) -> None:
        members = {name: getattr(module, name) for name in module.__all__}
        functions_and_classes = {
            name: member
            for name, member in members.items()
            if inspect.isclass(member) or inspect.isroutine(member)
        }
        bare = {name for name, member in functions_and_classes.items() if not member.__doc__}
        assert not bare
