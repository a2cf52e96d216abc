"""Environments through the API."""

from __future__ import annotations

from madang.client import AsyncClient
from tests.conftest import People

PATH = "/api/v1/environments"


async def test_create_and_read(people: People) -> None:
    async with people.client("member") as member:
        body = {"name": "vision", "packages": ["numpy"], "python": "3.11"}
        created = await member.post(PATH, json=body)
        assert created.status_code == 201, created.text
        assert (await member.post(PATH, json=body)).status_code == 200
        environment = created.json()
        assert environment["state"] == "building" and environment["packages"] == ["numpy"]
        found = await member.get(f"{PATH}/vision@1", params={"project": "vision"})
        assert found.json() == environment
        log = await member.get(f"{PATH}/{environment['id']}/log")
        assert log.json() == {"text": "", "next_offset": 0, "complete": False}


async def test_what_is_no_package(sqlite_people: People) -> None:
    async with sqlite_people.client("member") as member:
        for packages in (["--index-url=x"], ["a @ git+https://x"], ["../a"], [""]):
            answer = await member.post(PATH, json={"name": "vision", "packages": packages})
            assert answer.status_code == 422 and answer.json()["field"] == "packages"
        answer = await member.post(PATH, json={"name": "Vision!", "packages": []})
        assert answer.status_code == 422 and answer.json()["field"] == "name"


async def test_lists_are_filtered_and_paged(sqlite_people: People) -> None:
    async with sqlite_people.client("member") as member:
        for number in range(3):
            await member.post(PATH, json={"name": "vision", "packages": [f"numpy=={number}"]})
        await member.post(PATH, json={"name": "other", "packages": []})
        page = (await member.get(PATH, params={"name": "vision", "limit": 2})).json()
        assert [item["version"] for item in page["items"]] == [3, 2]
        params = {"name": "vision", "cursor": page["next_cursor"]}
        rest = (await member.get(PATH, params=params)).json()
        assert [item["version"] for item in rest["items"]] == [1]
        assert (await member.get(PATH, params={"state": "ready"})).json()["items"] == []


async def test_outsiders_and_viewers(sqlite_people: People) -> None:
    async with sqlite_people.client("member") as member:
        created = (await member.post(PATH, json={"name": "vision", "packages": []})).json()
    async with sqlite_people.client("outsider") as outsider:
        assert (await outsider.get(f"{PATH}/{created['id']}")).status_code == 404
        assert (await outsider.get(f"{PATH}/{created['id']}/log")).status_code == 404
        assert (await outsider.delete(f"{PATH}/{created['id']}")).status_code == 404
        assert (await outsider.get(PATH)).json()["items"] == []
    async with sqlite_people.client("viewer") as viewer:
        assert (await viewer.get(f"{PATH}/vision")).status_code == 200
        assert (await viewer.delete(f"{PATH}/vision")).status_code == 403
        assert (await viewer.post(f"{PATH}/vision/retry")).status_code == 403


async def test_through_the_client(sqlite_people: People) -> None:
    transport = sqlite_people.client("member")._transport
    token = sqlite_people.tokens["member"]
    async with AsyncClient("http://madang.test", token, transport=transport) as client:
        environment = await client.environments.create("vision", ["numpy"])
        assert environment.ref == "vision@1"
        assert [item.id async for item in client.environments.iterate()] == [environment.id]
        await client.environments.remove("vision@1")
        assert (await client.environments.list()).items == []
