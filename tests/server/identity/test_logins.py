"""Logging in by password and by link, the cookie, what protects it, and its end."""

from __future__ import annotations

import httpx
import pytest
from sqlalchemy import select

from madang.core.clock import ManualClock
from madang.server.identity import sessions, users
from madang.server.identity.controller import forget_expired
from madang.server.identity.sessions import SESSION_COOKIE
from madang.server.identity.tables import LoginLinkRow, LoginSessionRow
from tests.conftest import People

PASSWORD = "correct horse battery"
ORIGIN = "http://madang.test"


@pytest.fixture
async def member(sqlite_people: People) -> People:
    """`member` has a password."""
    admin = await sqlite_people.principal("admin")
    await users.change_user(sqlite_people.context, admin, "member", password=PASSWORD)
    return sqlite_people


def clock_of(people: People) -> ManualClock:
    assert isinstance(people.context.clock, ManualClock)
    return people.context.clock


async def log_in(client: httpx.AsyncClient, password: str = PASSWORD) -> httpx.Response:
    body = {"name": "member", "password": password}
    return await client.post("/api/v1/auth/login", json=body)


async def test_password_opens_a_session(member: People) -> None:
    async with member.client(None) as browser:
        answer = await log_in(browser)
        assert answer.status_code == 200
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        session = (await browser.get("/api/v1/auth/session")).json()
    assert session["user"]["name"] == "member"
    assert [(p["name"], p["role"]) for p in session["projects"]] == [("vision", "member")]


async def test_words_are_kept_as_hashes(member: People) -> None:
    async with member.client(None) as browser:
        await log_in(browser)
        word = browser.cookies[SESSION_COOKIE]
    async with member.context.db.read() as session:
        row = await session.scalar(select(LoginSessionRow))
        assert row is not None
        assert word not in (row.id, row.hash)


async def test_wrong_password_and_unknown_name_look_alike(member: People) -> None:
    async with member.client(None) as browser:
        wrong = await log_in(browser, "something else")
        body = {"name": "nobody-at-all", "password": PASSWORD}
        unknown = await browser.post("/api/v1/auth/login", json=body)
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()


async def test_no_password_means_no_login_by_password(sqlite_people: People) -> None:
    async with sqlite_people.client(None) as browser:
        assert (await log_in(browser, "")).status_code == 401


async def test_too_many_failures_wait_a_minute(member: People) -> None:
    limit = member.context.settings.login_attempts
    async with member.client(None) as browser:
        for _ in range(limit):
            assert (await log_in(browser, "wrong")).status_code == 401
        refused = await log_in(browser)
        assert refused.status_code == 429
        assert 0 < refused.json()["retry_after_s"] <= 60
        assert int(refused.headers["retry-after"]) <= 60
        clock_of(member).advance(61)
        assert (await log_in(browser)).status_code == 200


async def test_good_logins_do_not_count(member: People) -> None:
    async with member.client(None) as browser:
        for _ in range(member.context.settings.login_attempts + 2):
            assert (await log_in(browser)).status_code == 200


async def test_session_ends_by_time(member: People) -> None:
    async with member.client(None) as browser:
        await log_in(browser)
        clock_of(member).advance(member.context.settings.login_hours * 3600 + 1)
        assert (await browser.get("/api/v1/auth/session")).status_code == 401
    await forget_expired(member.context)
    async with member.context.db.read() as session:
        assert await session.scalar(select(LoginSessionRow)) is None


async def test_logout_ends_the_session(member: People) -> None:
    async with member.client(None) as browser:
        csrf = (await log_in(browser)).json()["csrf"]
        word = browser.cookies[SESSION_COOKIE]
        headers = {"Origin": ORIGIN, "X-Madang-CSRF": csrf}
        answer = await browser.post("/api/v1/auth/logout", headers=headers)
        assert answer.status_code == 204
        browser.cookies.set(SESSION_COOKIE, word)
        assert (await browser.get("/api/v1/auth/session")).status_code == 401


@pytest.mark.parametrize(
    ("origin", "with_csrf", "status"),
    [
        (ORIGIN, True, 201),
        (ORIGIN, False, 403),
        (None, True, 403),
        ("http://evil.test", True, 403),
        ("https://madang.test", True, 403),
        ("http://madang.test:8643", True, 403),
        ("null", True, 403),
    ],
)
async def test_cookie_needs_our_origin_and_csrf(
    member: People, origin: str | None, with_csrf: bool, status: int
) -> None:
    async with member.client(None) as browser:
        csrf = (await log_in(browser)).json()["csrf"]
        headers = {"X-Madang-CSRF": csrf if with_csrf else "wrong"}
        if origin:
            headers["Origin"] = origin
        answer = await browser.post("/api/v1/tokens", json={"name": "x"}, headers=headers)
    assert answer.status_code == status, answer.text


