"""Accounts through the API."""

from __future__ import annotations

from tests.conftest import People


async def test_create_and_list(people: People) -> None:
    async with people.client("admin") as admin:
        created = await admin.post("/api/v1/users", json={"name": "newcomer"})
        assert created.status_code == 201, created.text
        first = (await admin.get("/api/v1/users", params={"limit": 1})).json()
        assert [user["name"] for user in first["items"]] == ["newcomer"]
        rest = await admin.get("/api/v1/users", params={"cursor": first["next_cursor"]})
        assert len(rest.json()["items"]) == 5


async def test_name_taken_or_impossible(people: People) -> None:
    async with people.client("admin") as admin:
        assert (await admin.post("/api/v1/users", json={"name": "member"})).status_code == 409
        assert (await admin.post("/api/v1/users", json={"name": "A B"})).status_code == 422


async def test_password_is_never_answered(sqlite_people: People) -> None:
    async with sqlite_people.client("admin") as admin:
        body = {"name": "newcomer", "password": "a good password"}
        created = await admin.post("/api/v1/users", json=body)
    assert "password" not in created.text


async def test_the_last_administrator_stays(people: People) -> None:
    async with people.client("admin") as admin:
        for change in ({"disabled": True}, {"is_admin": False}):
            answer = await admin.patch("/api/v1/users/admin", json=change)
            assert answer.status_code == 409, answer.text
        await admin.patch("/api/v1/users/member", json={"is_admin": True})
        answer = await admin.patch("/api/v1/users/admin", json={"is_admin": False})
        assert answer.status_code == 200


async def test_login_link_for_somebody(sqlite_people: People) -> None:
    async with sqlite_people.client("admin") as admin:
        link = (await admin.post("/api/v1/users/viewer/login-links")).json()
    word = link["url"].partition("?link=")[2]
    async with sqlite_people.client(None) as browser:
        answer = await browser.post("/api/v1/auth/link", json={"link": word})
    assert answer.json()["user"]["name"] == "viewer"


async def test_no_link_for_the_disabled(sqlite_people: People) -> None:
    async with sqlite_people.client("admin") as admin:
        await admin.patch("/api/v1/users/viewer", json={"disabled": True})
        answer = await admin.post("/api/v1/users/viewer/login-links")
    assert answer.status_code == 409
