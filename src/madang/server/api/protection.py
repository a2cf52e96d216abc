"""What every answer carries against attacks from other pages, and which Host we answer to.

A page of somebody else can make a visitor's browser send requests here under a name of its own
(DNS rebinding). Such a request carries that name as its Host: only our own names and bare
addresses, which no rebinding can produce, are answered.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from madang.core.settings import Settings
from madang.server.hosts import allowed_hosts, is_our_host
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
        self._portal_netloc = urlsplit(portal_url(settings)).netloc.lower()
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
        if _is_live(scope) and not self._is_our_page(headers, host):
            refusal = PlainTextResponse("This page is not the portal's.\n", 403)
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

    def _is_our_page(self, headers: dict[bytes, bytes], host: str) -> bool:
        """Whether the page that asks, if one does, came from here."""
        origin = headers.get(b"origin")
        if origin is None:
            return True
        scheme, _, netloc = origin.decode("latin-1").lower().partition("://")
        ours = (host.lower(), self._portal_netloc)
        return scheme in ("http", "https") and netloc in ours

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


def _is_live(scope: Scope) -> bool:
    """Whether it belongs to a page's connection, which any page could open: browsers send our
    cookie along and let it read what comes."""
    return scope["type"] == "websocket" or str(scope["path"]).startswith("/_nicegui_ws/")


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
