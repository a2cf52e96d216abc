"""Requests through the gateway: where they go, what is passed on, what happens when it fails."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys

import aiohttp
import pytest
from aiohttp import web

from madang.server.serving.gateway import app as gateway_app
from tests.server.serving.gateway.conftest import AUTHORIZATION, World, raw_connection

INFER = "/endpoints/vision/digits/v2/models/digits/infer"


async def test_a_request_reaches_the_replica_with_its_path_and_body(
    world: World, browser: aiohttp.ClientSession
) -> None:
    await world.app(1)
    await world.until_routed(world.table(1))
    path = "/endpoints/vision/digits/v2/models/%C3%A9%2Fx/infer?a=1&b=%20"
    async with browser.post(world.url(path), data=b"hello", headers=AUTHORIZATION) as answer:
        assert answer.status == 200
        seen = await answer.json()
    assert seen["target"] == "/v2/models/%C3%A9%2Fx/infer?a=1&b=%20"
    assert (seen["method"], seen["size"]) == ("POST", 5)
    assert world.apps[0].bodies == [b"hello"]


async def test_credentials_and_forged_headers_do_not_reach_the_app(
    world: World, browser: aiohttp.ClientSession
) -> None:
    await world.app(1)
    await world.until_routed(world.table(1))
    headers = {
        **AUTHORIZATION,
        "Cookie": "madang_session=secret; theirs=1",
        "X-Madang-User": "root",
        "X-Forwarded-For": "6.6.6.6",
        "Connection": "keep-alive, X-Hop",
        "X-Hop": "1",
        "X-Kept": "1",
    }
    for path, cookie in ((INFER, None), ("/apps/task-1/lab?ticket=mdq_x&q=1", "theirs=1")):
        async with browser.get(world.url(path), headers=headers) as answer:
            seen = await answer.json()
            assert "keep-alive" not in {name.lower() for name in answer.headers}
        got = {name: value for name, value in seen["headers"]}
        assert len(got) == len(seen["headers"]), "a header came twice"
        assert got["x-madang-user"] == "alice"
        assert got["x-forwarded-for"] == "127.0.0.1"
        assert got["x-kept"] == "1"
        assert got.get("cookie") == cookie
        assert not {"authorization", "x-hop"} & set(got)
    assert seen["target"] == "/lab?q=1"
    assert got["x-forwarded-prefix"] == "/apps/task-1"


async def test_an_endpoint_sets_no_cookies_an_app_none_of_ours(
    world: World, browser: aiohttp.ClientSession
) -> None:
    async def set_cookies(request: web.Request) -> web.Response:
        response = web.Response(text="ok")
        response.headers.add("Set-Cookie", "madang_session=stolen")
        response.headers.add("Set-Cookie", "theirs=1")
        return response

    await world.app(1, set_cookies)
    await world.until_routed(world.table(1))
    async with browser.get(world.url(INFER), headers=AUTHORIZATION) as answer:
        assert "Set-Cookie" not in answer.headers
    async with browser.get(world.url("/apps/task-1/"), headers=AUTHORIZATION) as answer:
        assert answer.headers.getall("Set-Cookie") == ["theirs=1"]


async def test_requests_are_spread_over_the_replicas(
    world: World, browser: aiohttp.ClientSession
) -> None:
    for number in (1, 2, 3):
        await world.app(number)
    await world.until_routed(world.table(1, 2, 3))
    for _ in range(12):
        async with browser.get(world.url(INFER), headers=AUTHORIZATION) as answer:
            assert answer.status == 200
    assert [len(app.requests) for app in world.apps] == [4, 4, 4]


async def test_a_busy_replica_is_passed_over(world: World, browser: aiohttp.ClientSession) -> None:
    release = asyncio.Event()
    began = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        began.set()
        await release.wait()
        return web.Response(text="slow")

    await world.app(1, slow)
    await world.until_routed(world.table(1))
    stuck = asyncio.create_task(browser.get(world.url(INFER), headers=AUTHORIZATION))
    await began.wait()
    quick = await world.app(2)
    await world.until_routed(world.table(1, 2))
    for _ in range(5):
        async with browser.get(world.url(INFER), headers=AUTHORIZATION) as answer:
            assert answer.status == 200
    assert len(quick.requests) == 5
    release.set()
    assert await (await stuck).text() == "slow"


async def test_a_replica_that_can_not_be_reached_is_replaced_by_another(
    world: World, browser: aiohttp.ClientSession
) -> None:
    alive = await world.app(2)
    await world.until_routed(world.table(1, 2))  # nobody listens on the first
    for _ in range(4):
        async with browser.post(world.url(INFER), data=b"body", headers=AUTHORIZATION) as answer:
            assert answer.status == 200
    assert alive.bodies == [b"body"] * 4


async def test_a_replica_that_hangs_up_without_a_word_is_replaced_by_another(
    world: World, browser: aiohttp.ClientSession
) -> None:
    async def hang_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    await world.app(1, hang_up)
    alive = await world.app(2)
    await world.until_routed(world.table(1, 2))
    for _ in range(4):
        async with browser.post(world.url(INFER), data=b"body", headers=AUTHORIZATION) as answer:
            assert answer.status == 200
    assert alive.bodies == [b"body"] * 4


async def test_none_ready_says_why(
    world: World, browser: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.until_routed(world.table(message="waits for cpu=4; free now: cpu=1"))
    async with browser.get(world.url(INFER), headers=AUTHORIZATION) as answer:
        assert answer.status == 503
        assert answer.content_type == "application/problem+json"
        assert answer.headers["Retry-After"]
        title = (await answer.json())["title"]
    assert title == (
        "endpoint vision/digits has no ready replica: waits for cpu=4; free now: cpu=1"
    )
    monkeypatch.setattr(gateway_app, "NEW_ROUTE_S", 0.02)
    await world.until_routed(world.table(1))
    async with browser.get(world.url(INFER), headers=AUTHORIZATION) as answer:
        assert answer.status == 503
        assert "can't be reached" in (await answer.json())["title"]


async def test_when_the_only_replica_is_gone_its_successor_is_awaited(
    world: World, browser: aiohttp.ClientSession
) -> None:
    await world.until_routed(world.table(1))
    asking = asyncio.create_task(browser.get(world.url(INFER), headers=AUTHORIZATION))
    await world.app(2)
    world.control.publish(world.table(2))
    assert (await asking).status == 200


async def test_bodies_are_streamed_both_ways(world: World, browser: aiohttp.ClientSession) -> None:
    """The app's first words arrive before the request has been sent to its end."""

    async def talk(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async for chunk in request.content.iter_any():
            await response.write(chunk.upper())
        return response

    await world.app(1, talk)
    await world.until_routed(world.table(1))
    heard = asyncio.Queue[bytes]()

    async def say():
        yield b"one"
        assert await heard.get() == b"ONE"
        yield b"two"

    async with browser.post(world.url(INFER), data=say(), headers=AUTHORIZATION) as answer:
        heard.put_nowait(await answer.content.readany())
        assert await answer.content.readany() == b"TWO"


async def test_a_large_body_passes_whole(world: World, browser: aiohttp.ClientSession) -> None:
    await world.app(1)
    await world.until_routed(world.table(1))
    body = bytes(range(256)) * 20_000
    sent = io.BytesIO(body)
    async with browser.post(world.url(INFER), data=sent, headers=AUTHORIZATION) as answer:
        assert (await answer.json())["size"] == len(body)
    assert world.apps[0].bodies == [body]


async def test_a_compressed_body_is_not_touched(
    world: World, browser: aiohttp.ClientSession
) -> None:
    await world.app(1)
    await world.until_routed(world.table(1))
    headers = {**AUTHORIZATION, "Content-Encoding": "gzip"}
    async with browser.post(world.url(INFER), data=b"not gzip", headers=headers) as answer:
        assert answer.status == 200
    assert world.apps[0].bodies == [b"not gzip"]


async def test_an_app_that_breaks_off_is_not_taken_for_whole(
    world: World, browser: aiohttp.ClientSession
) -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return response

    await world.app(1, break_off)
    await world.until_routed(world.table(1))
    with pytest.raises(aiohttp.ClientError):
        async with browser.get(world.url(INFER), headers=AUTHORIZATION) as answer:
            await answer.read()


async def test_a_silent_app_is_a_timeout(
    world: World, browser: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.stop_gateway()
    monkeypatch.setattr("madang.server.serving.gateway.relay.ANSWER_TIMEOUT_S", 0.05)
    await world.start_gateway()
    forever = asyncio.Event()

    async def silent(request: web.Request) -> web.Response:
        await forever.wait()
        return web.Response()

    await world.app(1, silent)
    await world.until_routed(world.table(1))
    async with browser.get(world.url(INFER), headers=AUTHORIZATION) as answer:
        assert answer.status == 504
        assert "did not answer within" in (await answer.json())["title"]
    forever.set()


async def test_when_the_client_leaves_the_app_is_told(
    world: World, browser: aiohttp.ClientSession
) -> None:
    began, left = asyncio.Event(), asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 1000)
                began.set()
                await asyncio.sleep(0.001)
        finally:
            left.set()

    await world.app(1, endless)
    await world.until_routed(world.table(1))
    answer = await browser.get(world.url("/apps/task-1/"), headers=AUTHORIZATION)
    await began.wait()
    answer.close()
    await asyncio.wait_for(left.wait(), 5)


async def test_unknown_addresses_and_bad_targets(
    world: World, browser: aiohttp.ClientSession
) -> None:
    async with browser.get(world.url("/nowhere")) as answer:
        assert answer.status == 404
        assert "/nowhere" in (await answer.json())["title"]
    async with browser.get(world.url("/apps/task-2/"), headers=AUTHORIZATION) as answer:
        assert answer.status == 404
    async with browser.get(world.url("/healthz")) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "head",
    [
        b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
        b"Transfer-Encoding: chunked\r\n",
        b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n",
        b"POST %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n",
        b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: +3\r\n",
        b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length : 3\r\n",
        b"GET %s HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n",
    ],
)
async def test_ambiguous_requests_are_refused(world: World, head: bytes) -> None:
    """What two servers could read in two ways (request smuggling) reaches no app."""
    app = await world.app(1)
    await world.until_routed(world.table(1))
    async with raw_connection(world.port) as (reader, writer):
        token = AUTHORIZATION["Authorization"].encode()
        writer.write(
            head % INFER.encode() + b"Authorization: " + token + b"\r\n\r\n"
            b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        status = await reader.readline()
    assert b" 400 " in status
    assert app.requests == []


async def test_an_upgrade_to_anything_else_is_not_passed_on(world: World) -> None:
    app = await world.app(1)
    await world.until_routed(world.table(1))
    async with raw_connection(world.port) as (reader, writer):
        writer.write(
            b"GET /apps/task-1/ HTTP/1.1\r\nHost: localhost\r\n"
            b"Connection: Upgrade, HTTP2-Settings\r\n"
            b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
            b"Authorization: Bearer mdt_alice\r\n\r\n"
        )
        status = await reader.readline()
    assert b" 200 " in status
    assert not {"Upgrade", "HTTP2-Settings"} & set(app.requests[0].headers)


async def test_the_portal_may_use_endpoints_other_origins_may_not(
    world: World, browser: aiohttp.ClientSession
) -> None:
    await world.app(1)
    await world.until_routed(world.table(1))
    ask = {"Access-Control-Request-Method": "POST"}
    for origin, status in (("http://127.0.0.1:8642", 204), ("http://evil.example", 403)):
        async with browser.options(world.url(INFER), headers={**ask, "Origin": origin}) as answer:
            assert answer.status == status
            allowed = answer.headers.get("Access-Control-Allow-Origin")
            assert allowed == (origin if status == 204 else None)
    ours = {"Origin": "http://localhost:8642"}
    async with browser.get(world.url(INFER), headers=AUTHORIZATION | ours) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:8642"
    async with browser.get(world.url(INFER), headers=ours) as answer:
        assert answer.status == 401, "an error can be read by the page, too"
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:8642"


async def test_foreign_hosts_are_refused(world: World, browser: aiohttp.ClientSession) -> None:
    await world.app(1)
    await world.until_routed(world.table(1))
    for host, status in (("evil.test:8643", 421), ("localhost:8643", 200), ("127.0.0.1", 200)):
        headers = {**AUTHORIZATION, "Host": host}
        async with browser.get(world.url(INFER), headers=headers) as answer:
            assert answer.status == status


def test_the_process_stays_small() -> None:
    """Neither the database nor the API's framework is imported: they double its memory."""
    heavy = "{'sqlalchemy', 'pydantic', 'fastapi', 'structlog', 'numpy', 'rich'}"
    code = (
        f"import sys, madang.server.serving.gateway.serve as _; print({heavy} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
