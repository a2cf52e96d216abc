"""Which names in a Host header are ours."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from madang.core.settings import Settings
from madang.server.settings import gateway_url, portal_url


def allowed_hosts(settings: Settings) -> frozenset[str]:
    """The names of the portal, the API and the gateway."""
    urls = (portal_url(settings), gateway_url(settings))
    names = {"localhost", settings.host, *(urlsplit(url).hostname or "" for url in urls)}
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
