"""Websockets: once the app has agreed, bytes are passed both ways and not looked at.

The two connections are tied by a pair of protocols on the event loop: no task, no copy, and the
slower side slows the faster one down. Nothing here needs control: an open websocket lives on
while control is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, cast

from aiohttp import web

from madang.core.errors import Unavailable
from madang.server.serving.gateway.problems import BadGateway
from madang.server.serving.gateway.relay import CONNECT_TIMEOUT_S

HANDSHAKE_TIMEOUT_S = 30.0
CLOSING_S = 5.0
_MAX_HEAD_BYTES = 64 * 1024


def wants_websocket(request: web.Request) -> bool:
    """Whether the request opens a websocket; any other Upgrade is not offered."""
    return (
        request.method == "GET"
        and request.headers.get("Upgrade", "").lower() == "websocket"
        and "upgrade" in request.headers.get("Connection", "").lower()
    )


class Websockets:
    """The websockets that are open; belongs to one event loop."""

    def __init__(self) -> None:
        self._apps: set[_AppSide] = set()

    async def relay(
        self, request: web.Request, socket: str, target: str, headers: Iterable[tuple[str, str]]
    ) -> web.StreamResponse:
        """Open the app's websocket and tie the client to it until one of them ends.

        Raises Unavailable when the app can't be reached, BadGateway when it answers anything but
        101.
        """
        app = await _connect(socket)
        self._apps.add(app)
        try:
            head = await _agree(app, target, headers)
            await _tie(request, app, head)
        finally:
            app.transport.abort()
            self._apps.discard(app)
        return web.Response()  # never sent: the connection was the app's until it closed

    def close(self) -> None:
        """Close them all, for the end of the process."""
        for app in self._apps:
            app.transport.close()


async def _connect(socket: str) -> _AppSide:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            loop = asyncio.get_running_loop()
            _, app = await loop.create_unix_connection(_AppSide, socket)
    except (OSError, TimeoutError) as error:
        raise Unavailable(
            f"the app can't be reached: {error}", hint="It may be starting or have ended."
        ) from error
    return app


async def _agree(app: _AppSide, target: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Send the opening request; the head of the app's answer when it is a yes."""
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
    app.transport.write("\r\n".join(lines).encode("utf-8", "surrogateescape"))
    try:
        async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
            head = await app.head
    except TimeoutError:
        raise BadGateway("the app did not answer the websocket's opening request") from None
    status = head.split(b"\r\n", 1)[0].split(b" ")
    if len(status) < 2 or status[1] != b"101":
        answer = b" ".join(status[1:]).decode("latin-1") or "nothing"
        raise BadGateway(f"the app answered the websocket with {answer!r}")
    return head


async def _tie(request: web.Request, app: _AppSide, head: bytes) -> None:
    transport = request.transport
    if transport is None:
        return
    early = _Collector()
    request.protocol.set_parser(cast(Any, early))
    client = _ClientSide(transport, request.protocol)
    client.peer, app.peer = app.transport, transport
    transport.set_protocol(client)
    transport.write(head)
    app.transport.write(early.collected)
    app.release()
    transport.resume_reading()
    try:
        await asyncio.wait([client.closed, app.closed], return_when=asyncio.FIRST_COMPLETED)
    finally:
        # What was still to be written is, unless the other end does not take it.
        for side in (client, app):
            side.transport.close()
            asyncio.get_running_loop().call_later(CLOSING_S, side.transport.abort)
    await client.closed


class _Side(asyncio.Protocol):
    """One end: writes what it receives to its peer, and stops reading while the peer is full."""

    transport: asyncio.Transport
    peer: asyncio.Transport | None = None

    def __init__(self) -> None:
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        if self.peer is not None and not self.peer.is_closing():
            self.peer.write(data)

    def pause_writing(self) -> None:
        if self.peer is not None and not self.peer.is_closing():
            self.peer.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and not self.peer.is_closing():
            self.peer.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


class _AppSide(_Side):
    """The app's end: first its answer's head, then bytes for the client."""

    def __init__(self) -> None:
        super().__init__()
        self.head: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.peer is not None:
            super().data_received(data)
            return
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end >= 0 or len(self._buffer) > _MAX_HEAD_BYTES:
            self.transport.pause_reading()
            end = end + 4 if end >= 0 else 0
            head, self._buffer = self._buffer[:end], self._buffer[end:]
            if not self.head.done():
                self.head.set_result(head)

    def release(self) -> None:
        """Pass on what came after the head, and from now on all that comes."""
        buffered, self._buffer = self._buffer, b""
        super().data_received(buffered)
        self.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.head.done():
            self.head.set_result(b"")
        super().connection_lost(error)


class _ClientSide(_Side):
    """The client's end, taken over from the HTTP server, which is told when it closes."""

    def __init__(self, transport: asyncio.Transport, server: web.RequestHandler) -> None:
        super().__init__()
        self.transport = transport
        self._server = server

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._server.connection_lost(error)


class _Collector:
    """Takes what the client sent before the app had agreed."""

    def __init__(self) -> None:
        self.collected = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.collected += data
        return False, b""

    def feed_eof(self) -> None:
        pass
