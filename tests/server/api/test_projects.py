"""Projects through the API."""

from __future__ import annotations

from tests.conftest import People


async def test_admin_creates_and_lists(people: People) -> None:
    async with people.client("admin") as admin:
        created = await admin.post("/api/v1/projects", json={"name": "speech"})
        assert created.status_code == 201, created.text
        listed = (await admin.get("/api/v1/projects", params={"limit": 2})).json()
        assert listed["items"][0]["name"] == "speech"
        rest = await admin.get("/api/v1/projects", params={"cursor": listed["next_cursor"]})
        assert len(rest.json()["items"]) == 1


async def test_name_taken_is_a_conflict(people: People) -> None:
    async with people.client("admin") as admin:
        answer = await admin.post("/api/v1/projects", json={"name": "vision"})
    assert answer.status_code == 409
    assert answer.json()["code"] == "conflict"


async def test_a_misspelt_field_is_refused(people: People) -> None:
    async with people.client("admin") as admin:
        answer = await admin.post("/api/v1/projects", json={"name": "a", "descripton": "x"})
    assert answer.status_code == 422
    assert "descripton" in answer.json()["title"]


async def test_outsiders_do_not_see_it(people: People) -> None:
    async with people.client("outsider") as outsider:
        assert (await outsider.get("/api/v1/projects/vision")).status_code == 404
        listed = (await outsider.get("/api/v1/projects")).json()["items"]
    assert [item["name"] for item in listed] == ["other"]


async def test_members_can_be_set_by_maintainers_only(people: People) -> None:
    path = "/api/v1/projects/vision/members/outsider"
    async with people.client("member") as member:
        assert (await member.put(path, json={"role": "viewer"})).status_code == 403
    async with people.client("maintainer") as maintainer:
        assert (await maintainer.put(path, json={"role": "viewer"})).status_code == 200
    async with people.client("outsider") as outsider:
        assert (await outsider.get("/api/v1/projects/vision")).status_code == 200
    async with people.client("maintainer") as maintainer:
        assert (await maintainer.delete(path)).status_code == 204
