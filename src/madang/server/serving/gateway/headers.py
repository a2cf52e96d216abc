"""What is passed on and what is not: headers, cookies and the query, as plain functions.

Our own credentials never reach an app, nor does anything that would let a client speak in our
name (`X-Madang-*`, `X-Forwarded-*`); what is meant for one connection (hop-by-hop) ends here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
OUR_COOKIES = "madang"
"""Cookies whose names begin so are ours."""

_OURS = frozenset({"authorization", "forwarded", "x-real-ip", "expect", "content-length"})
_OUR_PREFIXES = ("x-madang-", "x-forwarded-")


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What an app is told of a request that reaches it through us."""

    user: str
    client_address: str
    scheme: str
    host: str
    prefix: str

    def headers(self) -> list[tuple[str, str]]:
        return [
            ("X-Madang-User", self.user),
            ("X-Forwarded-For", self.client_address),
            ("X-Forwarded-Proto", self.scheme),
            ("X-Forwarded-Host", self.host),
            ("X-Forwarded-Prefix", self.prefix),
        ]


def request_headers(
    headers: Iterable[tuple[str, str]], forwarding: Forwarding, *, cookies: bool
) -> list[tuple[str, str]]:
    """The headers that an app gets: those of the request that are meant for it, and ours.

    `cookies` false drops all of them, not just ours: an endpoint has no use for any.
    """
    given = list(headers)
    dropped = HOP_BY_HOP | _OURS | _nominated(given)
    kept = []
    for name, value in given:
        lower = name.lower()
        if lower in dropped or lower.startswith(_OUR_PREFIXES):
            continue
        if lower == "cookie":
            value = _foreign_cookies(value) if cookies else ""
            if not value:
                continue
        kept.append((name, value))
    return kept + forwarding.headers()


def handshake_headers(
    headers: Iterable[tuple[str, str]], forwarding: Forwarding
) -> list[tuple[str, str]]:
    """The same for a websocket's opening request, which keeps its Upgrade."""
    kept = request_headers(headers, forwarding, cookies=True)
    return [*kept, ("Connection", "Upgrade"), ("Upgrade", "websocket")]


def response_headers(
    headers: Iterable[tuple[str, str]], *, cookies: bool
) -> list[tuple[str, str]]:
    """The headers of an app's answer that are passed on. An app can't set a cookie of ours."""
    given = list(headers)
    dropped = HOP_BY_HOP | _nominated(given)
    kept = []
    for name, value in given:
        lower = name.lower()
        if lower in dropped or lower.startswith("access-control-"):
            continue
        if lower == "set-cookie" and (not cookies or _is_ours(value)):
            continue
        kept.append((name, value))
    return kept


def without_parameter(query: str, name: str) -> str:
    """A raw query string without one parameter; the rest stays byte by byte as it was."""
    if name not in query:
        return query
    parts = [part for part in query.split("&") if part.partition("=")[0] != name]
    return "&".join(parts)


def _nominated(headers: list[tuple[str, str]]) -> frozenset[str]:
    """Headers that `Connection` declares to be hop-by-hop."""
    return frozenset(
        word.strip().lower()
        for name, value in headers
        if name.lower() == "connection"
        for word in value.split(",")
    )


def _foreign_cookies(value: str) -> str:
    return "; ".join(part for part in map(str.strip, value.split(";")) if not _is_ours(part))


def _is_ours(cookie: str) -> bool:
    return cookie.lstrip().lower().startswith(OUR_COOKIES)
