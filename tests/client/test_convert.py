"""From JSON to dataclasses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from madang.client._convert import from_json
from madang.core.permissions import Role
from madang.schemas import Page
from madang.schemas.projects import Project


@dataclass(frozen=True)
class Inner:
    at: datetime | None
    share: float


@dataclass(frozen=True)
class Outer:
    inner: Inner | None
    many: tuple[Inner, ...] = ()
    by_name: dict[str, Inner] | None = None


def test_pages_of_dataclasses() -> None:
    page = from_json(
        Page[Project],
        {
            "items": [
                {
                    "id": "proj-1",
                    "name": "vision",
                    "description": "",
                    "role": "member",
                    "created_at": "2026-01-01T00:00:00Z",
                    "a_field_of_a_newer_server": 1,
                }
            ],
            "next_cursor": None,
        },
    )
    assert page.items[0].role is Role.MEMBER
    assert page.items[0].created_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_nested_and_optional() -> None:
    inner = {"at": None, "share": 1}
    outer = from_json(Outer, {"inner": inner, "many": [inner], "by_name": {"a": inner}})
    assert outer == Outer(Inner(None, 1.0), (Inner(None, 1.0),), {"a": Inner(None, 1.0)})
    assert from_json(Outer, {"inner": None}) == Outer(None)


def test_an_older_server_may_lack_fields() -> None:
    assert from_json(Inner, {"share": 2}) == Inner(None, 2.0)
