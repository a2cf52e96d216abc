"""Passing requests on: to a replica of an endpoint, or to the app of a task.

Bodies are streamed both ways, except that small ones are read first, so that the request can be
sent again. `ConnectFailed` says that it may be: the app could not be reached, or went away before
a word of its answer.
"""

from __future__ import annotations

from collections.abc import Iterable

import aiohttp
from aiohttp import web
from yarl import URL

from madang.core.errors import InvalidInput, MadangError
from madang.server.serving.gateway.auth import TICKET_PARAMETER
from madang.server.serving.gateway.headers import (
    Forwarding,
    request_headers,
    response_headers,
    without_parameter,
)
from madang.server.serving.gateway.problems import BadGateway, GatewayTimeout
from madang.server.serving.gateway.routes import Replica, RouteTable

ANSWER_TIMEOUT_S = 300.0
"""How long an app may be silent while it answers."""

CONNECT_TIMEOUT_S = 5.0
KEEP_ALIVE_S = 30.0
CONNECTIONS_PER_APP = 512
REPLAY_BYTES = 1 << 20
"""Bodies up to this size are read before they are sent, and can be sent again."""


class ConnectFailed(Exception):
    """The app could not be reached, or left without a word: another one may be tried."""


class Upstreams:
    """Connections to apps: a pool for each socket, and what is under way on it."""

    def __init__(self) -> None:
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._outstanding: dict[str, int] = {}
        self._turn = 0

    def order(self, replicas: Iterable[Replica]) -> list[Replica]:
        """Replicas to try, the one with the least under way first; equals take turns."""
        listed = list(replicas)
        self._turn += 1
        start = self._turn % len(listed) if listed else 0
        turned = listed[start:] + listed[:start]
        return sorted(turned, key=lambda replica: self._outstanding.get(replica.socket, 0))

    async def relay(
        self,
        request: web.Request,
        socket: str,
        target: str,
        forwarding: Forwarding,
        *,
        cookies: bool,
        body: bytes | None = None,
    ) -> web.StreamResponse:
        """Pass the request on and stream the answer back.

        `body` is the request's when it has been read already; without it, it is streamed. Raises
        ConnectFailed, GatewayTimeout, BadGateway.
        """
        self._outstanding[socket] = self._outstanding.get(socket, 0) + 1
        try:
            return await self._relay(request, socket, target, forwarding, cookies, body)
        finally:
            self._outstanding[socket] -= 1
            if not self._outstanding[socket]:
                del self._outstanding[socket]

    async def keep_only(self, table: RouteTable) -> None:
        """Close the pools of apps that are gone, unless an answer is still under way."""
        live = table.sockets()
        for socket in [name for name in self._sessions if name not in live]:
            if socket not in self._outstanding:
                await self._sessions.pop(socket).close()

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    def _session(self, socket: str) -> aiohttp.ClientSession:
        session = self._sessions.get(socket)
        if session is None:
            session = self._sessions[socket] = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(
                    socket, keepalive_timeout=KEEP_ALIVE_S, limit=CONNECTIONS_PER_APP
                ),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=ANSWER_TIMEOUT_S
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        return session

    async def _relay(
        self,
        request: web.Request,
        socket: str,
        target: str,
        forwarding: Forwarding,
        cookies: bool,
        body: bytes | None,
    ) -> web.StreamResponse:
        headers = request_headers(request.headers.items(), forwarding, cookies=cookies)
        if request.content_length is not None:
            headers.append(("Content-Length", str(request.content_length)))
        streamed = request.content if body is None and request.can_read_body else None
        response: web.StreamResponse | None = None
        try:
            async with self._session(socket).request(
                request.method,
                URL(f"http://app{target}", encoded=True),
                headers=headers,
                data=body or streamed,
                allow_redirects=False,
            ) as upstream:
                response = web.StreamResponse(status=upstream.status, reason=upstream.reason)
                for name, value in response_headers(upstream.headers.items(), cookies=cookies):
                    response.headers.add(name, value)
                await response.prepare(request)
                async for chunk in upstream.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
                return response
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise ConnectFailed(str(error)) from error
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if response is None and streamed is None:
                raise ConnectFailed(str(error)) from error
            return _broken_off(request, response, _error_of(error))
        except (aiohttp.ClientError, TimeoutError) as error:
            return _broken_off(request, response, _error_of(error))


def _error_of(error: BaseException) -> MadangError:
    if isinstance(error, TimeoutError):
        return GatewayTimeout(
            f"the app did not answer within {ANSWER_TIMEOUT_S:g} s",
            hint="Its log may say what it is doing.",
        )
    return broken_off_error(error)


def broken_off_error(error: BaseException) -> BadGateway:
    cause = str(error) or type(error).__name__
    return BadGateway(f"the app broke the connection off: {cause}", hint="Its log may say why.")


def _broken_off(
    request: web.Request, response: web.StreamResponse | None, error: MadangError
) -> web.StreamResponse:
    """An answer that is under way can't become an error: cut it, so that it is not taken for
    whole. Raises `error` when nothing was sent yet."""
    if response is None or not response.prepared:
        raise error
    if request.transport is not None:
        request.transport.abort()
    return response


def split_target(raw_target: str, num_segments: int) -> tuple[str, str]:
    """Split a raw request target into our prefix (of `num_segments`) and what the app gets.

    `/endpoints/vision/digits/v2?x=1`, 3 → (`/endpoints/vision/digits`, `/v2?x=1`); our ticket is
    taken out of the query. Raises InvalidInput for what is no path.
    """
    if not raw_target.startswith("/") or not raw_target.isascii() or not raw_target.isprintable():
        raise InvalidInput(f"{raw_target[:80]!a} is not a path", hint="Percent-encode it.")
    path, _, query = raw_target.partition("#")[0].partition("?")
    segments = path.split("/")
    prefix = "/".join(segments[: num_segments + 1])
    rest = "/" + "/".join(segments[num_segments + 1 :])
    query = without_parameter(query, TICKET_PARAMETER)
    return prefix, f"{rest}?{query}" if query else rest


async def replayable_body(request: web.Request) -> bytes | None:
    """The whole body when it is small enough to be kept (empty when there is none), else None."""
    if not request.can_read_body:
        return b""
    length = request.content_length
    if length is None or length > REPLAY_BYTES:
        return None
    return await request.content.read(-1) if length else b""
