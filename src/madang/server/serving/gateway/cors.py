"""Letting the portal's pages, which have another origin, use endpoints and files.

No cookie takes part: a page must show a ticket or a token, so that allowing its origin gives it
nothing that it could not do by itself.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from madang.core.settings import Settings

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_HEADERS = "Authorization, Content-Type, Range, If-Range, X-Madang-Ticket, *"
_EXPOSED = "Content-Disposition, Content-Range, Accept-Ranges, ETag, *"
_METHODS = "GET, HEAD, POST, PUT, DELETE, PATCH"
_MAX_AGE_S = "600"


def portal_origins(settings: Settings) -> frozenset[str]:
    """The origins at which the portal may be: its public address, and this machine's names."""
    scheme = "https" if settings.tls_cert else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    hosts = {host, *_LOOPBACK} if host in _LOOPBACK else {host}
    origins = {f"{scheme}://{name}:{settings.port}" for name in hosts}
    if settings.public_url:
        public = urlsplit(settings.public_url)
        origins.add(f"{public.scheme}://{public.netloc}")
    return frozenset(origins)


def preflight_response(request: web.Request, origins: frozenset[str]) -> web.Response:
    """The answer to a browser that asks first (OPTIONS)."""
    if request.headers.get("Origin") not in origins:
        return web.Response(status=403)
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": _HEADERS,
            "Access-Control-Max-Age": _MAX_AGE_S,
        },
    )


def add_cors_headers(
    request: web.Request, response: web.StreamResponse, origins: frozenset[str]
) -> None:
    """Allow the page to read the answer when its origin is the portal's."""
    response.headers.add("Vary", "Origin")
    origin = request.headers.get("Origin")
    if origin in origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED
