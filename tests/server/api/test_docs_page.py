"""`/docs` needs nothing from elsewhere."""

from __future__ import annotations

import re

from tests.conftest import People


async def test_all_that_the_page_loads_is_served_here(sqlite_people: People) -> None:
    async with sqlite_people.client(None) as client:
        page = await client.get("/docs")
        assert page.status_code == 200
        loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert len(loaded) == 3
        for address in loaded:
            assert address.startswith("/docs/assets/")
            assert (await client.get(address)).status_code == 200


async def test_its_policy_names_no_other_host(sqlite_people: People) -> None:
    async with sqlite_people.client(None) as client:
        policy = (await client.get("/docs")).headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy
