"""The routing table and its signed copy."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest

from madang.server.serving.gateway.routes import (
    AppRoute,
    EndpointRoute,
    Replica,
    RouteTable,
    load_routes,
    save_routes,
)
from tests.server.serving.gateway.conftest import AUTHORIZATION, World

KEY = b"k" * 32
TABLE = RouteTable(
    (EndpointRoute("endp-1", "digits", "proj-1", "vision", (Replica("task-1", "/s/1"),), "x"),),
    (AppRoute("task-9", "proj-1", "/s/9"),),
)


def test_the_wire_and_the_revision() -> None:
    again = RouteTable.from_json(json.loads(json.dumps(TABLE.to_json())))
    assert again == TABLE
    assert again.revision == TABLE.revision != RouteTable().revision
    assert TABLE.sockets() == {"/s/1", "/s/9"}


def test_the_copy_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "routes.json"
    save_routes(path, TABLE, KEY)
    assert load_routes(path, KEY) == TABLE
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_copy_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "routes.json"
    assert load_routes(path, KEY) is None
    save_routes(path, TABLE, b"other" * 8)
    assert load_routes(path, KEY) is None
    save_routes(path, TABLE, KEY)
    path.write_text(path.read_text().replace("/s/1", "/s/2"))
    assert load_routes(path, KEY) is None


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "null", '{"routes": 1, "signature": 2}', "\xff"]
)
def test_a_damaged_copy_is_as_good_as_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "routes.json"
    path.write_bytes(content.encode("latin-1"))
    assert load_routes(path, KEY) is None


async def test_it_routes_while_control_is_away(
    world: World, browser: aiohttp.ClientSession
) -> None:
    await world.app(1)
    await world.until_routed(world.table(1))
    url = world.url("/endpoints/vision/digits/v2")
    async with browser.get(url, headers=AUTHORIZATION) as answer:
        assert answer.status == 200
    await world.control.stop()
    async with browser.get(url, headers=AUTHORIZATION) as answer:
        assert answer.status == 200


async def test_it_starts_with_the_table_of_its_last_run(
    world: World, browser: aiohttp.ClientSession
) -> None:
    """Control is slow to come back: it answers who may, not yet where."""
    await world.app(1)
    await world.until_routed(world.table(1))
    await world.stop_gateway()
    world.control.tells_routes = False
    await world.start_gateway()
    url = world.url("/endpoints/vision/digits/v2")
    async with browser.get(url, headers=AUTHORIZATION) as answer:
        assert answer.status == 200
