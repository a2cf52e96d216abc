"""Text with a NUL, which PostgreSQL can't keep: a mistake of who asks, not of the server."""

from __future__ import annotations

from tests.conftest import People


async def test_a_nul_is_never_a_server_error(people: People) -> None:
    async with people.client("member") as client:
        assert (await client.get("/api/v1/folders/%00")).status_code in (404, 422)
        assert (await client.get("/api/v1/projects/%00")).status_code in (404, 422)
        body = {"name": "nul", "project": "vision", "description": "a\0b"}
        made = await client.post("/api/v1/folders", json=body)
        assert made.status_code in (201, 422), made.text
