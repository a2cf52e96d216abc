"""What the API refuses, and that it does so in words."""

from __future__ import annotations

import pytest

from tests.conftest import People

LISTS = (
    *("jobs", "users", "projects", "queues", "folders", "volumes", "datasets", "environments"),
    *("endpoints", "experiments", "models", "runs", "events", "tokens"),
)


@pytest.mark.parametrize("path", LISTS)
async def test_a_cursor_that_no_list_gave(people: People, path: str) -> None:
    async with people.client("admin") as admin:
        for cursor in ("nope", "zz zz", "job-UPPER", "é"):
            answer = await admin.get(f"/api/v1/{path}", params={"cursor": cursor})
            assert answer.status_code == 422, (cursor, answer.text)
            assert "is not a cursor of this list" in answer.json()["title"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "auth/password", {"new": "hunter2"}),
        ("POST", "users", {"name": "lee", "password": "hunter2"}),
        ("PATCH", "users/member", {"password": "hunter2"}),
        ("POST", "auth/token", {"name": "x", "password": "hunter2" * 1000}),
        ("POST", "auth/link", {"link": ["hunter2"]}),
        ("POST", "auth/login", ["hunter2"]),
        ("POST", "auth/login", "hunter2"),
    ],
)
async def test_a_refused_secret_is_not_repeated(
    people: People, method: str, path: str, body: object, capfd: pytest.CaptureFixture[str]
) -> None:
    async with people.client("admin") as admin:
        answer = await admin.request(method, f"/api/v1/{path}", json=body)
    assert answer.status_code == 422
    assert "hunter2" not in answer.text
    assert "hunter2" not in "".join(capfd.readouterr())