async def test_csrf_word_is_the_sessions_own(member: People) -> None:
    async with member.client(None) as first, member.client(None) as second:
        first_csrf = (await log_in(first)).json()["csrf"]
        await log_in(second)
        headers = {"Origin": ORIGIN, "X-Madang-CSRF": first_csrf}
        answer = await second.post("/api/v1/tokens", json={"name": "x"}, headers=headers)
    assert answer.status_code == 403


async def test_other_pages_can_not_log_a_visitor_in(member: People) -> None:
    async with member.client(None) as browser:
        body = {"name": "member", "password": PASSWORD}
        answer = await browser.post(
            "/api/v1/auth/login", json=body, headers={"Origin": "http://evil.test"}
        )
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_link_works_once(member: People) -> None:
    word, _ = await sessions.make_link(member.context, member.user_ids["viewer"])
    async with member.client(None) as browser:
        first = await browser.post("/api/v1/auth/link", json={"link": word})
        assert first.json()["user"]["name"] == "viewer"
    async with member.client(None) as browser:
        second = await browser.post("/api/v1/auth/link", json={"link": word})
    assert second.status_code == 401


async def test_link_runs_out(member: People) -> None:
    word, _ = await sessions.make_link(member.context, member.user_ids["viewer"])
    clock_of(member).advance(sessions.LINK_MINUTES * 60 + 1)
    async with member.client(None) as browser:
        answer = await browser.post("/api/v1/auth/link", json={"link": word})
    assert answer.status_code == 401


async def test_links_can_not_be_guessed_quickly(member: People) -> None:
    async with member.client(None) as browser:
        for _ in range(member.context.settings.login_attempts):
            await browser.post("/api/v1/auth/link", json={"link": "guess"})
        answer = await browser.post("/api/v1/auth/link", json={"link": "guess"})
    assert answer.status_code == 429


async def test_disabling_ends_everything(member: People) -> None:
    word, _ = await sessions.make_link(member.context, member.user_ids["member"])
    async with member.client(None) as browser, member.client("member") as program:
        await log_in(browser)
        async with member.client("admin") as admin:
            changed = await admin.patch("/api/v1/users/member", json={"disabled": True})
            assert changed.json()["disabled"] is True
        assert (await browser.get("/api/v1/auth/session")).status_code == 401
        assert (await program.get("/api/v1/auth/session")).status_code == 401
        assert (await log_in(browser)).status_code == 401
        link = await browser.post("/api/v1/auth/link", json={"link": word})
        assert link.status_code == 401
    async with member.context.db.read() as session:
        assert await session.scalar(select(LoginLinkRow)) is None


async def test_new_password_ends_other_logins(member: People) -> None:
    async with member.client(None) as here, member.client(None) as elsewhere:
        csrf = (await log_in(here)).json()["csrf"]
        await log_in(elsewhere)
        answer = await here.put(
            "/api/v1/auth/password",
            json={"current": PASSWORD, "new": "another password"},
            headers={"Origin": ORIGIN, "X-Madang-CSRF": csrf},
        )
        assert answer.status_code == 204, answer.text
        assert (await here.get("/api/v1/auth/session")).status_code == 200
        assert (await elsewhere.get("/api/v1/auth/session")).status_code == 401


async def test_password_change_needs_the_current_one(member: People) -> None:
    async with member.client("member") as client:
        body = {"current": "not it", "new": "another password"}
        answer = await client.put("/api/v1/auth/password", json=body)
    assert answer.status_code == 422
    assert answer.json()["field"] == "current"


async def test_login_for_a_token_replaces_the_last_one(member: People) -> None:
    body = {"name": "member", "password": PASSWORD, "token_name": "laptop"}
    async with member.client(None) as nobody:
        first = (await nobody.post("/api/v1/auth/token", json=body)).json()["secret"]
        second = (await nobody.post("/api/v1/auth/token", json=body)).json()["secret"]
        statuses = [
            (
                await nobody.get(
                    "/api/v1/auth/session", headers={"Authorization": f"Bearer {word}"}
                )
            ).status_code
            for word in (first, second)
        ]
    assert statuses == [401, 200]
