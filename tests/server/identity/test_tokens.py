"""API tokens: shown once, kept hashed, narrowed, ended; and the tokens of tasks."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from madang.core.clock import ManualClock
from madang.core.errors import Unauthenticated
from madang.core.permissions import Permission
from madang.server.identity.controller import write_token_uses
from madang.server.identity.tables import TokenRow
from madang.server.identity.tokens import authenticate_token, task_token
from tests.conftest import People


async def create(people: People, who: str, **body: Any) -> Any:
    async with people.client(who) as client:
        answer = await client.post("/api/v1/tokens", json={"name": "mine", **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def call(people: People, token: str, method: str, path: str, **options: Any) -> Any:
    async with people.client(None) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        return await client.request(method, path, **options)


async def test_the_secret_is_shown_once_and_kept_nowhere(people: People) -> None:
    created = await create(people, "member")
    async with people.client("member") as client:
        listed = await client.get("/api/v1/tokens")
    assert created["secret"] not in listed.text
    async with people.context.db.read() as session:
        rows = await session.scalars(select(TokenRow))
        assert all(created["secret"] not in (row.hash, row.name) for row in rows)


async def test_scopes_narrow(sqlite_people: People) -> None:
    created = await create(sqlite_people, "maintainer", scopes=["projects:read"])
    word = created["secret"]
    reading = await call(sqlite_people, word, "GET", "/api/v1/projects/vision")
    writing = await call(
        sqlite_people, word, "PATCH", "/api/v1/projects/vision", json={"description": "x"}
    )
    assert (reading.status_code, writing.status_code) == (200, 403)
    assert "projects:write" in writing.json()["detail"]


async def test_scopes_never_widen(sqlite_people: People) -> None:
    created = await create(sqlite_people, "member", scopes=["*"])
    answer = await call(
        sqlite_people, created["secret"], "POST", "/api/v1/users", json={"name": "friend"}
    )
    assert answer.status_code == 403


async def test_scope_that_means_nothing_is_refused(sqlite_people: People) -> None:
    async with sqlite_people.client("member") as client:
        answer = await client.post("/api/v1/tokens", json={"name": "x", "scopes": ["job:*"]})
    assert answer.status_code == 422
    assert "'job:*'" in answer.json()["title"]


async def test_a_narrow_token_makes_no_other(sqlite_people: People) -> None:
    for limits in ({"scopes": ["account:*"]}, {"project": "vision", "name": "for vision"}):
        created = await create(sqlite_people, "member", **limits)
        answer = await call(
            sqlite_people, created["secret"], "POST", "/api/v1/tokens", json={"name": "wide"}
        )
        assert answer.status_code == 403
        change = await call(
            sqlite_people,
            created["secret"],
            "PUT",
            "/api/v1/auth/password",
            json={"new": "a long password"},
        )
        assert change.status_code == 403


async def test_a_token_made_with_a_token_ends_no_later(sqlite_people: People) -> None:
    first = await create(sqlite_people, "member", days=1)
    answer = await call(
        sqlite_people,
        first["secret"],
        "POST",
        "/api/v1/tokens",
        json={"name": "second", "days": 365},
    )
    assert answer.json()["token"]["expires_at"] == first["token"]["expires_at"]


async def test_project_token_sees_its_project_alone(sqlite_people: People) -> None:
    created = await create(sqlite_people, "admin", project="vision")
    vision = await call(sqlite_people, created["secret"], "GET", "/api/v1/projects/vision")
    other = await call(sqlite_people, created["secret"], "GET", "/api/v1/projects/other")
    assert (vision.status_code, other.status_code) == (200, 404)


async def test_expired_and_revoked(people: People) -> None:
    clock = people.context.clock
    assert isinstance(clock, ManualClock)
    short = await create(people, "member", days=1, name="short")
    revoked = await create(people, "member", name="revoked")
    async with people.client("member") as client:
        assert (await client.delete("/api/v1/tokens/revoked")).status_code == 204
        assert (await client.delete(f"/api/v1/tokens/{revoked['token']['id']}")).status_code == 204
        assert (await client.post("/api/v1/tokens", json={"name": "revoked"})).status_code == 201
    clock.advance(86_401)
    for created, sentence in ((short, "has expired"), (revoked, "was revoked")):
        answer = await call(people, created["secret"], "GET", "/api/v1/auth/session")
        assert answer.status_code == 401
        assert sentence in answer.json()["title"]


async def test_nobody_revokes_anothers(sqlite_people: People) -> None:
    created = await create(sqlite_people, "member")
    async with sqlite_people.client("admin") as admin:
        answer = await admin.delete(f"/api/v1/tokens/{created['token']['id']}")
    assert answer.status_code == 404


async def test_use_is_written_down_later_and_together(people: People) -> None:
    async with people.client("member") as client:
        for _ in range(3):
            await client.get("/api/v1/auth/session")
        before = (await client.get("/api/v1/tokens")).json()["items"][0]
        await write_token_uses(people.context)
        after = (await client.get("/api/v1/tokens")).json()["items"][0]
    assert before["last_used_at"] is None
    assert after["last_used_at"] is not None


@pytest.mark.parametrize(
    "word", ["", "mdt_nonsense", "mdk_a.b.c.d", "mdk_", "mds_x", "ü", "mdk_ü"]
)
async def test_nonsense_is_nobody(sqlite_people: People, word: str) -> None:
    with pytest.raises(Unauthenticated):
        await authenticate_token(sqlite_people.context, word)


async def test_task_token_acts_for_its_person_in_its_project(sqlite_people: People) -> None:
    context, user_id = sqlite_people.context, sqlite_people.user_ids["admin"]
    word = task_token(context, "task-1", user_id, sqlite_people.project_id)
    principal = await authenticate_token(context, word)
    assert principal.task_id == "task-1"
    assert not principal.is_admin
    assert (await call(sqlite_people, word, "GET", "/api/v1/projects/other")).status_code == 404
    made = await call(sqlite_people, word, "POST", "/api/v1/tokens", json={"name": "loot"})
    assert made.status_code == 403


async def test_an_administrators_task_may_work_in_its_project_alone(sqlite_people: People) -> None:
    """She needs no role in a project to run something there; neither does what she runs."""
    user_id = sqlite_people.user_ids["admin"]
    word = task_token(sqlite_people.context, "task-1", user_id, sqlite_people.project_id)
    principal = await authenticate_token(sqlite_people.context, word)
    assert principal.allows(Permission.TRACKING_WRITE, sqlite_people.project_id)
    assert not principal.sees(sqlite_people.other_project_id)
    assert not principal.allows(Permission.USERS_WRITE)


async def test_task_token_ends_with_the_task(sqlite_people: People) -> None:
    context = sqlite_people.context

    async def only_the_first(session: object, task_id: str) -> bool:
        return task_id == "task-1"

    context.task_is_live = only_the_first
    user_id = sqlite_people.user_ids["member"]
    alive, ended = (task_token(context, task, user_id, "p") for task in ("task-1", "task-2"))
    assert (await authenticate_token(context, alive)).task_id == "task-1"
    with pytest.raises(Unauthenticated, match="has ended"):
        await authenticate_token(context, ended)


async def test_task_token_can_not_be_altered(sqlite_people: People) -> None:
    context = sqlite_people.context
    word = task_token(context, "task-1", sqlite_people.user_ids["viewer"], "p")
    forged = word.replace(sqlite_people.user_ids["viewer"], sqlite_people.user_ids["admin"])
    with pytest.raises(Unauthenticated):
        await authenticate_token(context, forged)
