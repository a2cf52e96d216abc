"""Websockets through the gateway."""

from __future__ import annotations

import asyncio
from typing import cast

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from tests.server.serving.gateway.conftest import AUTHORIZATION, World, raw_connection

PATH = "/apps/task-1/ws"


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Says who the visitor is, then echoes."""
    socket = web.WebSocketResponse(protocols=("chat",))
    await socket.prepare(request)
    await socket.send_str(f"{request.headers['X-Madang-User']} {request.raw_path}")
    async for message in socket:
        if message.type == WSMsgType.BINARY:
            await socket.send_bytes(message.data)
        elif message.data == "bye":
            await socket.close(code=4000, message=b"so long")
        else:
            await socket.send_str(message.data)
    return socket


@pytest.fixture
async def chat(world: World) -> World:
    await world.app(1, echo)
    await world.until_routed(world.table(1))
    return world


async def test_both_ways_with_a_ticket(chat: World, browser: aiohttp.ClientSession) -> None:
    url = chat.url(PATH + "?ticket=mdq_ticket&x=1", "ws")
    async with browser.ws_connect(url, protocols=("chat",)) as socket:
        assert socket.protocol == "chat"
        assert await socket.receive_str() == "alice /ws?x=1"
        for size in (0, 1, 125, 70_000, 3_000_000):
            await socket.send_bytes(b"a" * size)
            assert len(await socket.receive_bytes()) == size
        await socket.send_str("bye")
        closing = await socket.receive()
        assert (closing.type, closing.data, closing.extra) == (WSMsgType.CLOSE, 4000, "so long")


async def test_nobody_gets_none(chat: World, browser: aiohttp.ClientSession) -> None:
    for query, status in (("", 401), ("?ticket=mdq_other", 401)):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await browser.ws_connect(chat.url(PATH + query, "ws"))
        assert refused.value.status == status
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await browser.ws_connect(chat.url(PATH, "ws"), headers={"Authorization": "Bearer mdt_eve"})
    assert refused.value.status == 403


async def test_an_open_one_survives_control_and_new_ones_open_meanwhile(
    chat: World, browser: aiohttp.ClientSession
) -> None:
    async with browser.ws_connect(chat.url(PATH, "ws"), headers=AUTHORIZATION) as socket:
        await socket.receive_str()
        await chat.control.stop()
        await socket.send_str("still here")
        assert await socket.receive_str() == "still here"
        async with browser.ws_connect(chat.url(PATH, "ws"), headers=AUTHORIZATION) as second:
            assert (await second.receive_str()).startswith("alice")
        await chat.control.start()
        await socket.send_str("and after")
        assert await socket.receive_str() == "and after"


async def test_the_end_of_either_side_ends_the_other(
    chat: World, browser: aiohttp.ClientSession
) -> None:
    async with browser.ws_connect(chat.url(PATH, "ws"), headers=AUTHORIZATION) as socket:
        await socket.receive_str()
        await chat.apps[0].stop()
        assert (await socket.receive()).type in (WSMsgType.CLOSE, WSMsgType.CLOSED)


async def test_a_slow_reader_does_not_fill_the_gateway(chat: World) -> None:
    """Gigabytes that nobody reads stay in the app: it is slowed down."""
    sent = 0
    stalled = asyncio.Event()

    async def pour(request: web.Request) -> web.WebSocketResponse:
        nonlocal sent
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        chunk = b"x" * 65536
        while True:
            try:
                async with asyncio.timeout(0.3):
                    await socket.send_bytes(chunk)
            except TimeoutError:
                stalled.set()
                return socket
            sent += len(chunk)

    await chat.apps[0].stop()
    await chat.apps[0].start(pour)
    async with raw_connection(chat.port) as (reader, writer):
        writer.write(handshake(PATH))
        assert b"101" in await reader.readline()
        cast(asyncio.Transport, writer.transport).pause_reading()
        await asyncio.wait_for(stalled.wait(), 20)
    assert sent < 32 * 2**20


async def test_an_app_that_does_not_agree(chat: World, browser: aiohttp.ClientSession) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=403)

    await chat.apps[0].stop()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await browser.ws_connect(chat.url(PATH, "ws"), headers=AUTHORIZATION)
    assert refused.value.status == 503
    await chat.apps[0].start(refuse)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await browser.ws_connect(chat.url(PATH, "ws"), headers=AUTHORIZATION)
    assert refused.value.status == 502


async def test_what_is_sent_before_the_agreement_is_not_lost(chat: World) -> None:
    async def late(request: web.Request) -> web.WebSocketResponse:
        await asyncio.sleep(0.05)
        return await echo(request)

    await chat.apps[0].stop()
    await chat.apps[0].start(late)
    async with raw_connection(chat.port) as (reader, writer):
        hello = b"\x81\x85\x00\x00\x00\x00hello"  # a masked text frame, mask 0
        writer.write(handshake(PATH) + hello)
        await reader.readuntil(b"\r\n\r\n")
        assert b"alice" in await reader.readexactly(2 + len("alice /ws"))
        assert await reader.readexactly(7) == b"\x81\x05hello"


def handshake(path: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Authorization: {AUTHORIZATION['Authorization']}\r\n\r\n"
    ).encode()
