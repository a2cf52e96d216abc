"""What every answer carries against attacks from other pages, and which Host we answer to.

A page of somebody else can make a visitor's browser send requests here under a name of its own
(DNS rebinding). Such a request carries that name as its Host: only our own names and bare
addresses, which no rebinding can produce, are answered.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from madang.core.settings import Settings
from madang.server.settings import gateway_url, portal_url

_API_POLICY = "default-src 'none'; frame-ancestors 'none'"
_DOCS_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; frame-ancestors 'none'"
)


class Protection:
    """Wraps an application: refuses foreign hosts, adds security headers to each answer."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._hosts = allowed_hosts(settings)
        self._portal_policy = portal_policy(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._is_private(scope) and not is_our_host(host, self._hosts):
            refusal = PlainTextResponse(
                f"This is not {host[:200]!r}. If it should be, set public_url.\n", 421
            )
            await refusal(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._protect(MutableHeaders(scope=message), scope["path"])
            await send(message)

        await self._app(scope, receive, send_protected)

    @staticmethod
    def _is_private(scope: Scope) -> bool:
        """Whether it came through the Unix socket, which no browser reaches."""
        server = scope.get("server")
        return server is not None and server[1] is None

    def _protect(self, headers: MutableHeaders, path: str) -> None:
        headers.setdefault("X-Content-Type-Options", "nosniff")
        headers.setdefault("X-Frame-Options", "DENY")
        headers.setdefault("Referrer-Policy", "same-origin")
        headers.setdefault("Content-Security-Policy", self._policy(path))
        if path.startswith(("/api/", "/internal/")):
            headers.setdefault("Cache-Control", "no-store")

    def _policy(self, path: str) -> str:
        if path.startswith(("/api/", "/internal/", "/ajax-api/")):
            return _API_POLICY
        return _DOCS_POLICY if path.startswith("/docs") else self._portal_policy


def portal_policy(settings: Settings) -> str:
    """The portal's pages run inline code (NiceGUI compiles its templates in the browser), from
    nowhere but here, and talk to the gateway, where files are uploaded and downloaded."""
    gateway = gateway_url(settings)
    return (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
        f"style-src 'self' 'unsafe-inline'; img-src 'self' data: blob: {gateway}; "
        f"font-src 'self' data:; connect-src 'self' {gateway}; object-src 'none'; "
        "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    )


def allowed_hosts(settings: Settings) -> frozenset[str]:
    names = {"localhost", settings.host, urlsplit(portal_url(settings)).hostname or ""}
    if settings.host in ("0.0.0.0", "::"):
        names |= {socket.gethostname(), socket.getfqdn()}
    return frozenset(name.lower() for name in names if name)


def is_our_host(header: str, allowed: frozenset[str]) -> bool:
    """Whether a Host header (name and perhaps port) is one of ours, or a bare address."""
    if "@" in header:
        return False
    try:
        name = urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return False
    if name in allowed:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
